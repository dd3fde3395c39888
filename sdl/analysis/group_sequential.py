"""Looks at an exam before its end: the level at which each may decide, so that all of them keep the stated error rate.

Whoever looks at the replicates again and again, and stops when they look well, is deceived more often than by one
look. So the rate is divided among the looks before the first replicate is taken: of ``n`` replicates the first ``k``
have spent ``(k / n) ** 1.5`` of it, which is near to what ends exams of good candidates soonest.

References:
    Lan, DeMets (1983), doi:10.1093/biomet/70.3.659, for spending an error rate; Kim, DeMets (1987), Biometrika 74(1),
    149-154, for spending it as a power;
    Armitage, McPherson, Rowe (1969), doi:10.2307/2343787, for the integrals
"""

import math
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
"""Standard deviations of the sum of all replicates, from which on nothing is left of its distribution."""
HALVINGS = 40
EARLY = 0.8
"""Share of the error that is spent early where the number of replicates is open ..."""
SLOWER = 7.0
"""... and how many times as slowly the rest is."""
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
        walk, level = walk.on(number / replicates, spend)
        looks.append(Look(number, level, spend))
        spent += spend
    return tuple(looks)


def open_ended(error: float, past: tuple[int, ...], replicates: int, pace: float) -> float:
    """One-sided level of a look after a number of replicates, where it need not be known how many there will be.

    Most of the error is spent early, when good candidates are settled; the rest so slowly that hard ones can be, too.

    Args:
        error: Probability that any of the looks takes a mean on the edge for one inside.
        past: Numbers of replicates at the looks before, increasing.
        replicates: That at this look, larger than those.
        pace: Replicates in which 63 % of the early part are spent.

    >>> [round(open_ended(0.05, past, k, 3.0), 4) for past, k in [((), 3), ((), 6), ((3, 4, 5), 6)]]
    [0.0118, 0.0312, 0.0145]
    """
    return _opened(error, past, replicates, pace)[1]


@cache
def _opened(error: float, past: tuple[int, ...], replicates: int, pace: float) -> tuple["_Walk", float]:
    before = _opened(error, past[:-1], past[-1], pace)[0] if past else _Walk.begun()
    spend = error * (_unspent(past[-1], pace) - _unspent(replicates, pace) if past else 1 - _unspent(replicates, pace))
    return before.on(replicates / ENDLESS, spend)


def _unspent(replicates: int, pace: float) -> float:
    """Share of the error that is left after so many replicates."""
    after = (replicates - FEWEST + 1) / pace
    return EARLY * math.exp(-after) + (1 - EARLY) * math.exp(-after / SLOWER)


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
    """The sum of the replicates so far where no look has decided, in standard deviations of the sum of all."""

    def __init__(self, at: NDArray[np.float64], mass: NDArray[np.float64], time: float) -> None:
        self.at, self.mass, self.time = at, mass, time

    @classmethod
    def begun(cls) -> "_Walk":
        return cls(np.zeros(1), np.ones(1), 0.0)

    def on(self, time: float, spend: float) -> tuple["_Walk", float]:
        """Return the walk after more replicates, and the level of a bound that it crosses with probability ``spend``.

        Args:
            time: Share of all replicates that are there then.
            spend: Probability of crossing that bound and none before.
        """
        from scipy.special import ndtr  # loads longer than all else here: not before a run is seen to have begun

        step = np.sqrt(time - self.time)
        low, high = -FAR, FAR
        for _ in range(HALVINGS):
            bound = (low + high) / 2
            crossing = self.mass @ ndtr((self.at - bound) / step)
            low, high = (bound, high) if crossing > spend else (low, bound)
        points, weights = _nodes()
        at = bound - (1 - points) * (bound + FAR) / 2
        density = np.exp(-0.5 * ((at[:, None] - self.at) / step) ** 2) / (step * np.sqrt(2 * np.pi))
        return _Walk(at, density @ self.mass * weights * (bound + FAR) / 2, time), float(ndtr(-bound / np.sqrt(time)))
