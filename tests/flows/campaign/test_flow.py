"""A campaign as a Prefect flow, and that it asks of an instrument what the plan alone asks of it in memory."""

import asyncio
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import requests
from postgres import programs, running
from sqlalchemy import text

from flows.engine.opening import open_session
from flows.engine.session import Session
from sdl.campaign.definition import Campaign, Target
from sdl.errors import CampaignPaused, CampaignStopped
from sdl.history import Control, State, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

DAYLIGHT = {"daylight": 1500.0, "memory_h": 1.0}
HASTY = {"read_s": 60.0, "deadline_s": 90.0, "quiet_s": 0.2, "first_wait_s": 0.01, "allow_private": True}


def asked(requests_):
    """What was asked of the instrument: place, purpose and settings of each request, to the last bit."""
    return [(*each.key, each.purpose, *each.settings.tolist()) for each in requests_]


def asked_by(trail):
    return [(each["round"], each["index"], each["replicate"], each["purpose"], *each["settings"]) for each in trail]


def rehearsed(written, **options):
    plan = Plan(Campaign.parse(written), Twin().space)
    rehearsal = Simulation(plan, Twin(**options))
    rehearsal.run()
    return rehearsal


def trail_of(where, name="paper"):
    with Ledger(where) as book:
        return book.trail(book.entry(name).id)


@contextmanager
def lamp_behind_http(**options):
    """A twin behind the real API, and the campaign's part that finds it there."""
    with InstrumentServer(Twin(**options)) as server:
        yield server, {"plugin": "claude-light", "url": server.url, **HASTY}


@pytest.mark.parametrize("seed", range(6))
def test_a_session_asks_what_the_rehearsal_asks_and_reads_what_it_reads(paper, drive, tmp_path, seed):
    written = paper | {"seed": seed, "instrument": {"plugin": "twin", "seed": seed, **DAYLIGHT}}
    with open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        drive(session)
        seen = session.history
    rehearsal = rehearsed(written, seed=seed, **DAYLIGHT)
    assert asked(seen.observations) == asked(rehearsal.observations)
    for mine, its in zip(seen.observations, rehearsal.observations, strict=True):
        assert np.array_equal(mine.readings, its.readings, equal_nan=True)
    assert [each.sentence for each in seen.findings] == [each.sentence for each in rehearsal.findings]


@pytest.mark.parametrize(
    ("changes", "verdicts"),
    [
        ({"budget": 10}, {"white": "INCONCLUSIVE"}),
        ({"background": {"every": 0}}, {"white": "VERIFIED"}),
        ({"models": ["pls"], "acquisition": "space-filling"}, {"white": "VERIFIED"}),
        ({"targets": [{"name": "too bright", "readings": {"445nm": 60000.0}},
                      {"name": "red", "readings": {"630nm": 9000.0}}]},
         {"too bright": "NOT REACHABLE", "red": "VERIFIED"}),
    ],
    ids=["a budget that runs out", "no references", "other plug-ins", "two targets, one out of reach"],
)  # fmt: skip
def test_so_it_does_when_the_campaign_is_another(paper, drive, tmp_path, changes, verdicts):
    written = paper | {"instrument": {"plugin": "twin", "seed": 5}} | changes
    with open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        result, seen = drive(session), session.history
    rehearsal = rehearsed(written, seed=5)
    assert asked(seen.observations) == asked(rehearsal.observations)
    assert [each.verdict for each in seen.findings] == [each.verdict for each in rehearsal.findings]
    assert {finding.target: finding.verdict for finding in seen.findings} == verdicts
    assert result["requests"] <= written["budget"]


@pytest.mark.parametrize(
    ("control", "error", "state"),
    [(Control.PAUSE, CampaignPaused, State.PAUSED), (Control.STOP, CampaignStopped, State.STOPPED)],
    ids=["pause", "stop"],
)
def test_what_a_person_asks_is_obeyed_before_the_next_request_and_can_be_taken_back(
    paper, drive, tmp_path, control, error, state
):
    where = str(tmp_path / "ledger.sqlite")
    with lamp_behind_http(seed=1) as (server, instrument):
        written = paper | {"instrument": instrument}
        with open_session(written, tmp_path, where) as session, Ledger(where) as elsewhere:
            session.execute(session.propose())
            Controls(elsewhere).ask("paper", control)
            with pytest.raises(error, match="'sdl resume paper'"):
                drive(session)
            assert elsewhere.entry("paper").state is state
            assert server.requests == len(trail_of(where)) == 1 + paper["design"]["n"]
            Controls(elsewhere).ask("paper", Control.RUN)
        with open_session(written, tmp_path, where) as session:
            assert drive(session)["verified"]
    assert asked_by(trail_of(where)) == asked(rehearsed(written, seed=1).observations)


def test_the_same_seeds_on_a_server_started_anew_give_the_same_proposals(paper, drive, spawn, tmp_path):
    trails = []
    for life in ("first", "second"):
        served = spawn("twin", "serve", "--port", 0, "-o", "seed=4", "-o", "daylight=1500")
        url = next(word for word in served.stdout.readline().split() if word.startswith("http"))
        written = paper | {"instrument": {"plugin": "claude-light", "url": url, **HASTY}}
        with open_session(written, tmp_path, str(tmp_path / f"{life}.sqlite")) as session:
            assert drive(session)["verified"]
            trails.append(session.ledger.trail(session.entry.id))
        served.terminate()
    first, second = trails
    assert asked_by(first) == asked_by(second)
    assert [each["raw"] for each in first] == [each["raw"] for each in second]


class TestFlow:
    pytestmark = pytest.mark.slow

    @pytest.mark.parametrize("seed", [1, 2])
    def test_it_asks_what_the_rehearsal_asks(self, paper, prefect, tmp_path, seed):
        from flows.campaign import flow as campaign

        written = paper | {"seed": seed, "instrument": {"plugin": "twin", "seed": seed, **DAYLIGHT}}
        result = campaign.run_campaign(Campaign.parse(written), tmp_path, None, again=False, wait=False)
        rehearsal = rehearsed(written, seed=seed, **DAYLIGHT)
        trail = trail_of(tmp_path / "ledger.sqlite")
        assert asked_by(trail) == asked(rehearsal.observations)
        assert [each["sentence"] for each in result["targets"]] == [rehearsal.findings[-1].sentence]

    def test_a_sweep_shares_its_measurements_among_all_targets(self, paper, prefect, tmp_path):
        from flows.campaign.sweep import sweep

        readings = ({"445nm": 9000.0}, {"445nm": 18000.0}, {"630nm": 12000.0})
        targets = [Target(name=f"t{n}", readings=each, tolerance="2 %") for n, each in enumerate(readings)]
        config = Campaign.parse(paper | {"instrument": {"plugin": "twin", "seed": 1}})
        (result,) = asyncio.run(sweep(config, targets, home=str(tmp_path)))
        assert result["verified"]
        assert [each["verdict"] for each in result["targets"]] == [Verdict.VERIFIED] * 3
        trail = trail_of(tmp_path / "ledger.sqlite")
        assert {each["purpose"] for each in trail if each["round"] == 0} == {"reference", "design"}
        assert sum(each["purpose"] == "design" for each in trail) == paper["design"]["n"], "one design for all of them"

    def test_in_daylight_over_http_it_ends_verified_and_it_is_true(self, paper, prefect, tmp_path):
        from flows.campaign import flow as campaign

        with lamp_behind_http(seed=3, **DAYLIGHT) as (server, instrument):
            result = campaign.run_campaign(
                Campaign.parse(paper | {"instrument": instrument}), tmp_path, None, again=False, wait=False
            )
            (target,) = result["targets"]
            truth = server.instrument.truth(Twin().space.settings(target["settings"]))
        assert result["verified"]
        assert target["verdict"] is Verdict.VERIFIED
        columns = Twin().space.columns(paper["targets"][0]["readings"])
        assert np.abs(truth[columns] - 16384).max() < 164
        assert (server.requests, server.most_in_flight) == (len(trail_of(tmp_path / "ledger.sqlite")), 1)

    def test_a_batch_that_the_instrument_left_unanswered_is_tried_once_more(self, paper, prefect, tmp_path):
        from flows.campaign import flow as campaign

        with lamp_behind_http(seed=3) as (server, instrument):
            server.faults = Faults.parse(["500@4-7"])  # all four attempts at one measurement
            result = campaign.run_campaign(
                Campaign.parse(paper | {"instrument": instrument}), tmp_path, None, again=False, wait=False
            )
        trail = trail_of(tmp_path / "ledger.sqlite")
        assert result["verified"]
        assert [each["attempt"] for each in trail[3:8]] == [1, 2, 3, 4, 5]
        assert [each["seq"] for each in trail if each["state"] != "DONE"] == [4, 5, 6, 7]
        done = [place[:3] for place in asked_by(each for each in trail if each["state"] == "DONE")]
        assert len(set(done)) == len(done) == server.requests - 4

    def test_prefect_shows_its_runs_by_name_and_its_results(self, paper, prefect, tmp_path):
        from flows.campaign import flow as campaign

        written = paper | {"name": "Shown <b>", "seed": 1, "instrument": {"plugin": "twin", "seed": 1}}
        campaign.run_campaign(Campaign.parse(written), tmp_path, None, again=False, wait=False)
        shown = {
            what: requests.get(f"{prefect}/artifacts/shown-b-{what}/latest", timeout=60).json()
            for what in ("progress", "observations", "verdict", "targets")
        }
        kinds = {what: each["type"] for what, each in shown.items()}
        assert kinds == {"progress": "progress", "observations": "table", "verdict": "markdown", "targets": "image"}
        requests_ = len(trail_of(tmp_path / "ledger.sqlite", "shown-b"))
        assert shown["progress"]["data"] == pytest.approx(100 * requests_ / paper["budget"])
        assert f'"seq": {requests_}' in shown["observations"]["data"]
        assert "# VERIFIED: white" in shown["verdict"]["data"]
        assert shown["targets"]["data"].startswith("data:image/")
        names = self.runs(prefect, "campaign-Shown <b>")
        assert names[:2] == ["propose", "measure-round-0-design"]
        assert {"retrain-round-2", "offer-round-2", "measure-round-2-exam", "verify-round-2"} < set(names)
        # What follows from a step is found out in its task; the plan is asked anew at the start and before the end.
        assert [place for place, name in enumerate(names) if name == "propose"] == [0, len(names) - 2]
        assert names[-1] == "report"
        others = [name for name in names if name != "propose"]
        assert len(set(others)) == len(others), "all batches of a round are one task"

    def runs(self, url, flow):
        """Names of the tasks of a flow run in the order of their start, once its record is complete."""
        return [name for name, _ in self.tasks(url, flow)]

    def tasks(self, url, flow):
        """Names and states of the tasks of a flow run in the order of their start, once its record is complete."""
        query = {"flow_runs": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        deadline = time.monotonic() + 300  # for a server that has stopped; a busy one takes what it takes
        while time.monotonic() < deadline:
            found = requests.post(f"{url}/task_runs/filter", json=query, timeout=60).json()
            if found and all(each["end_time"] for each in found) and found[-1]["name"] == "report":
                break
            time.sleep(0.2)
        found = sorted(found, key=lambda each: each["start_time"])
        return [(each["name"], each["state_type"]) for each in found]

    @pytest.mark.fault("O-32")
    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_database_server_that_restarts_again_and_again_changes_nothing(
        self, paper, prefect, tmp_path, database, seed
    ):
        from flows.campaign import flow as campaign

        over, rng, restarts = threading.Event(), np.random.default_rng(seed), []

        def restart():
            while not over.wait(rng.exponential(0.7)):
                database.stop()
                over.wait(rng.exponential(0.2))
                database.start()
                restarts.append(1)

        place, troubling = database.fresh(), threading.Thread(target=restart)
        with lamp_behind_http(seed=seed, **DAYLIGHT) as (lamp, instrument):
            written = paper | {"seed": seed, "instrument": instrument}
            troubling.start()
            try:
                result = campaign.run_campaign(Campaign.parse(written), tmp_path, place, again=False, wait=True)
            finally:
                over.set()
                troubling.join()
            done = [row for row in trail_of(place) if row["state"] == "DONE"]
            assert (lamp.requests, lamp.most_in_flight) == (len(done), 1), "each was sent once, and its reply is kept"
        rehearsal = rehearsed(written, seed=seed, **DAYLIGHT)
        assert restarts
        assert asked_by(done) == asked(rehearsal.observations)
        assert [each["sentence"] for each in result["targets"]] == [rehearsal.findings[-1].sentence]

    @pytest.mark.fault("O-32")
    @pytest.mark.parametrize("work", ["propose", "execute", "report"])
    def test_one_that_breaks_off_amid_a_read_is_a_sentence_and_no_failure_of_a_task(
        self, paper, prefect, tmp_path, database, monkeypatch, capfd, work
    ):
        from flows.campaign import flow as campaign

        broken, does = [], getattr(Session, work)

        def broken_off(session, *arguments):
            if not broken:
                broken.append(work)
                with session.ledger.reading() as connection:
                    database.stop()
                    database.start()
                    connection.execute(text("SELECT 1"))
            return does(session, *arguments)

        monkeypatch.setattr(Session, work, broken_off)
        with lamp_behind_http() as (_, instrument):
            config = Campaign.parse(paper | {"name": f"broken off {work}", "instrument": instrument})
            result = campaign.run_campaign(config, tmp_path, database.fresh(), again=False, wait=False)
        assert broken
        assert result["verified"]
        assert "Traceback" not in "".join(capfd.readouterr())
        assert {kind for _, kind in self.tasks(prefect, f"campaign-{config.name}")} == {"COMPLETED"}


@pytest.fixture
def database():
    """A PostgreSQL server of this test's own."""
    if (found := programs()) is None:
        pytest.skip("no PostgreSQL here: install Debian's package 'postgresql' to run this")
    with running(found) as server:
        yield server
