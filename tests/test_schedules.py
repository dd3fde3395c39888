"""A schedule that fires while the earlier run still works, and one that nobody was there for: one run at a time."""

import threading
import time
from datetime import UTC, datetime

import pytest
from test_up import ENDED, SOON_S, Lab

from sdl.instruments.server import InstrumentServer
from sdl.instruments.twin import Twin
from sdl.ledger import Ledger

EVERY_S = 5
"""Much shorter than a laboratory file allows, so that runs are due faster than they end."""
GATE = 5
"""Request at which the instrument waits."""
FILE = """
[instruments.twin]
plugin        = "claude-light"
url           = "{url}"
allow_private = true

[[schedule]]
run        = "campaign"
instrument = "twin"
every_min  = 1
active     = false

[[schedule]]
run        = "calibrate"
instrument = "twin"
every_min  = 1
active     = false
"""


class Gated(Twin):
    """A twin that waits in one of its measurements until it may go on."""

    def __init__(self):
        super().__init__()
        self.count, self.waits, self.go = 0, threading.Event(), threading.Event()

    def measure(self, settings):
        self.count += 1
        if self.count == GATE:
            self.waits.set()
            assert self.go.wait(SOON_S)
        return super().measure(settings)


class Scheduled(Lab):
    """A laboratory whose schedules are switched in the UI, and followed there."""

    def __init__(self, home):
        super().__init__(home)
        self.environment |= {
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",  # before a run asks for its turn again
        }

    def switch(self, flow, **change):
        found = self.deployment(flow)
        self.ask(f"/deployments/{found['id']}/schedules/{found['schedules'][0]['id']}", change, "PATCH")

    def on(self, flow):
        interval = {"interval": EVERY_S, "anchor_date": datetime.now(UTC).isoformat(), "timezone": "UTC"}
        self.switch(flow, active=True, schedule=interval)

    def runs(self, flow, *names):
        """Runs of a flow by the moment at which they were due; in the states of these names, if any are given."""
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = self.ask("/flow_runs/filter", asked)
        return [each for each in found if not names or each["state"]["name"] in names]


def until(true):
    deadline = time.monotonic() + SOON_S
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
@pytest.mark.fault("O-19", "O-22")
def test_a_schedule_that_fires_faster_than_its_runs_end(tmp_path):
    lab, lamp = Scheduled(tmp_path / "home"), Gated()
    lab.home.mkdir(mode=0o700)
    with InstrumentServer(lamp) as served:
        (tmp_path / "lab.toml").write_text(FILE.format(url=served.url))
        lab.up(tmp_path / "lab.toml")
        try:
            while_the_earlier_still_runs(lab, lamp)
            nobody_was_there(lab, tmp_path)
            lab.switch("campaign", active=False)
        finally:
            lab.sdl("down")
        with Ledger(lab.home / "ledger.sqlite") as book:
            rows = [row for each in book.entries() for row in book.trail(each.id)]
        assert (served.requests, served.most_in_flight) == (len(rows), 1)
    assert lab.gone() == []


def while_the_earlier_still_runs(lab, lamp):
    """Campaigns wait for their turn, a calibration is left out; of those that waited one is made up for."""
    lab.on("campaign")
    assert lamp.waits.wait(SOON_S)
    until(lambda: len(lab.runs("campaign", "AwaitingConcurrencySlot")) >= 2)
    lab.on("calibrate")
    until(lambda: lab.runs("calibrate", "Cancelled"))
    lab.switch("calibrate", active=False)
    first = lab.runs("campaign", "Running")
    assert len(first) == 1
    lamp.go.set()
    assert lab.until(first[0]["id"], ENDED)["type"] == "COMPLETED"
    until(lambda: len(lab.runs("campaign", "Completed")) >= 2 and lab.runs("campaign", "Skipped"))
    assert not lab.runs("calibrate", "Completed", "Running")
    with Ledger(lab.home / "ledger.sqlite") as book:
        assert [each.verdict for each in book.history(book.entry("campaign-twin").id).findings][-1:] == ["VERIFIED"]


def nobody_was_there(lab, folder):
    """Of the runs that were due while the service was down one is made up for."""
    ended = datetime.now(UTC)
    lab.sdl("down")
    lab.up(folder / "lab.toml")
    back = datetime.now(UTC)
    missed = [each["id"] for each in lab.runs("campaign")
              if ended < datetime.fromisoformat(each["expected_start_time"]) < back]  # fmt: skip
    assert len(missed) >= 2
    done = ("Completed", "Skipped", "Failed", "Crashed")

    def ended_of_the_missed():
        return [each["state"]["name"] for each in lab.runs("campaign", *done) if each["id"] in missed]

    until(lambda: len(ended_of_the_missed()) >= 2)
    names = ended_of_the_missed()
    assert names.count("Completed") <= 1, names
    assert set(names) <= {"Completed", "Skipped"}
