"""What is said of a campaign at work: where it stands, who holds its instrument, what it waits for, and its stalls."""

import json
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
import pytest
import requests
from rich.console import Console
from sqlalchemy import update

from flows.cli import watch as cli_watching
from flows.cli.watch_view import draw_frame
from flows.engine.open_bench import open_bench
from flows.engine.opening import open_session
from flows.laboratory.stall_alarm import StallWatch
from flows.ui import events
from sdl.campaign.definition import Target
from sdl.campaign.sections import Plugin
from sdl.errors import CampaignSuspended, InvalidInput, LedgerError
from sdl.history import Control, Finding, NoticeKind, State, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger import lease as leasing
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.tables import attempts, campaigns, leases
from sdl.measurement import manual as by_hand
from sdl.reports import status as watching
from sdl.reports.status import Place
from sdl.reports.status_detail import campaign_detail

TWIN = {"instrument": {"plugin": "twin", "seed": 1}}


@pytest.fixture
def at_work(paper, where, tmp_path):
    """A campaign whose first round is measured, one observation a second, its process alive."""
    with opened_an_hour_ago(paper | TWIN, tmp_path, where) as session:
        session.execute(session.propose())
        spread(session.ledger, 1.0)
        yield session


@contextmanager
def opened_an_hour_ago(written, directory, where):
    """A session that has held its instrument since an hour."""
    with ExitStack() as opened:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leasing, "now", lambda: time.time() - 3600)
            session = opened.enter_context(open_session(written, directory, where))
        yield session


def spread(ledger, interval_s):
    """Let the observations have come at an interval, the last one now."""
    at = time.time()
    with ledger.engine.execution_options(writes=True).begin() as connection:
        numbers = connection.execute(attempts.select().order_by(attempts.c.id.desc())).scalars().all()
        for place, number in enumerate(numbers):
            came = {"sent_at": at - (place + 0.9) * interval_s, "done_at": at - place * interval_s}
            connection.execute(update(attempts).where(attempts.c.id == number).values(**came))


def later(monkeypatch, seconds):
    """Look at the ledger so much later."""
    at = time.time() + seconds
    monkeypatch.setattr(watching, "now", lambda: at)


def standing(session, name="paper"):
    (found,) = watching.campaign_statuses(session.ledger, name)
    return found


class TestStanding:
    def test_it_says_what_is_done_by_whom_and_how_fast(self, at_work, paper):
        found = standing(at_work)
        assert (found.sent, found.budget) == (1 + paper["design"]["n"], paper["budget"]), "a reference and the design"
        assert (found.targets, list(found.verified)) == (["white"], [])
        assert (found.state, found.measures, found.interrupted) == (State.RUNNING, True, False)
        assert str(found.place) == "0 design"
        assert found.holder.owner == "campaign 'paper'"
        assert found.pace.interval_s == pytest.approx(1.0, abs=0.01)
        assert found.silent_s < 10
        assert found.waits_for == "the next decision"
        assert found.alarm == ""

    def test_an_open_request_is_what_it_waits_for(self, at_work):
        while not getattr(request := at_work.propose(), "requests", ()):  # an exam may begin without any
            at_work.execute(request)
        at_work.ledger.plan(
            at_work.lease, at_work.entry.id, request.round, request.requests, getattr(request, "exam", None)
        )
        at_work.ledger.send(at_work.lease, at_work.entry.id, request.requests[0], 100)
        assert standing(at_work).waits_for.startswith("a reply, for ")

    @pytest.mark.parametrize(
        ("control", "waits"), [(Control.PAUSE, "a person: 'sdl resume paper'"), (Control.RUN, "the next decision")]
    )
    def test_a_pause_waits_for_a_person(self, at_work, control, waits):
        Controls(at_work.ledger, "anna").ask("paper", control)
        assert standing(at_work).waits_for == waits

    def test_an_approval_names_its_round_and_the_command(self, at_work):
        Controls(at_work.ledger).request_approval(at_work.lease, at_work.entry.id, 1, "beyond all that was measured")
        waits = standing(at_work).waits_for
        assert waits == "approval of round 1 (beyond all that was measured): 'sdl approve paper'"

    def test_one_that_was_declined_waits_for_a_person_first(self, at_work):
        Controls(at_work.ledger).request_approval(at_work.lease, at_work.entry.id, 1, "beyond all that was measured")
        Controls(at_work.ledger, "anna").answer("paper", granted=False)
        waits = standing(at_work).waits_for
        assert waits == "a person: 'sdl resume paper'; then approval of round 1 (beyond all that was measured)"

    def test_nobody_goes_on_with_what_was_begun_by_hand(self, tmp_path):
        gone = {"url": "http://127.0.0.1:9/api", "allow_private": True, "attempts": 1}
        part, home = Plugin(plugin="claude-light", **gone), str(tmp_path)
        with open_bench(part, home, None, "by hand") as bench:
            (begun,) = watching.campaign_statuses(bench.ledger)
            assert (begun.state, begun.measures, begun.at_work) == (State.RUNNING, True, True)
            with bench.ledger.engine.execution_options(writes=True).begin() as connection:
                connection.execute(update(leases).values(process="process 999999999@1"))
            (killed,) = watching.campaign_statuses(bench.ledger)
            assert (killed.interrupted, killed.at_work, killed.waits_for) == (True, False, "")
            with bench.ledger.engine.execution_options(writes=True).begin() as connection:
                connection.execute(update(leases).values(process=begun.holder.process))
        with pytest.raises(CampaignSuspended), open_bench(part, home, None, "by hand") as bench:
            by_hand.measure_by_hand(bench, [bench.instrument.space.off])
        with Ledger(tmp_path / "ledger.sqlite") as book:
            (ended,) = watching.campaign_statuses(book)
            assert (ended.state, ended.waits_for) == (State.FINISHED, "")
            assert "no connection" in ended.reason

    def test_a_process_that_is_gone_is_told(self, at_work):
        with at_work.ledger.engine.execution_options(writes=True).begin() as connection:
            connection.execute(update(leases).values(process="process 999999999@1"))
        found = standing(at_work)
        assert (found.interrupted, found.holder) == (True, None)
        assert "its process ended" in found.waits_for

    def test_a_suspended_one_says_why(self, at_work):
        at_work.ledger.set_state(at_work.lease, at_work.entry.id, State.SUSPENDED, "the lamp is off")
        found = standing(at_work)
        assert (found.reason, found.waits_for) == ("the lamp is off", "what suspended it to pass, or to be mended")

    def test_what_is_over_costs_no_look_and_waits_for_nothing(self, at_work):
        at_work.ledger.set_state(at_work.lease, at_work.entry.id, State.FINISHED, "done")
        (found,) = watching.campaign_statuses(at_work.ledger)
        assert (found.waits_for, found.alarm, found.place) == ("", "", None)
        assert str(standing(at_work).place) == "0 design"

    def test_a_name_that_is_not_there_is_told_with_the_nearest(self, at_work):
        with pytest.raises(InvalidInput, match="did you mean 'paper'"):
            watching.campaign_statuses(at_work.ledger, "papre")

    def test_an_extension_counts(self, at_work):
        Controls(at_work.ledger).extend("paper", 20)
        assert standing(at_work).budget == 120


class TestStall:
    @pytest.mark.parametrize(
        ("interval_s", "after_s", "stalls"),
        [(1.0, 20, False), (1.0, 31, True), (20.0, 180, False), (20.0, 210, True)],
    )
    def test_ten_times_the_usual_and_thirty_seconds_at_least(self, at_work, monkeypatch, interval_s, after_s, stalls):
        spread(at_work.ledger, interval_s)
        later(monkeypatch, after_s)
        assert bool(standing(at_work).alarm) is stalls

    def test_it_says_for_how_long_and_what_is_usual(self, at_work, monkeypatch):
        later(monkeypatch, 7230)
        alarm = standing(at_work).alarm
        assert alarm.startswith("no observation for 2 h, where one comes every 1.0 s")

    def test_who_waits_on_purpose_has_not_stalled(self, at_work, monkeypatch):
        steering = Controls(at_work.ledger)
        later(monkeypatch, 1000)
        assert standing(at_work).alarm
        steering.ask("paper", Control.PAUSE)
        assert standing(at_work).alarm == ""
        steering.ask("paper", Control.RUN)
        steering.request_approval(at_work.lease, at_work.entry.id, 1, "first round")
        assert standing(at_work).alarm == ""
        at_work.ledger.set_state(at_work.lease, at_work.entry.id, State.SUSPENDED, "quiet hours")
        assert standing(at_work).alarm == ""

    def test_one_taken_up_after_a_night_has_its_time_again(self, at_work, monkeypatch):
        later(monkeypatch, 1000)
        with at_work.ledger.engine.execution_options(writes=True).begin() as connection:
            connection.execute(update(leases).values(since=watching.now() - 5))
        assert standing(at_work).alarm == ""

    @pytest.mark.fault("O-21", "O-49")
    def test_a_clock_that_goes_back_raises_no_alarm(self, at_work, monkeypatch):
        later(monkeypatch, -7200)
        found = standing(at_work)
        assert (found.alarm, found.silent_s) == ("", None)

    def test_each_is_told_once_as_an_event_and_a_notice(self, at_work, monkeypatch):
        result = []
        monkeypatch.setattr(events, "emit_stalled", lambda *words: result.append(words))
        watchman = StallWatch(at_work.ledger)
        watchman.look()
        assert result == []
        later(monkeypatch, 100)
        watchman.look()
        watchman.look()
        assert [words[0] for words in result] == ["paper"]
        (notice,) = Controls(at_work.ledger).notices(at_work.entry.id)
        assert (notice.kind, notice.text) == (NoticeKind.STALLED, result[0][2])
        spread(at_work.ledger, 1.0)  # it goes on, and stalls again
        later(monkeypatch, 5)
        watchman.look()
        later(monkeypatch, 200)
        watchman.look()
        assert len(result) == 2


def test_from_near_there_are_targets_readings_verdicts_and_notices(at_work, paper):
    Controls(at_work.ledger, "anna").ask("paper", Control.PAUSE)
    seen = campaign_detail(at_work.ledger, standing(at_work))
    assert seen.channels == ["445nm", "515nm", "630nm"]
    assert [each.purpose for each in seen.last] == ["design"] * paper["design"]["n"] + ["reference"]
    assert seen.verdict(seen.targets[0]) is None
    assert [(each.kind, each.by) for each in seen.notices] == [(NoticeKind.PAUSED, "anna")]


def test_of_many_targets_the_one_under_exam_and_those_judged_last_are_near(at_work):
    seen = campaign_detail(at_work.ledger, standing(at_work))
    targets = [Target(name=f"t{n}", readings={"445nm": 1000 * (n + 1)}) for n in range(9)]
    judged = [Finding(n, f"t{n}", Verdict.VERIFIED, "", np.zeros(3)) for n in range(6)]
    judged += [Finding(6, "t6", Verdict.REFUTED, "", np.zeros(3)), Finding(7, "t7", Verdict.NOT_REACHABLE, "")]
    place = Place(8, "exam", "t6")
    many = replace(seen, targets=targets, findings=judged, status=replace(seen.status, place=place))
    assert [each.name for each in many.near] == ["t6", "t7", "t5"]
    assert many.tally == "6 VERIFIED, 2 open, 1 NOT REACHABLE"
    assert (seen.near, seen.tally) == (seen.targets, ""), "a few are all looked at"
    console = Console(width=120)
    with console.capture() as result:
        console.print(draw_frame(many))
    assert "6 VERIFIED, 2 open, 1 NOT REACHABLE" in result.get()
    assert "REFUTED t6" in result.get()
    assert "VERIFIED t1" not in result.get()


# ---------------------------------------------------------------------- at a terminal


@pytest.fixture
def known(paper, drive, home):
    """A finished campaign in the ledger that commands look at, with words of a stranger in its name and reason."""
    home.mkdir(mode=0o700)
    with open_session(paper | TWIN | {"name": "seen"}, home, str(home / "ledger.sqlite")) as session:
        drive(session)
        with session.ledger.engine.execution_options(writes=True).begin() as connection:
            hostile = {"reason": "\x1b[2J\x1b[Hgone \u202etxt [red]", "state": "SUSPENDED"}
            connection.execute(update(campaigns).values(**hostile))
    return session


class TestCommands:
    def test_status_has_its_keys_for_programs(self, sdl, known):
        (result,) = sdl("status", "--json").json
        assert {"campaign", "state", "requests", "verified", "instrument", "held by", "updated", "reason", "control",
                "budget", "round", "last observation", "interval_s", "held since", "heartbeat_s", "waits for",
                "alarm"} <= set(result)  # fmt: skip
        assert (result["campaign"], result["verified"], result["held by"]) == ("seen", "1 of 1", None)

    @pytest.mark.fault("N-05")
    @pytest.mark.parametrize("words", [("status",), ("watch", "--once"), ("watch", "seen", "--once")])
    def test_words_of_strangers_move_no_cursor(self, sdl, known, words):
        result = sdl(*words)
        assert result.code == 0
        assert "\x1b" not in result.out
        assert "\u202e" not in result.out
        assert r"\x1b[2J" in result.out
        assert "[red]" in result.said

    def test_one_frame_shows_progress_readings_and_the_verdict(self, sdl, known):
        said = sdl("watch", "seen", "--once").said
        assert "requests sent" in said
        assert "wanted" in said
        assert "verification" in said
        assert "VERIFIED white: within the tolerance" in said

    def test_frames_for_programs_are_a_line_each(self, sdl, known):
        (frame,) = [json.loads(line) for line in sdl("watch", "--once", "--json").out.splitlines()]
        assert [each["campaign"] for each in frame] == ["seen"]

    @pytest.mark.parametrize("words", [(), ("--json",)])
    def test_a_ledger_that_does_not_answer_is_looked_at_again(self, sdl, known, monkeypatch, words):
        def fails(*_):
            raise LedgerError("server closed the connection")

        monkeypatch.setattr(cli_watching, "campaign_statuses", fails)
        result = sdl("watch", "--once", *words)
        assert result.code == 0
        assert "the ledger does not answer, looking again: server closed the connection" in result.said

    def test_an_alarm_needs_the_server_that_it_tells(self, sdl, monkeypatch):
        monkeypatch.setenv("PREFECT_API_URL", "")
        result = sdl("watch", "--alarm")
        assert (result.code, "set PREFECT_API_URL" in result.said) == (2, True)

    @pytest.mark.slow
    def test_where_workers_run_it_tells_of_stalls_until_ctrl_c(self, paper, prefect, spawn, ended, home, tmp_path):
        with opened_an_hour_ago(paper | TWIN | {"name": "stuck"}, home, str(home / "ledger.sqlite")) as session:
            session.execute(session.propose())
            spread(session.ledger, 1.0)
            with session.ledger.engine.execution_options(writes=True).begin() as connection:
                moments = {name: attempts.c[name] - 600 for name in ("sent_at", "done_at")}
                connection.execute(update(attempts).values(**moments))
            process, until = spawn("watch", "--alarm"), time.monotonic() + 60
            while not (result := Controls(session.ledger).notices(session.entry.id)):
                assert time.monotonic() < until
                time.sleep(0.1)
            assert [each.kind for each in result] == [NoticeKind.STALLED]
            asked = {"filter": {"event": {"name": [events.STALLED]}}}
            said = list[str]()  # others may have stalled on this server too
            while not any(each.startswith("stuck has stalled: no observation for 10 min") for each in said):
                assert time.monotonic() < until, said
                time.sleep(0.5)
                seen = requests.post(f"{prefect}/events/filter", json=asked, timeout=20).json()["events"]
                said = [each["payload"]["message"] for each in seen]
            process.send_signal(signal.SIGINT)
            left = ended(process)
        assert left.code == 0
        assert "stuck has stalled" in left.err

    def test_a_name_that_is_not_there(self, sdl, known):
        assert sdl("watch", "sene").code == 2

    def test_ctrl_c_ends_it_in_order(self, spawn, ended, known):
        watching_ = spawn("watch", "seen")
        assert "seen" in watching_.stdout.readline()
        watching_.send_signal(signal.SIGINT)
        result = ended(watching_)
        assert (result.code, result.err) == (0, "")


def test_the_holder_in_words_is_the_same_for_one_and_for_all(at_work):
    with at_work.ledger.engine.connect() as connection:
        (found,) = leasing.lease_holders(connection).values()
    with Ledger(at_work.ledger.url) as book:
        assert book.holder(at_work.entry.instrument) == str(found)


def test_a_price_that_an_earlier_version_took_hides_no_campaign(ledger, paper):
    price = {"unit": "EUR", "request": 1.0, "deadline": "2031-05-20"}
    ledger.register("old", "twin", Twin().space, paper | TWIN | {"price": price}, {})
    (found,) = (each for each in watching.campaign_statuses(ledger) if each.campaign == "old")
    assert "deadline: " in found.spent
    assert "got '2031-05-20'" in found.spent
