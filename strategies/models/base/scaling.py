"""Coordinates in which networks learn: about 1 in size, and without walls where the rows stop at a wall."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from strategies.models.base.applicability_domain import THIN, principal
from strategies.models.base.noise import span

Array = NDArray[np.float64]
RIM = 0.05
"""Share of a knob's range, at either end, that is looked at for a wall."""
CROWDED = 0.4
"""Rows on the rim, of what a uniform distribution has there, that make it a wall."""
ROOM = 0.5
"""Rows of room between the last one and the wall."""


class Coordinates(Protocol):
    """Columns ``(..., k)`` to coordinates and back."""

    def to(self, columns: Array) -> Array:
        """Coordinates ``(n, k)`` of rows ``(n, c)`` in units of the channels or knobs."""

    def back(self, places: Array) -> Array:
        """Rows ``(n, c)`` of coordinates ``(n, k)``."""


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean 0 and standard deviation 1; a column that never changes stays where it is."""

    mean: Array
    width: Array

    @classmethod
    def of(cls, columns: Array) -> Self:
        """Coordinates in which these rows ``(n, c)`` have mean 0 and standard deviation 1."""
        width = columns.std(axis=0)
        return cls(columns.mean(axis=0), np.where(width > _TINY * span(columns), width, 1.0))

    def to(self, columns: Array) -> Array:
        """Coordinates ``(n, c)`` of rows ``(n, c)``."""
        return np.asarray((columns - self.mean) / self.width)

    def back(self, places: Array) -> Array:
        """Rows ``(n, c)`` of coordinates ``(n, c)``."""
        return np.asarray(places * self.width + self.mean)


@dataclass(frozen=True, eq=False)
class Walled:
    """Standard, and knobs whose rows stop at walls stretched so that the walls lie at infinity.

    A network then need not learn the edge of a uniform distribution, and none of its draws lies beyond one.
    """

    walled: NDArray[np.bool_]
    """Which knobs, ``(d,)``."""
    low: Array
    high: Array
    standard: Standard

    @classmethod
    def of(cls, settings: Array) -> Self:
        """Coordinates for settings ``(n, d)`` that crowd at the walls of the box in some knobs."""
        low, high, n = settings.min(axis=0), settings.max(axis=0), len(settings)
        width = span(settings)
        rims = settings < low + RIM * width, settings > high - RIM * width
        walled = np.minimum(*(rim.mean(axis=0) for rim in rims)) > CROWDED * RIM
        walled &= high > low
        free = cls(walled, low - ROOM * width / n, high + ROOM * width / n, Standard(low, width))
        return cls(walled, free.low, free.high, Standard.of(free._stretched(settings)))

    def to(self, columns: Array) -> Array:
        """Coordinates ``(n, d)`` of settings ``(n, d)``, stretched towards the walls."""
        return self.standard.to(self._stretched(columns))

    def back(self, places: Array) -> Array:
        """Settings ``(n, d)`` of coordinates ``(n, d)``, within the walls of those knobs."""
        stretched = self.standard.back(places)
        inside = self.low + (self.high - self.low) * ndtr(stretched)
        return np.where(self.walled, inside, stretched)

    def _stretched(self, settings: Array) -> Array:
        share = np.clip((settings - self.low) / (self.high - self.low), _TINY, 1 - _TINY)
        return np.where(self.walled, ndtri(share), settings)


@dataclass(frozen=True, eq=False)
class Whitened:
    """Readings ``(n, p)`` along their widest directions ``(n, q)``, of standard deviation 1 each.

    d knobs move the readings in few directions. The others hold noise, which a network would take for news.
    """

    mean: Array
    directions: Array
    """By column, ``(p, q)``, in units of standard deviations along them."""

    @classmethod
    def of(cls, readings: Array) -> Self:
        """Coordinates along the principal directions in which these readings ``(n, p)`` differ."""
        unit = span(readings)
        directions, width = principal((readings - readings.mean(axis=0)) / unit)
        wide = width >= max(THIN * width.max(), _TINY)
        wide[-1] = True
        return cls(readings.mean(axis=0), directions[:, wide] / np.maximum(width[wide], _TINY) / unit[:, None])

    def to(self, columns: Array) -> Array:
        """Coordinates ``(n, k)`` of readings ``(n, p)``."""
        return np.asarray((columns - self.mean) @ self.directions)


_TINY = 1e-9
