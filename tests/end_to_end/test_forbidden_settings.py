"""No forbidden setting is ever sent: whatever the knobs, the constraints, and who chose the settings.

Spaces and constraints are drawn at random; each constraint is written as a person would and, beside it, judged by
arithmetic of this file. ``SDL_EXAMPLES=100000`` tries as many.
"""

from collections.abc import Callable
from itertools import cycle

import numpy as np
import pytest
from hostile import sizes

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.history import Purpose, Request
from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.composed import Composed, NoiseSize
from sdl.instruments.simulated.responses import Plane
from sdl.measurement.bench import Bench
from sdl.space import Channel, Knob, Space
from strategies.contract import Design
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan
from strategies.posterior.rows import Statement

CAMPAIGNS = 1000
"""Of so many examples one is a whole campaign."""
TRIES = {"maximin-latin-hypercube": {"tries": 8}}
"""Options of designs, so that they take no longer than the others."""
DESIGNS = ("maximin-latin-hypercube", "latin-hypercube", "sobol", "random", "one-by-one", "full-factorial")
MODELS = ("linear", "nearest", "mixture", "bayesian-linear", "pls")
ACQUISITIONS = ("likeliest", "space-filling", "random", "latin-hypercube", "disagreement", "expected-improvement")
ROUNDING = 1e-8
"""Of the sizes that are added up: by this much an amount may be off, and nobody can weigh it."""

Judge = Callable[[np.ndarray], bool]


def drawn_knob(rng, name):
    kind = rng.choice(["number", "steps", "whole", "listed", "log", "named", "described"])
    low = float(rng.choice([0.0, -5.0, 20.0]))
    high = low + float(10 ** rng.uniform(-1, 3))
    match kind:
        case "number":
            return Knob(name=name, low=low, high=high)
        case "steps":
            return Knob(name=name, low=low, high=high, resolution=(high - low) / int(rng.integers(3, 500)))
        case "whole":
            return Knob(name=name, low=1, high=int(rng.integers(2, 40)), whole=True)
        case "listed":
            return Knob(name=name, values=tuple(np.unique(rng.uniform(low, high, int(rng.integers(2, 12)))).tolist()))
        case "log":
            return Knob(name=name, low=10.0 ** -int(rng.integers(1, 6)), high=float(rng.uniform(1, 50)), scale="log")
    names = tuple("pqrstu"[: int(rng.integers(2, 6))])
    described = {"size": tuple(rng.permutation(len(names)).astype(float).tolist())} if kind == "described" else {}
    return Knob(name=name, values=names, descriptors=described)


def sums(rng, knobs, inside) -> tuple[str, str, Judge]:
    """A weighted sum that has a bound, or is a constant, and is so at some settings."""
    numbers = [k for k, knob in enumerate(knobs) if not knob.names]
    some = rng.permutation(numbers)[: int(rng.integers(1, 4))].tolist()
    weights = (rng.choice([-2.0, -1.0, 0.5, 1.0, 3.0], len(some))).tolist()
    total = sum(weight * inside[k] for weight, k in zip(weights, some, strict=True))
    left = " + ".join(f"{weight}*{knobs[k].name}" for weight, k in zip(weights, some, strict=True))

    def weighed(row):
        parts = [weight * row[k] for weight, k in zip(weights, some, strict=True)]
        return sum(parts), ROUNDING * (1 + sum(map(abs, parts)) + abs(total))

    if rng.random() < 0.3:
        return "always", f"{left} = {total!r}", lambda row: abs(weighed(row)[0] - total) <= weighed(row)[1]
    bound = total + float(rng.choice([0.0, 0.1, 1.0])) * max(abs(total), 1.0)
    return "always", f"{left} <= {bound!r}", lambda row: weighed(row)[0] <= bound + weighed(row)[1]


def product(rng, knobs, inside) -> tuple[str, str, Judge] | None:
    """A product that has an upper bound."""
    numbers = [k for k, knob in enumerate(knobs) if not knob.names]
    if len(numbers) < 2:
        return None
    i, k = rng.permutation(numbers)[:2].tolist()
    bound = inside[i] * inside[k] + float(rng.uniform(0, 2))
    return "always", f"{knobs[i].name}*{knobs[k].name} <= {bound!r}", lambda row: row[i] * row[k] <= bound


def region(rng, knobs, inside) -> tuple[str, str, Judge]:
    """A region where two knobs, or one, must not stand together."""
    some, words, judges = rng.permutation(len(knobs))[:2].tolist(), list[str](), list[Judge]()
    for k in some:
        knob = knobs[k]
        if knob.names:
            banned = int(rng.choice([place for place in range(len(knob.names)) if place != inside[k]]))
            words.append(f"{knob.name} = {knob.names[banned]}")
            judges.append(lambda row, k=k, banned=banned: row[k] == banned)
        else:
            edge = inside[k] + float(rng.uniform(0.01, 0.5)) * (knob.high - knob.low)
            words.append(f"{knob.name} >= {edge!r}")
            judges.append(lambda row, k=k, edge=edge: row[k] >= edge)
    return "never", " and ".join(words), lambda row: not all(judge(row) for judge in judges)


def drawn(rng) -> tuple[Space, list[Judge]]:
    """A space of one to five knobs with some constraints, and judges of these; there are settings that keep them."""
    knobs = [drawn_knob(rng, f"k{k}") for k in range(int(rng.integers(1, 6)))]
    inside = [
        float(rng.choice(knob.choices))
        if knob.choices is not None
        else knob.low + rng.uniform(0.2, 0.8) * (knob.high - knob.low)
        for knob in knobs
    ]
    texts, judges = {"always": list[str](), "never": list[str]()}, list[Judge]()
    for make in rng.choice([sums, product, region], int(rng.integers(0, 4))):
        if make is sums and all(knob.names for knob in knobs):
            continue
        if (made := make(rng, knobs, inside)) is not None:
            texts[made[0]].append(made[1])
            judges.append(made[2])
    return Space(knobs=knobs, channels=(Channel(name="y", floor=None, integral=False),), constraints=texts), judges


def is_allowed(space, judges, row) -> bool:
    for knob, value in zip(space.knobs, row.tolist(), strict=True):
        if not knob.low <= value <= knob.high:
            return False
        listed = range(len(knob.names)) if knob.names else knob.values
        if listed is not None and value not in listed:
            return False
        if knob.whole and value % 1:
            return False
    return all(judge(row) for judge in judges)


class Apparatus(Composed):
    """An instrument that keeps what it was sent."""

    def measure(self, settings):
        self.sent.append(np.array(list(settings.values())))
        return super().measure(settings)


def apparatus(space, rng):
    made = Apparatus(
        *("any", space, Plane(rng.uniform(-1, 1, (space.u, 1)))),
        *(NoiseSize(np.array([0.01]), np.array([0.01])), Steady(np.zeros(1)), rng.spawn(1)[0]),
    )
    made.sent = []
    return made


def by_a_campaign(rng, space, model, acquisition):
    """All that a whole campaign sends."""
    made = apparatus(space, rng)
    wanted = float(made.truth(space.from_unit(rng.random((1, space.u))))[0, 0])
    written = {
        **{"name": "any", "seed": int(rng.integers(1000)), "budget": 14, "instrument": "twin"},
        "targets": [{"readings": {"y": wanted}, "tolerance": 0.02}],
        "models": [model, "mixture"],
        "acquisition": {"plugin": acquisition, "n": int(rng.integers(1, 4)), "below": 0.9},
        "design": str(rng.choice(DESIGNS[:4])),
    }
    Simulation(Plan(Campaign.parse(written), space), made).run()
    return made.sent


def by_a_design(rng, space):
    name = str(rng.choice(DESIGNS))
    design: Design = plugins.build("sdl.designs", name, TRIES.get(name))
    try:
        return list(design.propose(space, int(rng.integers(1, 9)), rng))
    except InvalidInput:  # it has a number of points of its own
        return list(design.propose(space, None, rng))


def by_a_model(rng, space):
    """Whatever a model draws, in the box or out of it, as offers and as next settings are made of it."""
    draws = rng.normal(0.5, rng.choice([0.2, 1.0, 10.0]), (8, space.u))
    applied = Statement.of(space, [0]).applied(draws)
    return [*space.from_unit(np.clip(draws, 0, 1)), *space.from_unit(applied)]


def by_the_bench(rng, space, judges):
    """What the bench lets through of settings that somebody made up."""
    bench = object.__new__(Bench)
    bench.instrument, sent = apparatus(space, rng), []
    bench._measure = lambda request: sent.append(request.settings)
    for row in made_up(rng, space):
        try:
            bench.measure([Request(0, 0, 0, Purpose.BY_HAND, row)])
        except InvalidInput:
            continue
    return sent


def by_hand(rng, space, judges):
    """What becomes of settings that a person types: refused, or sent as they are."""
    sent = []
    for row in made_up(rng, space):
        try:
            typed = space.settings(space.shown_settings(row))
        except InvalidInput:
            continue
        sent.append(typed)
    return sent


def made_up(rng, space):
    low, width = space.low, space.high - space.low
    rows = low + width * rng.uniform(0.0, 1.0, (4, space.d))
    named = np.array([bool(knob.names) for knob in space.knobs])
    rows = np.where(named, np.rint(rows), rows)
    return [*rows, space.from_unit(rng.random(space.u))]


def sent_by_example(seed) -> tuple[int, list]:
    """How many settings one example sends, and those of them that are forbidden."""
    rng = np.random.default_rng([17, seed])
    space, judges = drawn(rng)
    try:
        space = space.with_constraints(space.constraints)
    except InvalidInput:  # nothing was found that is allowed, so that nothing is sent
        return 0, []
    if seed % CAMPAIGNS == 0:
        sent = by_a_campaign(rng, space, str(rng.choice(MODELS)), str(rng.choice(ACQUISITIONS)))
    else:
        sent = [*by_a_design(rng, space), *by_a_model(rng, space), space.off]
        sent += [*by_hand(rng, space, judges), *by_the_bench(rng, space, judges)]
    return len(sent), [(space, row) for row in sent if not is_allowed(space, judges, row)]


@sizes(60, 400)
def test_no_forbidden_setting_is_sent(examples):
    sent, forbidden = 0, []
    for seed in range(examples):
        number, wrong = sent_by_example(seed)
        sent, forbidden = sent + number, forbidden + wrong
    assert sent > 20 * examples
    assert forbidden == []


@pytest.mark.parametrize(("model", "acquisition"), [*zip(cycle(MODELS), ACQUISITIONS, strict=False)])
def test_nor_by_any_model_or_acquisition(model, acquisition):
    rng = np.random.default_rng([18, ACQUISITIONS.index(acquisition)])
    space, judges = drawn(rng)
    while not judges or space.d < 2:
        space, judges = drawn(rng)
    sent = by_a_campaign(rng, space, model, acquisition)
    assert len(sent) > 5
    assert [row for row in sent if not is_allowed(space, judges, row)] == []
