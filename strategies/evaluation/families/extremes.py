"""Families in which as much as possible is wanted: the bound that counts is known from the truth alone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sdl.campaign.definition import Target
from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.responses import Plane, Sum, Waves
from sdl.space import Interval, Readings, Settings
from strategies.evaluation.families.blueprint import Blueprint, box_points, from_response, slopes
from strategies.evaluation.families.case import Case, Goal

ALLOWANCE = (0.03, 0.08)
"""By how much other settings may be better, as a share of what the knobs can change."""
POINTS = 4096
"""Settings tried for the best ones ..."""
CLOSER = (0.1, 0.03, 0.01, 0.003)
"""... and then about the best of these, ever closer."""


def largest(rng: np.random.Generator) -> Case:
    """One to three knobs and a smooth random response, noise everywhere and unknown; the most of one channel."""
    d = int(rng.integers(1, 4))
    response = Waves.drawn(10 ** rng.uniform(0.0, 4.0, 1), d, rng.uniform(0.6, 1.5), rng)
    return _case(rng, from_response(response, d, rng, fixed=1))


def largest_beside(rng: np.random.Generator) -> Case:
    """Two or three knobs that add to two channels, with a bend; the most of one while the other is held down."""
    d = int(rng.integers(2, 4))
    size = 10 ** rng.uniform(0.0, 4.0) * rng.uniform(0.3, 3, 2)
    plane = Plane(slopes(rng, d, 2, (0.3, 0.8)) * size)
    response = Sum(plane, Waves.drawn(rng.uniform(0.05, 0.25) * size, d, rng.uniform(0.8, 1.5), rng))
    return _case(rng, from_response(response, d, rng, fixed=1), beside=float(rng.uniform(0.3, 0.7)))


def _case(rng: np.random.Generator, drawn: Blueprint, beside: float | None = None) -> Case:
    """The instrument with its target: the most of the first channel, the second below a share of its range."""
    nothing, unknown = Steady(np.zeros(drawn.p)), np.full(drawn.p, np.nan)
    blueprint = replace(drawn, background=nothing, dark=1.0, stated=unknown)
    points = box_points(blueprint.d, rng, POINTS)
    readings = blueprint.readings(points)
    low, high = readings.min(axis=0), readings.max(axis=0)
    most = np.inf if beside is None else float(low[1] + beside * (high[1] - low[1]))

    def worth(points: Settings) -> Readings:
        readings = blueprint.readings(points)
        return np.where(readings[:, -1] <= most, readings[:, 0], -np.inf)

    best = best_point(worth, points, rng)
    top = float(worth(best[None])[0])
    allowance = float(f"{rng.uniform(*ALLOWANCE) * (high[0] - low[0]):.3g}")
    wanted: dict[str, float | str] = {"c1": f"maximum ± {allowance:g}"}
    if beside is not None:
        wanted["c2"] = f"<= {most!r}"
    bounds = {"c1": Interval.at_least(top - allowance)}
    ends = np.array([(knob.low, knob.high) for knob in blueprint.knobs])
    goal = Goal(Target(name="most", readings=wanted), ends[:, 0] + best * np.ptp(ends, axis=1), bounds=bounds)
    return blueprint.case(rng, goal)


def best_point(worth: Callable[[Settings], Readings], points: Settings, rng: np.random.Generator) -> Settings:
    """The point ``(d,)`` of the unit box that is worth most: of some ``(n, d)``, and then ever closer about the best.

    Args:
        worth: Of points ``(n, d)``, ``(n,)``.
        points: To begin with.
        rng: Source of randomness.
    """
    for width in CLOSER:
        best = points[np.argsort(-worth(points))[:16]]
        near = best[:, None] + width * rng.standard_normal((16, 64, points.shape[1]))
        points = np.concatenate((best, np.clip(near, 0, 1).reshape(-1, points.shape[1])))
    return np.asarray(points[int(worth(points).argmax())])
