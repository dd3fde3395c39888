"""A run that waits: shown as paused in Prefect's UI, answered there or by a command, with a server or without."""

import asyncio
import contextlib
import contextvars
import threading
import time

import pytest
import requests
from chemist import WRITTEN, conversation, flow_cell
from services import ENDED, SOON_S, Lab, secret_headers
from sqlalchemy import update

from sdl.campaign.definition import Campaign
from sdl.errors import CampaignStopped, CampaignSuspended, LeaseHeld, LeaseLost
from sdl.history import Control, NoticeKind, Purpose
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.people.samples import Samples
from sdl.ledger.tables import leases
from sdl.measurement.hand_bench import wanted_samples

HASTY = {"read_s": 60.0, "deadline_s": 90.0, "quiet_s": 0.2, "first_wait_s": 0.01, "attempts": 2, "allow_private": True}
PAUSED = {"PAUSED"}


def until(true, what):
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Running:
    """The flow at work in a thread, on a twin over HTTP."""

    def __init__(self, written, home, wait=True):
        self.home, self.outcome, self.error = home, None, None
        self.config = Campaign.parse(written)
        here = contextvars.copy_context()  # Prefect's settings of the test
        self.thread = threading.Thread(target=here.run, args=(self._run, wait))
        self.thread.start()

    def _run(self, wait):
        from flows.campaign.flow import campaign

        try:
            self.outcome = asyncio.run(campaign(self.config, str(self.home), wait=wait))
        except BaseException as error:  # what ends a run of Prefect is no Exception
            self.error = error

    @contextlib.contextmanager
    def book(self):
        with Ledger(self.home / "ledger.sqlite") as book:
            yield book

    def steering(self, ask):
        with self.book() as book:
            return ask(Controls(book, "Ada"))

    def kinds(self):
        with self.book() as book:
            return [each.kind for each in Controls(book).notices(book.entry(self.config.slug).id)]

    def until(self, kind, times=1):
        def there():
            with contextlib.suppress(Exception):  # it is not there yet
                return self.kinds().count(kind) >= times
            return False

        until(there, f"no notice of {kind}")

    def end(self):
        self.thread.join(SOON_S)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.outcome


class Form:
    """What Prefect's UI shows of a run that waits for input."""

    def __init__(self, api, campaign):
        self.api, self.name, self.description = api, f"campaign-{campaign}", ""

    def ask(self, path, body=None):
        method = "GET" if body is None else "POST"
        answer = requests.request(method, self.api + path, json=body, headers=secret_headers(self.api), timeout=20)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def opened(self, right):
        """The fields of the form, once it is the right one."""
        found = {}

        def look():
            with contextlib.suppress(requests.HTTPError, IndexError, TypeError, KeyError):  # it is not there yet
                shown = {"name": {"any_": [self.name]}, "state": {"type": {"any_": ["PAUSED"]}}}
                run = self.ask("/flow_runs/filter", {"flow_runs": shown, "sort": "START_TIME_DESC"})[0]
                keys = run["state"]["state_details"]["run_input_keyset"]
                schema = self.ask(f"/flow_runs/{run['id']}/input/{keys['schema']}")
                self.description = self.ask(f"/flow_runs/{run['id']}/input/{keys['description']}")
                self.run, self.key = run["id"], keys["schema"]
                found["fields"] = schema["properties"]
                return right(found["fields"])
            return False

        until(look, "the form does not come")
        return found["fields"]

    def send(self, answer):
        self.ask(f"/flow_runs/{self.run}/resume", {"run_input": answer})


@pytest.fixture
def lamp():
    with InstrumentServer(Twin(seed=3)) as served:
        yield served
        assert served.most_in_flight <= 1  # I1


@pytest.fixture
def written(paper, lamp):
    return paper | {"instrument": {"plugin": "claude-light", "url": lamp.url, **HASTY}}


class TestFlow:
    pytestmark = pytest.mark.slow

    def test_it_waits_for_approval_and_a_command_lets_it_go_on(self, prefect, home, written, lamp, sdl):
        run = Running(written | {"approval": {"when": "first-round"}}, home)
        run.until(NoticeKind.WAITING)
        assert lamp.requests == 0
        shown = sdl("approve", "paper", "--yes", "--note", "seen")
        assert "the first round is to be approved" in shown.said
        assert run.end()["verified"]
        assert run.kinds() == [NoticeKind.WAITING, NoticeKind.APPROVED]

    @pytest.mark.fault("N-10")
    def test_where_persons_have_tokens_a_name_in_a_form_approves_of_nothing(
        self, prefect, home, written, lamp, sdl, monkeypatch
    ):
        token = sdl("who", "add", "Ada", "--role", "approver", "--json").json["token"]
        run, form = Running(written | {"approval": {"when": "first-round"}}, home), Form(prefect, "paper")
        form.opened(lambda fields: "decision" in fields)
        assert "takes a person's token, which no form asks for: `sdl approve paper`" in str(form.description)
        form.send({"decision": "approve", "name": "Ada", "note": ""})
        first = form.key
        form.opened(lambda fields: "decision" in fields and form.key != first)
        assert run.kinds() == [NoticeKind.WAITING]
        assert lamp.requests == 0
        monkeypatch.setenv("SDL_TOKEN", token)
        assert sdl("approve", "paper", "--yes").code == 0
        assert run.end()["verified"]

    @pytest.mark.fault("O-39")
    def test_a_pause_that_reached_the_server_too_late_is_taken_back_and_ends_no_run(
        self, prefect, home, written, lamp, sdl, monkeypatch
    ):
        from prefect import get_client, runtime
        from prefect.states import Paused

        from flows.campaign import waiting

        asked, ask = [], waiting.apause_flow_run

        async def ask_after_an_earlier_pause(*words, **options):
            asked.append(options["key"])
            if len(asked) == 1:
                async with get_client() as client:
                    await client.set_flow_run_state(runtime.flow_run.id, Paused(timeout_seconds=600), force=True)
            return await ask(*words, **options)

        monkeypatch.setattr(waiting, "apause_flow_run", ask_after_an_earlier_pause)
        run = Running(written | {"approval": {"when": "first-round"}}, home)
        until(lambda: len(asked) >= 2 and "Paused" in self.states(prefect), "it is not shown as paused")
        assert sdl("approve", "paper", "--yes").code == 0
        assert run.end()["verified"]

    @pytest.mark.fault("I-18")
    def test_a_lamp_holds_it_off_until_it_is_out(self, prefect, home, written, lamp):
        lamp.instrument.lamp = 6000.0
        run = Running(written | {"suspend": {"background": {"515nm": [0, 2000]}, "hold_off_s": 0.2}}, home)
        run.until(NoticeKind.SUSPENDED, times=2)
        lamp.instrument.lamp = 0.0
        assert run.end()["verified"]
        with run.book() as book:
            rows = book.trail(book.entry("paper").id)
        tried = [row["purpose"] for row in rows]
        assert tried[: run.kinds().count(NoticeKind.SUSPENDED) + 1].count(Purpose.DESIGN) == 0

    @pytest.mark.fault("I-21")
    def test_an_instrument_that_is_gone_is_asked_now_and_then_and_found_when_it_is_back(self, prefect, home, written):
        with InstrumentServer(Twin(seed=3)) as first:
            part, port = written["instrument"] | {"url": first.url}, first.server_port
        run = Running(written | {"instrument": part, "suspend": {"hold_off_s": 0.2}}, home)
        run.until(NoticeKind.SUSPENDED)
        with InstrumentServer(Twin(seed=3), port=port) as back:
            assert run.end()["verified"]
            assert back.most_in_flight == 1

    def test_a_hold_off_ends_when_a_person_says_so(self, prefect, home, written, lamp):
        lamp.instrument.lamp = 6000.0
        run = Running(written | {"suspend": {"background": {"515nm": [0, 2000]}, "hold_off_s": 86_400}}, home)
        run.until(NoticeKind.SUSPENDED)
        lamp.instrument.lamp = 0.0
        run.steering(lambda steering: steering.ask("paper", Control.RUN))
        assert run.end()["verified"]

    def test_a_round_is_read_in_a_form_that_may_come_back_half_filled(self, prefect, home):
        run, form = Running(WRITTEN, home), Form(prefect, "dyes")
        fields = form.opened(lambda fields: len(fields) == 11)  # five samples of two channels, and who read them
        assert fields["r0_0_0_0"]["title"] == "r0-0-0: 450nm [mV]"
        assert fields["r0_0_0_0"]["description"] == "design at red = 0.5 ml/min, blue = 3.5 ml/min"
        form.send({"r0_0_0_0": "12,5", "r0_1_0_0": "9999", "r0_2_0_1": "failed", "name": "Ada"})
        form.opened(lambda fields: fields.get("r0_0_0_0", {}).get("default") == "12.5")
        assert "450nm is above its ceiling 5000: 9999.0" in form.description
        names = [f"r0_{number}_0_{column}" for number in (0, 1, 3, 4) for column in (0, 1)]
        form.send(dict.fromkeys(names[1:], "1000"))
        form.opened(lambda fields: len(fields) == 3 and "r0_2_0_2_0" in fields)  # the failed one again
        with run.book() as book:
            samples = Samples(book, book.entry("dyes").id).read()
        assert samples[0].editions[0].by == "Ada"
        deadline = time.monotonic() + SOON_S
        while not run.outcome and not run.error:  # a command is as good
            assert time.monotonic() < deadline
            with run.book() as book:
                wanted = wanted_samples(book, book.entry("dyes"))
            readings = [(s, flow_cell(0, s, s.request.settings)) for s in wanted]
            if readings:
                told = [{"sample": s.name, "readings": read} for s, read in readings]
                conversation(WRITTEN, home).tell(told, correct=True)
            time.sleep(0.2)
        assert run.end()["verified"]

    def test_stopped_while_it_waits_it_ends(self, prefect, home, written, lamp):
        run = Running(written | {"approval": {"when": "always"}}, home)
        run.until(NoticeKind.WAITING)
        run.steering(lambda steering: steering.ask("paper", Control.STOP))
        with pytest.raises(CampaignStopped):
            run.end()
        assert lamp.requests == 0

    @pytest.mark.fault("O-19")
    def test_it_waits_for_its_turn_at_the_instrument(self, prefect, home, written):
        home.mkdir(exist_ok=True)
        identity = f"claude-light {written['instrument']['url']}"
        with Ledger(home / "ledger.sqlite") as book:
            with book.hold(identity, "somebody"):
                with pytest.raises(LeaseHeld):
                    Running(written, home, wait=False).end()
                run = Running(written, home)
                until(lambda: "Waiting" in self.states(prefect), "it does not wait")
            assert run.end()["verified"]

    @pytest.mark.fault("O-20")
    @pytest.mark.parametrize("wait", [True, False])
    def test_who_slept_and_was_overtaken_waits_for_its_next_turn_and_goes_on(self, prefect, home, written, lamp, wait):
        measure = lamp.instrument.measure

        def overtaken(settings):
            lamp.instrument.measure = measure
            with Ledger(home / "ledger.sqlite") as book, book.writing() as connection:
                connection.execute(update(leases).values(token=leases.c.token + 1, owner=""))  # somebody had it since
            return measure(settings)

        lamp.instrument.measure = overtaken
        run = Running(written, home, wait=wait)
        if wait:
            assert run.end()["verified"]
        else:
            with pytest.raises(LeaseLost, match="one who let go of it again"):
                run.end()

    def states(self, api):
        return [run["state"]["name"] for run in requests.post(f"{api}/flow_runs/filter", json={}, timeout=60).json()]

    def test_what_a_person_has_to_mend_ends_it_all_the_same(self, prefect, home, written, lamp):
        part = written["instrument"] | {"url": lamp.url.replace("/api", "/nowhere")}
        with pytest.raises(CampaignSuspended):
            Running(written | {"instrument": part}, home).end()


@pytest.mark.slow
class TestService:
    @pytest.mark.fault("O-50")
    def test_the_form_the_button_and_the_deployments_of_the_ui(self, tmp_path):
        lab = Lab(tmp_path / "home")
        lab.home.mkdir(mode=0o700)
        lab.up("--twin", "--twin-port", 0)
        try:
            self.approved_in_the_form_of_the_run(lab)
            self.paused_by_a_deployment_and_resumed_by_the_button(lab)
            self.it_ends_verified_and_who_asked_what_is_in_the_ledger(lab)
            self.a_name_that_nobody_has_fails_with_what_to_do(lab)
        finally:
            lab.sdl("down")

    def approved_in_the_form_of_the_run(self, lab):
        given = lab.deployment("campaign")["parameters"]["config"]
        config = given | {"name": "careful", "approval": {"when": ["first-round"]}}
        self.run = lab.trigger("campaign", {"config": config, "wait": True})
        keys = lab.until(self.run, PAUSED | ENDED)["state_details"]["run_input_keyset"]

        def described():
            with contextlib.suppress(requests.HTTPError):  # it comes after the state
                return lab.ask(f"/flow_runs/{self.run}/input/{keys['description']}")

        until(described, "the form shows no settings")
        assert "| design | 0.9 | 0.7 | 0.5 | 1 |" in described()
        self.steer(lab, "pause", note="before it began")
        lab.ask(f"/flow_runs/{self.run}/resume", {"run_input": {"decision": "approve", "name": "Ada"}})

    def paused_by_a_deployment_and_resumed_by_the_button(self, lab):
        def approved():
            with Ledger(lab.home / "ledger.sqlite") as book:
                entry = book.entry("careful")
                return Controls(book).pending_approval(entry.id) is None and book.sent(entry.id) == 0

        until(approved, "it was not approved")
        deadline = time.monotonic() + SOON_S
        while True:  # paused: now without a form
            state = lab.until(self.run, PAUSED | ENDED)
            assert state["type"] == "PAUSED", state["message"]
            if state["state_details"]["run_input_keyset"] is None:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        lab.ask(f"/flow_runs/{self.run}/resume", {})

    def it_ends_verified_and_who_asked_what_is_in_the_ledger(self, lab):
        state = lab.until(self.run, ENDED)
        assert state["type"] == "COMPLETED", state["message"]
        with Ledger(lab.home / "ledger.sqlite") as book:
            entry = book.entry("careful")
            result = [(each.kind, each.who) for each in Controls(book).notices(entry.id)]
            assert book.history(entry.id).findings[-1].verdict == "VERIFIED"
        kinds = [NoticeKind.WAITING, NoticeKind.PAUSED, NoticeKind.APPROVED, NoticeKind.RESUMED]
        assert [kind for kind, _ in result] == kinds
        typed, button = "(a name typed into Prefect's UI)", "Prefect's UI (no name was given there)"
        assert [who for _, who in result] == ["", f"Eve {typed}", f"Ada {typed}", button]

    def a_name_that_nobody_has_fails_with_what_to_do(self, lab):
        state = lab.until(self.trigger(lab, "stop", {"campaign": "carefull"}), ENDED)
        assert state["type"] == "FAILED"
        assert "no campaign 'carefull' in this ledger; did you mean 'careful'?" in state["message"]

    def steer(self, lab, action, **parameters):
        state = lab.until(self.trigger(lab, action, {"campaign": "careful", "name": "Eve", **parameters}), ENDED)
        assert state["type"] == "COMPLETED", state
        assert state["message"] == "careful pauses before its next request"

    def trigger(self, lab, action, parameters):
        number = lab.deployment(action, "laboratory")["id"]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return lab.ask(f"/deployments/{number}/create_flow_run", body)["id"]
