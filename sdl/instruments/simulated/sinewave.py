"""A benchmark of inverse problems: two knobs, one reading, and nine separate curves of settings for most targets."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sdl.instruments.simulated.base import Simulated
from sdl.space import Knob, Readings, Settings

RIDGES = np.array([[-1 / 2, 1 / 6, 5 / 6], [-2 / 3, 0, 2 / 3]])
"""Where the sine of x1, and the cosine of x2, are highest."""


class Sinewave(Simulated):
    """``y = sin(3 pi x1) + cos(3 pi x2)``, settings uniform in the box.

    References:
        Zhang, Bi, Fung, Accelerating inverse learning via intelligent localization with exploratory sampling, AAAI 2023

    >>> Sinewave().truth(np.array([[1 / 6, 0.0], [0.5, 1 / 3]])).round(6).tolist()
    [[2.0], [-2.0]]
    """

    NAME = "sinewave"
    KNOBS = (Knob(name="x1", low=-1, high=1), Knob(name="x2", low=-1, high=1))
    CHANNELS: ClassVar = {"y": ""}

    def truth(self, settings: Settings) -> Readings:
        """Return noise-free readings ``(n, 1)`` at settings ``(n, 2)``; see ``Simulated``."""
        x1, x2 = np.asarray(settings, float).T
        return np.asarray(np.sin(3 * np.pi * x1) + np.cos(3 * np.pi * x2))[:, None]

    def curve(self, settings: Settings) -> NDArray[np.intp]:
        """Return on which of the nine hills settings ``(n, 2)`` are, ``(n,)``; a target above 0 has a curve on each."""
        x1, x2 = np.asarray(settings, float).T
        return 3 * _nearest(x1, RIDGES[0]) + _nearest(x2, RIDGES[1])

    def prior(self, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, 2)`` as they occur; see ``Simulated``."""
        return rng.uniform(self.space.low, self.space.high, (n, 2))


def _nearest(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.asarray(np.abs(values[:, None] - places).argmin(axis=1))
