"""Targets with free channels, completed by what rows with nearly these readings had there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sdl.space import Readings
from strategies.contract import Target
from strategies.models.base.noise import span

NEAREST = 40
"""Rows that are looked at, or a fiftieth of them."""
RIDGE = 1e-3

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Completion:
    """Rows of readings ``(n, p)`` that say what goes with what."""

    readings: Readings

    def of(self, target: Target, n: int, rng: np.random.Generator) -> Readings:
        """Draw ``n`` complete targets ``(n, p)`` that agree with a target ``(p,)`` in the channels that it fixes.

        Each takes its free channels from one of the nearest rows, and moves them on a line through these rows by as
        much as the row misses the target.
        """
        free = np.isnan(target)
        whole = np.tile(np.asarray(target, float), (n, 1))
        if not free.any():
            return whole
        rows = self.readings / span(self.readings)
        wanted = (np.asarray(target, float) / span(self.readings))[~free]
        k = min(max(NEAREST, len(rows) // 50), len(rows))
        near = rows[np.asarray(KDTree(rows[:, ~free]).query(wanted, k)[1]).reshape(-1)]
        fixed, others = near[:, ~free], near[:, free]
        off, rest = fixed - fixed.mean(axis=0), others - others.mean(axis=0)
        gram = off.T @ off
        ridge = RIDGE * np.trace(gram) / len(gram) + _TINY
        slopes = np.linalg.solve(gram + ridge * np.eye(len(gram)), off.T @ rest)
        some = rng.integers(k, size=n)
        whole[:, free] = (others + (wanted - fixed) @ slopes)[some] * span(self.readings)[free]
        return whole


_TINY = 1e-12
