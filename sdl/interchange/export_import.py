"""Observations out of a ledger and into one, as files: ``.jsonl`` (the paper's format), ``.csv`` or ``.parquet``.

A file that was exported holds every attempt, whatever became of it, so that export, import and export again give the
same bytes. Files from elsewhere need settings and readings alone.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sdl.campaign.definition import slugify
from sdl.errors import InvalidInput
from sdl.history import Entry, NoticeKind
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.csv_parquet import read_csv, read_parquet, write_csv, write_parquet
from sdl.interchange.epoch_check import compare_epochs
from sdl.interchange.jsonl import KNOWN, Fault, Loaded, raise_faults, read_lines, refuse_unsafe_file, write_lines
from sdl.interchange.record_rows import Attempt, Reading, Row, record_of_row
from sdl.ledger.controls import Controls
from sdl.ledger.ledger import Ledger
from sdl.space import Channel, Knob, Readings, Settings, Space
from sdl.system.atomic_files import write_atomically

FORMATS = {
    ".jsonl": (read_lines, write_lines),
    ".csv": (read_csv, write_csv),
    ".parquet": (read_parquet, write_parquet),
}
BYTE = 255

Before = TypeVar("Before")
After = TypeVar("After")


@dataclass(frozen=True, eq=False)
class Data:
    """Readings that count, in the order of taking."""

    space: Space
    settings: Settings
    """What was asked, ``(n, d)``."""
    readings: Readings
    """Shape ``(n, p)``; NaN where missing or censored."""
    censored: NDArray[np.bool_]
    """Channels at their ceiling, ``(n, p)``."""
    times: NDArray[np.float64]
    """Seconds since 1970, ``(n,)``; NaN where unknown."""


def export_campaign(ledger: Ledger, campaign: str, path: str | Path, *, force: bool = False) -> Path:
    """Write every attempt of a campaign to a file and return where it lies.

    In JSON lines each object has ``in`` (the settings applied, or asked where no answer came, in the order of the
    knobs), ``out`` (the raw value of each channel; null where no answer came), ``time`` (seconds since 1970), and what
    else the ledger knows of the attempt.

    Args:
        ledger: That holds the campaign.
        campaign: Its name.
        path: With a suffix of ``FORMATS``.
        force: Whether a file of that name may be replaced.

    Raises:
        InvalidInput: if there is no such campaign or no such format, or the file cannot be written.
    """
    path, entry = Path(path), ledger.entry(campaign)
    _, write = _format(path)
    records = [record_of_row(entry.space, row) for row in ledger.trail(entry.id)]
    try:
        with write_atomically(path, force=force) as file:
            write(file, records, entry.space.knob_names, entry.space.channel_names)
    except UnicodeEncodeError as error:  # the instrument made a name of half a character
        raise InvalidInput(f"{path}: {error.object!r} cannot be written in this format; give .jsonl") from error
    return path


def import_campaign(
    ledger: Ledger, path: str | Path, name: str, space: Space | None = None, instrument: str = "imported"
) -> Entry:
    """Enter the observations of a file as a finished campaign.

    Args:
        ledger: Where to.
        path: A file that ``export_campaign`` wrote, or one from elsewhere: JSON lines with ``in``, ``out`` and perhaps
            ``time``, or a table with columns of these.
        name: Of the new campaign.
        space: Knobs and channels; Claude-Light's if the names are, else taken from the file.
        instrument: What it was measured with, in words.

    Raises:
        InvalidInput: with the place of the first ten faults of the file; nothing is entered then.
    """
    path = Path(path)
    try:
        safe = slugify(name)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    space, trail = _trail(path, space)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    beside = compare_epochs(ledger, space, [row for row in trail if row["readings"] is not None])
    source = {"file": path.name, "sha256": digest, "epoch": [str(comparison) for comparison in beside]}
    entry = ledger.adopt(safe, instrument, space, {"imported": source}, trail, title=name)
    for comparison in beside:
        if comparison.other:
            Controls(ledger).note(entry.id, NoticeKind.OTHER_EPOCH, str(comparison))
    return entry


def read_data(path: str | Path, space: Space | None = None) -> Data:
    """Read the usable observations of a file without a ledger; the same files as ``import_campaign``.

    Raises:
        InvalidInput: with the place of the first ten faults, or if no reading counts.
    """
    space, trail = _trail(Path(path), space)
    first: dict[tuple[int, int, int], Row] = {}
    for row in trail:
        if row["readings"] is not None:
            first.setdefault((row["round"], row["index"], row["replicate"]), row)
    if not first:
        raise InvalidInput(f"{path}: none of {len(trail)} readings counts; the first: {trail[0]['reason']}")
    usable = list(first.values())
    return Data(
        space,
        settings=np.array([row["settings"] for row in usable], float),
        readings=np.array([row["readings"] for row in usable], float),
        censored=np.array([row["censored"] for row in usable], bool),
        times=np.array([row["sent_at"] for row in usable], float),
    )


def _format(path: Path) -> Any:
    if path.suffix.lower() not in FORMATS:
        raise InvalidInput(f"{path}: no format for the suffix {path.suffix!r}; {KNOWN}")
    return FORMATS[path.suffix.lower()]


# ---------------------------------------------------------------------- reading


def _trail(path: Path, space: Space | None) -> tuple[Space, list[Row]]:
    """The rows that a file becomes, and the space they are in."""
    refuse_unsafe_file(path)
    loaded = _loaded(path, space or SPACE)
    model: type[Attempt] | type[Reading] = Attempt if loaded.ours else Reading
    records, malformed = _each(loaded.records, lambda _, record: model.model_validate(record))
    faults = [*loaded.faults, *malformed]
    if not records:
        raise_faults(path, faults)
        raise InvalidInput(f"{path}: no record in it")
    knobs = loaded.knobs or _knob_names(len(records[0][1].settings_in), space)
    named, unnamed = _each(records, lambda _, record: (record, record.asked(knobs)))
    rows_of_settings = [[settings[name] for name in knobs] for _, (_, settings) in named]
    values = np.array(rows_of_settings).reshape(-1, len(knobs))
    space = space or _inferred(path, knobs, _channels(loaded, [record for _, record in records]), values)
    if set(knobs) != set(space.knob_names):
        raise InvalidInput(f"{path}: the knobs there are {', '.join(knobs)}, not {', '.join(space.knob_names)}")
    in_bytes = _in_other_units(space, values, [number for number, _ in named])
    rows, impossible = _each([] if in_bytes else named, lambda number, pair: pair[0].row(number, space, pair[1]))
    raise_faults(path, [*faults, *unnamed, *in_bytes, *impossible, *_contradictions(rows)])
    return space, [row for _, row in rows]


def _loaded(path: Path, space: Space) -> Loaded:
    try:
        loaded: Loaded = _format(path)[0](path, space)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from error
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


def _knob_names(d: int, space: Space | None) -> Sequence[str]:
    if space is not None:
        return space.knob_names
    return SPACE.knob_names if d == SPACE.d else [f"x{column}" for column in range(1, d + 1)]


def _channels(loaded: Loaded, records: Sequence[Reading | Attempt]) -> list[str]:
    """Names in ``out`` that stand for readings: in our own files all that was believed of them is numbers."""
    plain_values: dict[str, list[bool]] = {name: [] for name in loaded.channels if name}
    for record in records:
        for name, value in (record.out or {}).items():
            if name in plain_values and record.believed:
                plain_values[name].append(type(value) in (int, float))
    return [name for name, plain in plain_values.items() if not plain or (all if loaded.ours else any)(plain)]


def _inferred(path: Path, knobs: Sequence[str], channels: Sequence[str], values: Settings) -> Space:
    """Claude-Light's space if the names are its own, else what can be told from settings ``(n, d)``."""
    own_channels, theirs = set(SPACE.channel_names), set(channels)
    if set(knobs) == set(SPACE.knob_names) and (theirs <= own_channels or own_channels <= theirs):
        return SPACE
    if not channels:
        raise InvalidInput(f"{path}: no channel in it that gave numbers")
    try:
        return Space(
            knobs=tuple(_knob(name, column) for name, column in zip(knobs, values.T, strict=True)),
            channels=tuple(Channel(name=name, unit="", floor=None, integral=False) for name in channels),
        )
    except ValidationError as error:  # a column without a name, settings that a float cannot tell apart
        raise InvalidInput(f"{path}: no knobs and channels can be made of its columns: {_sentence(error)}") from error


def _knob(name: str, values: Settings) -> Knob:
    """A knob that goes from 0 to 1 if the values do, else from the least to the greatest of them."""
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    if not values.size or (low >= 0 and high <= 1):
        return Knob(name=name)
    return Knob(name=name, low=low, high=high if low < high else low + 1)


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
