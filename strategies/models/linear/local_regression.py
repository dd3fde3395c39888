"""A forward model out of the rows themselves: a straight line through those nearby, wherever it is asked."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sdl.space import Readings, Settings
from strategies.models.base.noise import Noise, residual_noise, span
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.distinct_rows import distinct_rows

JUDGED = 400
"""Settings at most that are left out in turn, spread over all of them."""
RIDGE = 1e-9
"""Lets a knob that does not move nearby have a slope, which is 0."""
AT_ONCE = 2**22
"""Numbers in the largest array."""
Array = NDArray[np.float64]


class LocalLine:
    """Locally weighted regression of readings on settings, both ``(n, .)``.

    How many rows count as nearby is what predicts rows left out best; it may be all of them, which is one line.
    Readings of one setting count as one, so that they are left out together.

    References:
        Cleveland, Devlin (1988), doi:10.1080/01621459.1988.10478639

    >>> settings = np.linspace(0, 1, 50)[:, None]
    >>> line = LocalLine(3 * settings + 1, settings)
    >>> [each.round(3).tolist() for each in line.at(np.array([[0.25]]))]
    [[[1.75]], [[[3.0]]]]
    """

    def __init__(self, readings: Readings, settings: Settings) -> None:
        first, place = distinct_rows(settings)
        self._sites = settings[first]
        sums = np.zeros((len(first), readings.shape[1]))
        np.add.at(sums, place, readings)
        self._means = sums / np.bincount(place)[:, None]
        self._rows, self._place = readings, place
        self._unit = span(readings)
        self._tree = KDTree(self._sites)

    def at(self, settings: Settings) -> tuple[Readings, Array]:
        """Expected readings ``(m, p)`` and their slopes ``(m, p, d)`` at settings ``(m, d)``."""
        return self._lines(settings, self._chosen[0], leave_out=False)

    @property
    def noise(self) -> Noise:
        """Of a fresh reading about what is expected: its own scatter, and what the line misses."""
        return self._chosen[1]

    @cached_property
    def _chosen(self) -> tuple[int, Noise]:
        """How many rows count as nearby, 0 for all of them alike, and what that misses of rows left out."""
        n, d = self._sites.shape
        judged = np.unique(np.linspace(0, n - 1, JUDGED).round().astype(int))
        many = [m for m in (2**power * (d + 1) for power in range(1, 20)) if m < n]
        missed = {m: self._means[judged] - self._lines(self._sites[judged], m, leave_out=True)[0] for m in (0, *many)}
        best = min(missed, key=lambda m: float(np.mean((missed[m] / self._unit) ** 2)))
        # Of a single row, not of the mean of those that share its setting.
        which = np.searchsorted(judged, self._place)
        own = judged[np.minimum(which, len(judged) - 1)] == self._place
        rows = self._rows[own] - self._means[self._place[own]] + missed[best][which[own]]
        return best, residual_noise(rows, self._unit, 0)

    def _lines(self, settings: Settings, nearby: int, *, leave_out: bool) -> tuple[Readings, Array]:
        n, d = self._sites.shape
        some = max(AT_ONCE // (max(nearby or n, d + 1) * (d + 1)), 1)
        parts = [
            self._line(settings[first : first + some], nearby, leave_out=leave_out)
            for first in range(0, len(settings), some)
        ]
        readings, slopes = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        return readings, slopes

    def _line(self, settings: Settings, nearby: int, *, leave_out: bool) -> tuple[Readings, Array]:
        most = min((nearby or len(self._sites)) + leave_out, len(self._sites))
        distance, rows = (
            np.asarray(answer).reshape(len(settings), most) for answer in self._tree.query(settings, most)
        )
        weight = np.ones_like(distance)
        if nearby:
            weight = (1 - (distance / (distance[:, -1:] * (1 + 1e-3) + RIDGE)) ** 3) ** 3  # tricube
        if leave_out:
            weight[distance == 0] = 0
        away = self._sites[rows] - settings[:, None]
        inputs = np.concatenate((np.ones((*rows.shape, 1)), away), axis=2)
        weighted = (weight[..., None] * inputs).mT
        with one_thread():
            gram = weighted @ inputs
            ridge = RIDGE * weight.sum(axis=1)[:, None, None] * np.eye(inputs.shape[2])
            coefficients = np.linalg.solve(gram + ridge + _TINY * np.eye(len(ridge[0])), weighted @ self._means[rows])
        return coefficients[:, 0], coefficients[:, 1:].mT


_TINY = 1e-300
