"""Errors of readings by their kind, in units of their standard deviation; the mean of each is 0."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sdl.space import Readings


class ReadingErrors(Protocol):
    """A kind of error; one that remembers belongs to one instrument."""

    def draw(self, p: int, rng: np.random.Generator) -> Readings:
        """The errors of the next reading ``(p,)``, in standard deviations."""


@dataclass
class Normal:
    """Independent and normally distributed."""

    def draw(self, p: int, rng: np.random.Generator) -> Readings:
        return rng.standard_normal(p)


@dataclass
class HeavyTailed:
    """Student's t, scaled to a standard deviation of 1."""

    degrees: float = 3.0
    """Of freedom, more than 2."""

    def draw(self, p: int, rng: np.random.Generator) -> Readings:
        return np.asarray(rng.standard_t(self.degrees, p) * np.sqrt(1 - 2 / self.degrees))


@dataclass
class Correlated:
    """Autoregressive from one request to the next: each error keeps a share of the one before."""

    correlation: float
    """Between successive requests, from 0 to below 1."""
    last: Readings | None = None
    """Errors of the request before, ``(p,)``; None before the first."""

    def draw(self, p: int, rng: np.random.Generator) -> Readings:
        fresh = rng.standard_normal(p)
        if self.last is None:
            self.last = fresh
        else:
            self.last = self.correlation * self.last + np.sqrt(1 - self.correlation**2) * fresh
        return self.last


@dataclass
class Outliers:
    """Normally distributed, but now and then a whole reading is far off, up or down, as of a bubble in a cell.

    Its standard deviations are those of the readings that are not far off.
    """

    share: float = 0.03
    """Of readings that are far off."""
    size: float = 8.0
    """By how many standard deviations."""

    def draw(self, p: int, rng: np.random.Generator) -> Readings:
        far = (rng.random() < self.share) * rng.choice((-1.0, 1.0)) * self.size
        return np.asarray(rng.standard_normal(p) + far)
