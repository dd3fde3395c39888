"""A run from a terminal that somebody cancels in Prefect, as its button does and by force, alone and within a sweep."""

import asyncio
import threading
import time

import pytest
import requests

from sdl.history import State
from sdl.ledger.ledger import Ledger

CONFIG = """
name = "cancelled"
[instrument]
plugin = "twin"
speed = 1.0
[[targets]]
readings = {445nm = 16384, 515nm = 16384, 630nm = 16384}
tolerance = "1 %"
"""
SOON_S = 300
pytestmark = [pytest.mark.slow, pytest.mark.fault("O-40")]


def until(true):
    deadline = time.monotonic() + SOON_S
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def runs(api, name):
    """Runs of that name, by their numbers."""
    asked = requests.post(f"{api}/flow_runs/filter", json={"flow_runs": {"name": {"any_": [name]}}}, timeout=60)
    return {run["id"]: run["state"] for run in asked.json()}


def sent(home):
    if not (home / "ledger.sqlite").exists():
        return 0
    with Ledger(home / "ledger.sqlite") as book:
        return sum(book.sent(entry.id) for entry in book.entries())


@pytest.mark.parametrize("state", ["CANCELLING", "CANCELLED"])
def test_it_stops_measuring_and_says_so(prefect, home, tmp_path, spawn, ended, state):
    (tmp_path / "campaign.toml").write_text(CONFIG, encoding="utf-8")
    before = runs(prefect, "campaign-cancelled")
    process = spawn("run", tmp_path / "campaign.toml")
    until(lambda: sent(home) >= 2)
    (run,) = runs(prefect, "campaign-cancelled").keys() - before.keys()
    change = {"state": {"type": state}, "force": True}
    assert requests.post(f"{prefect}/flow_runs/{run}/set_state", json=change, timeout=60).ok
    result = ended(process)
    assert result.code == 130
    assert "cancelled in Prefect; everything measured is kept, start it again to go on" in result.said
    assert runs(prefect, "campaign-cancelled")[run]["type"] == "CANCELLED"
    with Ledger(home / "ledger.sqlite") as book:
        entry = book.entry("cancelled")
        assert entry.state is State.SUSPENDED
        assert book.sent(entry.id) < entry.config["budget"]
        assert not any(row["state"] == "SENT" for row in book.trail(entry.id))  # the one under way was finished


def test_the_end_of_the_run_itself_is_no_cancellation(prefect, monkeypatch):
    """It may come while Prefect is asked: the answer says COMPLETED then."""
    from prefect import flow

    from flows.run_policy import interrupts

    asked, answered = threading.Event(), threading.Event()

    def is_ended(state):
        asked.set()
        assert answered.wait(SOON_S)
        return True

    watches = set(threading.enumerate())
    monkeypatch.setattr(interrupts, "CANCEL_LOOK_S", 0.01)
    monkeypatch.setattr(interrupts, "_is_ended", is_ended)

    @flow
    def brief():
        with interrupts.finish_on_signal() as interrupted:
            assert asked.wait(SOON_S)
        return interrupted

    interrupted = brief()
    answered.set()
    for thread in set(threading.enumerate()) - watches:
        if "_watch" in thread.name or thread.name.endswith("(run)"):
            thread.join(SOON_S)
    assert not interrupted.is_set()
    assert not interrupts.cancelled


def test_a_sweep_ends_with_it(prefect, home, monkeypatch):
    from prefect.exceptions import CancelledRun

    from flows.campaign.sweep import sweep
    from sdl.campaign.definition import Campaign

    written = {
        "name": "swept",
        "instrument": {"plugin": "twin", "speed": 1.0},
        "targets": [{"name": "white", "readings": {"515nm": 16384}, "tolerance": "1 %"}],
    }
    before = runs(prefect, "sweep-swept")

    def cancel():
        until(lambda: sent(home) >= 2)
        (run,) = runs(prefect, "sweep-swept").keys() - before.keys()
        change = {"state": {"type": "CANCELLED"}, "force": True}
        assert requests.post(f"{prefect}/flow_runs/{run}/set_state", json=change, timeout=60).ok
        return run

    async def both():
        cancelling = asyncio.create_task(asyncio.to_thread(cancel))
        with pytest.raises(CancelledRun):
            await sweep(Campaign.parse(written), seeds=[1, 2], home=str(home))
        return await cancelling

    run = asyncio.run(both())
    assert runs(prefect, "sweep-swept")[run]["type"] == "CANCELLED"
    with Ledger(home / "ledger.sqlite") as book:
        assert [entry.title for entry in book.entries()] == ["swept seed 1"]  # the second was never begun
