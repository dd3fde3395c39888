"""Prices and deadlines at the bench: whatever goes wrong, no instrument is sent more than the budget pays.

What was spent is counted a second time, by instruments that see each request. ``SDL_EXAMPLES`` tries as many campaigns.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest

from flows.engine.direct_run import run_directly
from flows.engine.planner import DirectPlanner
from flows.engine.session import Session
from sdl.analysis.spending import describe_spending, spent
from sdl.campaign.definition import Campaign
from sdl.errors import CampaignSuspended, InstrumentSilent, InstrumentUnavailable, ReadingsWanted
from sdl.history import Purpose, Request, Round, RoundFacts, RoundKind, State
from sdl.instruments.by_hand import ByHand, StatedChannel
from sdl.instruments.protocol import Patience, Reply
from sdl.instruments.several import Several
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench
from sdl.measurement.hand_bench import HandBench, take_sheet, wanted_samples
from sdl.measurement.sheets import read_said
from sdl.reports.status import campaign_statuses
from sdl.space import Channel, Knob, Plate, Space
from strategies.plan.round_context import is_spent, why_spent
from strategies.plan.steps import Measure, Stop

EXAMPLES = int(os.environ.get("SDL_EXAMPLES", "3"))
KNOBS = tuple(Knob(name=name, low=0, high=4, resolution=1) for name in ("oven", "flow"))
SPACE = Space(knobs=KNOBS, channels=(Channel(name="y", floor=None, integral=False),))
BEGUN = 1_900_000_000.0
KINDS = ["lamp", "sources", "plates", "several", "persons"]


class Killed(BaseException):
    """The process dies while a request is under way."""


@dataclass
class Till:
    """What instruments were sent, at its price, and when the last of it was over."""

    price: dict
    rng: np.random.Generator
    faults: float
    sources: dict = field(default_factory=dict)
    spent: float = 0.0
    stands: np.ndarray | None = None
    seconds: float = 0.0
    """Of one unit of the price; 0 where it is money."""
    now: float = BEGUN

    def pay(self, amount):
        self.spent += amount
        self.now += amount * self.seconds

    def plate(self):
        self.pay(self.price.get("plate", 0.0))

    def request(self, settings, source=None):
        row = np.array(list(settings.values()))
        if source is not None:
            self.pay(self.sources[source])
            return
        self.pay(self.price["request"])
        if self.stands is not None:
            moved = zip(("oven", "flow"), row != self.stands, strict=True)
            self.pay(sum(self.price.get("knobs", {}).get(name, 0.0) for name, far in moved if far))
        self.stands = row

    def answer(self, settings):
        """A reading, or what goes wrong instead."""
        chance = self.rng.random()
        if chance < self.faults:
            raise (InstrumentUnavailable, InstrumentSilent)[self.rng.integers(2)]("it does not answer")
        if chance < 1.05 * self.faults:
            raise Killed
        read = float("nan") if chance < 1.3 * self.faults else self.rng.random()
        return Reply(dict(settings), {"y": read}, "")


class Lamp:
    patience = Patience(attempts=3, first_wait=0.0)

    def __init__(self, till, identity="lamp", source=None, space=SPACE):
        self.till, self.identity, self.source, self.space = till, identity, source, space

    def measure(self, settings):
        self.till.request(settings, self.source)
        return self.till.answer(settings)

    def close(self):
        pass


class Reader(Lamp):
    """Wells of which some bring nothing."""

    def measure_many(self, settings):
        self.till.plate()
        for each in settings.values():
            self.till.request(each)
        for well, each in settings.items():
            if self.till.rng.random() > self.till.faults:
                yield well, self.till.answer(each)


class Four(Several):
    """Several lamps that answer in turn, so that the till needs no lock."""

    def measure_many(self, settings):
        self.members[0].till.plate()
        for well, each in settings.items():
            yield well, self._places[well].measure(each)


@dataclass
class Whim(DirectPlanner):
    """Any requests, for as long as the plan would go on."""

    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    def next_step(self, history):
        if is_spent(self.campaign, history):
            return Stop(why_spent(self.campaign, history))
        if history.lacking:
            return Measure(history.rounds[-1], history.lacking)
        number, n = len(history.rounds), int(self.rng.integers(1, 12))
        names = [source.name for source in self.campaign.sources]
        source = self.rng.choice(names) if names and self.rng.random() < 0.5 else None
        purpose = Purpose.DESIGN if source is None else Purpose.SOURCE
        rows = self.rng.integers(0, 3, (n, 2)).astype(float)
        kind = RoundKind.DESIGN if source is None else RoundKind.SOURCE
        round_ = Round(number, kind, facts=RoundFacts(source=source and str(source)))
        return Measure(round_, [Request(number, i, 0, purpose, row) for i, row in enumerate(rows)])


def drawn(kind, rng):
    """Prices of a campaign, and instruments that are paid by them."""
    one_by_one = kind in ("lamp", "sources")
    whole = bool(rng.integers(2))
    figure = (lambda top: float(rng.integers(0, top))) if whole else (lambda top: float(rng.random() * top))
    price = {"unit": "EUR", "request": 1.0 + figure(4)}
    price |= {"knobs": {"oven": figure(20), "flow": figure(3)}} if one_by_one else {"plate": figure(30)}
    sources = {f"cheap {i}": 0.1 + figure(12) for i in range(2)} if kind == "sources" else {}
    return price, sources


def built(kind, till):
    plate = Plate(rows=2, columns=3, rim="alike")
    if kind == "plates":
        return Reader(till, space=SPACE.on_plate(plate))
    if kind == "several":
        return Four([Lamp(till, f"lamp {i}") for i in range(4)])
    if kind == "persons":
        return ByHand(list(KNOBS), [StatedChannel(name="y")], plate=plate)
    return Lamp(till)


class Laboratory:
    """A campaign that is killed and taken up again until its plan says stop."""

    def __init__(self, kind, seed, home, *, in_time=False):
        self.rng = np.random.default_rng([seed, 7])
        price, sources = drawn(kind, self.rng)
        self.till = Till(price, self.rng, (0.0, 0.15, 0.4)[seed % 3], sources)
        home.mkdir()
        self.kind, self.where, self.known = kind, home / "ledger.sqlite", set()
        self.instrument = built(kind, self.till)
        dearest = price["request"] + price.get("plate", 0.0) + sum(price.get("knobs", {}).values())
        most = float(dearest * (1 + self.rng.random() * 12))
        limits = {"budget": most}
        if in_time:
            self.till.seconds, self.ends = 60.0, BEGUN + round(60 * most)
            limits = {"unit": "min", "deadline": datetime.fromtimestamp(self.ends, UTC).isoformat(" ")[:19]}
        written = {"name": "c", "budget": 2000, "instrument": "x", "targets": [{"readings": {"y": 0.5}}]}
        written["sources"] = [{"name": name, "plugin": "x", "price": cost} for name, cost in sources.items()]
        self.campaign = Campaign.model_validate(written | {"price": price | limits})

    def run(self):
        for _ in range(3000):
            with Ledger(self.where) as book, book.hold(self.instrument.identity, "test") as lease:
                try:
                    return self._live(book, lease)
                except (CampaignSuspended, Killed):
                    continue
                except ReadingsWanted:
                    self._answer(book)
        raise AssertionError("it never comes to an end")

    def _live(self, book, lease):
        config = self.campaign.model_dump(mode="json")
        entry = book.register("c", self.instrument.identity, self.instrument.space, config, {})
        book.reconcile(lease, entry.id)
        common = {"needed": ["y"], "sleep": lambda _: None}
        kind = HandBench if self.kind == "persons" else Bench
        bench = kind(book, lease, entry.id, self.instrument, 2000, **common)
        sources = {
            name: Bench(book, lease, entry.id, Lamp(self.till, "lamp", name), 2000, **common)
            for name in self.till.sources
        }
        planner = Whim(self.campaign, entry.space, rng=self.rng)
        session = Session(self.campaign, entry, book, lease, bench, self.where.parent, planner, sources)
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        return step.reason, session.history

    def _answer(self, book):
        """What persons were asked for anew is a plate, and a part of it is answered, or has failed."""
        entry = book.entry("c")
        wanted = wanted_samples(book, entry)
        new = [sample for sample in wanted if sample.name not in self.known]
        if new:
            self.till.plate()
        for sample in new:
            self.till.request(entry.space.named_settings(sample.request.settings))
        self.known |= {sample.name for sample in new}
        told = [sample for sample in wanted if self.rng.random() < 0.7]
        said = [
            {"sample": sample.name, "failed": True}
            if self.rng.random() < self.till.faults
            else {"sample": sample.name, "readings": {"y": self.rng.random()}}
            for sample in told
        ]
        if said:
            take_sheet(book, entry, read_said(said), "Ada")
        if told and "readings" in said[-1] and self.rng.random() < 0.3:
            corrected = [{"sample": told[-1].name, "readings": {"y": 0.25}}]
            take_sheet(book, entry, read_said(corrected), "Ada", correct=True)


@pytest.mark.parametrize("kind", KINDS)
def test_never_is_more_spent_than_the_budget_and_no_request_is_left_that_it_pays(kind, tmp_path):
    for seed in range(EXAMPLES):
        laboratory = Laboratory(kind, seed, tmp_path / str(seed))
        reason, history = laboratory.run()
        price, space, till = laboratory.campaign.price, laboratory.instrument.space, laboratory.till
        dearest = max(price.dearest(space), *till.sources.values(), 0.0)
        assert till.spent <= price.budget * (1 + 1e-8), seed
        counted = spent(price, space, history, laboratory.campaign.sources)
        assert counted == pytest.approx(till.spent) or (kind == "several" and counted >= till.spent), seed
        assert counted + dearest > price.budget * (1 - 1e-8), f"seed {seed} stops early"
        words = describe_spending(price, space, history, laboratory.campaign.sources)
        assert reason == f"{words} are spent, and one more request may cost {dearest:g}"


def test_a_finished_campaign_goes_on_with_more_money_and_the_ledger_says_of_how_much(tmp_path):
    written = {"name": "c", "instrument": {"plugin": "twin", "seed": 1}, "targets": [{"readings": {"515nm": 16384}}]}
    for most in (6, 6, 10):
        price = {"unit": "EUR", "request": 2, "budget": most}
        done = run_directly(Campaign.parse(written | {"price": price}), tmp_path, str(tmp_path / "ledger.sqlite"))
        assert done["reason"] == f"{most} of {most} EUR are spent, and one more request may cost 2"
        with Ledger(tmp_path / "ledger.sqlite") as book:
            assert campaign_statuses(book)[0].spent == f"{most} of {most} EUR"
            assert (book.entry("c").state, book.sent(book.entry("c").id)) == (State.FINISHED, most // 2)
        assert f"{most} of {most} EUR spent" in (tmp_path / "reports" / "c.html").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_sent_that_cannot_be_over_by_the_deadline(kind, tmp_path, monkeypatch):
    for seed in range(EXAMPLES):
        laboratory = Laboratory(kind, seed, tmp_path / str(seed), in_time=True)
        till = laboratory.till
        monkeypatch.setattr("flows.engine.session.now", lambda till=till: till.now)
        reason, _ = laboratory.run()
        dearest = max(laboratory.campaign.price.dearest(laboratory.instrument.space), *till.sources.values(), 0.0)
        assert laboratory.ends - 60 * dearest - 1e-3 <= till.now <= laboratory.ends + 1e-3, seed
        assert reason == f"nothing more can be measured before the deadline {laboratory.campaign.price.deadline}"
