"""What Prefect's UI shows of a campaign: kept up to date in place, found by its tags, and never in the way."""

import asyncio
import json
import logging
import time

import pytest
import requests
from stages import Run

from flows.engine.opening import open_session
from flows.ui import artifacts
from flows.ui import observer as showing
from sdl.campaign.definition import Campaign
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger

SOON_S = 300
"""A hang ends here; a machine that is busy with other work takes its time."""


@pytest.fixture
def ran(prefect, paper, tmp_path):
    """A campaign with hostile words in its name and its target, run by the flow: what the server has of it."""
    from flows.campaign.flow import campaign

    target = paper["targets"][0] | {"name": "white [x](http://evil) <b>"}
    written = paper | {"name": "Beheld <b>", "targets": [target], "instrument": {"plugin": "twin", "seed": 1}}
    result = asyncio.run(campaign(Campaign.parse(written), str(tmp_path)))
    assert result["verified"]
    with Ledger(tmp_path / "ledger.sqlite") as book:
        entry = book.entry("beheld-b")
        return prefect, book.history(entry.id), book.trail(entry.id)


def shown_as(url, what):
    asked = {"artifacts": {"key": {"any_": [f"beheld-b-{what}"]}}, "sort": "ID_DESC"}
    return requests.post(f"{url}/artifacts/filter", json=asked, timeout=60).json()


def test_a_table_that_would_be_too_large_for_prefect_has_the_last_requests_alone(ledger, monkeypatch):
    """A thousand knobs and hundreds of requests would be refused whole; here two rows of a lamp are the limit."""
    twin = Twin(seed=1)
    with ledger.hold(twin.identity, "test") as lease:
        run = Run(ledger, lease, twin)
        run.design()
    rows, about = artifacts._rows(ledger, run.name)
    assert (len(rows), about) == (6, "every request")
    monkeypatch.setattr(artifacts, "CELLS", 2 * (twin.space.d + twin.space.p) + 1)
    fewer, about = artifacts._rows(ledger, run.name)
    assert (fewer, about) == (rows[-2:], "the last 2 requests")


def test_a_verdict_is_shown_once_though_the_campaign_ends_while_it_is_sent(ledger, monkeypatch):
    sent, seen, ending = [], asyncio.Event(), asyncio.Event()

    async def nothing(*_):
        pass

    async def slow(_, campaign, finding):
        sent.append(finding)  # the server has it from here on, though it has not answered
        seen.set()
        await ending.wait()

    for name in ("progress", "observations", "targets"):
        monkeypatch.setattr(artifacts, f"show_{name}", nothing)
    monkeypatch.setattr(artifacts, "show_verdict", slow)
    monkeypatch.setattr(showing, "LOOK_S", 0.01)

    async def at_work(run):
        async with showing.shown_in_ui(ledger, run.name):
            await asyncio.to_thread(run.examine)
            await seen.wait()
            ending.set()  # the block is left before anything else gets its turn

    twin = Twin(seed=1)
    with ledger.hold(twin.identity, "test") as lease:
        run = Run(ledger, lease, twin)
        run.design()
        run.learn()
        asyncio.run(at_work(run))
    assert len(sent) == 1


@pytest.mark.slow
class TestFlow:
    """One campaign, since each costs seconds, and what the server has of it."""

    def test_what_is_shown_and_told(self, ran):
        self.is_one_of_each_and_a_verdict_each(*ran)
        self.has_no_markup_of_people(*ran)
        self.is_found_by_campaign_instrument_and_round(*ran)
        self.has_events_of_its_verdict_and_its_end(*ran)

    def is_one_of_each_and_a_verdict_each(self, url, history, trail):
        shown = {what: shown_as(url, what) for what in ("progress", "observations", "targets", "verdict")}
        runs = {each["flow_run_id"] for each in shown["progress"]}
        newest = {what: [each for each in found if each["flow_run_id"] in runs] for what, found in shown.items()}
        counts = {what: len(found) for what, found in newest.items()}
        assert counts == {"progress": 1, "observations": 1, "targets": 1, "verdict": len(history.findings)}
        (progress,), (table,) = newest["progress"], newest["observations"]
        assert (progress["type"], progress["data"]) == ("progress", len(trail))  # of a budget of 100
        assert [row["seq"] for row in json.loads(table["data"])] == [each["seq"] for each in trail]
        assert newest["targets"][0]["data"].startswith("data:image/")

    def has_no_markup_of_people(self, url, history, trail):
        latest = shown_as(url, "verdict")[0]
        for text in (latest["data"], latest["description"]):
            assert r"white \[x\](http://evil) &lt;b&gt;".replace("(", r"\(").replace(")", r"\)") in text

    def is_found_by_campaign_instrument_and_round(self, url, history, trail):
        last = history.rounds[-1].number
        asked = {"flow_runs": {"tags": {"all_": ["campaign:beheld-b", "instrument:twin-1", f"round:{last}"]}}}
        found = requests.post(f"{url}/flow_runs/filter", json=asked, timeout=60).json()
        assert found
        assert all(sum(tag.startswith("round:") for tag in each["tags"]) == 1 for each in found)

    def has_events_of_its_verdict_and_its_end(self, url, history, trail):
        until, wanted = time.monotonic() + SOON_S, {"sdl.verdict", "sdl.campaign.finished"}
        while time.monotonic() < until:
            asked = {"filter": {"resource": {"id": ["sdl.campaign.beheld-b"]}}}
            found = requests.post(f"{url}/events/filter", json=asked, timeout=60).json()["events"]
            if {each["event"] for each in found} >= wanted:
                break
            time.sleep(0.2)
        assert {each["event"] for each in found} >= wanted
        related = [of["prefect.resource.id"] for of in found[0]["related"]]
        assert "sdl.instrument.twin-1" in related
        assert any(each.startswith("prefect.flow-run.") for each in related)


@pytest.mark.fault("O-17")
def test_a_server_that_is_gone_is_said_once_and_nothing_is_in_its_way(paper, drive, tmp_path, caplog):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.ui.observer import shown_in_ui

    async def at_work(session):
        async with shown_in_ui(session.ledger, session.entry.name):
            return await asyncio.to_thread(drive, session)

    written = paper | {"instrument": {"plugin": "twin", "seed": 1}}
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session,
        caplog.at_level(logging.WARNING),
    ):
        assert asyncio.run(at_work(session))["verified"]
    result = [each for each in caplog.messages if "not shown in Prefect" in each]
    assert len(result) == 1
