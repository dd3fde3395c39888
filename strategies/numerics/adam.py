"""Gradient descent by Adam, for many settings at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sdl.space import Settings

MEAN, SQUARE = 0.9, 0.99


def adam(
    gradient: Callable[[Settings], NDArray[np.float64]],
    starts: Settings,
    steps: int,
    rate: float,
    within: Callable[[Settings], Settings] = lambda settings: settings,
) -> Settings:
    """Where settings ``(m, d)`` end; the rate falls over the second half, or they would never come to rest.

    Args:
        gradient: Of what is to become small, ``(m, d)``; each row goes its own way.
        starts: Settings to begin with.
        steps: Of the descent.
        rate: Length of a step in each direction, at first.
        within: Brings settings back to where they are allowed.

    References:
        Kingma, Ba (2015), arXiv:1412.6980
    """
    at, mean, square = starts.copy(), np.zeros_like(starts), np.zeros_like(starts)
    for step in range(1, steps + 1):
        slope = gradient(at)
        mean, square = MEAN * mean + (1 - MEAN) * slope, SQUARE * square + (1 - SQUARE) * slope**2
        size = rate * min(1.0, 2 * (1 - step / (steps + 1)))
        move = (mean / (1 - MEAN**step)) / (np.sqrt(square / (1 - SQUARE**step)) + _TINY)
        at = within(at - size * move)
    return at


_TINY = 1e-12
