"""Gauss-Newton by the shortest steps, for many settings at once."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.space import Settings

Array: TypeAlias = NDArray[np.float64]
Look: TypeAlias = Callable[[Settings, NDArray[np.intp]], tuple[Array, Array]]
"""Settings ``(m, d)`` and the number ``(m,)`` of the start of each, to misses ``(m, p)`` and slopes ``(m, p, d)``."""
LIMIT = 0.1
"""Longest step of Gauss-Newton, as a share of the box: beyond it a slope says little."""
DAMPING = 1e-6
"""Of Gauss-Newton, as a share of the squared slopes: it keeps a step finite where readings do not move."""
SETTLED = 1e-5
"""A miss, in units of the scale, from which on nothing is gained."""
GAIN, HOPELESS = 0.99, 0.01
"""A step that leaves more than this of the miss is the last, and so is one shorter than this part of the longest."""


def gauss_newton(look: Look, at: Settings, steps: int) -> Array:
    """Move settings ``(m, d)`` in place, at most so many steps each; what they miss at the end, ``(m,)``.

    Each step is the shortest that would meet the target if the readings were linear,
    ``x -= J' (J J' + damping)^-1 r``. It is at most ``LIMIT`` long, shorter again after one that made it worse, and
    slides along walls.

    References:
        Ben-Israel (1966), doi:10.1016/0022-247X(66)90115-6
    """
    busy = np.arange(len(at))
    left, slopes = look(at, busy)
    misses, limit = np.linalg.norm(left, axis=1), np.full(len(at), LIMIT)
    for _ in range(steps):
        kept = (misses[busy] > SETTLED) & (limit[busy] > HOPELESS * LIMIT)
        busy, left, slopes = busy[kept], left[kept], slopes[kept]
        if not busy.size:
            break
        trial = np.clip(at[busy] - _shortest(at[busy], left, slopes, limit[busy]), 0.0, 1.0)
        new, bends = look(trial, busy)
        distance = np.linalg.norm(new, axis=1)
        better = distance < misses[busy]
        won, slow = busy[better], distance > GAIN * misses[busy]
        at[won], misses[won] = trial[better], distance[better]
        left[better], slopes[better] = new[better], bends[better]
        limit[busy] = np.where(better, np.where(slow, 0.0, np.minimum(2 * limit[busy], LIMIT)), limit[busy] / 4)
    return np.asarray(misses)


def _shortest(at: Settings, left: Array, slopes: Array, limit: Array) -> Settings:
    """Damped steps of least length ``(m, d)``; a knob that would leave the box stays, and the others do its part."""
    step = _solved(left, slopes)
    held = ((at <= 0) & (step > 0)) | ((at >= 1) & (step < 0))
    if (again := held.any(axis=1)).any():
        step[again] = _solved(left[again], np.where(held[again][:, None], 0.0, slopes[again]))
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, limit[:, None] / np.maximum(length, _TINY)))


def _solved(left: Array, slopes: Array) -> Settings:
    square = slopes @ slopes.mT
    p = square.shape[1]
    damping = DAMPING * np.trace(square, axis1=1, axis2=2) / p + _TINY
    return np.asarray(
        (slopes.mT @ np.linalg.solve(square + damping[:, None, None] * np.eye(p), left[..., None]))[..., 0]
    )


_TINY = 1e-12
