"""How smoothly a model's answer follows its target: along a line of targets, from the mean of the rows and beyond."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings
from strategies.answers.clustering import cluster_draws
from strategies.numerics.unit_box import in_unit_box
from strategies.solving.gaps import WidenedModel
from strategies.solving.problem import InverseProblem

SHARES = np.linspace(0.0, 1.2, 13)
"""Of the way from the mean reading of the rows to the target, which is the eleventh."""
TARGET = 10
DRAWS = 200
"""For each target of the line, from the same random numbers, so that chance makes no roughness."""


def targets_along(problem: InverseProblem) -> Readings:
    """Readings less their background on the way from the mean of the rows through the target, ``(s, c)``."""
    start, end = problem.readings.mean(axis=0), problem.target - problem.background
    return np.asarray(start + SHARES[:, None] * (end - start))


def describe_line(problem: InverseProblem) -> dict[str, Any]:
    """The line of targets as plain data: the ``shares`` of the way, and the readings that it comes ``from``."""
    start = targets_along(problem)[0] + problem.background
    return {"shares": SHARES.round(3).tolist(), "from": problem.named(start), "draws": DRAWS}


def answers_along(model: WidenedModel, problem: InverseProblem, seed: int) -> dict[str, Any]:
    """The answers of a model along the line of targets, as plain data.

    From the likeliest answer at the target it goes to both ends, each time to the answer that is nearest to the one
    before: the median of a cluster of draws.

    Returns:
        By knob: ``settings``, None where no draw lay inside the bounds; their ``derivative`` at the target, in the
        units of the knob for the whole way; and their ``roughness``, the root mean square of the second differences
        over that of the first: 0 for a straight line, 1.7 for answers that have nothing to do with each other.
    """
    answers = _follow(model, targets_along(problem), problem.space.d, seed)
    known = np.isfinite(answers).all(axis=1)
    units = np.full((len(answers), len(problem.ties.every.knob_names)), np.nan)
    units[known] = problem.in_units(answers[known])
    slopes = (units[TARGET + 1] - units[TARGET - 1]) / (SHARES[TARGET + 1] - SHARES[TARGET - 1])
    names = problem.ties.every.knob_names
    return {
        "settings": {name: [_plain(value) for value in column] for name, column in zip(names, units.T, strict=True)},
        "derivative": {name: _plain(value) for name, value in zip(names, slopes, strict=True)},
        "roughness": {name: _plain(roughness(column)) for name, column in zip(names, units.T, strict=True)},
    }


def roughness(values: NDArray[np.float64]) -> float:
    """Root mean square of the second differences of values ``(s,)`` over that of the first; NaN of too few of them.

    >>> roughness(np.array([0.0, 1.0, 2.0, 3.0])), roughness(np.array([0.0, 1.0, 0.0, 1.0]))
    (0.0, 2.0)
    """
    first, second = np.diff(values), np.diff(values, n=2)
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if not second.size:
        return float("nan")
    moved = float(np.sqrt((first**2).mean()))
    return float(np.sqrt((second**2).mean())) / moved if moved > 0 else 0.0


def _follow(model: WidenedModel, targets: Readings, d: int, seed: int) -> Settings:
    """Answers in the unit box, ``(s, d)``; NaN where there is none."""
    answers = np.full((len(targets), d), np.nan)
    for way in (range(TARGET, len(targets)), range(TARGET - 1, -1, -1)):
        before = answers[TARGET]
        for place in way:
            found = _answers(model.sample_itself(targets[place], DRAWS, np.random.default_rng([seed, 7])))
            if not len(found):
                continue
            nearest = 0 if np.isnan(before).any() else int(((found - before) ** 2).sum(axis=1).argmin())
            before = answers[place] = found[nearest]
    return answers


def _answers(draws: Settings) -> Settings:
    """Medians of the clusters of draws ``(n, d)`` inside the box, the likeliest first, ``(k, d)``."""
    inside = draws[in_unit_box(draws)]
    if not len(inside):
        return inside
    return np.stack([np.median(inside[cluster.members], axis=0) for cluster in cluster_draws(draws)])


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
