"""An inverse problem as a person poses it: rows that were measured, and the readings wanted, made ready for models."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sdl.campaign import Target
from sdl.conditions import Conditions
from sdl.errors import InvalidInput
from sdl.exchange import Data
from sdl.preparing import impossible
from sdl.space import Readings, Settings, Space

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
    """In the unit box, ``(n, d)``."""
    readings: Readings
    """Background subtracted, ``(n, c)``."""
    background: Readings
    """In which the settings are to be used, ``(c,)``."""
    target: Readings
    """Readings wanted, background included, ``(c,)``."""
    tolerance: Readings
    """Largest allowed error, ``(c,)``."""
    notes: Sequence[str]
    """What was done to the rows, for people."""

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
    """Take the rows that have all channels that are fixed, and their background from the readings.

    Args:
        data: What was measured.
        fixed: At least one channel.
        given: The background by channel; read off the rows with all knobs off unless given.

    Raises:
        InvalidInput: if no row is left.
    """
    names = [each.name for each in fixed]
    columns = data.space.columns(names)
    order = np.argsort(data.times, kind="stable") if np.isfinite(data.times).all() else np.arange(len(data.times))
    clipped = np.asarray(data.censored[:, columns].any(axis=1))
    complete = np.asarray(np.isfinite(data.readings[:, columns]).all(axis=1))
    order = order[complete[order]]
    settings, readings = data.settings[order], data.readings[order][:, columns]
    if not len(order):
        raise InvalidInput(f"no row has a reading below the ceiling in each of {', '.join(names)}: measure some")
    lit, levels, note = _background(data.space, settings, readings, [given[name] for name in names if given])
    if not lit.any():
        raise InvalidInput("every row has all knobs off: measure some with light")
    shown = ", ".join(f"{name} {level:.6g}" for name, level in zip(names, levels[-1].tolist(), strict=True))
    return Problem(
        data.space,
        names,
        settings=data.space.to_unit(settings[lit]),
        readings=(readings - levels)[lit],
        background=levels[-1],
        target=np.array([each.reading for each in fixed]),
        tolerance=np.array([each.tolerance for each in fixed]),
        notes=[*_left_out(clipped, ~complete & ~clipped), f"{note}: {shown}"],
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
    if faults := impossible(space, target):
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
    floor = space.channels[space.columns([name])[0]].floor
    if tolerance is not None:
        raise InvalidInput(f"{text!r} has a tolerance, and a background has none")
    if floor is not None and value < floor:
        raise InvalidInput(f"{name} needs at least {floor:g}, got {value:g}")
    return name, value


# ---------------------------------------------------------------------- rows


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
    n = len(settings)
    off = np.asarray(np.isclose(settings, space.off).all(axis=1))
    if given:
        return np.ones(n, bool), np.tile(np.array(given, float), (n, 1)), "the background given was subtracted"
    if k := int(off.sum()):
        levels = Conditions(np.flatnonzero(off), readings[off]).at(np.arange(n))
        some = f"{k} rows" if k > 1 else "row"
        last = ", and the answers are for the last of them" if k > 1 else ""
        return ~off, levels, f"the background was read off the {some} with all knobs off{last}"
    if n <= space.d + 1:
        return ~off, np.zeros_like(readings), "no row has all knobs off, so the background was taken for 0"
    inputs = np.column_stack((np.ones(n), settings - space.off))
    level = np.linalg.lstsq(inputs, readings)[0][0]
    return ~off, np.tile(level, (n, 1)), "no row has all knobs off, so the background was extrapolated by a linear fit"
