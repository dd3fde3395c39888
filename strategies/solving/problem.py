"""An inverse problem as a person poses it: rows that were measured, and the readings wanted, made ready for models."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sdl.analysis.background import Background
from sdl.campaign.definition import Target
from sdl.campaign.validation import target_faults
from sdl.errors import InvalidInput
from sdl.interchange.export_import import Data
from sdl.space import Readings, Settings, Space
from strategies.contract import InverseModel, learns_from_gaps

EXTREME = 1e100
"""Readings that go up to more than this, or only to its inverse, leave no room for their squares."""
WRITTEN = re.compile(r"(?P<name>[^=]+)=(?P<value>[^±=]*?)\s*((±|\+/?-)\s*(?P<tolerance>.*))?")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fixed:
    """A channel that the target fixes."""

    name: str
    reading: float
    tolerance: float
    """Largest allowed error, in the unit of the channel."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows to learn from and the readings wanted, over the ``c`` channels that the target fixes."""

    space: Space
    names: Sequence[str]
    """Of the channels, ``c``."""
    settings: Settings
    """Of the rows in which all of these were read; in the unit box, ``(n, d)``."""
    readings: Readings
    """Background subtracted, ``(n, c)``."""
    partial: tuple[Readings, Settings]
    """Rows in which some of the channels were not read: ``(g, c)``, NaN where it was not, and ``(g, d)``."""
    background: Readings
    """In which the settings are to be used, ``(c,)``."""
    target: Readings
    """Readings wanted, background included, ``(c,)``."""
    tolerance: Readings
    """Largest allowed error, ``(c,)``."""
    notes: Sequence[str]
    """What was done to the rows, for people."""

    def rows(self, model: InverseModel, chosen: NDArray[np.intp] | None = None) -> tuple[Readings, Settings]:
        """What a model is fitted on: the chosen complete rows (or all), and those with gaps if it takes them."""
        of = slice(None) if chosen is None else chosen
        readings, settings = self.readings[of], self.settings[of]
        if not learns_from_gaps(model):
            return readings.copy(), settings.copy()  # a stranger may write into them
        return np.vstack((readings, self.partial[0])), np.vstack((settings, self.partial[1]))

    def named_settings(self, unit: Settings) -> dict[str, float]:
        """Settings by knob, in its units, of a point ``(d,)`` of the unit box."""
        return self.space.named_settings(self.space.from_unit(unit))

    def named(self, readings: Readings) -> dict[str, float]:
        """Readings ``(c,)`` by channel."""
        return dict(zip(self.names, readings.tolist(), strict=True))


def asked(
    space: Space,
    targets: Sequence[str],
    free: Sequence[str],
    background: Sequence[str],
    tolerance: str,
    faults: Iterable[str] = (),
) -> tuple[list[Fixed], dict[str, float]]:
    """What the words of a person say: channels that are fixed, and the background by channel, empty if not given.

    Args:
        space: Knobs and channels that there are.
        targets: Each ``CHANNEL=READING`` or ``CHANNEL=READING±TOLERANCE``.
        free: Channels that are free.
        background: Each ``CHANNEL=READING``.
        tolerance: Where a target has none of its own: a number, or a percentage of the reading.
        faults: Found already, to be raised together with those found here.

    Raises:
        InvalidInput: with every fault.
    """
    found = [*faults] if targets else [*faults, "a target is missing: give CHANNEL=READING, as in 445nm=16384"]
    fixed = _each(targets, lambda text: _fixed(space, text, tolerance), found)
    _each(free, lambda name: space.columns([name]), found)
    names = [each.name for each in fixed]
    twice = sorted({name for name in names if names.count(name) > 1})
    found += [f"{name} is fixed twice: give one reading for it" for name in twice]
    found += [f"{name} is both fixed and free: leave out one of the two" for name in sorted({*names} & {*free})]
    unlit = list[str]()
    given = dict(_each(background, lambda text: _backdrop(space, text), unlit))
    if given and not unlit and (missing := [name for name in names if name not in given]):
        unlit.append(f"{', '.join(missing)} is missing; give every channel of the target one, or none")
    found += [f"background: {fault}" for fault in unlit]
    if found:
        raise InvalidInput(found)
    return fixed, given


def pose(data: Data, fixed: Sequence[Fixed], given: Mapping[str, float]) -> Problem:
    """Take the rows that have the channels that are fixed, and their background from the readings.

    A row with a channel at its ceiling is left out altogether: what is known of that channel is that it is high, and
    taking it for unknown would bend a model.

    Args:
        data: What was measured.
        fixed: At least one channel.
        given: The background by channel; read off the rows with all knobs off unless given.

    Raises:
        InvalidInput: if no row is left, or nothing can be learned from those that are.
    """
    names = [each.name for each in fixed]
    columns = data.space.columns(names)
    order = np.argsort(data.times, kind="stable") if np.isfinite(data.times).all() else np.arange(len(data.times))
    clipped, known = data.censored[:, columns], np.isfinite(data.readings[:, columns])
    _refuse_unread(data, names, known | clipped)
    high, complete = np.asarray(clipped.any(axis=1)), np.asarray(known.all(axis=1))
    if not complete.any():
        raise InvalidInput(f"no row has a reading below the ceiling in each of {', '.join(names)}: measure some")
    order = order[(complete | (known.any(axis=1) & ~high))[order]]
    settings, readings, whole = data.settings[order], data.readings[order][:, columns], complete[order]
    lit, levels, note = _background(data.space, settings, readings, [given[name] for name in names if given])
    if not (lit & whole).any():
        raise InvalidInput("every row has all knobs off: measure some with light")
    shown = ", ".join(f"{name} {level:.6g}" for name, level in zip(names, levels[-1].tolist(), strict=True))
    _refuse_still(names, settings[lit & whole], readings[lit & whole])
    unit, net = data.space.to_unit(settings), readings - levels
    return Problem(
        data.space,
        names,
        settings=unit[lit & whole],
        readings=net[lit & whole],
        partial=(net[lit & ~whole], unit[lit & ~whole]),
        background=levels[-1],
        target=np.array([each.reading for each in fixed]),
        tolerance=np.array([each.tolerance for each in fixed]),
        notes=[
            *_left_out(high, ~complete & ~high),
            f"{note}: {shown}",
            *_odd(data.space, settings[lit & whole], readings[lit & whole]),
        ],
    )


# ---------------------------------------------------------------------- words


def _each(items: Iterable[Item], step: Callable[[Item], Result], faults: list[str]) -> list[Result]:
    """What a step makes of each item; the faults of those that it refuses are added to the list."""
    done = []
    for item in items:
        try:
            done.append(step(item))
        except InvalidInput as error:
            faults += error.faults
    return done


def _split(space: Space, text: str) -> tuple[str, float, str | None]:
    """Channel, reading and tolerance of ``CHANNEL=READING±TOLERANCE``."""
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise InvalidInput(f"{text!r} needs the form CHANNEL=READING, as in 445nm=16384 or 445nm=16384±150")
    name = found["name"].strip()
    space.columns([name])
    return name, _number(name, found["value"]), found["tolerance"]


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InvalidInput(f"{name} needs a number such as 16384, got {text!r}") from None
    if not np.isfinite(value):
        raise InvalidInput(f"{name} needs a finite number, got {text!r}")
    return value


def _fixed(space: Space, text: str, tolerance: str) -> Fixed:
    name, value, own = _split(space, text)
    try:
        target = Target.model_validate({"readings": {name: value}, "tolerance": _allowed(own or tolerance)})
    except ValidationError as error:
        fault = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidInput(fault if name in fault else f"the tolerance of {name} {fault}") from None
    if faults := target_faults(space, target):
        raise InvalidInput(faults)
    return Fixed(name, value, target.allowed(name))


def _allowed(text: str) -> str | float:
    """A tolerance as a campaign has it: a number, or a percentage as text."""
    try:
        return float(text)
    except ValueError:
        return text


def _backdrop(space: Space, text: str) -> tuple[str, float]:
    name, value, tolerance = _split(space, text)
    channel = space.channels[space.columns([name])[0]]
    if tolerance is not None:
        raise InvalidInput(f"{text!r} has a tolerance, and a background has none")
    if channel.floor is not None and value < channel.floor:
        raise InvalidInput(f"{name} needs at least {channel.floor:g}, got {value:g}")
    if channel.ceiling is not None and value >= channel.ceiling:
        raise InvalidInput(f"{name} needs less than its ceiling, {channel.ceiling:g}, got {value:g}")
    return name, value


# ---------------------------------------------------------------------- rows


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
    still = [name for name, width in zip(names, np.ptp(readings, axis=0), strict=True) if n > 1 and not width]
    most = np.abs(readings).max(axis=0)
    extreme = [
        (name, high) for name, high in zip(names, most, strict=True) if high and not 1 / EXTREME < high < EXTREME
    ]
    if extreme:
        raise InvalidInput(
            [f"{name} reads up to {high:.3g}: give it in a unit in which it is nearer to 1" for name, high in extreme]
        )
    if still:
        raise InvalidInput(
            [f"{name} reads the same in all {n} rows: leave it free, or measure where it moves" for name in still]
        )


def _odd(space: Space, settings: Settings, readings: Readings) -> list[str]:
    """What a person should know of the rows before believing what was learned from them."""
    still = [name for name, width in zip(space.knob_names, np.ptp(settings, axis=0), strict=True) if not width]
    notes = [f"{', '.join(still)} never moved, so nothing is known of what it does"] if still else []
    repeats = len(settings) - len(np.unique(np.column_stack((settings, readings)), axis=0))
    return [*notes, f"{repeats} of {len(settings)} rows repeat another one to the last digit"] if repeats else notes


def _left_out(clipped: NDArray[np.bool_], lacking: NDArray[np.bool_]) -> list[str]:
    notes = [
        (clipped, "left out: a channel of the target stands at its ceiling there"),
        (lacking, "left out: a channel of the target is missing there"),
    ]
    return [f"{rows.sum()} of {len(rows)} rows were {note}" for rows, note in notes if rows.any()]


def _background(
    space: Space, settings: Settings, readings: Readings, given: Sequence[float]
) -> tuple[NDArray[np.bool_], Readings, str]:
    """Rows to learn from ``(n,)``, the background of all rows ``(n, c)``, the last being today's, and its source."""
    n, known = len(settings), np.asarray(np.isfinite(readings).all(axis=1))
    off = np.asarray(np.isclose(settings, space.off).all(axis=1))
    dark = off & known
    if given:
        return np.ones(n, bool), np.tile(np.array(given, float), (n, 1)), "the background given was subtracted"
    if k := int(dark.sum()):
        levels = Background(np.flatnonzero(dark), readings[dark]).at(np.arange(n))
        some = f"{k} rows" if k > 1 else "row"
        last = ", and the answers are for the last of them" if k > 1 else ""
        return ~off, levels, f"the background was read off the {some} with all knobs off{last}"
    if known.sum() <= space.d + 1:
        return ~off, np.zeros_like(readings), "no row has all knobs off, so the background was taken for 0"
    inputs = np.column_stack((np.ones(n), settings - space.off))
    level = np.linalg.lstsq(inputs[known], readings[known])[0][0]
    return ~off, np.tile(level, (n, 1)), "no row has all knobs off, so the background was extrapolated by a linear fit"
