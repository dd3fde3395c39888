"""A schedule that fires while the earlier run still works: one run at a time, none lost and none made up for twice."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from services import ENDED, SOON_S, Lab

from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger

AHEAD_S, EVERY_S = 5, 2
"""When a schedule fires first, and again; much sooner than a laboratory file allows."""
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
file       = "white.toml"
every_min  = 1
active     = false
parameters = {{ again = true, wait = true }}

[[schedule]]
run        = "calibrate"
instrument = "twin"
every_min  = 1
active     = false
"""
WHITE = """
name = "campaign-twin"

[[targets]]
name     = "white"
readings = { "445nm" = 16384, "515nm" = 16384, "630nm" = 16384 }
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

    def fire(self, flow, times):
        """Let the schedule of a flow fire so many times, soon."""
        start = f"DTSTART:{datetime.now(UTC) + timedelta(seconds=AHEAD_S):%Y%m%dT%H%M%SZ}"
        rule = f"{start}\nRRULE:FREQ=SECONDLY;INTERVAL={EVERY_S};COUNT={times}"
        found = self.deployment(flow)
        change = {"active": True, "schedule": {"rrule": rule, "timezone": "UTC"}}
        self.ask(f"/deployments/{found['id']}/schedules/{found['schedules'][0]['id']}", change, "PATCH")

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
@pytest.mark.fault("O-19", "O-22")
def test_a_schedule_that_fires_while_the_earlier_run_still_works(tmp_path):
    """Campaigns wait for their turn, a calibration is left out; of those that waited one is made up for."""
    lab, lamp = Scheduled(tmp_path / "home"), Gated()
    lab.home.mkdir(mode=0o700)
    with InstrumentServer(lamp) as served:
        (tmp_path / "lab.toml").write_text(FILE.format(url=served.url))
        (tmp_path / "white.toml").write_text(WHITE)
        lab.up(tmp_path / "lab.toml")
        try:
            lab.fire("campaign", times=1)
            assert lamp.waits.wait(SOON_S)
            lab.fire("campaign", times=2)
            until(lambda: len(lab.runs("campaign", "AwaitingConcurrencySlot")) == 2)
            lab.fire("calibrate", times=1)
            until(lambda: lab.runs("calibrate", "Cancelled"))
            first, *later = [each["id"] for each in lab.runs("campaign")]
            assert [each["id"] for each in lab.runs("campaign", "Running")] == [first]
            lamp.go.set()
            assert lab.until(first, ENDED)["name"] == "Completed"
            assert {lab.until(each, ENDED)["name"] for each in later} == {"Completed", "Skipped"}
            assert len(later) == 2
        finally:
            lab.sdl("down")
        with Ledger(lab.home / "ledger.sqlite") as book:
            entries = book.entries()
            assert {each.name for each in entries} == {"campaign-twin", "campaign-twin-2"}
            assert {book.history(each.id).findings[-1].verdict for each in entries} == {"VERIFIED"}
            sent = sum(len(book.trail(each.id)) for each in entries)
        assert (served.requests, served.most_in_flight) == (sent, 1)
    assert lab.gone() == []
