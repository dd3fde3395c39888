"""Batches by chance: at random, and a Latin hypercube; what any acquisition has to beat."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.stats import qmc

from sdl.space import Settings
from strategies.acquisitions.model_free import Blind
from strategies.acquisitions.sequential_batch import APART

TRIES = 100
"""Batches that are drawn at most until one has no two points in one place."""


@dataclass(frozen=True)
class RandomBatch(Blind):
    """Uniform in the box; a point too close to those before it is drawn again."""

    def fill(self, measured: Settings, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` drawn at random, none of them where one was measured ``(k, d)``."""
        there = measured
        for _ in range(n):
            there = np.concatenate((there, _apart(lambda: rng.random((1, measured.shape[1])), there)))
        return there[len(measured) :]


@dataclass(frozen=True)
class LatinHypercubeBatch(Blind):
    """One point in every slice of every knob, whatever was measured before.

    References:
        McKay, Beckman, Conover (1979), doi:10.2307/1268522
    """

    def fill(self, measured: Settings, n: int, rng: np.random.Generator) -> Settings:
        """A Latin hypercube of ``n`` settings ``(n, d)``, none of them where one was measured ``(k, d)``."""
        return _apart(lambda: np.asarray(qmc.LatinHypercube(measured.shape[1], rng=rng).random(n)), measured)


def _apart(draw: Callable[[], Settings], measured: Settings) -> Settings:
    """A batch without two points in one place, or the last one drawn where the box is too crowded for that."""
    for _ in range(TRIES):
        batch = draw()
        if pdist(batch).min(initial=np.inf) > APART and cdist(batch, measured).min(initial=np.inf) > APART:
            break
    return batch
