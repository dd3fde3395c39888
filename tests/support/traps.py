"""A campaign whose instrument does something to its process in the middle of a measurement."""

import pytest
from places import PAPER

from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger

DESIGN, LEARNING, EXAM = 4, 7, 11
"""Requests in the middle of this campaign: 1 to 6 are its design, 7 one to learn from, 10 to 13 its last exam."""
LIGHT = {"seed": 33, "daylight": 1500.0, "memory_h": 1.0}


class Trap:
    """A twin that does something at one of its measurements; ``act`` may take the measurement or leave it."""

    def __init__(self) -> None:
        self.twin, self.count, self.at, self.act = Twin(**LIGHT), 0, 0, None

    def __getattr__(self, name):
        return getattr(self.twin, name)

    def measure(self, settings):
        self.count += 1
        if self.count == self.at:
            return self.act(lambda: self.twin.measure(settings))
        return self.twin.measure(settings)


@pytest.fixture
def trap():
    return Trap()


@pytest.fixture
def served(trap):
    with InstrumentServer(trap) as server:
        yield server


@pytest.fixture
def run(served, spawn):
    """Starts the campaign as a user would, with more options of the command if need be."""
    changes = (f"instrument.url={served.url}", "instrument.first_wait_s=0.01")
    return lambda *more: spawn("run", PAPER, *more, *(word for change in changes for word in ("--set", change)))


@pytest.fixture
def go_on(served, sdl):
    """Runs the campaign to its end in this process."""

    def finish():
        result = sdl("run", PAPER, "--set", f"instrument.url={served.url}")
        assert result.code == 0
        assert "VERIFIED white" in result.out

    return finish


@pytest.fixture
def trail(home):
    def read():
        with Ledger(home / "ledger.sqlite") as book:
            return book.trail(book.entry("paper").id)

    return read
