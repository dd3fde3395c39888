"""The noise of one reading: as the instrument states it, or as repeated readings show it."""

from collections.abc import Sequence

import numpy as np

from sdl.space import Readings, Settings, Space

FEWEST_REPEATS = 2
"""Repeated readings, beyond the first of each setting, from which on they tell the noise."""


def stated_or_repeated(space: Space, columns: Sequence[int], repeated: Readings) -> Readings:
    """Noise of one reading, ``(p,)``: as stated, else what repeats show, else 0."""
    stated = space.noise[list(columns)]
    return np.nan_to_num(np.where(np.isnan(stated), repeated, stated))


def repeated_noise(settings: Settings, readings: Readings) -> Readings:
    """Standard deviation of readings at one setting, ``(p,)``: their noise, without what a model misses."""
    _, place, times = np.unique(settings, axis=0, return_inverse=True, return_counts=True)
    if (freedom := len(settings) - len(times)) < FEWEST_REPEATS:
        return np.full(readings.shape[1], np.nan)
    at = np.eye(len(times))[place]
    means = (at / times).T @ readings
    return np.asarray(np.sqrt(((readings - at @ means) ** 2).sum(axis=0) / freedom))
