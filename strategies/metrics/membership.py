"""Membership inference: can somebody who may ask a model tell which rows it learned from?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from sdl.errors import InvalidInput
from strategies.metrics.scores import energy_score

Array = NDArray[np.float64]
LEVEL = 0.95
"""Of the intervals."""
FEWEST = 8
"""Members, and others, from which on anything can be said."""
CHOOSE = 1 / 3
"""Share of the rows by which the attack is chosen."""


@dataclass(frozen=True)
class Leak:
    """How far an attack tells the rows that a model learned from (members) from others."""

    advantage: float
    """Share of the members that it takes for members, less that of the others: 0 for a guess, 1 for certainty."""
    low: float
    """Lower end of its interval at ``LEVEL``."""
    high: float

    @property
    def seen(self) -> bool:
        """Whether it does better than a guess, by more than chance explains."""
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.advantage:.3f} ({self.low:.3f} to {self.high:.3f})"


def attack_scores(draws: Array, settings: Array, predicted: Array, readings: Array, unit: Array) -> Array:
    """How much what a model says of each row suggests that it has seen the row, by three attacks, ``(3, m)``.

    They are the error of the readings that it predicts, the energy score of the settings that it draws for the row's
    readings, and the distance of the nearest of these draws from the row's settings.

    Args:
        draws: Settings that the model draws for the readings of each row, ``(n, m, d)``, in the unit box.
        settings: Of the rows, ``(m, d)``.
        predicted: Readings that it predicts there, ``(m, p)``.
        readings: Of the rows, ``(m, p)``.
        unit: What counts as one unit of each channel, ``(p,)``.

    References:
        Yeom, Giacomelli, Fredrikson, Jha (2018), doi:10.1109/CSF.2018.00027, for the attack by the error
    """
    error = np.linalg.norm((predicted - readings) / unit, axis=1)
    nearest = np.linalg.norm(draws - settings, axis=-1).min(axis=0)
    return -np.stack((error, energy_score(draws, settings, np.ones(settings.shape[1])), nearest))


def membership_advantage(members: Array, others: Array, rng: np.random.Generator) -> Leak | None:
    """The largest advantage of several attacks over all thresholds, without what chance adds; None for too few rows.

    The largest difference of two shares over all thresholds is above 0 for rows that nothing tells apart. So attack and
    threshold are chosen on ``CHOOSE`` of the rows, and what they are worth is counted on the others. The interval is
    Newcombe's for the difference of two shares.

    Args:
        members: Scores by ``a`` attacks of rows that the model learned from, ``(a, m)``; the higher, the likelier.
        others: The same of rows that it has not seen, ``(a, k)``.
        rng: Chooses these rows.

    References:
        Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, method 10
    """
    if min(members.shape[1], others.shape[1]) < FEWEST:
        return None
    shuffled = [rng.permutation(scores, axis=1) for scores in (members, others)]
    first, rest = zip(*(np.split(each, [round(CHOOSE * each.shape[1])], axis=1) for each in shuffled), strict=True)
    attack, threshold = _best(*first)
    taken = [scores[attack] >= threshold for scores in rest]
    return _difference(*(np.array(each) for each in zip(*((hit.sum(), hit.size) for hit in taken), strict=True)))


def mean_advantage(advantages: Sequence[float]) -> Leak:
    """The mean over models that learned from independent choices of the rows, at least two, with its t interval.

    Raises:
        InvalidInput: for fewer.
    """
    n = len(advantages)
    if n < 2:
        raise InvalidInput(f"an interval needs the advantage against at least 2 models, got {n}")
    mean, error = float(np.mean(advantages)), float(np.std(advantages, ddof=1) / np.sqrt(n))
    margin = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    return Leak(mean, mean - margin, mean + margin)


def _best(members: Array, others: Array) -> tuple[int, float]:
    """The attack, and its threshold, that tell these rows apart best."""
    found = list[tuple[float, int, float]]()
    for attack, scores in enumerate(zip(members, others, strict=True)):
        thresholds = np.unique(np.concatenate(scores))
        above = [1 - np.searchsorted(np.sort(each), thresholds) / len(each) for each in scores]
        at = int((above[0] - above[1]).argmax())
        found.append((float(above[0][at] - above[1][at]), attack, float(thresholds[at])))
    _, attack, threshold = max(found)
    return attack, threshold


def _difference(taken: Array, of: Array) -> Leak:
    """The difference of two shares, the first less the second, with its interval by that of each (Wilson's)."""
    share, z2 = taken / of, float(ndtri((1 + LEVEL) / 2)) ** 2
    middle, half = share + z2 / (2 * of), np.sqrt(z2 * (share * (1 - share) / of + z2 / (4 * of**2)))
    low, high = (middle - half) / (1 + z2 / of), (middle + half) / (1 + z2 / of)
    apart = float(share[0] - share[1])
    below, above = np.hypot(share[0] - low[0], high[1] - share[1]), np.hypot(high[0] - share[0], share[1] - low[1])
    return Leak(apart, float(apart - below), float(apart + above))
