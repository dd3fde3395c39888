"""Settings and readings that a correction learns from, and what is known of their errors."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sdl.space import Readings, Settings

NEAREST = 300
"""Rows that are used at most: the nearest ones."""


Forward: TypeAlias = Callable[[Settings], Readings]


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Settings, readings without their background, and what is known of their errors."""

    settings: Settings
    """In the unit box, ``(n, d)``."""
    readings: Readings
    """Background subtracted, ``(n, p)``."""
    noise: Readings
    """Standard deviation of one reading, ``(p,)``."""
    drift: Readings
    """Variance that the background gains with each request, ``(p,)``, or about each of the rows, ``(n, p)``."""
    shared: Callable[[NDArray[np.intp]], NDArray[np.float64]]
    """Covariance of the background's error between the rows at ``k`` places, for a drift of 1, ``(k, k)``."""
    present: "PresentBackground | None" = None
    """The background of this moment; None if it is known exactly."""
    stretch: NDArray[np.float64] | None = None
    """By what each knob is divided before distances are taken, by channel, ``(p, d)``; None where all are alike."""
    earlier: "EarlierRows | None" = None
    """Rows of another campaign beside these; None if there are none."""
    memory: dict[Any, Any] = field(default_factory=dict, init=False)
    """What was last learned from a part of them, by that part; see ``kriging.missed_nearby``."""

    def nearest(self, settings: Settings, n: int = NEAREST) -> "TrainingRows":
        """The rows nearest to one point ``(d,)`` of the box, in their order."""
        return self if len(self.settings) <= n else self._part(self.places(settings, n))

    def like(self, target: Readings, n: int = NEAREST) -> "TrainingRows":
        """The rows that read most like a target ``(p,)`` less its background, in their order; NaN where it is free."""
        if len(self.settings) <= n:
            return self
        fixed = np.isfinite(target)
        span = np.ptp(self.readings[:, fixed], axis=0)
        off = (((self.readings[:, fixed] - target[fixed]) / np.where(span > 0, span, 1.0)) ** 2).sum(axis=1)
        return self._part(np.sort(np.argsort(off, kind="stable")[:n]))

    def _part(self, near: NDArray[np.intp]) -> "TrainingRows":
        """The rows of these numbers."""
        drift = self.drift if self.drift.ndim == 1 else self.drift[near]
        present = self.present and replace(self.present, shared=self.present.shared[near])
        shared = self.shared
        return TrainingRows(
            self.settings[near],
            self.readings[near],
            self.noise,
            drift,
            lambda at: shared(near[at]),
            present,
            self.stretch,
            self.earlier,
        )

    def thinned(self, n: int = NEAREST) -> "TrainingRows":
        """So many of the rows at most, evenly from the first to the last."""
        if len(self.settings) <= n:
            return self
        return self._part(np.linspace(0, len(self.settings) - 1, n).round().astype(int))

    def missing(self, predict: Forward) -> Readings:
        """Readings less what a forward model predicts, ``(n, p)``, those of an earlier campaign first."""
        own = self.readings - predict(self.settings) if len(self.settings) else self.readings
        return own if self.earlier is None else np.vstack((self.earlier.missing(predict), own))

    def places(self, settings: Settings, n: int = NEAREST) -> NDArray[np.intp]:
        """Numbers of the rows nearest to one point ``(d,)`` of the box, in their order."""
        distance = cdist(settings[None], self.settings)[0]
        return np.sort(np.argsort(distance, kind="stable")[:n])


@dataclass(frozen=True, eq=False)
class PresentBackground:
    """The error of the background of this moment, which it shares with the rows since the last reference."""

    variance: Readings
    """Shape ``(p,)``."""
    shared: Readings
    """Its covariance with the error of each row, ``(n, p)``."""


@dataclass(frozen=True, eq=False)
class EarlierRows:
    """Rows of another campaign, whose response is this one's but for gains that are off by nobody knows how much."""

    settings: Settings
    """In the unit box, ``(m, d)``."""
    readings: Readings
    """Background subtracted, ``(m, p)``; NaN where a channel was not read."""
    errors: NDArray[np.float64]
    """Covariance of what is off about them, gains included, ``(p, m, m)``."""
    slopes: Readings
    """Standard deviation of the slopes of any response over the box, before anything is known of it, ``(p,)``."""

    def missing(self, predict: Forward) -> Readings:
        """Readings less what a forward model predicts, ``(m, p)``."""
        return self.readings - predict(self.settings)


def unshared(at: NDArray[np.intp]) -> NDArray[np.float64]:
    """The covariance between rows whose backgrounds are known well, or one by one: none."""
    return np.zeros((len(at), len(at)))
