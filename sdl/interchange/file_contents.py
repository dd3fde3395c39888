"""What a file of rows holds, each row judged: those that count, and those that do not, with the reasons."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sdl.errors import InvalidInput
from sdl.history import Purpose
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.category_names import Placed, place_names
from sdl.interchange.formats.csv_parquet import read_csv, read_parquet
from sdl.interchange.formats.jsonl import (
    DATABASES,
    READABLE,
    WORKBOOK,
    Fault,
    FileWords,
    Loaded,
    Record,
    raise_faults,
    read_lines,
    refuse_unsafe_file,
)
from sdl.interchange.formats.sqlite import read_sqlite
from sdl.interchange.formats.xlsx import read_xlsx
from sdl.interchange.inferred_space import Ranges, infer_space, is_claude_light, name_knobs, state_ranges
from sdl.interchange.record_rows import Attempt, Reading, Row, Unpartnered
from sdl.space import Readings, Settings, Space

READERS: Mapping[str, Callable[[Path, Space, FileWords], Loaded]] = {
    ".jsonl": read_lines,
    ".csv": read_csv,
    ".parquet": read_parquet,
    WORKBOOK: read_xlsx,
    **dict.fromkeys(DATABASES, read_sqlite),
}
"""By the suffix of the file."""
NOTHING_SAID = FileWords()
BYTE = 255
NAMED = 5
"""Lines that are named before the rest is counted."""
DAYS = (30_000, 60_000)
"""Days of our time as a spreadsheet counts them, from 1900 on."""
SINCE_1900 = (3.6e9, 4.4e9)
"""Seconds of our time as Mathematica counts them, from 1900 on."""
VALUE = re.compile(r": [^;]*| sent [^;]*")
"""What differs between two reasons that are the same."""
QUOTED = re.compile(r"'[^']*'|[-+]?\d[\w.+-]*")
"""What differs between two faults that are the same."""

Before = TypeVar("Before")
After = TypeVar("After")


@dataclass(frozen=True, eq=False)
class UnpartneredReadings:
    """Readings of a file whose settings are not known: they tell what can be read, and nothing is fitted to them."""

    readings: Readings
    """Shape ``(m, p)``; NaN where missing or censored."""
    lines: NDArray[np.int_]
    """Where each stands in the file, ``(m,)``."""
    doubtful: Sequence[Fault] = ()
    """Where others stand, which are not to be believed, and why."""


@dataclass(frozen=True, eq=False)
class FileContents:
    """All that a file holds, whether it counts or not."""

    space: Space
    ours: bool
    """Whether the laboratory wrote it."""
    off: Settings | None
    """As ``Data`` has it."""
    lines: Sequence[int]
    sources: Sequence[str]
    rows: list[Row]
    """As ``Ledger.trail`` gives them, each from the line of the same place."""
    unpartnered: UnpartneredReadings
    """Beside these."""
    faults: Sequence[Fault] = ()
    """Rows that were left out, each with its place."""
    beside: Sequence[str] = ()
    """What else of the file is not used or may be meant otherwise, in sentences."""

    @property
    def used(self) -> list[int]:
        """Places of the rows that count: of several attempts at one measurement the first that brought a reading.

        What another source than the instrument read is none of these.
        """
        first = dict[tuple[int, int, int], int]()
        for at, row in enumerate(self.rows):
            if row["readings"] is not None and row["purpose"] != Purpose.SOURCE:
                first.setdefault((row["round"], row["index"], row["replicate"]), at)
        return list(first.values())

    def notes(self) -> list[str]:
        """Which rows do not count, and why: as often as each reason comes, the commonest first; and what is beside."""
        left = sorted({*range(len(self.rows))} - {*self.used})
        why = defaultdict[str, list[int]](list)
        for at in left:
            row = self.rows[at]
            reason = "another attempt at it counts" if row["readings"] is not None else row["reason"] or row["state"]
            reason = "of another source than the instrument" if row["purpose"] == Purpose.SOURCE else reason
            why[VALUE.sub("", reason)].append(at)
        alone = self.unpartnered
        n = len(self.rows) + len(alone.lines) + len(alone.doubtful) + len(self.faults)
        return [*self.beside, *self._alone(n), *self._left_out(n)] + [
            f"{len(places)} of {n} rows of the file {'does' if len(places) == 1 else 'do'} not count "
            f"({name_lines([self.lines[at] for at in places])}): {self.rows[places[0]]['reason'] or reason}"
            for reason, places in sorted(why.items(), key=lambda item: -len(item[1]))
        ]

    def _alone(self, n: int) -> list[str]:
        """Which of ``n`` rows have no settings."""
        lines, notes, words = self.unpartnered.lines.tolist(), list[str](), "readings and no settings"
        if m := len(lines):
            have = "has" if m == 1 else "have"
            notes = [f"{m} of {n} rows of the file {have} {words} ({name_lines(lines)}): nothing is fitted to them"]
        doubtful = self.unpartnered.doubtful
        return [*notes, *(f"line {number} has {words}, and does not count: {reason}" for number, reason in doubtful)]

    def _left_out(self, n: int) -> list[str]:
        """Which of ``n`` rows have faults, and which, the commonest first."""
        alike = defaultdict[str, list[Fault]](list)
        for number, fault in self.faults:
            alike[QUOTED.sub("", fault)].append((number, fault))
        return [
            f"{len(faults)} of {n} rows of the file {'is' if len(faults) == 1 else 'are'} left out "
            f"({name_lines([number for number, _ in faults])}): {faults[0][1]}"
            for faults in sorted(alike.values(), key=lambda faults: -len(faults))
        ]


def name_lines(numbers: Sequence[int]) -> str:
    """Lines of a file in words, the first few of them by number.

    >>> name_lines([4, 9, 12]), name_lines([3])
    ('lines 4, 9, 12', 'line 3')
    """
    few = ", ".join(map(str, numbers[:NAMED]))
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {few}{more}"


def read_contents(
    path: Path,
    space: Space | None = None,
    ranges: Ranges | None = None,
    words: FileWords = NOTHING_SAID,
    *,
    leave_out: bool = False,
) -> FileContents:
    """Read a file, and judge each of its readings.

    Args:
        path: Of the file.
        space: Knobs and channels, by default what the file shows of them.
        ranges: Least and greatest setting of knobs; by default those of the space, else those of the rows.
        words: What is said of the file.
        leave_out: Whether rows with a fault are left out of it, and named; else it is refused.

    Raises:
        InvalidInput: with the place of the first ten faults, or if there is no record.
    """
    refuse_unsafe_file(path)
    loaded = _loaded(path, space or SPACE, words)
    model: type[Attempt] | type[Reading] = Attempt if loaded.ours else Reading
    partnered, alone = _by_partner(loaded)
    stated_knobs = loaded.knobs or (space.knob_names if space else ())
    placed = Placed(partnered) if loaded.ours else place_names(partnered, stated_knobs, space)
    records, malformed = _each(placed.records, lambda _, record: model.model_validate(record), loaded.knobs)
    faults = [*loaded.faults, *placed.faults, *malformed]
    if not records:
        raise_faults(path, faults)
        raise InvalidInput(f"{path}: no record in it" + (" has settings" if alone else ""))
    channels = _channels(loaded, [record for _, record in records])
    names = space.knob_names if space else name_knobs(len(records[0][1].settings_in), channels)
    knobs = loaded.knobs or names
    named, unnamed = _each(records, lambda _, record: (record, record.asked(knobs)))
    values = np.array([[settings[name] for name in knobs] for _, (_, settings) in named]).reshape(-1, len(knobs))
    inferred = space or infer_space(path, knobs, channels, values, placed.categories)
    stated = inferred.with_conditions(loaded.conditions)
    if set(knobs) != set(stated.knob_names):
        raise InvalidInput(f"{path}: the knobs there are {', '.join(knobs)}, not {', '.join(stated.knob_names)}")
    within = state_ranges(stated, ranges or {})
    in_bytes = _in_other_units(within, values, [number for number, _ in named])
    judged, impossible = _each([] if in_bytes else named, lambda number, pair: pair[0].row(number, within, pair[1]))
    unpartnered, unfit = _unpartnered(alone, within)
    faults = sorted([*faults, *unnamed, *impossible, *unfit])
    for_all = [*in_bytes, *_contradictions(judged)]
    if for_all or not leave_out:
        raise_faults(path, [*faults, *for_all])
    if not judged:
        raise_faults(path, faults)
    sources = {number: getattr(record, "source", "") for number, record in records}
    references = [row["settings"] for _, row in judged if row["purpose"] == Purpose.REFERENCE]
    states_off = any(knob.off is not None for knob in stated.knobs) or (
        stated.knob_names == SPACE.knob_names and is_claude_light(stated.channel_names)
    )
    return FileContents(
        within,
        loaded.ours,
        np.array(references[-1], float) if references else stated.off if states_off else None,
        [number for number, _ in judged],
        [sources[number] for number, _ in judged],
        [row for _, row in judged],
        unpartnered,
        faults,
        _beside(loaded, channels, [row["sent_at"] for _, row in judged if row["sent_at"] is not None]),
    )


def _by_partner(loaded: Loaded) -> tuple[list[tuple[int, Record]], list[tuple[int, Record]]]:
    """Records with settings, and those from elsewhere that have readings alone."""
    parts: tuple[list[tuple[int, Record]], list[tuple[int, Record]]] = ([], [])
    for number, record in loaded.records:
        parts[not loaded.ours and record.get("in", ()) is None].append((number, record))
    return parts


def _unpartnered(alone: Sequence[tuple[int, Record]], space: Space) -> tuple[UnpartneredReadings, list[Fault]]:
    """What records without settings read, and what is wrong with those that cannot be read."""
    screened, faults = _each(alone, lambda _, record: Unpartnered.model_validate(record).screened(space))
    believed = [(number, each.readings) for number, each in screened if each.verdict.usable]
    return UnpartneredReadings(
        np.array([readings for _, readings in believed]).reshape(-1, space.p),
        np.array([number for number, _ in believed], int),
        [(number, each.reason) for number, each in screened if not each.verdict.usable],
    ), faults


def _beside(loaded: Loaded, channels: Sequence[str], times: Sequence[float]) -> list[str]:
    """What of a file is not used, and times that look like days, in sentences."""
    silent = [repr(name) for name in loaded.channels if name not in channels]
    notes = [f"no number was read from {', '.join(silent)}, so it is no channel here"] if silent else []
    if unused := [repr(name) for name in loaded.unused]:
        roles = "a knob is a column 'in.NAME', a channel 'out.NAME', a condition 'cond.NAME'"
        notes += [f"columns that are not used: {', '.join(unused)}; {roles}"]
    notes += [f"tables that are not used: {', '.join(loaded.tables)}"] if loaded.tables else []
    if times and all(SINCE_1900[0] < time < SINCE_1900[1] for time in times):
        notes += [
            f"times from {min(times):.10g} to {max(times):.10g} are taken for seconds since 1970: if they count from "
            "1900, as Mathematica's do, write them as in 2025-07-31T19:44:16Z"
        ]
    if times and all(DAYS[0] < time < DAYS[1] for time in times):
        notes += [
            f"times from {min(times):g} to {max(times):g} are taken for seconds: if a spreadsheet counted them, "
            "in days, write them as in 2025-07-31T19:44:16Z"
        ]
    return notes


def _loaded(path: Path, space: Space, words: FileWords) -> Loaded:
    if (read := READERS.get(path.suffix.lower())) is None:
        raise InvalidInput(f"{path}: no format for the suffix {path.suffix!r}; {READABLE}")
    try:
        return read(path, space, words)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is no text in UTF-8: {error.reason} at byte {error.start}; save it as UTF-8 (in Excel 'CSV UTF-8')"
        ) from error


def _each(
    numbered: Iterable[tuple[int, Before]], step: Callable[[int, Before], After], knobs: Sequence[str] | None = None
) -> tuple[list[tuple[int, After]], list[Fault]]:
    """Take a step with each record; collect what is wrong with those that cannot take it, by the names of knobs."""
    results, faults = list[tuple[int, After]](), list[Fault]()
    for number, value in numbered:
        try:
            results.append((number, step(number, value)))
        except ValidationError as error:
            faults.append((number, _sentence(error, knobs or ())))
        except ValueError as error:
            faults.append((number, str(error).replace("\n", "; ")))
    return results, faults


def _sentence(error: ValidationError, knobs: Sequence[str]) -> str:
    fault = error.errors(include_url=False)[0]
    match fault["loc"]:
        case ("in", int(place)) if place < len(knobs):
            where = f"in.{knobs[place]}"
        case path:
            where = ".".join(map(str, path))
    return f"{where}: {fault['msg'].lower()}, got {repr(fault['input'])[:60]}"


def _channels(loaded: Loaded, records: Sequence[Reading | Attempt]) -> list[str]:
    """Names in ``out`` that stand for readings: in our own files all that was believed of them is numbers."""
    plain_values: dict[str, list[bool]] = {name: [] for name in loaded.channels if name}
    for record in records:
        for name, value in (record.out or {}).items():
            if name in plain_values and record.believed:
                plain_values[name].append(type(value) in (int, float))
    return [name for name, plain in plain_values.items() if not plain or (all if loaded.ours else any)(plain)]


def _in_other_units(space: Space, values: Settings, numbers: Sequence[int]) -> list[Fault]:
    """Whether settings ``(n, d)`` of knobs from 0 to 1 are given in bytes or percent, as one fault."""
    beyond = (values > 1).any(axis=1)
    from_0_to_1 = values.size and not space.low.any() and np.all(space.high == 1)
    if not from_0_to_1 or values.min() < 0 or not 2 <= values.max() <= BYTE:
        return []
    if beyond.mean() <= 0.5 and np.any(values % 1):  # most rows are right: it is some that are wrong
        return []
    first = numbers[int(beyond.argmax())]
    return [
        (first, f"settings go up to {values.max():g} where knobs go from 0 to 1: they look like 0-255 (divide by 255) "
                "or like percent (divide by 100)")
    ]  # fmt: skip


def _contradictions(rows: Iterable[tuple[int, Row]]) -> Iterator[Fault]:
    """Attempts that are there twice, or that do not belong to the measurement they say."""
    measurements: dict[tuple[int, int, int], tuple[Any, Any]] = {}
    attempts: set[tuple[int, int, int, int]] = set()
    for number, row in rows:
        key, what = (row["round"], row["index"], row["replicate"]), (row["purpose"], row["settings"])
        if measurements.setdefault(key, what) != what:
            yield number, f"round {key[0]}, index {key[1]}, replicate {key[2]} is another measurement further up"
        if (*key, row["attempt"]) in attempts:
            yield (
                number,
                f"attempt {row['attempt']} at round {key[0]}, index {key[1]}, replicate {key[2]} is there twice",
            )
        attempts.add((*key, row["attempt"]))
