"""As much, or as little, as possible, where nothing is measured any more: a bound that the rows tell."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdl.formatting import format_number
from sdl.space import Settings
from strategies.posterior.extreme import put_bound
from strategies.solving.problem import InverseProblem

ERROR = 0.05
"""Chance that some settings pass the bound by more than the allowance."""
DRAWS = 256
"""Functions drawn from what the rows tell."""
SEARCHED, KEPT = 2048, 48
"""Settings all over the box, and those kept by each degree of hope."""
HOPEFUL = (0.0, 1.0, 2.5)
"""How many standard deviations above the mean the settings are sought that may be the best."""
NEARER = (0.1, 0.03, 0.01)
"""Standard deviations of the steps of the search, in the unit box."""


def with_bound(problem: InverseProblem) -> InverseProblem:
    """Return a problem with a bound in the place of its maximum or minimum, and a note of what that says; or as it is.

    Settings that meet the bound are, with 95 %, within the allowance of the best that the rows leave possible. Where
    they leave much possible the bound is high, and hardly any settings are expected to meet it.
    """
    extremes = np.flatnonzero(np.isinf(problem.window.wanted)).tolist()
    if not extremes:
        return problem
    (column,) = extremes
    rng, interval = np.random.default_rng(0), problem.window[column]
    upwards = 1.0 if interval.wanted > 0 else -1.0
    allowance = interval.below if upwards > 0 else interval.above
    places = _places(problem, column, upwards, rng)
    known, light = problem.posterior, problem.background
    drawn = upwards * (known.drawn(places, column, DRAWS, rng) + light[column])
    allowed = np.ones(drawn.shape, bool)
    for other in range(len(problem.names)):
        if other != column:
            readings, wanted = known.drawn(places, other, DRAWS, rng) + light[other], problem.window[other]
            allowed &= (readings >= wanted.low) & (readings <= wanted.high)
    best = np.where(allowed.any(axis=1), np.where(allowed, drawn, -np.inf).max(axis=1), drawn.max(axis=1))
    bound = upwards * (float(np.quantile(best, 1 - ERROR)) - allowance)
    side, passed = ("more", "at least") if upwards > 0 else ("less", "at most")
    note = (
        f"{problem.names[column]}: no settings are expected to read {side} than "
        f"{format_number(bound + upwards * allowance)} ({1 - ERROR:.0%}, as these rows tell), so {passed} "
        f"{format_number(bound)} is within {format_number(allowance)} of the best possible"
    )
    return replace(problem, window=put_bound(problem.window, column, bound), notes=[*problem.notes, note])


def _places(problem: InverseProblem, column: int, upwards: float, rng: np.random.Generator) -> Settings:
    """Settings ``(m, d)`` of the unit box among which the best is likely to be."""
    everywhere = problem.space.spread(rng.random((SEARCHED, problem.space.u)))
    begun = np.vstack((everywhere, problem.settings))
    found = [everywhere[:KEPT], problem.settings]
    for hope in HOPEFUL:
        best = _hopeful(problem, begun, column, upwards, hope)
        for step in NEARER:
            near = best[:, None] + step * rng.standard_normal((len(best), 8, best.shape[1]))
            near = problem.space.applied(np.clip(near.reshape(-1, best.shape[1]), 0.0, 1.0))
            best = _hopeful(problem, np.vstack((best, near)), column, upwards, hope)
        found.append(best)
    places = np.unique(np.vstack(found), axis=0)
    return places[problem.allowed(places)]


def _hopeful(
    problem: InverseProblem, places: Settings, column: int, upwards: float, hope: float
) -> NDArray[np.float64]:
    mean, deviation = problem.posterior.at(places)
    value = upwards * mean[:, column] + hope * deviation[:, column]
    return places[np.argsort(-np.where(problem.allowed(places), value, -np.inf), kind="stable")[:KEPT]]
