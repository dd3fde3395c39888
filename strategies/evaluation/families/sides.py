"""Families by the kind of target: at least, at most, between two readings; noise is everywhere, and unknown."""

from dataclasses import replace

import numpy as np

from sdl.campaign.definition import Target
from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.responses import Plane, Sum, Waves
from strategies.evaluation.families.blueprint import INSIDE, Blueprint, from_response, slopes
from strategies.evaluation.families.case import Case, Goal

BEND = (0.05, 0.25)
"""Standard deviation of the bend of a response, as a share of the span of its plane."""
FEW = 16
"""Settings at random of which the bound asks for what the best of them gives: about one in so many meets it."""


def at_least(rng: np.random.Generator) -> Case:
    """Two or three knobs and a bent response; at least so much of one channel, or of two at once."""
    return _one_sided(rng, 1.0)


def at_most(rng: np.random.Generator) -> Case:
    """Two or three knobs and a bent response; at most so much of one channel, or of two at once."""
    return _one_sided(rng, -1.0)


def between(rng: np.random.Generator) -> Case:
    """Two or three knobs and a bent response; one channel or two between two readings each, not in their middle."""
    blueprint = _blueprint(rng)
    unit = rng.uniform(*INSIDE, blueprint.d)
    readings, tolerance = blueprint.readings(unit[None])[0], blueprint.tolerance(unit)
    low, high = readings - tolerance * rng.uniform(0.5, 1.5), readings + tolerance * rng.uniform(0.5, 1.5)
    return _case(rng, blueprint, unit, [f"{a!r} .. {b!r}" for a, b in zip(low.tolist(), high.tolist(), strict=True)])


def _one_sided(rng: np.random.Generator, upwards: float) -> Case:
    blueprint = _blueprint(rng)
    points = rng.uniform(*INSIDE, (FEW, blueprint.d))
    readings = blueprint.readings(points)
    best = int((upwards * readings / blueprint.span).min(axis=1).argmax())
    bounds = readings[best] - upwards * blueprint.tolerance(points[best])
    sign = ">=" if upwards > 0 else "<="
    return _case(rng, blueprint, points[best], [f"{sign} {bound!r}" for bound in bounds.tolist()])


def _blueprint(rng: np.random.Generator) -> Blueprint:
    d, p = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    size = 10 ** rng.uniform(0.0, 4.0) * rng.uniform(0.3, 3, p)
    plane = Plane(slopes(rng, d, p, (0.0, 0.6)) * rng.choice((-1.0, 1.0), (d, 1)) * size)
    bend = Waves.drawn(rng.uniform(*BEND) * size, d, rng.uniform(0.8, 1.5), rng)
    drawn = from_response(Sum(plane, bend), d, rng, fixed=p)
    return replace(drawn, background=Steady(np.zeros(p)), dark=1.0, stated=np.full(p, np.nan))


def _case(rng: np.random.Generator, blueprint: Blueprint, unit: np.ndarray, wanted: list[str]) -> Case:
    readings: dict[str, float | str] = {f"c{column + 1}": text for column, text in enumerate(wanted)}
    return blueprint.case(rng, Goal(Target(name="target", readings=readings), blueprint.space.from_unit(unit)))
