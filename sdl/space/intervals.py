"""Where readings are wanted to lie: about a value, between two, or on one side of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sdl.formatting import count_decimals, format_number, format_with_margin
from sdl.space.space import Readings


class Interval(NamedTuple):
    """Where the true reading of a channel is wanted to lie: about a value, or on one side of it.

    >>> str(Interval.about(16384, 164)), str(Interval.at_least(12000)), Interval.at_most(9).holds(9.5)
    ('16384 ± 164', 'at least 12000', False)
    """

    wanted: float
    """The reading that is wanted, in the middle of the interval, or its only bound."""
    below: float
    """How far below that it may lie: infinite where it may lie anywhere below."""
    above: float
    """How far above."""

    @classmethod
    def about(cls, wanted: float, tolerance: float) -> Self:
        """A value, give or take a tolerance."""
        return cls(wanted, tolerance, tolerance)

    @classmethod
    def at_least(cls, bound: float) -> Self:
        """Anything from a bound on."""
        return cls(bound, 0.0, math.inf)

    @classmethod
    def at_most(cls, bound: float) -> Self:
        """Anything up to a bound."""
        return cls(bound, math.inf, 0.0)

    @classmethod
    def largest(cls, allowance: float) -> Self:
        """As much as any settings give, less an allowance: a bound that nobody knows yet."""
        return cls(math.inf, allowance, math.inf)

    @classmethod
    def smallest(cls, allowance: float) -> Self:
        """As little as any settings give, and an allowance more."""
        return cls(-math.inf, math.inf, allowance)

    @property
    def extreme(self) -> bool:
        """Whether it is as much or as little as possible."""
        return math.isinf(self.wanted)

    @property
    def low(self) -> float:
        """The least reading in it; minus infinity where there is none."""
        return self.wanted - self.below

    @property
    def high(self) -> float:
        """The largest reading in it; infinite where there is none."""
        return self.wanted + self.above

    @property
    def one_sided(self) -> bool:
        """Whether it has one bound alone."""
        return math.isinf(self.below + self.above)

    def holds(self, reading: float) -> bool:
        """Return whether a reading lies in it."""
        return self.low <= reading <= self.high

    def missed(self, reading: float) -> float:
        """Return how far a reading is above the wanted one, or below; where there is one bound, how far beyond it."""
        off = reading - self.wanted
        return off if not self.one_sided else min(off, 0.0) if math.isinf(self.above) else max(off, 0.0)

    def compare(self, name: str, reading: float, margin: float = math.nan) -> str:
        """Say what was read, give or take a margin where it is known, and what is wanted.

        To two digits of the tolerance, or of the margin where there is one bound.

        >>> Interval.about(1.5, 0.01).compare("reach", 1.4987, 0.0031), Interval.about(1.2, 0.05).compare("y", 1.234567)
        ('reach 1.499 ± 0.003 for 1.500 ± 0.010', 'y 1.235 for 1.200 ± 0.050')
        >>> Interval.at_least(12000).compare("515nm", 12543.2, 43.1), Interval.at_most(9).compare("G", 9.51)
        ('515nm 12543 ± 43 for at least 12000', 'G 9.51 for at most 9')
        """
        if math.isinf(reading):
            return f"{name} at its ceiling"
        scale = margin if self.one_sided else self.above
        if self.extreme or not 0 < scale < math.inf:
            return f"{name} {format_number(reading)} for {self}"
        digits, known = count_decimals(scale), not math.isnan(margin)
        read, wanted = f"{reading:.{digits}f}", f"{self.wanted:.{digits}f}"
        read += f" ± {margin:.{digits}f}" if known else ""
        return f"{name} {read} for " + (
            f"at {self.side} {wanted}" if self.one_sided else f"{wanted} ± {self.above:.{digits}f}"
        )

    @property
    def side(self) -> str:
        """Which bound there is, of one alone: the ``least`` reading or the ``most``."""
        return "least" if math.isinf(self.above) else "most"

    def __str__(self) -> str:
        if not self.one_sided:
            return format_with_margin(self.wanted, self.above)
        if self.extreme:
            which, allowance = ("largest", self.below) if self.wanted > 0 else ("smallest", self.above)
            return f"the {which} possible, to within {format_number(allowance)}"
        return f"at {self.side} {format_number(self.wanted)}"


@dataclass(frozen=True, eq=False)
class Window:
    """An interval for each channel; every array is ``(p,)``, with NaN where a channel is free."""

    wanted: Readings
    """As those of ``Interval``."""
    below: Readings
    above: Readings

    @classmethod
    def about(cls, wanted: Readings, tolerance: Readings) -> Self:
        """Readings, give or take a tolerance."""
        return cls(wanted, tolerance, tolerance)

    @classmethod
    def of(cls, intervals: Sequence[Interval]) -> Self:
        """The intervals of some channels, in their order."""
        wanted, below, above = np.array(intervals, float).reshape(-1, 3).T
        return cls(wanted, below, above)

    def at(self, columns: Sequence[int]) -> "Window":
        """Those of some of the channels, ``(columns,)``."""
        return Window(self.wanted[columns], self.below[columns], self.above[columns])

    def less(self, background: Readings) -> "Window":
        """The same for readings from which a background ``(p,)`` was subtracted."""
        return Window(self.wanted - background, self.below, self.above)

    def __getitem__(self, column: int) -> Interval:
        return Interval(float(self.wanted[column]), float(self.below[column]), float(self.above[column]))

    def __len__(self) -> int:
        return len(self.wanted)

    @cached_property
    def fixed(self) -> list[int]:
        """Channels that are not free."""
        return np.flatnonzero(np.isfinite(self.wanted)).tolist()

    @cached_property
    def half(self) -> Readings:
        """Half of their widths: the tolerance about the reading wanted; infinite where there is one bound."""
        return (self.below + self.above) / 2

    @cached_property
    def one_sided(self) -> NDArray[np.bool_]:
        """Which channels have one bound alone."""
        return np.isinf(self.half)

    @property
    def sides(self) -> int:
        """How many bounds there are: claims that a reading lies beyond one."""
        return int(np.isfinite(self.below).sum() + np.isfinite(self.above).sum())

    def unit(self, noise: Readings) -> Readings:
        """What counts as one of each channel: its tolerance, or a noise ``(p,)`` where there is one bound; above 0."""
        least = np.finfo(float).eps * np.abs(self.wanted)  # no number of that size shows a smaller noise
        beside = np.maximum(noise, least)
        return np.where(self.one_sided, np.where(beside > 0, beside, 1.0), self.half)

    def room(self, readings: Readings) -> Readings:
        """How far readings ``(..., p)`` lie inside the nearer bound; negative outside."""
        off = readings - self.wanted
        return np.fmin(off + self.below, self.above - off)  # a reading may be infinite, at its ceiling

    def nearer_bound(self, readings: Readings) -> Readings:
        """The bound of each channel that readings ``(p,)`` lie nearer to."""
        lower = readings - self.wanted < (self.above - self.below) / 2
        return np.where(lower, self.wanted - self.below, self.wanted + self.above)

    def off(self, readings: Readings, unit: Readings) -> Readings:
        """How far readings ``(..., p)`` are off in a unit ``(p,)``: 1 at a bound, more outside.

        That is 0 at the reading wanted, in tolerances; well within a single bound it is below 0.
        """
        return np.asarray(1 - self.room(readings) / unit)

    def missed(self, readings: Readings) -> Readings:
        """Readings ``(..., p)`` less those wanted; where there is one bound only what lies beyond it, else 0."""
        off = readings - self.wanted
        return np.where(self.one_sided, np.clip(off, -self.above, self.below), off)

    def holds(self, readings: Readings) -> NDArray[np.bool_]:
        """Which readings ``(..., p)`` lie in their intervals in every channel that is not free, ``(...)``."""
        return np.asarray((self.room(readings)[..., self.fixed] >= 0).all(axis=-1))

    def aim(self, readings: Readings, unit: Readings) -> Readings:
        """One reading ``(p,)`` to ask for, of whoever cannot ask for a side.

        It is the one wanted; on one side what was read where all channels together are farthest inside, or the bound.

        Args:
            readings: Measured, ``(n, p)``.
            unit: Of each channel, ``(p,)``.
        """
        if not self.one_sided.any() or not len(readings):
            return self.wanted
        off = self.off(readings, unit)[:, self.fixed]
        best = readings[np.nan_to_num(off, nan=np.inf).max(axis=1).argmin()]
        return np.where(self.one_sided, np.clip(best, self.wanted - self.below, self.wanted + self.above), self.wanted)
