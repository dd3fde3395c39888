"""Two processes on one instrument, started, stopped and killed at random: what must hold after each of these.

Two seats share one ledger and one twin, which is asked over HTTP. An action starts a campaign in a seat, asks its
process to end, kills it, puts it to sleep beyond the time of its lease, wakes it, or steers a campaign by the ledger.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from flows.benchmarks.bars import bar_table, hold_bar
from flows.benchmarks.operation.campaigns import GREYS, served_instrument
from flows.engine.opening import open_session
from flows.engine.outcome import recorded_end
from flows.run_policy.interrupts import finish_on_signal
from sdl.errors import (
    CampaignPaused,
    CampaignStopped,
    CampaignSuspended,
    Interrupted,
    LeaseHeld,
    LeaseLost,
    LedgerError,
)
from sdl.history import Control, Entry, State
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.protocol import Reply
from sdl.ledger import database
from sdl.ledger import lease as leasing
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from strategies.plan.steps import Stop

ACTIONS = 1000
BUDGET = 60
CAMPAIGN = {"budget": BUDGET, "targets": GREYS, "models": ["linear"]}
SPEED = 3.0
"""Times that the twin is faster than the instrument: a reading takes about as long as starting a process."""
BEAT_S, TTL_S = 0.2, 0.6
"""Of the lease, instead of the seconds that it takes in a laboratory."""
BUSY_S = 2
"""For which a process waits for another one to finish writing."""
PAUSE_S = 0.08
"""Mean time between two actions."""
HELD, OBEYED, LOST, LOCKED, SUSPENDED, ENDED, WRONG = 5, 6, 7, 8, 9, 130, 1
CODES: dict[type[BaseException], int] = {
    LeaseHeld: HELD,
    LeaseLost: LOST,
    LedgerError: LOCKED,
    CampaignPaused: OBEYED,
    CampaignStopped: OBEYED,
    CampaignSuspended: SUSPENDED,  # on a machine so busy that no request gets through in time
    Interrupted: ENDED,
}
RUNNING = {"wait": 0.2, "end": 0.15, "end at once": 0.1, "kill": 0.3, "sleep": 0.1, "steer": 0.15}
"""What may befall a process at work, and how often."""
INVARIANTS = {
    "I1": "most requests in flight at one moment",
    "I2": "replies that came and are not in the ledger",
    "I3": "measurements that counted twice",
    "I4": "requests beyond a budget",
    "I7": "requests after a pause or a stop",
    "I8": "starts that found the instrument taken by nobody",
    "other": "processes that ended with another fault",
    "unfinished": "campaigns that one more command did not finish",
}


class Remembering(Twin):
    """A twin that keeps what it answered, in its order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.answered = list[Mapping[str, Any]]()

    def measure(self, settings: Mapping[str, float]) -> Reply:
        reply = super().measure(settings)
        self.answered.append(reply.readings)
        return reply


def run_concurrency_benchmark(
    actions: int = ACTIONS, seed: int = 0, progress: Callable[[int, int], object] = lambda *_: None
) -> dict[str, Any]:
    """Run the benchmark, some minutes.

    Args:
        actions: How many there are.
        seed: Of their choice; when each of them finds a process is the machine's.
        progress: Told how many are done, and of how many.

    Returns:
        Plain data: how often each action was taken, what came of the campaigns, and ``bars``.
    """
    twin = Remembering(seed=seed, daylight=1500.0, speed=SPEED)
    with TemporaryDirectory() as directory, InstrumentServer(twin) as server:
        with Arena(Path(directory), server, np.random.default_rng(seed)) as arena:
            for number in range(actions):
                arena.act()
                progress(number + 1, actions)
            arena.finish()
        return arena.result(actions)


@dataclass
class Seat:
    """A process that works on a campaign, or none."""

    process: ForkServerProcess | None = None
    campaign: str = ""
    asleep_since: float | None = None
    """By the monotonic clock; None while it is awake."""
    alone: bool = False
    """Whether nobody else was at work when it began."""
    overtaken: bool = False
    """Whether the other took the instrument over while it slept."""

    @property
    def alive(self) -> bool:
        """Whether its process is there, awake or not."""
        return self.process is not None and self.process.is_alive()

    @property
    def asleep(self) -> bool:
        """Whether it is there and does nothing."""
        return self.alive and self.asleep_since is not None

    def send(self, number: int) -> None:
        """Send its process a signal, if it is still there."""
        assert self.process is not None
        assert self.process.pid is not None
        if self.process.is_alive():
            os.kill(self.process.pid, number)


@dataclass
class Arena:
    """The seats, the instrument and what went wrong so far."""

    directory: Path
    server: InstrumentServer
    rng: np.random.Generator
    seats: Sequence[Seat] = field(default_factory=lambda: (Seat(), Seat()))
    numbers: dict[str, int] = field(default_factory=lambda: {"one": 1, "two": 1})
    """Of the present campaign of each name."""
    held: dict[int, int] = field(default_factory=dict)
    """Requests of each campaign that was told to send no more, when it was told so."""
    faults: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    losses: int = 0
    """Actions that may cost the reply that was under way."""
    locked: int = 0
    """Times that somebody could not write, since a process was put to sleep while it wrote."""

    @property
    def instrument(self) -> dict[str, Any]:
        """As a campaign file names it."""
        return served_instrument(self.server.url, first_wait_s=0.05, quiet_s=0.05, connect_s=BEAT_S)

    def __enter__(self) -> "Arena":
        os.environ["PYTHONSAFEPATH"] = "1"  # what the fork server preloads is ours, whatever lies here
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(
            ["__main__", __name__, "strategies.models.linear.linear_program", "sqlalchemy.dialects.sqlite"]
        )
        with _busy(BUSY_S):
            self.book = Ledger(self.directory / "ledger.sqlite")
        return self

    def __exit__(self, *_: object) -> None:
        for seat in self.seats:
            if seat.process is not None:
                seat.process.kill()
                seat.process.join()
        self.book.close()

    # ------------------------------------------------------------------ what befalls them

    def act(self) -> None:
        """Let one thing befall one of the seats, and look whether all holds."""
        number = int(self.rng.integers(2))
        seat, other = self.seats[number], self.seats[1 - number]
        if other.alive and not seat.alive and self.rng.random() < 0.6:
            seat, other = other, seat
        if not seat.alive:
            self._reap(seat)
            self._start(seat, other, str(self.rng.choice(list(self.numbers))))
        elif seat.asleep_since is not None:
            self._disturb(seat, other)
        else:
            self._befall(seat, str(self.rng.choice(list(RUNNING), p=list(RUNNING.values()))))
        self._pass()
        self._look()

    def _pass(self) -> None:
        """Let some time pass: any, or until a request is under way, which is when it matters most."""
        until = time.monotonic() + float(self.rng.exponential(PAUSE_S))
        if self.rng.random() < 0.5 and any(seat.alive and not seat.asleep for seat in self.seats):
            requests, until = self.server.requests, until + 0.6
            while self.server.requests == requests and time.monotonic() < until:
                time.sleep(0.001)
            until = time.monotonic() + float(self.rng.uniform(0, 0.03))
        time.sleep(max(0.0, until - time.monotonic()))

    def _start(self, seat: Seat, other: Seat, name: str) -> None:
        self.taken["start"] += 1
        if (entry := self._entry(f"{name} {self.numbers[name]}")) and entry.id in self.held and self.rng.random() < 0.7:
            self._steer(entry.title)
        overslept = other.asleep_since is not None and time.monotonic() - other.asleep_since > TTL_S
        seat.alone, other.alone = not other.alive or overslept, False
        seat.overtaken, other.overtaken = False, other.overtaken or overslept
        self.losses += overslept  # who takes over marks the reply of the sleeper as unknown
        seat.campaign, seat.asleep_since = f"{name} {self.numbers[name]}", None
        config = CAMPAIGN | {"name": seat.campaign, "seed": self.numbers[name], "instrument": self.instrument}
        seat.process = self.context.Process(target=run_seat, args=(config, self.directory), daemon=True)
        seat.process.start()

    def _befall(self, seat: Seat, what: str) -> None:
        self.taken[what] += 1
        if what == "steer":
            self._steer(seat.campaign)
        elif what == "sleep":
            seat.send(signal.SIGSTOP)
            seat.asleep_since = time.monotonic()
        elif what == "kill":
            self._kill(seat)
        elif what.startswith("end"):
            seat.send(signal.SIGTERM)
            if what == "end at once":
                time.sleep(0.005)
                seat.send(signal.SIGTERM)
                self.losses += 1

    def _disturb(self, seat: Seat, other: Seat) -> None:
        """Wake a sleeper, kill it, or let the other take the instrument over first."""
        assert seat.asleep_since is not None
        what = str(self.rng.choice(["wake", "kill", "oversleep"], p=[0.2, 0.2, 0.6]))
        self.taken[what] += 1
        if what == "kill":
            self._kill(seat)
            return
        if what == "oversleep":
            time.sleep(max(0.0, seat.asleep_since + TTL_S - time.monotonic()) + 0.01)
            if not other.alive:
                self._reap(other)
                self._start(other, seat, str(self.rng.choice(list(self.numbers))))
                time.sleep(float(self.rng.uniform(2, 8)) * BEAT_S)
        self._reap(other)
        other.alone = False  # from here on the instrument may be held by one who is awake
        seat.send(signal.SIGCONT)
        seat.asleep_since = None

    def _kill(self, seat: Seat) -> None:
        seat.send(signal.SIGKILL)
        self.losses += 1
        assert seat.process is not None
        seat.process.join()

    def _steer(self, name: str) -> None:
        """Pause, stop or resume a campaign; what was told to send no more is told to go on in most cases."""
        entry = self._entry(name)
        if entry is None:
            return
        if entry.id in self.held:
            del self.held[entry.id]
            self._ask(entry, Control.RUN)
            return
        self._ask(entry, Control.PAUSE if self.rng.random() < 0.5 else Control.STOP)
        self.held[entry.id] = self.book.sent(entry.id)

    def _ask(self, entry: Entry, control: Control) -> None:
        """Steer a campaign; where a sleeper has the lock of the database it has to wake for that."""
        try:
            Controls(self.book).ask(entry.name, control)
        except LedgerError:
            self.locked += 1
            for seat in self.seats:
                if seat.asleep:
                    seat.send(signal.SIGCONT)
                    seat.asleep_since = None
            Controls(self.book).ask(entry.name, control)

    # ------------------------------------------------------------------ what must hold

    def _look(self) -> None:
        """After each action: nobody measured twice, beyond the budget, or after being told not to."""
        for seat in self.seats:
            self._reap(seat)
        for name, number in self.numbers.items():
            if (entry := self._entry(f"{name} {number}")) is None:
                continue
            self._hold_against(entry)
            if entry.state is State.FINISHED:
                self.numbers[name] += 1
            elif entry.id in self.held and self.rng.random() < 0.5:
                self._steer(entry.title)

    def _hold_against(self, entry: Entry) -> None:
        sent = self.book.sent(entry.id)
        counted = [each.key for each in self.book.history(entry.id).observations]
        self.faults["I3"] += len(counted) - len(set(counted))
        self.faults["I4"] += max(0, sent - BUDGET)
        if entry.id in self.held:
            self.faults["I7"] += sent - self.held[entry.id]
            self.held[entry.id] = sent

    def _reap(self, seat: Seat) -> None:
        """Judge how a process ended, once."""
        if seat.process is None or seat.process.is_alive():
            return
        code = seat.process.exitcode
        self.losses += code == LOST and not seat.overtaken  # it was awake, and too slow on a busy machine to say so
        self.faults["other"] += code == WRONG
        self.faults["I8"] += code == HELD and seat.alone
        self.locked += code == LOCKED
        seat.process = None

    def _entry(self, name: str) -> Entry | None:
        return next((each for each in self.book.entries() if each.title == name), None)

    def finish(self) -> None:
        """Kill whoever is there; then one command must finish each campaign, and the ledger tell what was answered."""
        for seat in self.seats:
            if seat.alive:
                self._kill(seat)
            self._reap(seat)
        self.held.clear()
        for entry in self.book.entries():
            Controls(self.book).ask(entry.name, Control.RUN)
            if entry.state is not State.FINISHED:
                one, other = self.seats
                name, _, number = entry.title.partition(" ")
                self.numbers[name] = int(number)
                self._start(one, other, name)
                assert one.process is not None
                one.process.join()
                self._reap(one)
        entries = self.book.entries()
        self.faults["unfinished"] += sum(each.state is not State.FINISHED for each in entries)
        self.faults["I8"] += sum(self.book.holder(each.instrument) is not None for each in entries)
        self.faults["I2"] += self._lost(entries)
        for entry in entries:
            self._hold_against(entry)

    def _lost(self, entries: Sequence[Entry]) -> int:
        """Replies that came to a process that went on, and that the ledger does not have in their order."""
        twin = self.server.instrument
        assert isinstance(twin, Remembering)
        rows = sorted((row for each in entries for row in self.book.trail(each.id)), key=lambda row: row["seq"])
        kept = [row["out"] for row in rows if row["state"] == "DONE"]
        answered = iter(twin.answered)
        strange = sum(not any(out == each for each in answered) for out in kept)
        unknown = sum(row["state"] != "DONE" for row in rows)
        return int(strange + max(0, unknown - self.losses) + max(0, len(twin.answered) - len(rows)))

    def result(self, actions: int) -> dict[str, Any]:
        """What ``run`` returns."""
        figures = {**dict.fromkeys(INVARIANTS, 0), **self.faults, "I1": self.server.most_in_flight}
        bars = [hold_bar(name, int(value), int(name == "I1")) for name, value in figures.items()]
        about = {"campaigns": sum(self.numbers.values()), "requests": self.server.requests, "locked": self.locked}
        return {"actions": actions, "taken": dict(sorted(self.taken.items())), **about, "bars": bars}


def run_seat(config: Mapping[str, Any], directory: Path) -> None:
    """A campaign to its end, in a process of its own; what ends it early is its exit code."""
    leasing.BEAT_S, leasing.TTL_S, database.BUSY_S = BEAT_S, TTL_S, BUSY_S
    with finish_on_signal() as interrupted:
        try:
            opened = open_session(config, directory, str(directory / "ledger.sqlite"), interrupted=interrupted)
            with opened as session, recorded_end(session):
                session.ledger.obey(session.entry.name)
                while not isinstance(step := session.propose(), Stop):
                    session.execute(step)
                session.execute(step)
        except tuple(CODES) as error:
            sys.exit(next(code for kind, code in CODES.items() if isinstance(error, kind)))


@contextmanager
def _busy(seconds: int) -> Iterator[None]:
    """Ledgers that are opened here wait for so long for somebody else to finish writing."""
    before, database.BUSY_S = database.BUSY_S, seconds
    try:
        yield
    finally:
        database.BUSY_S = before


def concurrency_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    taken = ", ".join(f"{count} {what}" for what, count in result["taken"].items())
    title = f"{result['actions']} actions on two processes, {result['requests']} requests ({taken})"
    locked = f"{result['locked']} times somebody slept while it had the lock of the database"
    return bar_table(title, result["bars"], INVARIANTS, caption=locked)
