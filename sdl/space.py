"""Knobs and channels: the only converter between names and columns; and what readings are wanted to be."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import count_decimals, format_number, format_value, format_with_margin

Settings: TypeAlias = NDArray[np.float64]
"""What we choose: ``(d,)`` for one, ``(n, d)`` for many."""
Readings: TypeAlias = NDArray[np.float64]
"""What the sensor returns: ``(p,)`` or ``(n, p)``; NaN where a channel is masked or free."""


SAME = 1e-6
"""Settings that differ by less, as a share of a knob's range, are the same."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Quantity(_Value):
    """What has a name and a unit."""

    name: str = Field(min_length=1)
    unit: str = ""

    @property
    def heading(self) -> str:
        """The name with the unit, as it stands above a column."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


class Knob(Quantity):
    """One setting of the instrument."""

    low: float = 0.0
    high: float = 1.0
    off: float | None = None
    """Where the knob stands in a reference reading; ``low`` by default."""
    resolution: float | None = Field(default=None, gt=0)
    """Step in which the instrument applies it, from ``low`` on; None if it applies any value."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"knob {self.name!r} needs low < high, got low={self.low}, high={self.high}")
        if self.high - self.low > sys.float_info.max:
            raise ValueError(f"knob {self.name!r} needs a narrower range than {self.low} to {self.high}")
        if self.off is not None and not self.low <= self.off <= self.high:
            raise ValueError(f"knob {self.name!r} needs off within {self.low} to {self.high}, got {self.off}")
        return self


class Channel(Quantity):
    """One reading of the instrument."""

    unit: str = "counts"
    floor: float | None = 0.0
    """Least value that the sensor can return; anything below it is not a reading."""
    ceiling: float | None = None
    """Value at which the sensor saturates: a reading there says "at least"."""
    noise: float | None = None
    """Known standard deviation of one reading in the middle of the range, same unit; None if unknown."""
    integral: bool = True
    """Whether the sensor counts: a fractional reading is then a fault."""


class StatedChannel(Channel):
    """A channel as a file states it: any number, unless the file says otherwise."""

    unit: str = ""
    floor: float | None = None
    integral: bool = False


class Space(_Value):
    """The knobs and channels of an instrument, in the order of the columns."""

    knobs: tuple[Knob, ...] = Field(min_length=1)
    channels: tuple[Channel, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for kind, names in (("knob", self.knob_names), ("channel", self.channel_names)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"every {kind} needs a name of its own, found twice: {', '.join(twice)}")
        return self

    @classmethod
    def unit(cls, *knobs: str, channels: Iterable[str] = ("y",)) -> Self:
        """Make a space of knobs from 0 to 1, for examples and tests."""
        return cls(
            knobs=tuple(Knob(name=name) for name in knobs),
            channels=tuple(Channel(name=name, floor=None, integral=False) for name in channels),
        )

    @property
    def knob_names(self) -> tuple[str, ...]:
        """Names of the knobs, in the order of the columns."""
        return tuple(knob.name for knob in self.knobs)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the columns."""
        return tuple(channel.name for channel in self.channels)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Knobs and channels, as they stand beside each other in a table."""
        return (*self.knobs, *self.channels)

    @property
    def d(self) -> int:
        """Number of knobs."""
        return len(self.knobs)

    @property
    def p(self) -> int:
        """Number of channels."""
        return len(self.channels)

    @property
    def low(self) -> Settings:
        """Lower bounds, ``(d,)``."""
        return np.array([knob.low for knob in self.knobs])

    @property
    def high(self) -> Settings:
        """Upper bounds, ``(d,)``."""
        return np.array([knob.high for knob in self.knobs])

    @property
    def off(self) -> Settings:
        """The settings of a reference reading, ``(d,)``."""
        return np.array([knob.low if knob.off is None else knob.off for knob in self.knobs])

    @property
    def ceiling(self) -> Readings:
        """Saturation of every channel, ``(p,)``, infinite where there is none."""
        return np.array([np.inf if c.ceiling is None else c.ceiling for c in self.channels])

    @property
    def noise(self) -> Readings:
        """Known noise of every channel, ``(p,)``, NaN where unknown."""
        return np.array([np.nan if c.noise is None else c.noise for c in self.channels])

    def reachable(self, settings: Settings) -> Settings:
        """Return the nearest settings ``(..., d)`` within the bounds that the instrument can apply."""
        steps = np.array([0.0 if knob.resolution is None else knob.resolution for knob in self.knobs])
        if not steps.any():
            return settings
        whole = np.where(steps > 0, steps, 1.0)
        nearest_ = np.clip(self.low + np.rint((settings - self.low) / whole) * whole, self.low, self.high)
        return np.where(steps > 0, nearest_, settings)

    def to_unit(self, settings: ArrayLike) -> Settings:
        """Scale settings ``(..., d)`` to the unit box."""
        return (np.asarray(settings, float) - self.low) / (self.high - self.low)

    def from_unit(self, unit: ArrayLike) -> Settings:
        """Scale points ``(..., d)`` of the unit box to settings that the instrument can apply.

        A point of the box never leaves the bounds, whatever rounding does: 0.15 + (0.45 - 0.15) is above 0.45.
        """
        points = np.asarray(unit, float)
        settings = self.low + points * (self.high - self.low)
        inside = (points >= 0) & (points <= 1)
        return self.reachable(np.where(inside, np.clip(settings, self.low, self.high), settings))

    def contains(self, settings: ArrayLike) -> NDArray[np.bool_]:
        """Return whether settings ``(..., d)`` are finite and within the bounds, ``(...)``."""
        values = np.asarray(settings, float)
        return np.asarray(np.all((values >= self.low) & (values <= self.high), axis=-1))

    def at_off(self, settings: ArrayLike) -> NDArray[np.bool_]:
        """Return whether settings ``(..., d)`` are those of a reference reading, ``(...)``, rounding apart."""
        apart = np.abs(np.asarray(settings, float) - self.off)
        return np.asarray(np.all(apart <= SAME * (self.high - self.low), axis=-1))

    def settings(self, named: Mapping[str, Any]) -> Settings:
        """Put named settings that the instrument can apply in the order of the columns, ``(d,)``.

        Raises:
            InvalidInput: listing every missing, unknown, non-finite or out-of-range knob.
        """
        faults = [
            f"unknown knob {name!r}{suggest_nearest(name, self.knob_names)}"
            for name in named
            if name not in self.knob_names
        ]
        for knob in self.knobs:
            if knob.name not in named:
                faults.append(f"knob {knob.name!r} is missing: give a value from {knob.low} to {knob.high}")
            elif not is_number(value := named[knob.name]) or not knob.low <= value <= knob.high:
                faults.append(
                    f"knob {knob.name!r} needs a number from {knob.low} to {knob.high}, got {format_value(value)}"
                )
        if faults:
            raise InvalidInput(faults)
        return self.reachable(np.array([float(named[name]) for name in self.knob_names]))

    def named_settings(self, settings: ArrayLike) -> dict[str, float]:
        """Name one row of settings ``(d,)``."""
        return dict(zip(self.knob_names, np.asarray(settings, float).tolist(), strict=True))

    def readings(self, named: Mapping[str, float | None]) -> Readings:
        """Put named readings in the order of the columns, ``(p,)``; a channel that is absent or None becomes NaN.

        Raises:
            InvalidInput: for a channel that this space does not have.
        """
        self.columns(named)
        values = (named.get(name) for name in self.channel_names)
        return np.array([np.nan if value is None else float(value) for value in values])

    def named_readings(self, readings: ArrayLike) -> dict[str, float]:
        """Name one row of readings ``(p,)``, leaving out those that are NaN."""
        row = np.asarray(readings, float).tolist()
        return {name: value for name, value in zip(self.channel_names, row, strict=True) if value == value}

    def columns(self, names: Iterable[str]) -> list[int]:
        """Return the columns of the named channels.

        Raises:
            InvalidInput: for every channel that this space does not have, with the nearest one.
        """
        channels, names = self.channel_names, list(names)
        unknown = [name for name in names if name not in channels]
        if unknown:
            raise InvalidInput(f"unknown channel {name!r}{suggest_nearest(name, channels)}" for name in unknown)
        return [channels.index(name) for name in names]


def is_number(value: object) -> bool:
    """Return whether a value of any kind is a finite number, and no larger than a float can be."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


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
        if not 0 < scale < math.inf:
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
        """What counts as one of each channel: its tolerance, or a noise ``(p,)`` where there is one bound."""
        return np.where(self.one_sided, noise, self.half)

    def room(self, readings: Readings) -> Readings:
        """How far readings ``(..., p)`` lie inside the nearer bound; negative outside."""
        off = readings - self.wanted
        return np.fmin(off + self.below, self.above - off)  # a reading may be infinite, at its ceiling

    def nearer_bound(self, readings: Readings) -> Readings:
        """The bound of each channel that readings ``(p,)`` lie nearer to."""
        off = readings - self.wanted
        return np.where(off + self.below < self.above - off, self.wanted - self.below, self.wanted + self.above)

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
