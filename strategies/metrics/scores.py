"""How good answers are: errors of a best guess, and scores of draws against what was true."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.special import stdtrit

from sdl.errors import InvalidInput

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Errors:
    """How far guesses are from the truth, by column."""

    r2: Array
    """Share of the variance that is explained, ``(k,)``: 1 at best, NaN for a column that does not vary."""
    mae: Array
    """Mean absolute error, ``(k,)``."""
    rmse: Array
    """Root of the mean squared error, ``(k,)``."""


def absolute_errors(truths: Array, guesses: Array) -> Errors:
    """R2, MAE and RMSE of guesses ``(m, k)`` of truths ``(m, k)``, both finite, ``m`` at least 1.

    >>> absolute_errors(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]])).r2
    array([0.5])
    """
    off = guesses - truths
    spread = ((truths - truths.mean(axis=0)) ** 2).sum(axis=0)
    unexplained = (off**2).sum(axis=0) / np.where(np.ptp(truths, axis=0) > 0, spread, np.nan)
    return Errors(1 - unexplained, np.abs(off).mean(axis=0), np.sqrt((off**2).mean(axis=0)))


def energy_score(draws: Array, truths: Array, scale: Array) -> Array:
    """Energy score of each truth, ``(m,)``: lower is better, and least on average for draws of the true distribution.

    The mean distance of the draws from the truth, less half their mean distance from each other. The second mean goes
    over pairs of different draws, so that the expected score does not depend on how many there are. That makes it
    below 0 at times, when the draws happen to be near the truth.

    Args:
        draws: Shape ``(n, m, k)``, finite, ``n`` at least 2.
        truths: Shape ``(m, k)``, finite.
        scale: What counts as one unit of each column, above 0, ``(k,)``; its span, as a rule.

    Raises:
        InvalidInput: for shapes that do not match, or fewer than two draws.

    References:
        Gneiting, Raftery (2007), doi:10.1198/016214506000001437

    >>> energy_score(np.array([[[0.0]], [[2.0]]]), np.array([[1.0]]), np.array([1.0]))
    array([0.])
    """
    _match(draws, truths)
    if len(draws) < 2:
        raise InvalidInput(f"an energy score needs at least 2 draws, got {len(draws)}")
    scaled, goal = draws / scale, truths / scale
    off = np.linalg.norm(scaled - goal, axis=-1).mean(axis=0)
    apart = np.array([pdist(scaled[:, row]).mean() for row in range(len(goal))])
    return np.asarray(off - apart / 2)


def coverage(draws: Array, truths: Array, level: float) -> Array:
    """Share of the truths within the central interval of their draws, by column, ``(k,)``.

    Args:
        draws: Shape ``(n, m, k)``, finite.
        truths: Shape ``(m, k)``, finite.
        level: Share of the draws in the interval, between 0 and 1.

    Raises:
        InvalidInput: for shapes that do not match, or another level.

    >>> coverage(np.linspace(0, 1, 11).reshape(11, 1, 1), np.array([[0.7]]), 0.5)
    array([1.])
    """
    _match(draws, truths)
    if not 0 < level < 1:
        raise InvalidInput(f"coverage needs a level between 0 and 1, got {level}")
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray(((low <= truths) & (truths <= high)).mean(axis=0))


def behind(scores: Array, others: Array) -> tuple[float, float]:
    """By how much the mean of some scores ``(m,)`` exceeds that of others of the same rows, and its standard error.

    The rows are paired, so that a row that is hard for both says nothing; the error is NaN for a single row.

    >>> behind(np.array([3.0, 5.0]), np.array([1.0, 3.0]))
    (2.0, 0.0)
    """
    more = scores - others
    error = float(more.std(ddof=1) / np.sqrt(len(more))) if len(more) > 1 else np.nan
    return float(more.mean()), error


def behind_by_chance(n: int, rivals: int, level: float = 0.95) -> float:
    """Standard errors by which the worse of equals may be behind the best on ``n`` rows; infinite for a single row.

    With ``level`` none of so many rivals, all as good as the best, is behind by more: each has its share of the rate,
    and the error of a mean of few rows is itself uncertain. A bootstrap over rows is too narrow for that below some
    hundreds of them, and two standard errors are for one rival alone.

    References:
        Student (1908), doi:10.1093/biomet/6.1.1; Dunn (1961), doi:10.1080/01621459.1961.10482090

    >>> round(behind_by_chance(12, 1), 2), round(behind_by_chance(12, 11), 2), behind_by_chance(1, 3)
    (2.2, 3.55, inf)
    """
    return float(stdtrit(n - 1, 1 - (1 - level) / (2 * rivals))) if n > 1 and rivals else np.inf


def _match(draws: Array, truths: Array) -> None:
    if draws.ndim != 3 or not draws.size or draws.shape[1:] != truths.shape:
        raise InvalidInput(f"a score needs draws (n, m, k) of truths (m, k), got {draws.shape} and {truths.shape}")
