"""A ledger with one campaign on an instrument that is held, what is asked and answered there, and what may lock it."""

import contextlib
import sqlite3

import numpy as np

from sdl.history import Purpose, ReplyClass, Request, Round, RoundKind
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import Screened
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls

DESIGN = Round(0, RoundKind.DESIGN)
BUDGET = 100
COUNTS = np.arange(1000.0, 1010.0)
NONE = np.zeros(10, bool)
REQUESTS = [Request(0, i, 0, Purpose.DESIGN, np.array([0.1, 0.2, 0.3]) + i / 10) for i in range(4)]
HIT = 2
"""Which of the four measurements is the one with the trouble."""


def request(index=0, round_=0, replicate=0, purpose=Purpose.DESIGN):
    return Request(round_, index, replicate, purpose, np.array([0.1, 0.2, 0.3]) + index / 100)


def reply(raw="{}", readings=None):
    return Reply({"R": 0.1}, SPACE.named_readings(COUNTS) if readings is None else readings, raw, 0.5)


def screened(verdict=ReplyClass.OK, readings=COUNTS, censored=NONE):
    return Screened(verdict, "because", readings, censored)


def unbelievable():
    return screened(ReplyClass.SUSPECT, np.full(10, np.nan))


def repeated():
    return Screened(ReplyClass.SUSPECT, "stuck", np.full(10, np.nan), NONE, stuck=True)


class Desk:
    """A ledger with one campaign on an instrument that is held."""

    def __init__(self, where):
        self.where = where
        self._open()

    def _open(self):
        self.stack = contextlib.ExitStack()
        self.ledger = self.stack.enter_context(Ledger(self.where))
        self.campaign = self.ledger.register("white", "light", SPACE, {"seed": 1}, {"sdl": "0"}).id
        self.lease = self.stack.enter_context(self.ledger.hold("light", "me"))

    def reopen(self):
        """End as a killed process does, and begin again; return how many requests were lost."""
        self.close()
        self._open()
        return self.ledger.reconcile(self.lease, self.campaign)

    def close(self):
        self.stack.close()

    def plan(self, *requests, round_=DESIGN, exam=None):
        self.ledger.plan(self.lease, self.campaign, round_, requests, exam)

    def send(self, asked, budget=BUDGET):
        return self.ledger.send(self.lease, self.campaign, asked, budget)

    def measured(self, asked, judged=None, raw="{}"):
        attempt = self.send(asked)
        self.ledger.receive(self.lease, attempt, reply(raw), judged or screened())
        return attempt

    def ask(self, control, campaign="white"):
        Controls(self.ledger).ask(campaign, control)

    @property
    def history(self):
        return self.ledger.history(self.campaign)

    @property
    def trail(self):
        return self.ledger.trail(self.campaign)


class Troubled(Twin):
    """A twin during one of whose measurements something happens."""

    def __init__(self):
        super().__init__(seed=1)
        self.answered, self.trouble = [], lambda: None

    def measure(self, settings):
        self.answered.append(super().measure(settings))
        if len(self.answered) == HIT:
            self.trouble()
        return self.answered[-1]


def take_what_is_left(bench):
    bench.measure(bench.ledger.history(bench.campaign).pending)


def trail(bench):
    return bench.ledger.trail(bench.campaign)


def kept_once(bench, twin):
    """Each answer of the instrument is in the ledger, once, and none was asked for twice."""
    rows, kept = trail(bench), bench.ledger.history(bench.campaign).observations
    assert [row["raw"] for row in rows] == [answer.raw for answer in twin.answered]
    assert [row["verdict"] for row in rows] == ["OK"] * len(REQUESTS)
    assert [observation.key for observation in kept] == [asked.key for asked in REQUESTS]


@contextlib.contextmanager
def locked(path):
    """Another program that holds the database for itself."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other
        with contextlib.suppress(sqlite3.OperationalError):  # it let go already
            other.execute("ROLLBACK")
