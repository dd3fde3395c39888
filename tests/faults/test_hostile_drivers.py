"""Thousands of drivers that do anything, on any knobs: no traceback, nothing lost, no setting out of bounds."""

import itertools
import json
import math
from asyncio import CancelledError
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hostile import DEEP, holds, leaves, numbers, refused, sane, sizes, trees, words
from hypothesis import strategies as st

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import BadReply, InstrumentRefused, InstrumentSilent, InstrumentUnavailable, InvalidInput
from sdl.history import History, Purpose, Request, Round, RoundKind
from sdl.instruments.protocol import Patience, Reply
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench
from sdl.space import Channel, Knob, Space
from strategies.plan.plan import Plan

BUDGET = 6


class Nasty:
    """A reply that fails when it is looked at."""

    def __getattr__(self, name):
        raise RuntimeError(f"{name} is not ready")

    def __repr__(self):
        raise RuntimeError("no words either")


class Broken(dict):
    """Values that fail when they are read."""

    def items(self):
        raise OSError("the line went dead")


class Shy(float):
    """A number that does not say what it is."""

    def __repr__(self):
        raise ValueError("guess")


class Driver:
    """A driver that does what it is told, call by call, and keeps what it was asked."""

    def __init__(self, space, acts):
        self.identity, self.space, self.patience = "anything", space, Patience(attempts=2, first_wait=0.0)
        self.acts, self.asked = itertools.cycle(acts), []

    def measure(self, settings):
        self.asked.append(dict(settings))
        act = next(self.acts)
        return act(self, settings)

    def right(self, settings):
        readings = {channel.name: 100 + len(self.asked) for channel in self.space.channels}
        return Reply(dict(settings), readings, json.dumps(readings), 0.01)


def raising(error):
    def act(driver, settings):
        raise error

    return act


def returning(reply):
    return lambda driver, settings: reply


def spoiling(settings_change, readings_change):
    """A right reply with other values in some of its places."""

    def act(driver, settings):
        reply = driver.right(settings)
        return Reply({**reply.applied, **settings_change}, {**reply.readings, **readings_change}, reply.raw, 0.01)

    return act


def meddling(driver, settings):
    """A driver that changes what it was given."""
    reply = driver.right(settings)
    settings.clear()
    return reply


class Mute(Exception):
    """An error that fails at saying what it is."""

    def __str__(self):
        raise RuntimeError("no words either")


def nasty(driver, settings):
    return Nasty()


async def later(driver, settings):
    """A driver that nothing waits for."""
    return driver.right(settings)


def in_pieces(driver, settings):
    """A driver that is a generator."""
    yield driver.right(settings)


def broken(driver, settings):
    return Reply(Broken(settings), Broken(driver.right(settings).readings), "", 0.0)


def shy(driver, settings):
    reply = driver.right(settings)
    return Reply(reply.applied, {**reply.readings, "y": Shy(7.0), "x": Nasty()}, Nasty(), Shy(0.1))


names = st.sampled_from(["a", "b", "y", "z"]) | words
ODDITIES = [
    DEEP, np.float32("nan"), np.array([1, 2]), np.array(7), np.ma.masked, np.datetime64("nat"), b"\xff", {1}, 2j,
    object, Decimal("0.25"), Decimal("NaN"), Decimal("sNaN"), Decimal("1e999"), Fraction(1, 4), Fraction(10**400),
]  # fmt: skip
oddities = leaves | trees | st.sampled_from(ODDITIES)
replies = st.builds(Reply, oddities, oddities, oddities, oddities) | st.builds(
    Reply, st.dictionaries(names, oddities, max_size=3), st.dictionaries(names, oddities, max_size=3), words, numbers
)
errors = st.sampled_from([ValueError, KeyError, OSError, RecursionError, MemoryError, UnicodeError, StopIteration])
endings = st.sampled_from([SystemExit, GeneratorExit, CancelledError, TimeoutError, StopAsyncIteration])
ours = st.sampled_from([BadReply, InstrumentRefused, InstrumentSilent, InstrumentUnavailable, InvalidInput])
acts = st.one_of(
    st.sampled_from([Driver.right, meddling, nasty, broken, shy, later, in_pieces, raising(Mute())]),
    st.builds(lambda kind, text: raising(BaseExceptionGroup("many", [kind(text)])), errors | endings, words),
    st.builds(spoiling, st.dictionaries(names, oddities, max_size=2), st.dictionaries(names, oddities, max_size=2)),
    st.builds(returning, replies | oddities),
    st.builds(lambda kind, text: raising(kind(text)), errors | endings | ours, words),
)


@st.composite
def spaces(draw):
    """Knobs of any range, by decimals and by steps, and channels with and without a ceiling."""
    knobs = []
    for name in ["a", "b"][: draw(st.integers(1, 2))]:
        low = draw(st.sampled_from([0.0, 0.15, -1e-6, 532.0, 1e-12, -1e9]) | st.decimals(-99, 99, places=3).map(float))
        width = draw(st.sampled_from([0.3, 1.0, 1e-9, 0.003, 1e9]) | st.decimals("0.001", 99, places=3).map(float))
        high = low + width
        if not low < high:
            high = math.nextafter(low, math.inf)
        knobs.append(Knob(name=name, low=low, high=high))
    ceiling = draw(st.none() | st.just(65535.0))
    return Space(knobs=knobs, channels=[Channel(name="y", ceiling=ceiling), Channel(name="z", floor=None)])


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    with Ledger(tmp_path_factory.mktemp("drivers") / "ledger.sqlite") as book:
        yield book


@pytest.mark.fault("I-25", "I-26")
@sizes(60, 100)
def test_whatever_drivers_do_all_of_it_is_kept_and_nothing_is_out_of_bounds(examples, ledger):
    numbers = itertools.count()

    def claim(given):
        space, does, unit = given
        driver = Driver(space, does)
        settings = [space.from_unit(np.array(row[: space.d])) for row in unit]
        requests = [Request(0, i, 0, Purpose.DESIGN, row) for i, row in enumerate(settings)]
        entry = ledger.register(f"campaign-{examples}-{next(numbers)}", driver.identity, space, {}, {})
        with ledger.hold(driver.identity, "the test") as lease:
            ledger.plan(lease, entry.id, Round(0, RoundKind.DESIGN), requests)
            bench = Bench(ledger, lease, entry.id, driver, BUDGET, needed=["y"])
            said = refused(bench.measure, requests)
        rows = ledger.trail(entry.id)
        assert len(rows) == len(driver.asked) <= BUDGET, "each call has its row, and no row is without a call"
        for row, asked in zip(rows, driver.asked, strict=True):
            values = np.array([asked[name] for name in space.knob_names])
            assert space.contains(values[None]).all()
            assert row["settings"] == values.tolist()
            assert row["state"] in ("DONE", "FAILED", "UNKNOWN")
            assert row["reason"] or row["verdict"] in ("OK", "OK_CENSORED"), "what does not count says why"
        history = ledger.history(entry.id)
        for observation in history.observations:
            sane(space, observation.readings)
        assert said or not history.pending, "what was not measured is told"

    units = st.lists(st.tuples(*2 * [st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5])]), min_size=1, max_size=3)
    holds(claim, st.tuples(spaces(), st.lists(acts, min_size=1, max_size=4), units), examples)


# ---------------------------------------------------------------------- what a campaign asks of them

DESIGNS = [*sorted(plugins.names("sdl.designs"))]


@pytest.mark.fault("I-26", "N-15")
@sizes(60, 100)
def test_whatever_a_campaign_file_asks_for_its_first_round_is_refused_or_within_bounds(examples):
    """On knobs of any range: by every design, of any size, with and without references."""

    def claim(given):
        space, design, n, every, seed = given
        written = {
            "name": "any",
            "instrument": "twin",
            "seed": seed,
            "budget": 60,
            "design": {"plugin": design, "n": n},
            "background": {"every": every},
            "targets": [{"name": "t", "readings": {"y": 100.0}, "tolerance": 5.0}],
        }
        steps = []
        said = refused(lambda: steps.append(Plan(Campaign.parse(written), space).next_step(History(), None)))
        assert bool(said) != bool(steps)
        for step in steps:
            settings = np.array([request.settings for request in step.requests])
            assert len(settings)
            assert space.contains(settings).all()

    every = st.sampled_from(["planned", 0, 1, 7])
    holds(
        claim,
        st.tuples(spaces(), st.sampled_from(DESIGNS), st.integers(1, 70), every, st.integers(0, 2**31)),
        examples,
    )
