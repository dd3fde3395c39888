"""Families by what can be reached: targets just out of reach, far out, several, and readings that are cut off."""

from dataclasses import replace

import numpy as np

from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.reading_errors import Correlated
from sdl.space import Readings, Settings
from strategies.evaluation.families.blueprint import Blueprint, box_points, lamp_like, log_uniform, with_steps
from strategies.evaluation.families.case import Case, Goal

NOISE_AT_EDGE = (0.3, 0.9)
"""Standard deviation of a reading, in tolerances, where the nearest settings just miss."""
GRID = (11, 7)
TRIES = 1000
"""Random points that are looked through for one with a property that some have."""


def edge_102(rng: np.random.Generator) -> Case:
    """The nearest settings miss by 1.02 tolerances; one to four channels, noise of 0.3 to 0.9 of the tolerance."""
    return _beyond(rng, _edge(rng), 1.02)


def edge_110(rng: np.random.Generator) -> Case:
    """The nearest settings miss by 1.1 tolerances; one to four channels, noise of 0.3 to 0.9 of the tolerance."""
    return _beyond(rng, _edge(rng), 1.1)


def edge_noise_stated_too_small(rng: np.random.Generator) -> Case:
    """The nearest settings miss by 1.02 to 1.1 tolerances, and the instrument states 0.25 to 0.7 of its noise."""
    blueprint = _edge(rng)
    stated = blueprint.sd * log_uniform(rng, (0.25, 0.7))
    return _just_missed(rng, replace(blueprint, stated=stated))


def edge_noise_unknown(rng: np.random.Generator) -> Case:
    """The nearest settings miss by 1.02 to 1.1 tolerances, and the instrument states no noise."""
    blueprint = _edge(rng)
    return _just_missed(rng, replace(blueprint, stated=np.full(blueprint.p, np.nan)))


def edge_noise_correlated(rng: np.random.Generator) -> Case:
    """The nearest settings miss by 1.02 to 1.1 tolerances; noise keeps 0.5 to 0.9 of itself to the next request."""
    return _just_missed(rng, replace(_edge(rng), errors=Correlated(rng.uniform(0.5, 0.9))))


def far_out(rng: np.random.Generator) -> Case:
    """The nearest settings miss by 5 to 30 tolerances."""
    return _beyond(rng, _edge(rng), rng.uniform(5, 30))


def several_targets(rng: np.random.Generator) -> Case:
    """Three to five targets in one campaign, of which one in five is far out of reach."""
    blueprint = replace(lamp_like(rng, knobs=(2, 4), channels=(2, 4)), fixed=2)
    goals = []
    for number in range(1, int(rng.integers(4, 7))):
        name, far = f"target {number}", rng.random() < 0.2
        goals.append(_above(blueprint, name, rng.uniform(5, 30)) if far else blueprint.reachable_goal(name, rng))
    return blueprint.case(rng, *goals)


def low_ceiling(rng: np.random.Generator) -> Case:
    """Full drive gives 1.5 times what the sensor can read; targets lie at 0.3 to 0.9 of its ceiling."""
    blueprint = replace(lamp_like(rng, knobs=(3, 3), channels=(3, 3)), fixed=3)
    ceiling = blueprint.readings(np.ones((1, 3)))[0] / 1.5
    capped = replace(blueprint, ceiling=ceiling)
    return capped.case(rng, _within(capped, rng, 0.3 * ceiling, 0.9 * ceiling))


def floor_and_ceiling(rng: np.random.Generator) -> Case:
    """A sensor that cuts off the lowest and the highest 10 to 25 % of what the knobs can give."""
    blueprint = lamp_like(rng, knobs=(1, 4), channels=(1, 4))
    floor, ceiling = (rng.uniform(0.1, 0.25, blueprint.p) * blueprint.span for _ in range(2))
    # The sensor reads 0 at its floor, as if something were taken off every reading.
    most = blueprint.span - floor - ceiling
    cut = replace(blueprint, background=Steady(-floor), floor=np.zeros(blueprint.p), ceiling=most)
    return cut.case(rng, _within(cut, rng, 0.1 * most, 0.9 * most))


def discrete_grid(rng: np.random.Generator) -> Case:
    """Two knobs of 11 and 7 points, noise unknown; one target in four lies between the points, out of reach."""
    drawn = lamp_like(rng, knobs=(2, 2), channels=(1, 2))
    unknown = np.full(drawn.p, np.nan)
    blueprint = with_steps(replace(drawn, stated=unknown, fixed=drawn.p), GRID)
    points = blueprint.applied(np.stack(np.meshgrid(*(np.linspace(0, 1, n) for n in GRID)), axis=-1).reshape(-1, 2))
    if rng.random() < 0.25:
        return blueprint.case(rng, _between(blueprint, rng, points))
    offset = rng.uniform(-0.5, 0.5, blueprint.p)
    goal = blueprint.goal("target", rng.choice(points), offset, float(np.abs(offset).max()))
    return blueprint.case(rng, goal)


def _edge(rng: np.random.Generator) -> Blueprint:
    """A linear instrument of one to four channels, all of which a target fixes."""
    drawn = lamp_like(rng, knobs=(1, 4), channels=(1, 4))
    return replace(drawn, ratio=1 / rng.uniform(*NOISE_AT_EDGE), fixed=drawn.p)


def _just_missed(rng: np.random.Generator, blueprint: Blueprint) -> Case:
    return _beyond(rng, blueprint, rng.uniform(1.02, 1.1))


def _beyond(rng: np.random.Generator, blueprint: Blueprint, miss: float) -> Case:
    """An instrument with a target beyond the most that it can give."""
    return blueprint.case(rng, _above(blueprint, "target", miss))


def _above(blueprint: Blueprint, name: str, miss: float) -> Goal:
    """A target whose first channel lies above the most that can be had, the others as they are there."""
    full = np.ones(blueprint.d)  # no slope of these is negative
    return blueprint.goal(name, full, miss * (np.arange(blueprint.p) == 0), miss)


def _within(blueprint: Blueprint, rng: np.random.Generator, low: Readings, high: Readings) -> Goal:
    """A target whose readings lie in a range in each channel that it fixes; the most central of some if none does."""
    points = box_points(blueprint.d, rng, TRIES)
    off = np.abs(blueprint.readings(points) - (low + high) / 2) / ((high - low) / 2)
    worst = off[:, : blueprint.fixed].max(axis=1)
    inside = np.flatnonzero(worst <= 1)
    return blueprint.goal("target", points[rng.choice(inside) if len(inside) else worst.argmin()])


def _between(blueprint: Blueprint, rng: np.random.Generator, points: Settings) -> Goal:
    """A target that settings between the points would meet, and no point comes within 1.3 tolerances of."""
    for between in rng.random((TRIES, blueprint.d)):
        off = np.abs(blueprint.response(points) - blueprint.response(between[None])) / blueprint.tolerance(between)
        if (worst := off.max(axis=1)).min() > 1.3:
            nearest, tolerance = points[worst.argmin()], blueprint.tolerance(between)
            offset = (blueprint.response(between[None]) - blueprint.response(nearest[None]))[0] / tolerance
            return blueprint.goal("target", nearest, offset, float(worst.min()))
    return _above(blueprint, "target", rng.uniform(1.5, 4))
