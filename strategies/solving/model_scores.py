"""How good one model is on rows that it has not seen: errors, scores and coverage, and what they were counted from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl import plugins
from strategies.contract import InverseModel
from strategies.fitting.guard import require_finite
from strategies.metrics.scores import absolute_errors, coverage, energy_score
from strategies.models.base.noise import span
from strategies.numerics.unit_box import in_unit_box
from strategies.solving.model_answer import GROUP
from strategies.solving.problem import Problem

Array = NDArray[np.float64]
Places = NDArray[np.intp]

TEST = 0.2
"""Share of the rows that judge a model fitted on the others, unless told."""
MOST_TEST = 200
"""More rows than these would say little more."""
MOST_ASKED = {"train": 40, "test": 80}
"""Rows whose settings a model is asked for: some models take a third of a second for each."""
ALLOWED = 0.05
"""By how much the coverage of a 90 % interval may be off, besides what chance does to the rows that were counted."""
CHANCE = 2.0
"""Standard errors that chance is allowed."""
DRAWS = 300
"""For each of these rows."""
LEVELS = (0.5, 0.9)
"""Of the intervals whose coverage is counted."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to learn from and rows to be judged by, the same for every model."""

    train: Places
    test: Places


@dataclass(frozen=True, eq=False)
class Judged:
    """What came of judging one model; settings in the unit box, readings less their background."""

    scores: dict[str, Any]
    """Plain data, as ``flows.comparing.compare`` returns it for a model."""
    energy: Array
    """Energy score of the settings of each row asked for, ``(m,)``."""
    draws: Array
    """Settings drawn for the readings of each of these rows, ``(DRAWS, m, d)``."""
    readings: Mapping[str, tuple[Array, Array]]
    """By ``train`` and ``test``: measured and predicted, both ``(., c)``."""
    settings: Mapping[str, tuple[Array, Array]]
    """By ``train`` and ``test``: asked for and answered, both ``(., d)``."""


def split(problem: Problem, seed: int, test: float = TEST) -> Split | None:
    """Rows at random in two parts; rows that repeat each other to the last digit stay together.

    None where fewer than two rows differ.
    """
    _, first, of = np.unique(
        np.column_stack((problem.settings, problem.readings)), axis=0, return_index=True, return_inverse=True
    )
    if len(first) < 2:
        return None
    places = np.argsort(np.argsort(first))[of.ravel()]  # distinct rows by the order in which they first came
    order = np.random.default_rng([seed, 0]).permutation(len(first))
    n = min(max(round(test * len(first)), 1), MOST_TEST, len(first) - 1)
    rank = np.argsort(order)[places]
    shuffled = np.argsort(rank, kind="stable")  # so that the first few of either part are a fair choice of it
    test_rows = int((rank < n).sum())
    return Split(shuffled[test_rows:], shuffled[:test_rows][:MOST_TEST])


def fitted(name: str, problem: Problem, rows: Split) -> InverseModel:
    """The model fitted on the part of the rows to learn from."""
    model: InverseModel = plugins.build(GROUP, name)
    return model.fit(*problem.rows(model, rows.train))


def prediction(model: InverseModel, problem: Problem, rows: Places) -> tuple[Array, Array]:
    """Readings of some rows, measured and predicted, both ``(m, c)``.

    Raises:
        InvalidInput: if the model predicts another shape.
        NotFinite: if it predicts what is not.
    """
    measured = problem.readings[rows]
    return measured, require_finite(model.predict(problem.settings[rows]), "predictions", measured.shape)


def error_figures(truths: Array, guesses: Array, names: tuple[str, ...]) -> dict[str, Any]:
    """Number of rows, and R2, MAE and RMSE by column, as plain data."""
    found = absolute_errors(truths, guesses)
    r2 = [value if np.isfinite(value) else None for value in found.r2.tolist()]
    return {
        "rows": len(truths),
        "r2": dict(zip(names, r2, strict=True)),
        "mae": dict(zip(names, found.mae.tolist(), strict=True)),
        "rmse": dict(zip(names, found.rmse.tolist(), strict=True)),
    }


def judge(name: str, problem: Problem, rows: Split, seed: int) -> Judged:
    """Fit a model on one part of the rows and hold it against both.

    The best guess of the settings of a row is the median of the draws inside the box, knob by knob; where all are
    outside, the median of all of them, clipped. For a target with several answers that median lies between them, which
    the energy score of the draws does not hold against a model.
    """
    model, rng = fitted(name, problem, rows), np.random.default_rng([seed, 2])
    asked = {part: getattr(rows, part)[:most] for part, most in MOST_ASKED.items()}
    draws = {part: _answers(model, problem, places, rng) for part, places in asked.items()}
    readings = {part: prediction(model, problem, getattr(rows, part)) for part in asked}
    settings = {part: (problem.settings[asked[part]], _guesses(draws[part])) for part in asked}
    truths = problem.settings[asked["test"]], problem.readings[asked["test"]]
    fresh = require_finite(
        model.simulate(truths[0].copy(), DRAWS, rng), "simulated readings", (DRAWS, *truths[1].shape)
    )
    energy = energy_score(draws["test"], truths[0], span(problem.settings))
    of_readings = energy_score(fresh, truths[1], span(problem.readings))
    knobs, width = problem.space.knob_names, problem.space.high - problem.space.low
    covered = {
        "settings": _coverage(draws["test"], truths[0], knobs),
        "readings": _coverage(fresh, truths[1], tuple(problem.names)),
    }
    scores = {
        "readings": {part: error_figures(*pair, tuple(problem.names)) for part, pair in readings.items()},
        "settings": {
            part: error_figures(width * true, width * guess, knobs) for part, (true, guess) in settings.items()
        },
        "energy": {"settings": float(energy.mean()), "readings": float(of_readings.mean())},
        "coverage": covered,
        "off": {what: _off(shares["90%"], len(truths[0])) for what, shares in covered.items()},
    }
    return Judged(scores, energy, draws["test"], readings, settings)


def _answers(model: InverseModel, problem: Problem, places: Places, rng: np.random.Generator) -> Array:
    """Settings drawn for the readings of some rows, ``(DRAWS, m, d)``."""
    shape = (DRAWS, problem.space.d)
    draws = (model.sample(problem.readings[row].copy(), DRAWS, rng) for row in places)
    return np.stack([require_finite(each, "draws", shape) for each in draws], axis=1)


def _guesses(draws: Array) -> Array:
    """Best guess for each row, ``(m, d)``."""
    guesses = np.empty(draws.shape[1:])
    for row in range(len(guesses)):
        each = draws[:, row]
        inside = each[in_unit_box(each)]
        guesses[row] = np.clip(np.median(inside if len(inside) else each, axis=0), 0, 1)
    return guesses


def _coverage(draws: Array, truths: Array, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """By level in percent, then by column."""
    return {f"{level:.0%}": dict(zip(names, coverage(draws, truths, level).tolist(), strict=True)) for level in LEVELS}


def _off(shares: Mapping[str, float], n: int) -> list[str]:
    """Names whose 90 % intervals cover too few or too many of ``n`` rows."""
    margin = ALLOWED + CHANCE * np.sqrt(0.9 * (1 - 0.9) / n)
    return [name for name, share in shares.items() if abs(share - 0.9) > margin]
