"""Knobs and channels: the only converter between names and columns."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value
from sdl.space.formula import Formula, FormulaText

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
        if self.high - self.low < sys.float_info.min:  # of which a share would be no number
            raise ValueError(f"knob {self.name!r} needs a wider range than {self.low} to {self.high}")
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
    formula: FormulaText | None = Field(default=None, exclude_if=lambda formula: formula is None)
    """What it is computed from other channels by, as ``445nm / 630nm``; None where it is measured."""


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
        if faults := formula_faults(
            {name: formula.names for name, formula in self.formulas.items()}, self.channel_names
        ):
            raise ValueError("; ".join(f"{name} {fault}" for name, fault in faults.items()))
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
    def formulas(self) -> dict[str, Formula]:
        """By the names of channels that are computed, what from."""
        return {channel.name: Formula.read(channel.formula) for channel in self.channels if channel.formula is not None}

    @property
    def measured(self) -> "Space":
        """The same without channels that are computed: what an instrument, or a person, reads."""
        return Space(knobs=self.knobs, channels=tuple(c for c in self.channels if c.formula is None))

    def with_formulas(self, formulas: Mapping[str, tuple[str, str]]) -> "Space":
        """The same and channels that are computed, the last ones.

        Args:
            formulas: By the name of each, its formula and its unit.

        Raises:
            InvalidInput: for each that has the name of a knob or channel, or that cannot be computed.
        """
        taken = (*self.knob_names, *self.channel_names)
        faults = [f"{name}: a knob or channel has that name already" for name in formulas if name in taken]
        sources = {name: Formula.read(formula).names for name, (formula, _) in formulas.items()}
        wrong = formula_faults(sources, (*self.channel_names, *formulas))
        if faults := faults + [f"{name}: {fault}" for name, fault in wrong.items()]:
            raise InvalidInput(faults)
        computed = [
            Channel(name=name, unit=unit, floor=None, integral=False, formula=formula)
            for name, (formula, unit) in formulas.items()
        ]
        return Space(knobs=self.knobs, channels=(*self.channels, *computed))

    def sources(self, names: Iterable[str]) -> list[str]:
        """Return the channels that have to be measured for some to be known: each itself, or what it is computed from.

        Raises:
            InvalidInput: for every channel that this space does not have.
        """
        found = dict[str, None]()
        for name in names:
            self.columns([name])
            formula = self.formulas.get(name)
            found |= dict.fromkeys([name] if formula is None else self.sources(formula.names))
        return list(found)

    def computed(self, readings: Readings) -> Readings:
        """Readings ``(p,)`` with the channels that are computed filled in; NaN where one of its own is not known."""
        if not self.formulas:
            return readings
        known = dict(zip(self.channel_names, readings.tolist(), strict=True))
        for name in TopologicalSorter({name: formula.names for name, formula in self.formulas.items()}).static_order():
            if (formula := self.formulas.get(name)) is not None:
                known[name] = formula.value(known)
        return np.array([known[name] for name in self.channel_names])

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
        last = np.floor((self.high - self.low) / whole + SAME)  # no step leads to the wall where it lies between two
        taken = np.minimum(np.rint((settings - self.low) / whole), last)
        nearest_ = np.clip(self.low + taken * whole, self.low, self.high)
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


def formula_faults(names: Mapping[str, Sequence[str]], known: Iterable[str]) -> dict[str, str]:
    """Why some quantities cannot be computed, by their names, as sentences that follow these; none as a rule.

    Args:
        names: What each is computed from.
        known: Channels that there are, these quantities among them.
    """
    known, faults = list(known), dict[str, str]()
    for quantity, sources in names.items():
        if unknown := [name for name in sources if name not in known]:
            others = [name for name in known if name != quantity]
            said = ", ".join(f"{name!r}{suggest_nearest(name, others)}" for name in unknown)
            faults[quantity] = f"is computed from a channel that there is not, {said}"
    try:
        TopologicalSorter(names).prepare()
    except CycleError as error:
        cycle = list(map(str, error.args[1]))
        faults[cycle[0]] = f"is computed from itself: {' from '.join(reversed(cycle))}"
    return faults


def is_number(value: object) -> bool:
    """Return whether a value of any kind is a finite number, and no larger than a float can be."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
