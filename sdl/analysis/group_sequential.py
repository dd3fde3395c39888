"""Looks at an exam before its end: the level at which each may decide, so that all of them keep the stated error rate.

Whoever looks at the replicates again and again, and stops when they look well, is deceived more often than by one
look. So the rate is divided among the looks before the first replicate is taken: of ``n`` replicates the first ``k``
have spent ``(k / n) ** 1.5`` of it, which is near to what ends exams of good candidates soonest.

References:
    Lan, DeMets (1983), doi:10.1093/biomet/70.3.659, for spending an error rate; Kim, DeMets (1987), Biometrika 74(1),
    149-154, for spending it as a power;
    Armitage, McPherson, Rowe (1969), doi:10.2307/2343787, for the integrals
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sdl.history import Look, Looks

FEWEST = 3
"""Replicates before the first look: fewer could not show that one of them is off."""
MOST = 30
"""Looks at one exam; a longer one is looked at after groups of replicates."""
POWER = 1.5
NODES = 100
FAR = 7.0
"""Standard deviations of the mean, from which on nothing is left of its distribution."""
HALVINGS = 40
ENDLESS = 1000
"""Replicates that no target has, by which time is measured where their number is open."""


def single_look(replicates: int, confidence: float) -> Looks:
    """Plan one look, when all replicates are there."""
    return (Look(replicates, 1 - confidence, 1 - confidence),)


@cache
def plan_looks(replicates: int, confidence: float) -> Looks:
    """Plan the looks at an exam of at most so many replicates.

    Where the true mean is on the edge of the tolerance, the probability that any of them takes it for inside is
    ``1 - confidence`` at most: no larger than that of a single look.

    >>> [(look.replicates, round(look.known, 3)) for look in plan_looks(6, 0.95)]
    [(3, 0.018), (4, 0.019), (5, 0.025), (6, 0.031)]
    """
    looks, walk, spent = list[Look](), _Walk.begun(), 0.0
    for number in _numbers(replicates):
        spend = (1 - confidence) * (number / replicates) ** POWER - spent
        walk, level = walk.on(np.sqrt(looks[-1].replicates / number) if looks else 0.0, spend)
        looks.append(Look(number, level, spend))
        spent += spend
    return tuple(looks)


def open_ended(error: float, past: tuple[int, ...], replicates: int, pace: float, worth: float = np.inf) -> float:
    """One-sided level of a look after a number of replicates, where it need not be known how many there will be.

    After ``k`` of them ``error * (1 - pace / (pace + k - 2))`` is spent, by the looks that there were: soon for those
    that are near, and yet something is left for those that take a hundred.

    Where something drifts, the mean goes by the latest replicates, however many there are. Then it has little in common
    with the mean at earlier looks, each of which could have deceived by itself, and the bound is farther off.

    Args:
        error: Probability that any of the looks takes a mean on the edge for one inside.
        past: Numbers of replicates at the looks before, increasing.
        replicates: That at this look, larger than those.
        pace: Replicates, beyond two, in which half of the error is spent.
        worth: Independent replicates of which the mean is as uncertain, by default all that there are. It is taken to
            have been so at all looks.

    >>> [round(open_ended(0.05, past, k, 3.0), 4) for past, k in [((), 3), ((), 6), ((3, 4, 5), 6)]]
    [0.0125, 0.0286, 0.0117]
    >>> round(open_ended(0.05, (3, 4, 5), 6, 3.0, worth=2.0), 4)
    0.0043
    """
    return _opened(error, past, replicates, pace, worth)[1]


@cache
def _opened(error: float, past: tuple[int, ...], replicates: int, pace: float, worth: float) -> tuple["_Walk", float]:
    before = _opened(error, past[:-1], past[-1], pace, worth)[0] if past else _Walk.begun()
    spend = error * (pace / (pace + past[-1] - 2 if past else pace) - pace / (pace + replicates - 2))
    return before.on(_kept(past[-1], replicates, worth) if past else 0.0, spend)


def _kept(before: int, replicates: int, worth: float) -> float:
    """Correlation of the means after so many replicates, each worth no more independent ones than stated.

    A mean of ``n`` gives another replicate the weight ``1 / n``, and its own error the rest.
    """
    worths = np.minimum(np.arange(before, replicates + 1), worth)
    return float(np.prod(1 - 1 / worths[1:]) * np.sqrt(worths[-1] / worths[0]))


def _numbers(replicates: int) -> Sequence[int]:
    """After how many replicates one looks: after each from the third on, or after each group, and at the end."""
    fewest = min(FEWEST, replicates)
    group = -(-(replicates - fewest + 1) // MOST)
    return range(replicates, fewest - 1, -group)[::-1]


@cache
def _nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights of Gauss and Legendre."""
    points, weights = np.polynomial.legendre.leggauss(NODES)
    return points, weights


class _Walk:
    """The mean of the replicates so far where no look has decided, in its standard deviations."""

    def __init__(self, at: NDArray[np.float64], mass: NDArray[np.float64]) -> None:
        self.at, self.mass = at, mass

    @classmethod
    def begun(cls) -> "_Walk":
        return cls(np.zeros(1), np.ones(1))

    def on(self, kept: float, spend: float) -> tuple["_Walk", float]:
        """Return the walk after more replicates, and the level of a bound that it crosses with probability ``spend``.

        Args:
            kept: Correlation of the mean then with the mean now.
            spend: Probability of crossing that bound and none before.
        """
        from scipy.special import ndtr  # loads longer than all else here: not before a run is seen to have begun

        center, step = kept * self.at, np.sqrt(1 - kept**2)
        low, high = -FAR, FAR
        for _ in range(HALVINGS):
            bound = (low + high) / 2
            crossing = self.mass @ ndtr((center - bound) / step)
            low, high = (bound, high) if crossing > spend else (low, bound)
        points, weights = _nodes()
        at = bound - (1 - points) * (bound + FAR) / 2
        density = np.exp(-0.5 * ((at[:, None] - center) / step) ** 2) / (step * np.sqrt(2 * np.pi))
        return _Walk(at, density @ self.mass * weights * (bound + FAR) / 2), float(ndtr(-bound))
