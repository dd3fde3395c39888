"""How many rows a model needs: its errors on rows not seen against the number of rows that it learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from strategies.metrics.scores import absolute_errors, energy_score
from strategies.models.base.noise import span
from strategies.solving.model_answer import plugin_error_sentence
from strategies.solving.problem import InverseProblem
from strategies.solving.scores.model_scores import TEST, RowSplit, fit_on_part, predict_rows, split_rows

SPLITS = 5
"""Ways to part the rows, the same for every model and every number of rows."""
ASKED, DRAWS = 20, 100
"""Rows not seen whose settings a model is asked for, and draws for each."""
FEWEST = 2
"""Rows to learn from."""
CERTAIN = 0.95
"""Of the interval of a mean over the splits."""


@dataclass(frozen=True, eq=False)
class LearningSplits:
    """The rows of a problem parted several times, and the numbers of rows to learn from."""

    splits: Sequence[RowSplit]
    sizes: Sequence[int]
    """In order, each at most the number of rows that every split has to learn from."""

    @classmethod
    def of(cls, problem: InverseProblem, sizes: Sequence[int], seed: int, test: float = TEST) -> Self | None:
        """Part the rows; sizes beyond what there is become all that there is. None where no row can be spared."""
        found = [split_rows(problem, int(each), test) for each in _seeds(seed)]
        splits = [each for each in found if each is not None]
        if not sizes or not splits:
            return None
        most = min(len(each.train) for each in splits)
        return cls(splits, sorted({min(n, most) for n in sizes}))


def _seeds(seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 5]).integers(2**31, size=SPLITS)


def find_size_faults(sizes: Sequence[int]) -> list[str]:
    """What is wrong with the numbers of rows that a learning curve is asked for."""
    return [f"rows needs whole numbers from {FEWEST}, got {n}" for n in sizes if n < FEWEST]


def learning_curve(name: str, problem: InverseProblem, rows: LearningSplits, seed: int) -> list[dict[str, Any]]:
    """The errors of a model by the number of rows that it learned from, as plain data.

    Each entry has ``rows``, ``error`` (a sentence where the model does not learn from so few) and, for ``settings``
    and ``readings``, the ``mean`` over the splits with the ``low`` and ``high`` end of its 95 % t interval: of settings
    the energy score, of readings the root of the mean squared error, both in units of the span of each column.
    """
    return [{"rows": n, **_point(name, problem, rows.splits, n, seed)} for n in rows.sizes]


def _point(name: str, problem: InverseProblem, splits: Sequence[RowSplit], n: int, seed: int) -> dict[str, Any]:
    try:
        errors = np.array([_errors(name, problem, _first(split, problem, n), seed) for split in splits])
    except Exception as error:  # a model is anybody's code, and few rows are too few for some
        return {"error": plugin_error_sentence(name, error)}
    return {"error": None, "settings": _interval(errors[:, 0]), "readings": _interval(errors[:, 1])}


def _first(split: RowSplit, problem: InverseProblem, n: int) -> RowSplit:
    """The same with the first ``n`` of its rows to learn from, so that more rows always hold the fewer."""
    return RowSplit(split.train[:n], split.test, problem.of_rows(split.train[:n]))


def _errors(name: str, problem: InverseProblem, split: RowSplit, seed: int) -> tuple[float, float]:
    model, asked, rng = fit_on_part(name, split), split.test[:ASKED], np.random.default_rng([seed, 6])
    targets = problem.readings[asked]  # a copy, into which a stranger may write
    draws = np.stack([model.sample(target, DRAWS, rng) for target in targets], axis=1)
    energy = energy_score(draws, problem.settings[asked], span(problem.settings))
    missed = absolute_errors(*predict_rows(model, problem, split.test)).rmse / span(problem.readings)
    found = float(energy.mean()), float(np.sqrt((missed**2).mean()))
    if not np.isfinite(found).all():
        raise ValueError("draws or predictions are not finite")
    return found


def _interval(values: NDArray[np.float64]) -> dict[str, float]:
    """The mean of errors ``(s,)`` with its t interval, which ends at 0; as wide as nothing for a single one."""
    mean, s = float(values.mean()), len(values)
    half = float(stdtrit(s - 1, (1 + CERTAIN) / 2) * values.std(ddof=1) / np.sqrt(s)) if s > 1 else 0.0
    return {"mean": mean, "low": max(mean - half, min(mean, 0.0)), "high": mean + half}
