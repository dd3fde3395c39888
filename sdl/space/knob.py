"""One setting of an instrument, of whatever kind: any number, steps, listed values, a category."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value

Array: TypeAlias = NDArray[np.float64]

SAME = 1e-6
"""Settings that differ by less, as a share of a knob's range, are the same."""
MOST_STEPS = 10_000
"""Steps of ``max_step`` from one end of a knob's range to the other."""
SHOWN = 12
"""Values of a list that are named one by one."""


NamedSettings: TypeAlias = dict[str, Annotated[float | str, Field(union_mode="left_to_right")]]
"""A setting for every knob as a person writes them: a number, or the name of a category."""


class Value(BaseModel):
    """What is compared by what is in it, and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __copy__(self) -> Self:
        """The same without what was computed of it, since a copy may be changed at once."""
        copied = super().__copy__()
        for name in set(copied.__dict__) - set(type(self).model_fields):
            del copied.__dict__[name]
        return copied


class Quantity(Value):
    """What has a name and a unit."""

    name: str = Field(min_length=1)
    unit: str = ""

    @property
    def heading(self) -> str:
        """The name with the unit, as it stands above a column."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


class Knob(Quantity):
    """One setting of the instrument, a number for every part of the program.

    The setting of a category is the place of its name in ``values``, from 0 on; persons read and write the name.
    """

    low: float = 0.0
    """Least setting; of a knob with ``values`` they say it."""
    high: float = 1.0
    """Largest setting; of a knob with ``values`` they say it."""
    off: float | None = None
    """Where the knob stands in a reference reading; ``low`` by default."""
    resolution: float | None = Field(default=None, gt=0)
    """Step in which the instrument applies it, from ``low`` on; None if it applies any value."""
    whole: bool = Field(default=False, exclude_if=lambda whole: not whole)
    """Whether it takes whole numbers alone."""
    scale: Literal["linear", "log"] = Field(default="linear", exclude_if=lambda scale: scale == "linear")
    """Whether equal differences count alike, or equal ratios."""
    values: tuple[float, ...] | tuple[str, ...] | None = Field(default=None, exclude_if=lambda values: values is None)
    """All settings that there are: numbers, or the names of a category."""
    descriptors: dict[str, tuple[float, ...]] = Field(default_factory=dict, exclude_if=lambda given: not given)
    """What is known of the names of a category, by property a number for each: names with like numbers read alike."""
    max_step: float | None = Field(default=None, gt=0, exclude_if=lambda step: step is None)
    """Farthest that it may be moved at once, in its unit: a longer way is gone in steps. None if any way is."""
    constant_within_batch: bool = Field(default=False, exclude_if=lambda constant: not constant)
    """Whether all that is measured at once has one value of it, as all wells of a plate have one temperature."""

    @model_validator(mode="before")
    @classmethod
    def _with_ends(cls, given: Any) -> Any:
        """Fill in what follows from the kind: the ends of a list, the step of whole numbers, the place of a name."""
        if not isinstance(given, Mapping):
            return given
        given = dict(given)
        if given.get("whole") is True:
            given.setdefault("resolution", 1.0)
        values = given.get("values")
        if not isinstance(values, list | tuple) or len(values) < 2:
            return given
        if all(isinstance(value, str) for value in values):
            if fault := _name_fault(values):
                raise ValueError(f"knob {given.get('name')!r} {fault}")
            given.setdefault("low", 0.0)
            given.setdefault("high", float(len(values) - 1))
            if isinstance(given.get("off"), str) and given["off"] in values:
                given["off"] = float(values.index(given["off"]))
        elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            given["values"] = tuple(sorted(map(float, values)))
            given.setdefault("low", given["values"][0])
            given.setdefault("high", given["values"][-1])
        elif all(isinstance(value, str | int | float) for value in values):
            raise ValueError(f"knob {given.get('name')!r} needs values that are all numbers, or all names")
        return given

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
        if fault := self._kind_fault():
            raise ValueError(f"knob {self.name!r} {fault}")
        return self

    def _kind_fault(self) -> str:
        """What of its kind does not go together, in words; empty if all does."""
        if self.scale == "log" and not (self.low > 0 and self.names == ()):
            return f"needs numbers above 0 for a logarithmic scale, got low={self.low}"
        if self.whole and (self.resolution != 1 or self.low % 1 or self.high % 1 or self.values is not None):
            return "takes whole numbers: low and high need to be such, without values or another resolution"
        if self.values is None:
            return "needs values for its descriptors: the names of a category" if self.descriptors else ""
        if len(set(self.values)) < max(len(self.values), 2):
            return f"needs two different values at least, each once, got {format_value(list(self.values))}"
        if self.resolution is not None:
            return "has values, and so no resolution: leave one out"
        ends = (0.0, len(self.values) - 1.0) if self.names else (self.values[0], self.values[-1])
        if (self.low, self.high) != ends:
            return "has its low and high by its values: leave them out"
        if self.off is not None and self.off not in (range(len(self.names)) if self.names else self.values):
            return f"needs off among its values, got {self.off}"
        if self.descriptors and not self.names:
            return "has numbers for values, which describe themselves: leave descriptors out"
        return self._descriptor_fault()

    def _descriptor_fault(self) -> str:
        for name, numbers in self.descriptors.items():
            if len(numbers) != len(self.names):
                return f"needs one number for each of {len(self.names)} names in descriptors.{name}, got {len(numbers)}"
            if len(set(numbers)) < 2:
                return f"has the same number for all names in descriptors.{name}: leave it out"
        if self.descriptors and len(set(zip(*self.descriptors.values(), strict=True))) < len(self.names):
            return "has descriptors that do not tell two of its names apart"
        return ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of a category, in the order of their numbers; none of another kind."""
        return tuple(value for value in self.values or () if isinstance(value, str))

    @property
    def step_fault(self) -> str:
        """Why it cannot be moved in steps of ``max_step``, in words that follow the name of that; empty if it can."""
        if self.max_step is None:
            return ""
        if self.values is not None:
            return f"goes with numbers, and this knob has {'names' if self.names else 'values'}: leave it out"
        if self.resolution is not None and self.max_step < self.resolution:
            return f"needs {self.resolution:g} at least, the step in which the knob is set, got {self.max_step:g}"
        if self.max_step < (least := (self.high - self.low) / MOST_STEPS):
            return f"needs {least:g} at least, so that no way has more than {MOST_STEPS} steps, got {self.max_step:g}"
        return ""

    @property
    def choices(self) -> Array | None:
        """All settings that there are, ``(k,)``; None of a knob that takes any value."""
        if self.names:
            return np.arange(len(self.names), dtype=float)
        if self.values is not None:
            return np.array(self.values, float)
        if self.resolution is None:
            return None
        return self.low + self.resolution * np.arange(np.floor((self.high - self.low) / self.resolution + SAME) + 1)

    @property
    def plain(self) -> bool:
        """Whether it is a number on a linear scale, with equal steps or none."""
        return self.values is None and self.scale == "linear"

    @property
    def range(self) -> str:
        """Its ends, or its values, in a few words that follow its name."""
        return f"from {self.low:g} to {self.high:g}" if self.values is None else self.span

    @property
    def span(self) -> str:
        """What it takes, in words."""
        if self.values is None:
            return f"a {'whole ' if self.whole else ''}number from {self.low} to {self.high}"
        shown = [value if isinstance(value, str) else f"{value:g}" for value in self.values]
        if len(shown) <= SHOWN:
            return f"one of {', '.join(shown)}"
        return f"one of {len(shown)} values from {shown[0]} to {shown[-1]}"

    def setting(self, value: Any) -> float:
        """The setting that a person, or a program, means.

        Raises:
            InvalidInput: it is none that the knob takes, saying what it does.
        """
        if isinstance(value, str) and value in self.names:
            return float(self.names.index(value))
        if isinstance(value, str) and self.names:
            raise InvalidInput(f"{self._needs}, got {format_value(value)}{suggest_nearest(value, self.names)}")
        if not is_number(value) or not self.takes(value):
            raise InvalidInput(f"{self._needs}, got {format_value(value)}")
        return float(value)

    @property
    def _needs(self) -> str:
        return f"knob {self.name!r} needs {self.span}"

    def shown(self, setting: float) -> float | str:
        """A setting as persons read it: the name of a category, or the number."""
        return self.names[round(setting)] if self.names else setting

    def takes(self, settings: ArrayLike) -> Any:
        """Whether it takes settings ``(...)``: within its ends, and whole or listed where it is of that kind.

        A step is no such matter, since the instrument goes to the nearest.
        """
        values = np.asarray(settings, float)
        inside = (values >= self.low) & (values <= self.high)
        if self.whole or self.values is not None:
            inside &= np.abs(self.nearest(values) - values) <= SAME * 1e-3 * (self.high - self.low)
        return inside

    def nearest(self, settings: Array) -> Array:
        """The nearest settings ``(...)`` that it can stand at, within its ends."""
        if self.values is not None:
            choices = self.choices
            assert choices is not None, "values are choices"
            if self.names:
                return np.clip(np.rint(settings), self.low, self.high)
            known, asked = self._scaled(choices), self._scaled(np.clip(settings, self.low, self.high))
            right = np.clip(np.searchsorted(known, asked), 1, len(known) - 1)
            return np.asarray(choices[right - (asked - known[right - 1] <= known[right] - asked)])
        if self.resolution is None:
            return np.clip(settings, self.low, self.high)
        last = np.floor((self.high - self.low) / self.resolution + SAME)  # no step leads to the wall between two
        taken = np.clip(np.rint((settings - self.low) / self.resolution), 0.0, last)
        return np.clip(self.low + taken * self.resolution, self.low, self.high)

    @cached_property
    def corners(self) -> Array:
        """Where each name of a category lies in the unit box, ``(k, c)``: by its descriptors, or apart from all others.

        Without descriptors each name has an axis of its own, and two names the ends of one.
        """
        if self.descriptors:
            known = np.array(list(self.descriptors.values()), float).T
            return np.asarray((known - known.min(axis=0)) / np.ptp(known, axis=0))
        return np.array([[0.0], [1.0]]) if len(self.names) == 2 else np.eye(len(self.names))

    @property
    def columns(self) -> int:
        """How many axes of the unit box it takes: one, and of a category as many as its corners have."""
        return self.corners.shape[1] if self.names else 1

    def to_unit(self, settings: Array) -> Array:
        """Place settings ``(...)`` in the unit box, ``(..., columns)``."""
        if self.names:
            return np.asarray(self.corners[np.rint(np.clip(settings, self.low, self.high)).astype(int)])
        low, high = self._scaled(np.array([self.low, self.high]))
        return np.asarray((self._scaled(settings) - low) / (high - low))[..., None]

    def from_unit(self, unit: Array) -> Array:
        """The settings ``(...)`` at points ``(..., columns)`` of the unit box, on no step yet; the nearest of names."""
        if self.names:
            apart = ((unit[..., None, :] - self.corners) ** 2).sum(axis=-1)
            return np.asarray(apart.argmin(axis=-1), float)
        low, high = self._scaled(np.array([self.low, self.high]))
        found = low + unit[..., 0] * (high - low)
        return np.asarray(np.exp(found) if self.scale == "log" else found)

    def at_share(self, shares: Array) -> Array:
        """The settings at shares ``(...)`` of its range; names follow each other in the order of their list."""
        return self.low + shares * (self.high - self.low) if self.names else self.from_unit(shares[..., None])

    def _scaled(self, settings: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(settings)) if self.scale == "log" else settings


def _name_fault(names: Sequence[str]) -> str:
    """Why one of them could not be told from a number, or from nothing, where persons write it; empty if all can."""
    for name in names:
        if name != " ".join(name.split()) or not name:
            return f"has the name {name!r}, of which blanks would be lost in a sheet: leave them out"
        with suppress(ValueError):
            float(name)
            return f"has the name {name!r}, which reads as a number: write no quotes, or a name such as 'no. {name}'"
    return ""


def is_number(value: object) -> bool:
    """Return whether a value of any kind is a finite number, and no larger than a float can be."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
