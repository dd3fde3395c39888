"""Knobs that follow from the others in every row: amounts that add up to a whole, two that go together, one held still.

Rows say nothing of what such a knob does by itself, so models see the free ones alone, and every answer keeps the rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Settings, Space

EXACT, ROUNDED = 1e-6, 5e-3
"""Largest departure from a rule, with few rows to spare and with ``SPARE`` of them: as a share of the knob's range, or
of the whole where amounts add up to one."""
SPARE = 3
WHOLE = 1e-2
"""How near to -1 a slope must be for an amount of a sum."""
COARSE = 0.1
"""Share of a knob's range that the rounding of a sum may make up; beyond it a sum is hardly a rule."""
NEARLY = 0.8
"""Share of the rows that must keep a sum for the others to be worth a note."""
MOST = 8
"""Knobs among which sums that only most rows keep are looked for."""


@dataclass(frozen=True, eq=False)
class TiedKnobs:
    """Which knobs are free, and how the others follow from them."""

    every: Space
    """All knobs."""
    free: tuple[int, ...]
    """Columns of those that are free, ``d`` of them."""
    slopes: NDArray[np.float64]
    """How each knob follows from the free ones, in units of both, ``(all, d)``."""
    constant: Settings
    """What is added, ``(all,)``."""
    notes: Sequence[str]
    """The rules in sentences."""

    @classmethod
    def find(cls, space: Space, settings: Settings) -> Self:
        """Find the rules that settings ``(n, all)`` keep without exception, going from knob to knob.

        Raises:
            InvalidInput: a knob has names, which keep no rule of numbers, or no knob was ever moved.
        """
        if named := [knob.name for knob in space.knobs if knob.names]:
            words = " and ".join(f"--knob {name}=NAME" for name in named)
            raise InvalidInput(
                f"{', '.join(named)}: settings are found here for numbers alone: say whose rows count, as {words}"
            )
        rows, free = np.unique(settings, axis=0), list[int]()
        slopes, constant, notes = np.zeros((space.d, 0)), np.zeros(space.d), list[str]()
        for column in range(space.d):
            rule = _rule(rows, free, column)
            if rule is None:
                free.append(column)
                slopes = np.column_stack((slopes, np.arange(space.d) == column))
            else:
                slopes[column], constant[column] = rule
                notes += _sentences(space, free, column, *rule)
        if not free:
            which = (
                "there is one row alone" if len(settings) == 1 else f"all {len(settings)} rows have the same settings"
            )
            raise InvalidInput(f"{which}: measure at others")
        if len(free) <= MOST:
            notes += _nearly(space, rows, free)
        return cls(space, tuple(free), slopes, constant, notes)

    @cached_property
    def space(self) -> Space:
        """The free knobs, each on a linear scale, and all channels; constraints are those of all knobs together."""
        knobs = (self.every.knobs[column].model_copy(update={"scale": "linear"}) for column in self.free)
        return Space(knobs=tuple(knobs), channels=self.every.channels)

    def whole(self, settings: Settings) -> Settings:
        """All knobs ``(..., all)`` at settings of the free ones ``(..., d)``, both in the units of the knobs."""
        values = settings @ self.slopes.T + self.constant
        values[..., self.free] = settings  # to the last digit
        inside = np.clip(values, self.every.low, self.every.high)
        return np.asarray(np.where(np.abs(values - inside) <= self._rounding, inside, values))

    def spread(self, deviation: Settings) -> Settings:
        """Standard deviation of all knobs ``(all,)`` for that of the free ones ``(d,)``, taken for independent."""
        return np.asarray(np.sqrt(self.slopes**2 @ deviation**2))

    def allow(self, settings: Settings) -> NDArray[np.bool_]:
        """Whether the knobs that follow stay within their bounds, at settings of the free ones ``(n, d)``, ``(n,)``.

        And whether all knobs together keep what the space asks of them.
        """
        tied, whole = [column for column in range(self.every.d) if column not in self.free], self.whole(settings)
        values, low, high = whole[:, tied], self.every.low[tied], self.every.high[tied]
        inside = np.asarray(((values >= low) & (values <= high)).all(axis=1))
        return inside if self.every.plain else inside & self.every.contains(whole)

    @property
    def _rounding(self) -> Settings:
        """By how much a knob that follows may leave its bounds, to be set on them."""
        return EXACT * (self.every.high - self.every.low)


def _rule(rows: Settings, free: Sequence[int], column: int) -> tuple[NDArray[np.float64], float] | None:
    """Slopes ``(d,)`` and constant by which a knob follows from those that are free so far; None if it does not."""
    inputs, values = np.column_stack((rows[:, list(free)], np.ones(len(rows)))), rows[:, column]
    width = float(np.ptp(values))
    spare = len(rows) - inputs.shape[1]
    if not width:
        return np.zeros(len(free)), float(values[0])
    if spare < 1:
        return None
    scale = width
    size = np.append(np.ptp(rows[:, list(free)], axis=0), 1.0)
    found = np.linalg.lstsq(inputs / size, values)[0] / size
    slopes, constant = found[:-1], float(found[-1])
    summed = np.where(np.abs(slopes) < 0.5, 0.0, -1.0)
    rest = values - inputs[:, :-1] @ summed
    rounding = 2 * _rounding(np.column_stack((values, inputs[:, :-1][:, summed != 0])))
    written_so = spare >= SPARE and np.ptp(rest) <= (1 + EXACT) * rounding <= COARSE * width
    if summed.any() and (written_so or np.abs(slopes - summed).max() <= WHOLE):
        slopes, constant = summed, _roundest(float(rest.min()), float(rest.max()))
        if written_so:
            return slopes, constant
        scale = max(width, abs(constant))  # every amount of the sum was rounded, so they all depart together
    allowed = scale * (ROUNDED if spare >= SPARE else EXACT)
    if np.abs(values - inputs[:, :-1] @ slopes - constant).max() > allowed:
        return None
    return slopes, constant


def _rounding(columns: NDArray[np.float64]) -> float:
    """By how much a sum of columns ``(n, m)`` may be off for the digits that they were written to; 0 for all digits."""
    slack = EXACT * EXACT * np.abs(columns).max(axis=0, initial=0.0)
    written = (np.abs(np.round(columns, digits) - columns).max(axis=0, initial=0.0) <= slack for digits in range(7))
    units = [np.where(so, 0.5 * 10.0**-digits, 0.0) for digits, so in enumerate(written)]
    return float(np.max(units, axis=0).sum())


def _nearly(space: Space, rows: Settings, free: Sequence[int]) -> list[str]:
    """The sum that most rows ``(n, all)`` keep and some do not, as a sentence: of most knobs, if there are several."""
    for size in range(len(free), 1, -1):
        for some in combinations(free, size):
            amounts = rows[:, list(some)]
            sums, unit = amounts.sum(axis=1), _rounding(amounts)
            kept = np.abs(sums - np.median(sums)) <= max(2 * unit, EXACT * float(np.abs(sums).max()))
            if not NEARLY * len(rows) <= kept.sum() < len(rows):
                continue
            moved = np.ptp(amounts[kept], axis=0)
            if (moved >= np.maximum(COARSE * np.ptp(amounts, axis=0), unit / COARSE)).all():
                names = ", ".join(space.knob_names[column] for column in some)
                total = _roundest(float(sums[kept].min()), float(sums[kept].max()))
                few = f"{len(rows) - kept.sum()} of {len(rows)} different settings"
                return [f"{names} add up to {total:.6g}, but not in {few}: no answer needs to keep that; see to these"]
    return []


def _roundest(low: float, high: float) -> float:
    """The number of fewest digits between two: what people weigh out to a hundred adds up to 99.9 or 100.1."""
    middle, slack = (low + high) / 2, EXACT * EXACT * max(abs(low), abs(high))
    rounded = (float(f"{middle:.{digits}g}") for digits in range(1, 16))
    return next((value for value in rounded if low - slack <= value <= high + slack), middle)


def _sentences(
    space: Space, free: Sequence[int], column: int, slopes: NDArray[np.float64], constant: float
) -> list[str]:
    name, names = space.knob_names[column], [space.knob_names[each] for each in free]
    with_it = [each for each, slope in zip(names, slopes, strict=True) if slope]
    if not with_it:
        held = f"every answer keeps {name} at {constant:.6g}"
        return [f"{name} never moved, so nothing is known of what it does", held]
    if set(slopes) <= {0.0, -1.0}:
        return [f"{', '.join([*with_it, name])} add up to {constant:.6g} in every row, so they do in every answer"]
    return [f"{name} goes with {', '.join(with_it)} in every row, so it does in every answer"]
