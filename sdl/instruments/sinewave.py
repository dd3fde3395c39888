"""A benchmark of inverse problems: two knobs, one reading, and nine separate curves of settings for most targets."""

from typing import ClassVar

import numpy as np

from sdl.instruments.simulated import Simulated
from sdl.space import Knob, Readings, Settings


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
        x1, x2 = np.asarray(settings, float).T
        return np.asarray(np.sin(3 * np.pi * x1) + np.cos(3 * np.pi * x2))[:, None]

    def prior(self, n: int, rng: np.random.Generator) -> Settings:
        return rng.uniform(self.space.low, self.space.high, (n, 2))
