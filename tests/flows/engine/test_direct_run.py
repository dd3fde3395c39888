"""A campaign that is run without Prefect: what it asks and concludes, and that nothing of Prefect is loaded."""

import subprocess
import sys

import pytest
from places import on_twin
from sqlalchemy import Engine, event

from flows.engine import direct_run
from flows.engine.direct_run import run_directly
from sdl.campaign.definition import Campaign
from sdl.errors import CampaignSuspended
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

STRIKES = 3
WITHOUT_PREFECT = """
import sys
from flows.cli import main
try:
    main()
finally:
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "prefect")
    assert not loaded, loaded
"""


def settings_asked(where, name="paper"):
    with Ledger(where) as book:
        return [row["settings"] for row in book.trail(book.entry(name).id)]


@pytest.fixture
def once_more_at_once(monkeypatch):
    monkeypatch.setattr(direct_run, "AGAIN_S", (0.0, 0.0))


def test_it_asks_and_concludes_what_the_plan_does_in_memory(paper, sdl, home, no_prefect):
    said = sdl("run", *on_twin(), "--no-server", "--json")
    rehearsal = Simulation(Plan(Campaign.parse(paper), Twin(seed=2).space), Twin(seed=2))
    rehearsal.run()
    assert settings_asked(home / "ledger.sqlite") == [seen.settings.tolist() for seen in rehearsal.observations]
    assert (said.code, said.json["targets"][0]["sentence"]) == (0, rehearsal.findings[-1].sentence)
    assert (home / "reports" / "paper.html").exists()
    again = sdl("run", *on_twin(), "--no-server", "--json")
    assert (again.code, again.json["requests"]) == (0, said.json["requests"])


def test_nothing_of_prefect_is_loaded(home):
    words = ["run", *map(str, on_twin()), "--no-server", "--json"]
    done = subprocess.run([sys.executable, "-c", WITHOUT_PREFECT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"verified": true' in done.stdout


def test_a_wait_for_a_person_needs_the_server(sdl):
    said = sdl("run", *on_twin(), "--no-server", "--wait")
    assert said.code == 2
    assert "--wait needs Prefect's server" in said.said


@pytest.mark.usefixtures("once_more_at_once")
def test_an_instrument_that_did_not_answer_is_asked_once_more_and_what_was_measured_is_not(paper, tmp_path):
    where = str(tmp_path / "ledger.sqlite")
    with InstrumentServer(Twin(seed=2), faults=Faults.parse(["500@4"])) as server:
        instrument = {"plugin": "claude-light", "url": server.url, "allow_private": True, "attempts": 1}
        outcome = run_directly(Campaign.parse(paper | {"instrument": instrument}), tmp_path, where)
        assert outcome["verified"]
        assert outcome["requests"] == server.requests
    assert settings_asked(where)[3] == settings_asked(where)[4]


@pytest.mark.usefixtures("once_more_at_once")
def test_one_that_does_not_answer_then_either_suspends_it_and_the_next_call_goes_on(paper, tmp_path):
    where = str(tmp_path / "ledger.sqlite")
    with InstrumentServer(Twin(seed=2), faults=Faults.parse(["500@4-5"])) as server:
        instrument = {"plugin": "claude-light", "url": server.url, "allow_private": True, "attempts": 1}
        campaign = Campaign.parse(paper | {"instrument": instrument})
        with pytest.raises(CampaignSuspended):
            run_directly(campaign, tmp_path, where)
        with Ledger(where) as book:
            assert (book.entry("paper").state, book.sent(book.entry("paper").id)) == ("SUSPENDED", 5)
        assert run_directly(campaign, tmp_path, where)["verified"]


@pytest.mark.fault("O-32")
def test_a_database_that_breaks_off_in_the_middle_of_a_transaction_ends_nothing(paper, postgres, tmp_path):
    struck = []

    def strike(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO attempts") and len(struck) < STRIKES:
            struck.append(connection.connection.driver_connection.info.backend_pid)
            postgres.execute(f"SELECT pg_terminate_backend({struck[-1]})")

    campaign = Campaign.parse(paper | {"instrument": {"plugin": "twin", "seed": 2}})
    event.listen(Engine, "before_cursor_execute", strike)
    try:
        result = run_directly(campaign, tmp_path, place := postgres.fresh())
    finally:
        event.remove(Engine, "before_cursor_execute", strike)
    assert (result["verified"], len(struck)) == (True, STRIKES)
    undisturbed = run_directly(campaign, tmp_path, str(tmp_path / "undisturbed.sqlite"))
    assert settings_asked(place) == settings_asked(tmp_path / "undisturbed.sqlite")
    assert result["requests"] == undisturbed["requests"]
