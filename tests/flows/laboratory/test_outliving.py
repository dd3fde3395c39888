"""Runs and what ends them: the service goes and comes, somebody cancels by force, stops, and goes on after all."""

import os
import signal
import time

import pytest
from services import ENDED, SOON_S, Lab

from flows.run_policy.failure_messages import CANCELLED
from flows.server.housekeeping import KEPT
from sdl.history import Control, State
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls

SLOW = '[instruments.lamp]\nplugin = "twin"\nspeed = 4\n'


@pytest.fixture(scope="class")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    made = Lab(folder / "home")
    made.home.mkdir(mode=0o700)
    made.file = folder / "lab.toml"
    made.file.write_text(SLOW, encoding="utf-8")
    made.up(made.file)
    yield made
    made.sdl("down")


def begin(lab, name, **parts):
    config = lab.deployment("campaign", "lamp")["parameters"]["config"] | {"name": name, **parts}
    return lab.trigger("campaign", {"config": config}, name="lamp")


def entry(lab, name):
    with Ledger(lab.home / "ledger.sqlite") as book:
        found = next((each for each in book.entries() if each.name == name), None)
        return found, 0 if found is None else book.sent(found.id)


def names(lab):
    with Ledger(lab.home / "ledger.sqlite") as book:
        return {entry.name for entry in book.entries()}


def until(true, what):
    deadline = time.monotonic() + SOON_S
    while not (found := true()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)
    return found


def measuring(lab, name):
    return until(lambda: entry(lab, name)[1] >= 2, lambda: lab.words)


@pytest.mark.slow
class TestService:
    """One service after another; each test goes on where the one before ended."""

    @pytest.mark.fault("O-39")
    def test_a_run_that_waits_waits_on_in_the_next_life_and_one_word_ends_it(self, lab):
        run = begin(lab, "careful", approval={"when": ["first-round"]})
        assert lab.until(run, ENDED | {"PAUSED"})["type"] == "PAUSED"
        assert lab.sdl("down").returncode == 0
        assert "approval of round 0" in lab.sdl("status", "careful").stdout
        lab.up(lab.file)
        until(lambda: lab.ask(f"/flow_runs/{run}")["state"]["message"] != KEPT, lambda: lab.words)
        assert lab.until(run, ENDED | {"PAUSED"})["type"] == "PAUSED"
        assert entry(lab, "careful")[1] == 0
        assert lab.sdl("approve", "careful", "--yes").returncode == 0
        assert lab.until(run, ENDED)["type"] == "COMPLETED"
        assert entry(lab, "careful")[0].state is State.FINISHED

    @pytest.mark.fault("O-39", "O-18")
    def test_one_that_measured_when_the_service_was_killed_goes_on_and_no_other_is_begun(self, lab):
        run = begin(lab, "bold")
        measuring(lab, "bold")
        begun = names(lab)
        os.kill(lab.service["pid"], signal.SIGKILL)
        assert lab.gone() == []
        lab.up(lab.file)
        assert lab.until(run, ENDED)["type"] == "COMPLETED"
        assert names(lab) == begun

    @pytest.mark.fault("O-40")
    @pytest.mark.parametrize("end", ["cancelled", "failed", "completed", "deleted"])
    def test_ended_by_force_it_stops_measuring_and_stays_so(self, lab, end):
        run = begin(lab, end)
        measuring(lab, end)
        if end == "deleted":
            lab.ask(f"/flow_runs/{run}", method="DELETE")
        else:
            lab.ask(f"/flow_runs/{run}/set_state", {"state": {"type": end.upper()}, "force": True})
        ended = until(lambda: (found := entry(lab, end))[0].state is State.SUSPENDED and found, lambda: lab.words)
        if end != "deleted":
            state = until(lambda: (s := lab.ask(f"/flow_runs/{run}")["state"])["message"] and s, lambda: lab.words)
            assert (state["type"], state["message"]) == ("CANCELLED", CANCELLED)
        assert "a new start, since it was interrupted" in lab.sdl("status", end).stdout
        assert entry(lab, end)[1] == ended[1] < ended[0].config["budget"]
        assert "Traceback" not in lab.words

    @pytest.mark.fault("O-41")
    def test_approved_after_its_run_was_cancelled_it_says_what_starts_it(self, lab):
        run = begin(lab, "unwatched", approval={"when": ["first-round"]})
        assert lab.until(run, ENDED | {"PAUSED"})["type"] == "PAUSED"
        lab.ask(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        assert lab.until(run, ENDED)["type"] == "CANCELLED"
        assert "gets a new run by 'resume' in Prefect's UI" in lab.sdl("approve", "unwatched", "--yes").stdout
        assert lab.until(lab.trigger("resume", {"campaign": "unwatched"}, name="laboratory"), ENDED)
        until(lambda: entry(lab, "unwatched")[0].state is State.FINISHED, lambda: lab.words)

    @pytest.mark.fault("O-41")
    def test_after_a_stop_a_campaign_from_a_form_goes_on_as_the_command_says(self, lab):
        run = begin(lab, "halted")
        measuring(lab, "halted")
        with Ledger(lab.home / "ledger.sqlite") as book:
            Controls(book, "Ada").ask("halted", Control.STOP)
        assert lab.until(run, ENDED)["name"] == "Stopped"
        result = lab.sdl("resume", "halted").stdout
        assert f"gets a new run by 'resume' in Prefect's UI at {lab.service['ui']}" in result
        resumed = lab.until(lab.trigger("resume", {"campaign": "halted"}, name="laboratory"), ENDED)
        assert resumed["message"].startswith("halted goes on as run ")
        until(lambda: entry(lab, "halted")[0].state is State.FINISHED, lambda: lab.words)
