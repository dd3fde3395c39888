"""The lowest place of a smooth function in a box, from a start where its curvature is nearly known.

Broyden, Fletcher, Goldfarb and Shanno, which with a good first curvature needs half a dozen evaluations; a library's
descent spends as long on itself as on functions that take fifty microseconds.

References:
    Nocedal, Wright (2006), Numerical Optimization, chapter 6
"""

from collections.abc import Callable

import numpy as np

from strategies.posterior.covariance import Matrix

STEPS = 40
TRIES = 12
SETTLED = 1e-5
"""Part of the value by which a step must lower it, to be followed by another."""
FARTHEST = 2.0
"""Longest step along one axis."""
ENOUGH = 1e-4
"""Part of the fall that the slope promises."""


def lowest(
    value: Callable[[Matrix], tuple[float, Matrix]], start: Matrix, box: tuple[Matrix, Matrix], inverse: Matrix
) -> Matrix:
    """The place ``(k,)`` where a function is lowest, as far as a descent from the start finds it.

    Args:
        value: The function and its gradient ``(k,)`` at a place.
        start: Where to begin, ``(k,)``.
        box: Least and largest of each axis, ``(k,)`` each.
        inverse: Inverse of the curvature at the start, roughly, ``(k, k)``; positive definite.
    """
    low, high = box
    at = np.clip(start, low, high)
    here, slope = value(at)
    for _ in range(STEPS):
        free = ~(((at <= low) & (slope > 0)) | ((at >= high) & (slope < 0)))
        step = -(inverse @ (slope * free)) * free
        fall = float(step @ slope)
        if not fall < 0:
            return at
        part = min(1.0, FARTHEST / float(np.abs(step).max()))
        for _ in range(TRIES):
            there = np.clip(at + part * step, low, high)
            found, after = value(there)
            if found <= here + ENOUGH * part * fall:
                break
            # Where the parabola through both values and the slope is lowest.
            part *= float(np.clip(-part * fall / (2 * (found - here - part * fall)), 0.1, 0.5))
        else:
            return at
        moved, turned, gained = there - at, after - slope, here - found
        at, here, slope = there, found, after
        if gained <= SETTLED * max(abs(here), 1.0):
            return at
        along = float(moved @ turned)
        if along > 1e-10 * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
            bent = inverse @ turned
            inverse = inverse + np.outer(moved, moved) * ((along + turned @ bent) / along**2)
            inverse -= (np.outer(bent, moved) + np.outer(moved, bent)) / along
    return at
