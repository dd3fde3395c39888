"""Events reach a person by a notification block; a channel that is down costs a campaign nothing."""

import asyncio
import json
import logging
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue

import pytest
import requests

from flows.laboratory import notifications as notifying
from flows.laboratory.definition import Laboratory, Notify
from flows.ui import events
from sdl.campaign.definition import Campaign
from sdl.errors import CampaignSuspended, InvalidInput
from sdl.history import Finding, Verdict

FINDING = Finding(3, "white", Verdict.VERIFIED, "within the tolerance")
SOON_S = 300
"""A hang ends here; a machine that is busy with other work takes its time."""


@contextmanager
def receiver():
    """A channel on this machine: its address, and a queue of what came."""
    came = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            came.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", came
        server.shutdown()


def keep(wanted):
    from prefect import get_client

    async def kept():
        async with get_client() as client:
            return await notifying.keep_automation(client, wanted)

    return asyncio.run(kept())


def heard(came, tell):
    """The first message; told again and again, since a server takes up a new automation a moment after it is made."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        tell()
        with suppress(Empty):
            return came.get(timeout=1)
    pytest.fail("nothing was heard")


def known(url):
    found = requests.post(f"{url}/automations/filter", json={}, timeout=60).json()
    return [each for each in found if each["name"] == notifying.NAME]


@pytest.fixture
def block(prefect):
    """Makes a notification block of a name that sends to an address, and leaves no automation behind."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook

    def made(name, address):
        if address.startswith("http"):
            json_data = {"title": "{{subject}}", "text": "{{body}}"}
            sends = CustomWebhookNotificationBlock(name=name, url=address, json_data=json_data)
        else:
            sends = SlackWebhook(url=address)
        sends.save(name, overwrite=True)
        return f"{'custom-webhook' if address.startswith('http') else 'slack-webhook'}/{name}"

    yield made
    keep(None)


class TestFile:
    def parse(self, **notify):
        return Laboratory.parse({"instruments": {"twin": "twin"}, "notify": notify}).notify

    def test_the_usual_occasions_unless_told(self):
        assert self.parse(block="slack-webhook/lab").on == ("verdict", "suspended", "stalled", "drift")
        assert Laboratory.parse({"instruments": {"twin": "twin"}}).notify is None

    def test_an_address_is_refused_and_not_repeated(self):
        with pytest.raises(InvalidInput, match="got an address, which is a secret") as caught:
            self.parse(block="https://hooks.slack.com/services/T0/B0/very-secret")
        assert "very-secret" not in str(caught.value)

    def test_other_occasions_are_refused(self):
        with pytest.raises(InvalidInput, match=r"notify\.on"):
            self.parse(block="slack-webhook/lab", on=["verdikt"])

    def test_every_occasion_has_its_events(self):
        whole = Notify(block="slack-webhook/lab", on=tuple(notifying.EVENTS))
        made = notifying.make_automation("00000000-0000-0000-0000-000000000000", whole)
        named = {value for name, value in vars(events).items() if name.isupper() and str(value).startswith("sdl.")}
        assert made.trigger.expect == named


class TestEvents:
    @pytest.fixture
    def result(self, monkeypatch):
        """What was emitted: name, resource and payload."""
        emitted = []
        monkeypatch.setattr(
            events, "emit_event", lambda name, resource, related, payload: emitted.append((name, resource, payload))
        )
        return emitted

    def test_a_verdict_says_target_verdict_and_sentence(self, result):
        events.emit_verdict("paper", "twin", FINDING)
        ((name, resource, payload),) = result
        assert (name, resource["prefect.resource.id"]) == ("sdl.verdict", "sdl.campaign.paper")
        assert payload["message"] == "paper: VERIFIED white: within the tolerance"
        assert (payload["target"], payload["verdict"], payload["round"]) == ("white", "VERIFIED", 3)

    def test_a_suspension_by_drift_is_an_event_of_the_instrument_too(self, result):
        events.emit_suspended("paper", "twin", CampaignSuspended("lamp off", drift=True, hold_off_s=600))
        assert [(name, of["prefect.resource.id"]) for name, of, _ in result] == [
            ("sdl.campaign.suspended", "sdl.campaign.paper"), ("sdl.instrument.drifted", "sdl.instrument.twin")
        ]  # fmt: skip

    @pytest.mark.fault("I-19")
    def test_a_gain_out_of_its_band_is_an_event_of_the_instrument(self, result):
        events.emit_out_of_band("twin", ["gain of R is -10.00 % off"], {"R": 0.9})
        ((name, of, payload),) = result
        assert (name, of["prefect.resource.id"]) == ("sdl.calibration.out-of-band", "sdl.instrument.twin")
        assert (payload["message"], payload["gain"]) == ("twin: gain of R is -10.00 % off", {"R": 0.9})

    @pytest.mark.fault("N-05")
    def test_words_of_strangers_act_on_nothing(self, result):
        hostile = "<!channel> @all [x](http://evil) `a` \x1b[2J\u202e {{ 7 * 7 }}\n" + "long " * 1000
        events.emit_verdict("paper", "twin", Finding(1, hostile, Verdict.REFUTED, hostile))
        for word in result[0][2].values():
            assert not set(str(word)) & set("<>[]`|@\x1b\u202e\n")
            assert len(str(word)) <= events.LONGEST

    @pytest.mark.fault("O-26")
    def test_what_goes_wrong_with_telling_is_logged_and_no_more(self, monkeypatch, caplog):
        def fails(*_, **__):
            raise RuntimeError("no room")

        monkeypatch.setattr(events, "emit_event", fails)
        with caplog.at_level(logging.WARNING):
            events.emit_finished("paper", "twin", "every target is settled")
        assert "Prefect was not told of sdl.campaign.finished: no room" in caplog.text


class TestServer:
    pytestmark = pytest.mark.slow

    def test_an_event_arrives_as_a_message_and_only_what_was_asked_for(self, prefect, block):
        with receiver() as (address, came):
            wanted = Notify(block=block("lab", address), on=("verdict",))
            assert keep(wanted) is None

            def tell():
                events.emit_waiting("paper", "twin", "not asked for")
                events.emit_verdict("paper", "twin", FINDING)

            expected = {"title": "sdl: paper", "text": "paper: VERIFIED white: within the tolerance"}
            assert heard(came, tell) == expected
            assert all(each == expected for each in came.queue)

    def test_a_block_for_a_chat_does_as_well(self, prefect, block):
        with receiver() as (address, came):
            assert keep(Notify(block=block("chat", address.replace("http", "json")), on=("stalled",))) is None
            message = heard(came, lambda: events.emit_stalled("paper", "twin", "no observation for 46 s"))
            assert message["message"] == "paper has stalled: no observation for 46 s"

    def test_it_is_made_once_and_follows_the_file(self, prefect, block):
        name = block("lab", "http://127.0.0.1:9/")
        wanted = Notify(block=name)
        keep(wanted)
        (first,) = known(prefect)
        requests.patch(f"{prefect}/automations/{first['id']}", json={"enabled": False}, timeout=60).raise_for_status()
        keep(wanted)
        keep(Notify(block=name, on=("finished",)))
        (later,) = known(prefect)
        assert (later["id"], later["enabled"], later["trigger"]["expect"]) == (
            first["id"], False, ["sdl.campaign.finished"]
        )  # fmt: skip
        keep(None)
        assert known(prefect) == []

    def test_a_block_that_is_missing_is_told_with_what_to_do(self, prefect):
        result = keep(Notify(block="slack-webhook/nobody"))
        assert "no block 'slack-webhook/nobody'; make it in its UI under Blocks" in result
        assert known(prefect) == []

    def test_the_doctor_looks_for_the_block(self, prefect, block, sdl, tmp_path):
        file = tmp_path / "lab.toml"
        text = '[instruments]\ntwin = "twin"\n[notify]\nblock = "{}"\n'
        for name, state in ((block("lab", "http://127.0.0.1:9/"), "ok"), ("slack-webhook/nobody", "warning")):
            file.write_text(text.format(name))
            found = {each["what"]: each for each in sdl("doctor", "--port", 1, "--json", file).json}
            assert (found["notifications"]["state"], name in found["notifications"]["found"]) == (state, True)

    @pytest.mark.fault("O-26")
    @pytest.mark.parametrize("address", ["json://127.0.0.1:9", "http://127.0.0.1:9/"])
    def test_a_channel_that_is_down_is_told_of_and_the_campaign_goes_on(
        self, prefect, block, paper, tmp_path, monkeypatch, address
    ):
        from flows.campaign.flow import campaign

        monkeypatch.setattr(notifying, "SENDING_S", 0.0)
        assert keep(Notify(block=block("down", address), on=("verdict",))) is None
        self.until_lost(prefect, f"to {address.split(':')[0]}")
        written = paper | {"name": "unheard", "instrument": {"plugin": "twin", "seed": 1}}
        result = asyncio.run(campaign(Campaign.parse(written), str(tmp_path)))
        assert result["verified"]

    def until_lost(self, url, campaign):
        """Tell of a verdict until it is known that it did not get through."""
        until = time.monotonic() + SOON_S
        while time.monotonic() < until:
            events.emit_verdict(campaign, "twin", FINDING)
            time.sleep(1)
            words = notifying.describe_lost_message(url) or ""
            if f"'{campaign}: VERIFIED white: within the tolerance'" in words:
                assert "see that its channel is up" in words
                return
        pytest.fail("nobody knows that it did not get through")
