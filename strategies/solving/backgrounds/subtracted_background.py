"""The background of rows that somebody else measured: given, read off the rows with all knobs off, or extrapolated.

Only an instrument that states where its knobs are off has one. The lowest corner of a synthesis is a row like others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdl.analysis.background import Background
from sdl.interchange.file_contents import name_lines
from sdl.space import SAME, Readings, Settings, Space

FAR = 8.0
"""Standard errors by which a row may be off what a plane through all others says; more is a mistake."""
MOST_FAR = 20
"""One row in so many may be such a mistake, or one in all."""
BELOW = 3.0
"""Standard errors by which an extrapolated background may lie below the least that the sensor returns."""


@dataclass(frozen=True, eq=False)
class SubtractedBackground:
    """What is taken from the readings of rows before anything learns from them."""

    lit: NDArray[np.bool_]
    """Rows to learn from, ``(n,)``."""
    levels: Readings
    """Background of each row, ``(n, c)``."""
    note: str = ""
    """Where it comes from; empty where there is none."""
    oddities: Sequence[str] = field(default_factory=tuple)
    """What a person should look at."""
    today: Readings | None = None
    """Background in which the settings are to be used, ``(c,)``; None for that of the last row."""
    covariance: NDArray[np.float64] | None = None
    """Of its error, ``(c, c)``; None where it is taken for known."""

    @property
    def at_the_end(self) -> Readings:
        """Background in which the settings are to be used, ``(c,)``."""
        return self.levels[-1] if self.today is None else self.today


def subtract_background(
    space: Space,
    off: Settings | None,
    settings: Settings,
    readings: Readings,
    lines: NDArray[np.int_],
    given: Readings,
    floors: Readings,
) -> SubtractedBackground:
    """The background of rows.

    Args:
        space: Of the rows.
        off: Settings of a reference reading, ``(d,)``; None for an instrument that has no background.
        settings: In the order of measuring, ``(n, d)``.
        readings: Shape ``(n, c)``; NaN where a channel was not read.
        lines: Where the rows stand in their file, ``(n,)``.
        given: What a person says, ``(c,)``, or nothing, ``(0,)``.
        floors: The least that each channel can read, ``(c,)``.
    """
    n, everything = len(settings), np.ones(len(settings), bool)
    if given.size:
        return SubtractedBackground(everything, np.tile(given, (n, 1)), "the background given was subtracted")
    if off is None:
        return SubtractedBackground(everything, np.zeros_like(readings))
    unlit = np.asarray((np.abs(settings - off) <= SAME * (space.high - space.low)).all(axis=1))
    known = np.asarray(np.isfinite(readings).all(axis=1))
    if k := int((unlit & known).sum()):
        dark = unlit & known
        levels = Background(np.flatnonzero(dark), readings[dark]).at(np.arange(n))
        some = f"{k} rows" if k > 1 else "row"
        last = ", and the answers are for the last of them" if k > 1 else ""
        note = f"the background was read off the {some} with all knobs off{last}"
        return SubtractedBackground(~unlit, levels, note, _darker(readings - levels, ~unlit & known, lines))
    if known.sum() <= space.d + 1:
        note = "no row has all knobs off, so the background was taken for 0"
        return SubtractedBackground(everything, np.zeros_like(readings), note)
    inputs = np.column_stack((np.ones(n), settings - off))
    level, far, oddities = _extrapolate(inputs[known], readings[known], floors)
    note = "no row has all knobs off, so the background was extrapolated by a linear fit"
    if far.any():
        where = name_lines(lines[known][far].tolist())
        oddities.append(f"{where} read far from what the others say, and the background was extrapolated without")
    return SubtractedBackground(everything, np.tile(level, (n, 1)), note, oddities)


def _darker(net: Readings, lit: NDArray[np.bool_], lines: NDArray[np.int_]) -> list[str]:
    """Rows that read less than with all knobs off, where that is more than a hundredth of the largest reading."""
    under = lit & np.asarray((net < -0.01 * np.nan_to_num(np.abs(net)).max(axis=0)).any(axis=1))
    if not under.any():
        return []
    return [f"{name_lines(lines[under].tolist())} read less than with all knobs off; look at what was written there"]


def _extrapolate(
    inputs: NDArray[np.float64], readings: Readings, floors: Readings
) -> tuple[Readings, NDArray[np.bool_], list[str]]:
    """Level ``(c,)`` of a plane where its inputs but the first are 0, which rows were left out, and what is odd.

    A row far from what the others say would move it: leaving one out after the other (Cook, Weisberg, ISBN
    978-0-412-24280-9, on deleted residuals) finds it.
    """
    n, q = inputs.shape
    far = np.zeros(n, bool)
    for _ in range(max(n // MOST_FAR, 1)):
        kept = np.flatnonzero(~far)
        off = _deleted_residuals(inputs[kept], readings[kept])
        worst = int(off.max(axis=1).argmax())
        if len(kept) < q + 4 or off[worst].max() <= FAR:
            break
        far[kept[worst]] = True
    x, y = inputs[~far], readings[~far]
    coefficients, inverse = np.linalg.lstsq(x, y)[0], np.linalg.pinv(x.T @ x)
    error = np.sqrt(((y - x @ coefficients) ** 2).sum(axis=0) / max(len(x) - q, 1) * inverse[0, 0])
    level, below = coefficients[0], coefficients[0] < floors - BELOW * error
    said = (
        "the background came out below the least that the sensor returns, so that was taken: readings that bend, or a "
    )
    return np.maximum(level, floors), far, [f"{said}wrong row, would do that"] if below.any() else []


def _deleted_residuals(inputs: NDArray[np.float64], readings: Readings) -> NDArray[np.float64]:
    """How many standard errors each row is off a plane through all others, ``(n, c)``."""
    n, q = inputs.shape
    hat = np.einsum("nq,qn->n", inputs, np.linalg.pinv(inputs))[:, None]
    left = readings - inputs @ np.linalg.lstsq(inputs, readings)[0]
    leverage = np.maximum(1 - hat, TINY)
    without = ((left**2).sum(axis=0) - left**2 / leverage) / max(n - q - 1, 1)
    return np.asarray(np.abs(left) / np.sqrt(np.maximum(without, TINY * (left**2).mean(axis=0) + TINY**2) * leverage))


TINY = 1e-12
