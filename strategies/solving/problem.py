"""An inverse problem: rows that were measured and the readings that are wanted, made ready for models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput, SdlError
from sdl.interchange.export_import import Data
from sdl.interchange.file_contents import UnpartneredReadings, name_lines
from sdl.space import Interval, NamedColumns, Readings, Settings, Space, Window
from strategies.contract import InverseModel, learns_from_gaps
from strategies.models.base.applicability_domain import Domain
from strategies.numerics.unit_box import in_unit_box
from strategies.posterior import Statement
from strategies.solving.backgrounds.anchored_background import Anchors, anchored_background
from strategies.solving.backgrounds.runs import say_pooled
from strategies.solving.backgrounds.subtracted_background import SubtractedBackground, subtract_background
from strategies.solving.conditions import Conditions
from strategies.solving.free_channels import FEWEST, FreeChannels
from strategies.solving.gaps import Gaps
from strategies.solving.prior import KnobPrior
from strategies.solving.row_posterior import RowPosterior
from strategies.solving.tied_knobs import TiedKnobs

EXTREME = 1e100
"""Readings that go up to more than this, or only to its inverse, leave no room for their squares."""


@dataclass(frozen=True)
class FixedChannel:
    """A channel that the target fixes."""

    name: str
    interval: Interval
    """Where its reading is to lie, in its unit."""


@dataclass(frozen=True, eq=False)
class InverseProblem:
    """Rows to learn from and the readings wanted, over the ``c`` channels that the target fixes."""

    ties: TiedKnobs
    """Which knobs are free, and how the others follow from them."""
    names: Sequence[str]
    """Of the channels, ``c``."""
    settings: Settings
    """Of the rows in which all of these were read; free knobs in the unit box, ``(n, d)``."""
    measured: Settings
    """All knobs of these rows, in their units, ``(n, all)``."""
    net: Readings
    """Background subtracted, ``(n, c)``."""
    conditions: Conditions
    """Of the same rows, and those in which the settings are to be used."""
    partial: tuple[Readings, Settings, Conditions]
    """Rows in which some of the channels were not read: ``(g, c)``, NaN where it was not, and ``(g, d)``."""
    usual: Settings
    """Settings of rows in which none of them was read, ``(u, d)``: they tell which settings are usual."""
    unpartnered: UnpartneredReadings
    """Readings ``(m, c)`` of rows without settings, background subtracted: they tell that there are such readings."""
    background: Readings
    """In which the settings are to be used, ``(c,)``."""
    light: NDArray[np.float64]
    """Covariance of the error of that background, ``(c, c)``; 0 where it is taken for known."""
    window: Window
    """Where the readings are to lie, background included, over the ``c`` channels."""
    lines: NDArray[np.int_]
    """Where the complete rows stand in their file, ``(n,)``; empty where that is not known."""
    through_origin: bool
    """Whether readings are 0 where each knob is lowest, since the background was subtracted that is read there."""
    dark: Settings | None
    """All knobs where the background was read that was subtracted, ``(all,)``; None where none was."""
    notes: Sequence[str]
    """What was done to the rows, for people."""
    free: FreeChannels
    """Channels that the target leaves free and that are foretold."""
    prior: KnobPrior
    """What is known of the settings beforehand."""

    @property
    def space(self) -> Space:
        """The free knobs, and all channels."""
        return self.ties.space

    @cached_property
    def readings(self) -> Readings:
        """Background subtracted, as they were in the conditions in which the settings are to be used, ``(n, c)``."""
        return self.posterior.moved(self.net, self.settings, self.conditions)

    @cached_property
    def posterior(self) -> RowPosterior:
        """What the complete rows say of the reading at any settings, background subtracted."""
        if not self.through_origin:
            return RowPosterior.of(self.net, self.settings, self.conditions)
        net, settings = (np.vstack((np.zeros((1, rows.shape[1])), rows)) for rows in (self.net, self.settings))
        return RowPosterior.of(net, settings, self.conditions.and_given())

    def chance(self, unit: Settings) -> NDArray[np.float64]:
        """Probability, as the rows have it, that all channels are within their tolerance at ``(n, d)``, ``(n,)``."""
        return self.posterior.chance(unit, self.window.less(self.background), np.sqrt(np.diag(self.light)))

    @cached_property
    def unit(self) -> Readings:
        """What counts as one of each channel: its tolerance, or the noise of a reading where there is one bound."""
        return self.window.unit(self.posterior.noise) if self.window.one_sided.any() else self.window.half

    @cached_property
    def target(self) -> Readings:
        """The readings ``(c,)`` that models are asked for, background included."""
        return self.window.aim(self.readings + self.background, self.unit)

    def off(self, readings: Readings) -> Readings:
        """How far readings ``(..., c)`` are off, in tolerances: 1 on a bound."""
        return self.window.off(readings, self.unit)

    @cached_property
    def seen(self) -> Sequence[int]:
        """Lines of rows without settings that read what is wanted, or as near to it as rows are to each other."""
        readings, target = self.unpartnered.readings, self.target - self.background
        near = Domain(self.readings, self.settings).alike(target, readings)
        seen: list[int] = self.unpartnered.lines[near | self.window.less(self.background).holds(readings)].tolist()
        return seen

    def allowed(self, unit: Settings) -> NDArray[np.bool_]:
        """Which points ``(n, d)`` lie in the unit box, with the knobs that follow within their bounds too, ``(n,)``."""
        return np.asarray(in_unit_box(unit) & self.ties.allow(self.space.from_unit(unit)))

    def remote(self, unit: Settings) -> NDArray[np.float64]:
        """How far points ``(n, d)`` of the unit box lie from the rows, above 1 in a gap of them, ``(n,)``."""
        return self.gaps.domain.remoteness(unit)

    @cached_property
    def gaps(self) -> Gaps:
        """Where no row was measured, and what those around say of it."""
        return Gaps.of(np.vstack((self.settings, self.partial[1])), self.posterior)

    def of_rows(self, chosen: NDArray[np.intp]) -> Self:
        """The same problem with some of the complete rows alone."""
        return replace(
            self,
            settings=self.settings[chosen],
            measured=self.measured[chosen],
            net=self.net[chosen],
            conditions=self.conditions.at(chosen),
            lines=self.lines[chosen],
        )

    def rows(self, model: InverseModel) -> tuple[Readings, Settings]:
        """What a model is fitted on: the complete rows, and those with gaps or without a reading if it takes them."""
        if not learns_from_gaps(model):
            return self.readings.copy(), self.settings.copy()  # a stranger may write into them
        unread = np.full((len(self.usual), self.readings.shape[1]), np.nan)
        settings = np.vstack((self.settings, self.partial[1], self.usual))
        return np.vstack((self.readings, self.posterior.moved(*self.partial), unread)), settings

    @property
    def columns(self) -> NamedColumns:
        """What the columns mean that a model sees."""
        knobs, channels = self.ties.every.knob_names, tuple(self.names)
        return NamedColumns(
            knobs, channels, self.space.u, lambda unit: self.ties.whole(self.space.settings_at(unit)), self.dark
        )

    def named_settings(self, unit: Settings) -> dict[str, float]:
        """Settings by knob, in its units and all of them, of a point ``(d,)`` of the unit box."""
        return self.ties.every.named_settings(self.in_units(unit))

    def in_units(self, unit: Settings) -> Settings:
        """All knobs ``(..., all)``, in their units, at points ``(..., d)`` of the unit box."""
        return self.ties.whole(self.space.from_unit(unit))

    def named_spread(self, spread: Settings) -> dict[str, float]:
        """The width of a distribution of settings ``(d,)``, in parts of the box, by knob and in its units."""
        return self.ties.every.named_settings(self.ties.spread(spread * (self.space.high - self.space.low)))

    def missed(self, readings: Readings) -> list[str]:
        """The channels in which readings ``(c,)`` are outside the tolerance."""
        off = self.window.room(readings) < 0
        return [name for name, missed in zip(self.names, off, strict=True) if missed]

    def named(self, readings: Readings) -> dict[str, float]:
        """Readings ``(c,)`` by channel."""
        return dict(zip(self.names, readings.tolist(), strict=True))


def pose_problem(
    data: Data,
    fixed: Sequence[FixedChannel],
    background: Mapping[str, float],
    anchors: Anchors | None = None,
    free: Sequence[str] = (),
    prior: Mapping[str, tuple[float, float]] | None = None,
    given: Mapping[str, float] | None = None,
) -> InverseProblem:
    """Take the rows that have the channels that are fixed, and their background from the readings.

    A row with a channel at its ceiling is left out altogether: what is known of that channel is that it is high, and
    taking it for unknown would bend a model.

    Args:
        data: What was measured.
        fixed: At least one channel.
        background: By channel; where it is empty and the instrument has one, it is read off the rows with all knobs
            off.
        anchors: Readings of today: each run of the rows is taken in its own light then, and the answers are for theirs.
        free: Channels to be foretold; by default all that are not fixed and were read.
        prior: Of knobs that are free, setting and standard deviation, in their units.
        given: Conditions in which the settings are to be used, by name; the others are the middle of the rows.

    Raises:
        InvalidInput: if no row is left, or nothing can be learned from those that are.
    """
    names, (data, conditions) = [each.name for each in fixed], _in_conditions(data, given or {}, anchors)
    columns = data.space.columns(names)
    order = np.argsort(data.times, kind="stable") if np.isfinite(data.times).all() else np.arange(len(data.times))
    clipped, read = data.censored[:, columns], np.isfinite(data.readings[:, columns])
    _refuse_unread(data, names, read | clipped)
    high, complete = np.asarray(clipped.any(axis=1)), np.asarray(read.all(axis=1))
    if not complete.any():
        raise InvalidInput(f"no row has a reading below the ceiling in each of {', '.join(names)}: measure some")
    bare = order[~(np.asarray(read.any(axis=1)) | high | _dark(data))[order]]
    everything, order = order, order[(complete | (read.any(axis=1) & ~high))[order]]
    if anchors is not None and background:
        raise InvalidInput("an anchor and a background both say what the light of today is: give one of the two")
    settings, readings, whole = data.settings[order], data.readings[order][:, columns], complete[order]
    lines = data.lines[order] if data.lines.size else np.arange(1, 1 + len(data.times))[order]
    dark = _background(data, columns, order, background, anchors)
    today, taught = dark.at_the_end, dark.lit & whole
    if not taught.any():
        raise InvalidInput("every row has all knobs off: measure some with light")
    by_name = ", ".join(f"{name} {level:.6g}" for name, level in zip(names, today.tolist(), strict=True))
    _refuse_still(names, settings[taught], readings[taught])
    ties = TiedKnobs.find(data.space, data.settings)
    unit, net = ties.space.to_unit(settings[:, ties.free]), readings - dark.levels
    others = [name for name in data.space.channel_names if name not in names]
    channels, unknown = _free_channels(data, free or others, everything, background, anchors, ties, conditions)
    unpartnered, unmoved = _unpartnered(data, columns, today, anchors, conditions)
    conditions = conditions.at(order)
    return InverseProblem(
        ties,
        names,
        settings=unit[taught],
        measured=settings[taught],
        net=net[taught],
        conditions=conditions.at(taught),
        partial=(net[dark.lit & ~whole], unit[dark.lit & ~whole], conditions.at(dark.lit & ~whole)),
        usual=ties.space.to_unit(data.settings[bare][:, ties.free]),
        unpartnered=unpartnered,
        background=today,
        light=np.zeros((len(names), len(names))) if dark.covariance is None else dark.covariance,
        window=Window.of([each.interval for each in fixed]),
        lines=lines[taught],
        through_origin=data.off is not None and bool((data.off[list(ties.free)] == ties.space.low).all()),
        dark=data.off,
        notes=[
            *data.notes,
            *conditions.notes,
            *unmoved,
            *_left_out(high, ~complete & ~high),
            *([f"{dark.note}: {by_name}"] if dark.note else []),
            *_named(data, high | ~complete),
            *dark.oddities,
            *ties.notes,
            *_repeats(settings[taught], readings[taught]),
            *([] if anchors is not None else say_pooled(data.times, data.sources)),
            *(unknown if free else []),
        ],
        free=channels,
        prior=_prior(ties, unit[taught], prior or {}),
    )


def _in_conditions(data: Data, given: Mapping[str, float], anchors: Anchors | None) -> tuple[Data, Conditions]:
    """The rows that say all of their conditions, and these.

    Raises:
        InvalidInput: if there is none, or what is given is no condition of theirs.
    """
    none = np.empty((len(data.times), 0))
    conditions = Conditions.of(data.space, none if data.conditions is None else data.conditions, given)
    if conditions.names and anchors is not None:
        raise InvalidInput(
            f"an anchor is for rows without conditions, and these have {', '.join(conditions.names)}: leave out the "
            "anchor, or those columns"
        )
    known = conditions.known
    if not known.any():
        raise InvalidInput(f"no row says all of {', '.join(conditions.names)}: leave out some of these columns")
    if known.all():
        return data, conditions
    lacking = [name for name, column in zip(conditions.names, conditions.rows.T, strict=True) if np.isnan(column).any()]
    note = f"{(~known).sum()} of {len(known)} rows were left out: they do not say their {', '.join(lacking)}"
    return data.at(known, note), conditions.at(known)


def _unpartnered(
    data: Data, columns: list[int], background: Readings, anchors: Anchors | None, conditions: Conditions
) -> tuple[UnpartneredReadings, list[str]]:
    """Readings without settings in the channels of the target ``(m, c)``, or why there are none, in words."""
    there, nothing = data.unpartnered, UnpartneredReadings(np.empty((0, len(columns))), np.empty(0, int))
    if there is None or not len(there.lines):
        return nothing, []
    if anchors is not None or conditions.names:
        other = "in which light" if anchors is not None else f"how with other {', '.join(conditions.names)}"
        return nothing, [f"rows without settings are passed over: {other} they would read the same is not known"]
    return replace(there, readings=there.readings[:, columns] - background), []


def _dark(data: Data) -> NDArray[np.bool_]:
    """Which rows have all knobs off, ``(n,)``."""
    off = np.full(data.settings.shape[1], np.nan) if data.off is None else data.off
    return np.asarray(np.equal(data.settings, off).all(axis=1))


def _prior(ties: TiedKnobs, unit: Settings, known: Mapping[str, tuple[float, float]]) -> KnobPrior:
    """What is known of some knobs, in the unit box; the middle of the rows ``(n, d)`` stands for the others."""
    middle, deviation = np.clip(unit.mean(axis=0), 0, 1), np.full(ties.space.d, np.inf)
    for knob, (setting, apart) in known.items():
        at = ties.space.knob_names.index(knob)
        width = ties.space.high[at] - ties.space.low[at]
        middle[at], deviation[at] = (setting - ties.space.low[at]) / width, apart / width
    return KnobPrior(middle, deviation)


def _background(
    data: Data,
    columns: list[int],
    order: NDArray[np.intp],
    background: Mapping[str, float],
    anchors: Anchors | None,
) -> SubtractedBackground:
    """That of some rows, in the order of measuring, in some channels.

    Raises:
        InvalidInput: if the anchors lack one of these channels, or the runs are too short to tell anything.
    """
    if anchors is not None:
        runs = anchored_background(data, columns, anchors)
        return replace(runs, lit=runs.lit[order], levels=runs.levels[order])
    channels = [data.space.channels[c] for c in columns]
    floors = np.array([-np.inf if channel.floor is None else channel.floor for channel in channels])
    given = np.array([background[channel.name] for channel in channels if channel.name in background])
    lines = data.lines[order] if data.lines.size else np.arange(1, 1 + len(data.times))[order]
    settings, readings = data.settings[order], data.readings[order][:, columns]
    return subtract_background(data.space, data.off, settings, readings, lines, given, floors)


def _free_channels(
    data: Data,
    wanted: Sequence[str],
    order: NDArray[np.intp],
    background: Mapping[str, float],
    anchors: Anchors | None,
    ties: TiedKnobs,
    conditions: Conditions,
) -> tuple[FreeChannels, list[str]]:
    """The channels to be foretold, and why some of them cannot be, in words."""
    names, net, dark, unknown = list[str](), list[Readings](), list[SubtractedBackground](), list[str]()
    for name in wanted:
        (column,) = data.space.columns([name])
        read = order[np.isfinite(data.readings[order, column])]
        try:
            if len(read) < FEWEST:
                raise InvalidInput(f"{len(read)} rows have a reading of it below its ceiling, and {FEWEST} are needed")
            own = _background(data, [column], read, background, anchors)
        except SdlError as error:
            unknown.append(f"{name} is left free and not foretold: {error}")
            continue
        reading = np.full(len(data.readings), np.nan)
        reading[read] = data.readings[read, column] - own.levels[:, 0]
        names, net, dark = [*names, name], [*net, reading[order]], [*dark, own]
    readings = np.column_stack(net) if net else np.empty((len(order), 0))
    some = np.flatnonzero(np.isfinite(readings).any(axis=1))
    if not np.isfinite(data.times).all():  # a file may be sorted by what was set, and that is no course of time
        some = np.random.default_rng(0).permutation(some)
    found = FreeChannels(
        names,
        ties.space.to_unit(data.settings[order][:, ties.free])[some],
        readings[some],
        conditions=conditions.at(order[some]),
        background=np.array([own.at_the_end[0] for own in dark]),
        light=np.array([0.0 if own.covariance is None else np.sqrt(own.covariance[0, 0]) for own in dark]),
        statement=Statement.of(ties.space, data.space.columns(names)),
    )
    return found, unknown


def _refuse_unread(data: Data, names: Sequence[str], read: NDArray[np.bool_]) -> None:
    """Refuse channels without any reading, ``(n, c)`` says where there is one.

    Raises:
        InvalidInput: naming the channels that do have some.
    """
    never = [name for name, column in zip(names, read.T, strict=True) if not column.any()]
    if never:
        some = np.asarray((np.isfinite(data.readings) | data.censored).any(axis=0))
        there = [name for name, known in zip(data.space.channel_names, some, strict=True) if known]
        raise InvalidInput(f"{', '.join(never)} was never read in these rows; they have {', '.join(there)}")


def _refuse_still(names: Sequence[str], settings: Settings, readings: Readings) -> None:
    """Refuse rows in which nothing moves; one row alone is for each model to judge.

    Raises:
        InvalidInput: with each channel that reads the same everywhere.
    """
    n = len(settings)
    if n > 1 and not np.ptp(settings, axis=0).any():
        raise InvalidInput(f"all {n} rows have the same settings: measure at others")
    most = np.abs(readings).max(axis=0)
    extreme = [
        (name, high) for name, high in zip(names, most, strict=True) if high and not 1 / EXTREME < high < EXTREME
    ]
    if extreme:
        raise InvalidInput(
            [f"{name} reads up to {high:.3g}: give it in a unit in which it is nearer to 1" for name, high in extreme]
        )
    still = [name for name, width in zip(names, np.ptp(readings, axis=0), strict=True) if n > 1 and not width]
    if still:
        raise InvalidInput(
            [f"{name} reads the same in all {n} rows: leave it free, or measure where it moves" for name in still]
        )


def _repeats(settings: Settings, readings: Readings) -> list[str]:
    """What a person should know of rows that are there twice before believing what was learned from them."""
    repeats = len(settings) - len(np.unique(np.column_stack((settings, readings)), axis=0))
    return [f"{repeats} of {len(settings)} rows repeat another one to the last digit"] if repeats else []


def _left_out(clipped: NDArray[np.bool_], lacking: NDArray[np.bool_]) -> list[str]:
    notes = [
        (clipped, "left out: a channel of the target stands at its ceiling there"),
        (lacking, "left out: a channel of the target is missing there"),
    ]
    return [f"{rows.sum()} of {len(rows)} rows were {note}" for rows, note in notes if rows.any()]


def _named(data: Data, left: NDArray[np.bool_]) -> list[str]:
    """Which lines of the file these rows are."""
    return [f"left out were {name_lines(data.lines[left].tolist())}"] if left.any() and data.lines.size else []
