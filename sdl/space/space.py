"""All knobs and channels of an instrument: the only converter between names and columns."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from graphlib import TopologicalSorter
from itertools import product
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, ValidationError, model_validator

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import found_twice
from sdl.space.allowed import Allowed
from sdl.space.channel import Channel
from sdl.space.condition import Condition
from sdl.space.constraints import UNCONSTRAINED, Constraints
from sdl.space.formula import Formula, formula_faults
from sdl.space.knob import SAME, Knob, Quantity, Value, is_number
from sdl.space.plate import Plate

Settings: TypeAlias = NDArray[np.float64]
"""What we choose: ``(d,)`` for one, ``(n, d)`` for many."""
Readings: TypeAlias = NDArray[np.float64]
"""What the sensor returns: ``(p,)`` or ``(n, p)``; NaN where a channel is masked or free."""


class Space(Value):
    """The knobs and channels of an instrument, in the order of the columns, and which settings are allowed.

    Strategies see points of a unit box with ``u`` axes: one a knob, and of a category as many as tell its names apart.
    Whatever point they choose, ``from_unit`` makes allowed settings of it.
    """

    knobs: tuple[Knob, ...] = Field(min_length=1)
    channels: tuple[Channel, ...] = Field(min_length=1)
    constraints: Constraints = Field(default=UNCONSTRAINED, exclude_if=lambda constraints: not constraints)
    """What all settings have to keep."""
    conditions: tuple[Condition, ...] = Field(default=(), exclude_if=lambda conditions: not conditions)
    """What nobody chooses and is known of each reading, such as a temperature, in the order of the columns."""
    plate: Plate | None = Field(default=None, exclude_if=lambda plate: plate is None)
    """On what many settings are measured at once; None where they are measured one by one."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        kinds = ("knob", self.knob_names), ("channel", self.channel_names), ("condition", self.condition_names)
        for kind, names in kinds:
            if twice := found_twice(names):
                raise ValueError(f"every {kind} needs a name of its own, found twice: {', '.join(twice)}")
        if faults := formula_faults(
            {name: formula.names for name, formula in self.formulas.items()}, self.channel_names
        ):
            raise ValueError("; ".join(f"{name} {fault}" for name, fault in faults.items()))
        if wrong := self.constraints.faults(self.knobs):
            raise ValueError("; ".join(wrong))
        if wrong := [f"max_step of {knob.name} {fault}" for knob in self.knobs if (fault := knob.step_fault)]:
            raise ValueError("; ".join(wrong))
        if self.plate is not None and any(knob.max_step for knob in self.knobs):
            raise ValueError("max_step goes with settings that are measured one by one, and not with a plate")
        if self.shared and self.plate is None:
            constant = ", ".join(self.knobs[k].name for k in self.shared)
            raise ValueError(
                f"constant_within_batch of {constant} goes with a plate, and without one each setting is measured by "
                "itself: say what 'plate' there is, or leave it out"
            )
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
    def condition_names(self) -> tuple[str, ...]:
        """Names of the conditions, in the order of the columns."""
        return tuple(condition.name for condition in self.conditions)

    def known_conditions(self, named: Mapping[str, Any]) -> NDArray[np.float64]:
        """Put named conditions in the order of the columns, ``(k,)``: NaN where one is absent or no finite number."""
        values: Iterable[Any] = (named.get(name) for name in self.condition_names)
        return np.array([float(value) if is_number(value) else np.nan for value in values])

    @property
    def formulas(self) -> dict[str, Formula]:
        """By the names of channels that are computed, what from."""
        return {channel.name: Formula.read(channel.formula) for channel in self.channels if channel.formula is not None}

    @property
    def measured(self) -> "Space":
        """The same without channels that are computed: what an instrument, or a person, reads."""
        measured = tuple(channel for channel in self.channels if channel.formula is None)
        return Space(**{**self._fields, "channels": measured})

    def with_knobs(self, knobs: Iterable[Knob]) -> "Space":
        """The same with others in the place of its knobs."""
        return Space(**{**self._fields, "knobs": tuple(knobs)})

    def with_constraints(self, constraints: Constraints) -> "Space":
        """The same and further constraints.

        Raises:
            InvalidInput: for each that says nothing of these knobs, or that no settings keep.
        """
        if faults := constraints.faults(self.knobs):
            raise InvalidInput(faults)
        found = Space(**{**self._fields, "constraints": self.constraints + constraints})
        if found.constraints:
            _ = found._allowed.known
        return found

    def with_conditions(self, names: Iterable[str]) -> "Space":
        """The same and further conditions, those that it does not have yet."""
        new = tuple(Condition(name=name) for name in names if name not in self.condition_names)
        return Space(**{**self._fields, "conditions": (*self.conditions, *new)}) if new else self

    def with_steps(self, steps: Mapping[str, float]) -> "Space":
        """The same, where knobs by name may be moved no farther at once than that.

        Raises:
            InvalidInput: for each that is no knob, or that goes in no steps.
        """
        if strange := [name for name in steps if name not in self.knob_names]:
            raise InvalidInput(
                f"max_step.{name}: is no knob{suggest_nearest(name, self.knob_names)}" for name in strange
            )
        least = {knob.name: min(knob.max_step or np.inf, steps.get(knob.name, np.inf)) for knob in self.knobs}
        knobs = [
            knob.model_copy(update={"max_step": least[knob.name]} if knob.name in steps else {}) for knob in self.knobs
        ]
        try:
            return Space(**{**self._fields, "knobs": tuple(knobs)})
        except ValidationError as error:
            raise InvalidInput(fault["msg"].removeprefix("Value error, ") for fault in error.errors()) from None

    def on_plate(self, plate: Plate) -> "Space":
        """The same, measured on plates."""
        return Space(**{**self._fields, "plate": plate})

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
        return Space(**{**self._fields, "channels": (*self.channels, *computed)})

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
    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields}

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
        """The settings of a reference reading, ``(d,)``: the nearest ones that are allowed."""
        return self.reachable(np.array([knob.low if knob.off is None else knob.off for knob in self.knobs]))

    @property
    def ceiling(self) -> Readings:
        """Saturation of every channel, ``(p,)``, infinite where there is none."""
        return np.array([np.inf if c.ceiling is None else c.ceiling for c in self.channels])

    @property
    def noise(self) -> Readings:
        """Known noise of every channel, ``(p,)``, NaN where unknown."""
        return np.array([np.nan if c.noise is None else c.noise for c in self.channels])

    @property
    def u(self) -> int:
        """Number of axes of the unit box."""
        return sum(knob.columns for knob in self.knobs)

    @cached_property
    def plain(self) -> bool:
        """Whether every point of the unit box is allowed, up to the steps of knobs, and has one axis for each knob."""
        return not self.constraints and all(knob.plain for knob in self.knobs)

    @cached_property
    def _allowed(self) -> Allowed:
        return Allowed(self.knobs, self.constraints)

    def reachable(self, settings: Settings) -> Settings:
        """Return the nearest settings ``(..., d)`` that the instrument can apply and that are allowed.

        Raises:
            InvalidInput: no settings are.
        """
        if not self.plain:
            return self._allowed.nearest(settings.reshape(-1, self.d)).reshape(settings.shape)
        stepped = [k for k, knob in enumerate(self.knobs) if knob.resolution is not None]
        if not stepped:
            return settings
        nearest = settings.copy()
        for k in stepped:
            nearest[..., k] = self.knobs[k].nearest(settings[..., k])
        return nearest

    def to_unit(self, settings: ArrayLike) -> Settings:
        """Place settings ``(..., d)`` in the unit box, ``(..., u)``."""
        values = np.asarray(settings, float)
        if all(knob.plain for knob in self.knobs):
            return (values - self.low) / (self.high - self.low)
        return np.concatenate([knob.to_unit(values[..., k]) for k, knob in enumerate(self.knobs)], axis=-1)

    def from_unit(self, unit: ArrayLike) -> Settings:
        """Make settings ``(..., d)`` that are allowed of points ``(..., u)`` of the unit box.

        A point of the box never leaves the bounds, whatever rounding does: 0.15 + (0.45 - 0.15) is above 0.45.
        """
        points = np.asarray(unit, float)
        if not self.plain:
            return self.reachable(self.settings_at(points))
        settings = self.low + points * (self.high - self.low)
        inside = (points >= 0) & (points <= 1)
        return self.reachable(np.where(inside, np.clip(settings, self.low, self.high), settings))

    def settings_at(self, points: Settings) -> Settings:
        """Settings ``(..., d)`` at points ``(..., u)`` of the unit box, whether they are allowed or not."""
        ends = np.cumsum([knob.columns for knob in self.knobs])[:-1]
        parts = zip(self.knobs, np.split(points, ends, axis=-1), strict=True)
        return np.stack([knob.from_unit(part) for knob, part in parts], axis=-1)

    def at_shares(self, shares: Settings) -> Settings:
        """The settings ``(..., d)`` that are allowed next to shares of the knobs' ranges, from 0 to 1."""
        if self.plain:
            return self.from_unit(shares)
        places = [knob.at_share(shares[..., k]) for k, knob in enumerate(self.knobs)]
        return self.reachable(np.stack(places, axis=-1))

    def applied(self, unit: Settings) -> Settings:
        """The points ``(..., u)`` of the unit box at which the instrument stands for some of them."""
        return self.to_unit(self.from_unit(unit))

    def spread(self, unit: Settings) -> Settings:
        """Points ``(m, u)`` all over what is allowed, for points all over the unit box."""
        return unit if self.plain else self.to_unit(self._allowed.spread(self.settings_at(unit)))

    def grid(self, most: int) -> Settings | None:
        """All points ``(m, u)`` of the unit box that are allowed; None where there are more than so many."""
        choices = [knob.choices for knob in self.knobs]
        listed = [each for each in choices if each is not None]
        if len(listed) < self.d or np.prod([float(len(each)) for each in listed]) > most:
            return None
        settings = np.array(list(product(*listed)))
        return self.to_unit(settings[self.contains(settings)])

    def contains(self, settings: ArrayLike) -> NDArray[np.bool_]:
        """Return whether settings ``(..., d)`` are finite, within the bounds, and allowed, ``(...)``."""
        values = np.asarray(settings, float)
        inside = np.all([knob.takes(values[..., k]) for k, knob in enumerate(self.knobs)], axis=0)
        if not self.constraints:
            return np.asarray(inside)
        kept = self._allowed.holds(values.reshape(-1, self.d)).reshape(values.shape[:-1])
        return np.asarray(inside & kept)

    def refuse(self, settings: Settings) -> None:
        """Refuse settings ``(d,)`` that must not be sent.

        Raises:
            InvalidInput: saying what they break.
        """
        faults = list[str]()
        for knob, value in zip(self.knobs, settings.tolist(), strict=True):
            if not knob.takes(value):
                faults.append(f"knob {knob.name!r} needs {knob.span}, got {value}")
        if not faults and self.constraints:
            shown = ", ".join(f"{name} = {value}" for name, value in self.shown_settings(settings).items())
            faults = [f"{shown} is not allowed: {text}" for text in self._allowed.broken(settings)]
        if faults:
            raise InvalidInput(faults)

    def at_off(self, settings: ArrayLike) -> NDArray[np.bool_]:
        """Return whether settings ``(..., d)`` are those of a reference reading, ``(...)``, rounding apart.

        A knob that is constant within a batch may stand anywhere.
        """
        values = np.asarray(settings, float)
        apart = np.abs(values - self.beside(self.off, values))
        return np.asarray(np.all(apart <= SAME * (self.high - self.low), axis=-1))

    # ------------------------------------------------------------------ batches

    @property
    def shared(self) -> tuple[int, ...]:
        """Columns of the knobs that have one value in all that is measured at once."""
        return tuple(k for k, knob in enumerate(self.knobs) if knob.constant_within_batch)

    @cached_property
    def shared_axes(self) -> NDArray[np.bool_]:
        """Which axes of the unit box are of those knobs, ``(u,)``."""
        return np.concatenate([np.full(knob.columns, knob.constant_within_batch) for knob in self.knobs])

    def beside(self, settings: Settings, other: Settings) -> Settings:
        """The settings ``(d,)`` with the knobs that are constant within a batch as in others ``(..., d)``."""
        return np.where([knob.constant_within_batch for knob in self.knobs], other, settings)

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
        values = dict[str, float]()
        for knob in self.knobs:
            if knob.name not in named:
                faults.append(f"knob {knob.name!r} is missing: give {knob.span.replace('a number', 'a value')}")
                continue
            try:
                values[knob.name] = knob.setting(named[knob.name])
            except InvalidInput as error:
                faults += error.faults
        if faults:
            raise InvalidInput(faults)
        settings = np.array([values[name] for name in self.knob_names])
        if not self.plain:
            self.refuse(settings)
        return self.reachable(settings)

    def named_settings(self, settings: ArrayLike) -> dict[str, float]:
        """Name one row of settings ``(d,)``."""
        return dict(zip(self.knob_names, np.asarray(settings, float).tolist(), strict=True))

    def shown_settings(self, settings: ArrayLike) -> dict[str, float | str]:
        """Name one row of settings ``(d,)`` for persons, who know categories by name."""
        named = self.named_settings(settings)
        return {knob.name: knob.shown(named[knob.name]) for knob in self.knobs}

    def written_settings(self, settings: ArrayLike) -> dict[str, str]:
        """Write one row of settings ``(d,)`` as a person sets them, by the names of the knobs."""
        shown = self.shown_settings(settings).items()
        return {name: value if isinstance(value, str) else f"{value:.10g}" for name, value in shown}

    def compact_settings(self, settings: ArrayLike) -> str:
        """Settings ``(d,)`` in a few words."""
        shown = self.shown_settings(settings).items()
        return ", ".join(f"{name}={value if isinstance(value, str) else format(value, '.4g')}" for name, value in shown)

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
