"""What draws give when they are simulated again: how far off the target, how often near enough, how often outside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Resimulation:
    """Squared errors of draws, a mean over channels; of draws within the box that have a reading."""

    mean: float
    median: float
    q95: float
    """What 95 % of the draws stay below."""
    on_target: float
    """Share of all draws that are within the tolerance in every channel, and within the box."""
    out_of_box: float
    """Share of all draws."""


def resimulation(readings: Readings, targets: Readings, inside: NDArray[np.bool_], tolerance: Array) -> Resimulation:
    """Judge draws of many targets by their readings.

    Args:
        readings: True ones, ``(n, m, p)`` for ``n`` draws of each of ``m`` targets; NaN where there is none.
        targets: Shape ``(m, p)``, no channel free.
        inside: Which draws are within the box, ``(n, m)``.
        tolerance: Of each channel, ``(p,)``.

    Raises:
        InvalidInput: for shapes that do not match.

    >>> draws = np.array([[[1.0]], [[3.0]], [[9.0]]])
    >>> found = resimulation(draws, np.array([[1.0]]), np.array([[True], [True], [False]]), np.array([0.1]))
    >>> found.mean, round(found.on_target, 2), round(found.out_of_box, 2)
    (2.0, 0.33, 0.33)
    """
    if readings.shape[1:] != targets.shape or inside.shape != readings.shape[:2]:
        raise InvalidInput(
            f"readings (n, m, p) of targets (m, p) and inside (n, m) are needed, got {readings.shape}, {targets.shape} "
            f"and {inside.shape}"
        )
    off = readings - targets
    counted = inside & np.isfinite(off).all(axis=2)
    near = counted & (np.abs(off) <= tolerance).all(axis=2)
    squares = (off[counted] ** 2).mean(axis=1)
    mean, median, q95 = (
        (float(squares.mean()), float(np.median(squares)), float(np.quantile(squares, 0.95)))
        if squares.size
        else (np.inf, np.inf, np.inf)
    )
    return Resimulation(mean, median, q95, float(near.mean()), float(1 - inside.mean()))
