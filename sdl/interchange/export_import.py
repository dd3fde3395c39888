"""Observations out of a ledger and into one, as files: ``.jsonl`` (the paper's format), ``.csv`` or ``.parquet``.

A campaign goes out as NeXus too (``.nxs``).

A file that was exported holds every attempt, whatever became of it, so that export, import and export again give the
same bytes. Files from elsewhere need settings and readings alone.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sdl.campaign.definition import slugify
from sdl.errors import InvalidInput
from sdl.history import Entry, NoticeKind, Purpose
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.epoch_check import compare_epochs
from sdl.interchange.formats import nexus
from sdl.interchange.formats.csv_parquet import read_csv, read_parquet, write_csv, write_parquet
from sdl.interchange.formats.jsonl import (
    KNOWN,
    Fault,
    Loaded,
    raise_faults,
    read_lines,
    refuse_unsafe_file,
    write_lines,
)
from sdl.interchange.inferred_space import Ranges, infer_space, is_claude_light, name_knobs, state_ranges
from sdl.interchange.record_rows import Attempt, Reading, Row, record_of_row
from sdl.ledger.controls import Controls
from sdl.ledger.ledger import Ledger
from sdl.space import Readings, Settings, Space
from sdl.system.atomic_files import write_atomically

FORMATS = {
    ".jsonl": (read_lines, write_lines),
    ".csv": (read_csv, write_csv),
    ".parquet": (read_parquet, write_parquet),
}
BYTE = 255
NAMED = 5
"""Lines that are named before the rest is counted."""
DAYS = (30_000, 60_000)
"""Days of our time as a spreadsheet counts them, from 1900 on."""
VALUE = re.compile(r": [^;]*| sent [^;]*")
"""What differs between two reasons that are the same."""

Before = TypeVar("Before")
After = TypeVar("After")


@dataclass(frozen=True, eq=False)
class Data:
    """Readings that count, in the order of the file."""

    space: Space
    settings: Settings
    """What was asked, ``(n, d)``."""
    readings: Readings
    """Shape ``(n, p)``; NaN where missing or censored."""
    censored: NDArray[np.bool_]
    """Channels at their ceiling, ``(n, p)``."""
    times: NDArray[np.float64]
    """Seconds since 1970, ``(n,)``; NaN where unknown."""
    off: Settings | None = None
    """The settings of a reference reading, ``(d,)``; None for an instrument that states none: it has no background."""
    lines: NDArray[np.int_] = field(default_factory=lambda: np.empty(0, int))
    """Where each stands in the file, ``(n,)``, counted from 1: its line, or the row of a Parquet table."""
    sources: Sequence[str] = ()
    """Where each comes from, in words of the file, ``(n,)``; empty where it does not say."""
    notes: Sequence[str] = ()
    """Which rows of the file are not here, and why, in sentences."""

    def with_quantities(self, formulas: Mapping[str, str]) -> "Data":
        """The same with quantities that are computed from its channels, by name; nothing is dark then, nor subtracted.

        Raises:
            InvalidInput: for each that has the name of a knob or channel, or that cannot be computed.
        """
        if not formulas:
            return self
        space = self.space.with_formulas({name: (formula, "") for name, formula in formulas.items()})
        blank, p = np.full((len(self.readings), len(formulas)), np.nan), self.space.p
        readings = np.array([space.computed(row) for row in np.hstack((self.readings, blank))])
        notes = [*self.notes]
        if self.off is not None:
            readings[self.space.at_off(self.settings), p:] = np.nan
            notes.append(f"{', '.join(formulas)} is computed from readings as they are: no background is subtracted")
        censored = np.hstack((self.censored, np.zeros(blank.shape, bool)))
        return replace(self, space=space, readings=readings, censored=censored, off=None, notes=notes)


def export_campaign(ledger: Ledger, campaign: str, path: str | Path, *, force: bool = False) -> Path:
    """Write every attempt of a campaign to a file and return where it lies.

    In JSON lines each object has ``in`` (the settings applied, or asked where no answer came, in the order of the
    knobs), ``out`` (the raw value of each channel; null where no answer came), ``time`` (seconds since 1970), and what
    else the ledger knows of the attempt.

    Args:
        ledger: That holds the campaign.
        campaign: Its name.
        path: With a suffix of ``FORMATS``, or ``.nxs`` for NeXus.
        force: Whether a file of that name may be replaced.

    Raises:
        InvalidInput: if there is no such campaign, or not all of it, no such format, or the file cannot be written.
    """
    path, entry = Path(path), ledger.whole_entry(campaign)
    if path.suffix.lower() in nexus.SUFFIXES:
        content = nexus.nexus_file(entry, ledger.trail(entry.id), ledger.account(entry.id)["findings"])
        with write_atomically(path, force=force) as file:
            file.write(content)
        return path
    _, write = _format(path, f"{KNOWN}, or {nexus.SUFFIXES[0]} for NeXus")
    records = [record_of_row(entry.space, row) for row in ledger.trail(entry.id)]
    try:
        with write_atomically(path, force=force) as file:
            write(file, records, entry.space.knob_names, entry.space.channel_names)
    except UnicodeEncodeError as error:  # the instrument made a name of half a character
        raise InvalidInput(f"{path}: {error.object!r} cannot be written in this format; give .jsonl") from error
    return path


def import_campaign(
    ledger: Ledger,
    path: str | Path,
    name: str,
    space: Space | None = None,
    instrument: str = "imported",
    ranges: Ranges | None = None,
) -> Entry:
    """Enter the observations of a file as a finished campaign; after an interruption the same call enters the rest.

    Args:
        ledger: Where to.
        path: A file that ``export_campaign`` wrote, or one from elsewhere: JSON lines with ``in``, ``out`` and perhaps
            ``time``, or a table with columns of these.
        name: Of the new campaign.
        space: Knobs and channels; Claude-Light's if the names are, else taken from the file.
        instrument: What it was measured with, in words.
        ranges: Least and greatest setting of knobs; by default those of the space, else those of the rows.

    Raises:
        InvalidInput: with the place of the first ten faults of the file; nothing is entered then.
        Interrupted, LedgerError: with how many rows are entered.
    """
    path = Path(path)
    try:
        safe = slugify(name)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    contents = _read(path, space, ranges)
    space, trail = contents.space, contents.rows
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    beside = compare_epochs(ledger, space, [row for row in trail if row["readings"] is not None])
    source = {"file": path.name, "sha256": digest, "epoch": [str(comparison) for comparison in beside]}
    if notes := contents.notes():
        source["notes"] = notes
    entry = ledger.adopt(safe, instrument, space, {"imported": source}, trail, title=name)
    for comparison in beside:
        if comparison.other:
            Controls(ledger).note(entry.id, NoticeKind.OTHER_EPOCH, str(comparison))
    return entry


def read_data(path: str | Path, space: Space | None = None, ranges: Ranges | None = None) -> Data:
    """Read the usable observations of a file without a ledger; the same files as ``import_campaign``.

    Args:
        path: The file.
        space: Knobs and channels, by default what the file shows of them.
        ranges: Least and greatest setting of knobs; by default those of the space, else those of the rows.

    Raises:
        InvalidInput: with the place of the first ten faults, or if no reading counts.
    """
    contents = _read(Path(path), space, ranges)
    rows = [contents.rows[at] for at in contents.used]
    if not rows:
        raise InvalidInput(
            f"{path}: none of {len(contents.rows)} readings counts; the first: {contents.rows[0]['reason']}"
        )
    return Data(
        contents.space,
        settings=np.array([row["settings"] for row in rows], float),
        readings=np.array([row["readings"] for row in rows], float),
        censored=np.array([row["censored"] for row in rows], bool),
        times=np.array([row["sent_at"] for row in rows], float),
        off=contents.off,
        lines=np.array([contents.lines[at] for at in contents.used]),
        sources=[contents.sources[at] for at in contents.used],
        notes=contents.notes(),
    )


def _format(path: Path, known: str = KNOWN) -> Any:
    if path.suffix.lower() not in FORMATS:
        raise InvalidInput(f"{path}: no format for the suffix {path.suffix!r}; {known}")
    return FORMATS[path.suffix.lower()]


# ---------------------------------------------------------------------- reading


@dataclass(frozen=True, eq=False)
class _Contents:
    """All that a file holds, whether it counts or not."""

    space: Space
    off: Settings | None
    """As ``Data`` has it."""
    lines: Sequence[int]
    sources: Sequence[str]
    rows: list[Row]
    """As ``Ledger.trail`` gives them, each from the line of the same place."""
    beside: Sequence[str]
    """What else of the file is not used or may be meant otherwise, in sentences."""

    @property
    def used(self) -> list[int]:
        """Places of the rows that count: of several attempts at one measurement the first that brought a reading."""
        first = dict[tuple[int, int, int], int]()
        for at, row in enumerate(self.rows):
            if row["readings"] is not None:
                first.setdefault((row["round"], row["index"], row["replicate"]), at)
        return list(first.values())

    def notes(self) -> list[str]:
        """Which rows do not count, and why: as often as each reason comes, the commonest first; and what is beside."""
        left = sorted({*range(len(self.rows))} - {*self.used})
        why = defaultdict[str, list[int]](list)
        for at in left:
            row = self.rows[at]
            reason = "another attempt at it counts" if row["readings"] is not None else row["reason"] or row["state"]
            why[VALUE.sub("", reason)].append(at)
        n = len(self.rows)
        return [*self.beside] + [
            f"{len(places)} of {n} rows of the file {'does' if len(places) == 1 else 'do'} not count "
            f"({name_lines([self.lines[at] for at in places])}): {self.rows[places[0]]['reason'] or reason}"
            for reason, places in sorted(why.items(), key=lambda item: -len(item[1]))
        ]


def name_lines(numbers: Sequence[int]) -> str:
    """Lines of a file in words, the first few of them by number.

    >>> name_lines([4, 9, 12]), name_lines([3])
    ('lines 4, 9, 12', 'line 3')
    """
    few = ", ".join(map(str, numbers[:NAMED]))
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {few}{more}"


def _read(path: Path, space: Space | None, ranges: Ranges | None) -> _Contents:
    """Read a file, and judge each of its readings.

    Raises:
        InvalidInput: with the place of the first ten faults, or if there is no record.
    """
    refuse_unsafe_file(path)
    loaded = _loaded(path, space or SPACE)
    model: type[Attempt] | type[Reading] = Attempt if loaded.ours else Reading
    records, malformed = _each(loaded.records, lambda _, record: model.model_validate(record))
    faults = [*loaded.faults, *malformed]
    if not records:
        raise_faults(path, faults)
        raise InvalidInput(f"{path}: no record in it")
    channels = _channels(loaded, [record for _, record in records])
    names = space.knob_names if space else name_knobs(len(records[0][1].settings_in), channels)
    knobs = loaded.knobs or names
    named, unnamed = _each(records, lambda _, record: (record, record.asked(knobs)))
    values = np.array([[settings[name] for name in knobs] for _, (_, settings) in named]).reshape(-1, len(knobs))
    stated = space or infer_space(path, knobs, channels, values)
    if set(knobs) != set(stated.knob_names):
        raise InvalidInput(f"{path}: the knobs there are {', '.join(knobs)}, not {', '.join(stated.knob_names)}")
    within = state_ranges(stated, ranges or {})
    in_bytes = _in_other_units(within, values, [number for number, _ in named])
    rows, impossible = _each([] if in_bytes else named, lambda number, pair: pair[0].row(number, within, pair[1]))
    raise_faults(path, [*faults, *unnamed, *in_bytes, *impossible, *_contradictions(rows)])
    references = [row["settings"] for _, row in rows if row["purpose"] == Purpose.REFERENCE]
    states_off = any(knob.off is not None for knob in stated.knobs) or (
        stated.knob_names == SPACE.knob_names and is_claude_light(stated.channel_names)
    )
    return _Contents(
        within,
        np.array(references[-1], float) if references else stated.off if states_off else None,
        [number for number, _ in rows],
        [getattr(record, "source", "") for _, (record, _) in named],
        [row for _, row in rows],
        _beside(loaded, channels, [row["sent_at"] for _, row in rows if row["sent_at"] is not None]),
    )


def _beside(loaded: Loaded, channels: Sequence[str], times: Sequence[float]) -> list[str]:
    """What of a file is not used, and times that look like days, in sentences."""
    silent = [repr(name) for name in loaded.channels if name not in channels]
    notes = [f"no number was read from {', '.join(silent)}, so it is no channel here"] if silent else []
    if unused := [repr(name) for name in loaded.unused]:
        notes += [f"columns that are not used: {', '.join(unused)}; a knob is a column 'in.NAME', a channel 'out.NAME'"]
    if times and all(DAYS[0] < time < DAYS[1] for time in times):
        notes += [
            f"times from {min(times):g} to {max(times):g} are taken for seconds: if a spreadsheet counted them, "
            "in days, write them as in 2025-07-31T19:44:16Z"
        ]
    return notes


def _loaded(path: Path, space: Space) -> Loaded:
    try:
        loaded: Loaded = _format(path)[0](path, space)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is no text in UTF-8: {error.reason} at byte {error.start}; save it as UTF-8 (in Excel 'CSV UTF-8')"
        ) from error
    return loaded


def _each(
    numbered: Iterable[tuple[int, Before]], step: Callable[[int, Before], After]
) -> tuple[list[tuple[int, After]], list[Fault]]:
    """Take a step with each record; collect what is wrong with those that cannot take it."""
    results, faults = list[tuple[int, After]](), list[Fault]()
    for number, value in numbered:
        try:
            results.append((number, step(number, value)))
        except ValidationError as error:
            faults.append((number, _sentence(error)))
        except ValueError as error:
            faults.append((number, str(error).replace("\n", "; ")))
    return results, faults


def _sentence(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}, got {repr(fault['input'])[:60]}"


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
