"""An inverse problem: rows that were measured and the readings that are wanted, made ready for models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.analysis.background import Background
from sdl.errors import InvalidInput
from sdl.interchange.export_import import Data
from sdl.space import Readings, Settings, Space
from strategies.contract import InverseModel, learns_from_gaps

EXTREME = 1e100
"""Readings that go up to more than this, or only to its inverse, leave no room for their squares."""


@dataclass(frozen=True)
class FixedChannel:
    """A channel that the target fixes."""

    name: str
    reading: float
    tolerance: float
    """Largest allowed error, in the unit of the channel."""


@dataclass(frozen=True, eq=False)
class InverseProblem:
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


def pose_problem(data: Data, fixed: Sequence[FixedChannel], background: Mapping[str, float]) -> InverseProblem:
    """Take the rows that have the channels that are fixed, and their background from the readings.

    A row with a channel at its ceiling is left out altogether: what is known of that channel is that it is high, and
    taking it for unknown would bend a model.

    Args:
        data: What was measured.
        fixed: At least one channel.
        background: By channel; where it is empty, the background is read off the rows with all knobs off.

    Raises:
        InvalidInput: if no row is left, or nothing can be learned from those that are.
    """
    names = [each.name for each in fixed]
    columns = data.space.columns(names)
    order = np.argsort(data.times, kind="stable") if np.isfinite(data.times).all() else np.arange(len(data.times))
    clipped, read = data.censored[:, columns], np.isfinite(data.readings[:, columns])
    _refuse_unread(data, names, read | clipped)
    high, complete = np.asarray(clipped.any(axis=1)), np.asarray(read.all(axis=1))
    if not complete.any():
        raise InvalidInput(f"no row has a reading below the ceiling in each of {', '.join(names)}: measure some")
    order = order[(complete | (read.any(axis=1) & ~high))[order]]
    settings, readings, whole = data.settings[order], data.readings[order][:, columns], complete[order]
    lit, levels, note = _background(data.space, settings, readings, [background[name] for name in names if background])
    if not (lit & whole).any():
        raise InvalidInput("every row has all knobs off: measure some with light")
    by_name = ", ".join(f"{name} {level:.6g}" for name, level in zip(names, levels[-1].tolist(), strict=True))
    taught = lit & whole
    _refuse_still(names, settings[taught], readings[taught])
    unit, net = data.space.to_unit(settings), readings - levels
    return InverseProblem(
        data.space,
        names,
        settings=unit[taught],
        readings=net[taught],
        partial=(net[lit & ~whole], unit[lit & ~whole]),
        background=levels[-1],
        target=np.array([each.reading for each in fixed]),
        tolerance=np.array([each.tolerance for each in fixed]),
        notes=[
            *_left_out(high, ~complete & ~high),
            f"{note}: {by_name}",
            *_oddities(data.space, settings[taught], readings[taught]),
        ],
    )


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


def _oddities(space: Space, settings: Settings, readings: Readings) -> list[str]:
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
