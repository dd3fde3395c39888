"""Records of measurements in JSON lines, one object a line, and what all formats of them have in common."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import parse_json
from sdl.interchange.formats.times import parse_time
from sdl.space import Space
from sdl.system.failpoints import pass_failpoint_each
from sdl.system.named_files import check_regular

Record: TypeAlias = dict[str, Any]
"""One attempt: ``in``, ``out`` and, in files of ours, all of ``COLUMNS``."""

Fault: TypeAlias = tuple[int, str]
"""The number of a line or row, and what is wrong there."""

COLUMNS = (
    "time", "round", "index", "replicate", "attempt", "purpose", "state", "verdict", "reason", "settings", "applied",
    "censored", "raw", "done", "seconds",
)  # fmt: skip
"""What our own files hold beside settings and readings ..."""
SAMPLE = "sample"
"""... and plate and well, where there are such."""
CONDITIONS = "cond"
"""What holds conditions by name, beside ``in`` and ``out``, where there are such."""
TIMES = ("time", "timestamp", "t0")
"""Names under which files from elsewhere say when a row was measured; the first one that is there counts."""
SHOWN = 10
"""Faults that are named before the rest is counted."""
LARGEST = 1_000_000_000
"""Bytes of a file, or of what it unpacks to, that are read at once."""
WORKBOOK = ".xlsx"
WRITTEN = "give .jsonl, .csv or .parquet"
NOTHING = {"nan", "na", "n/a", "none", "null", "inf", "infinity"}
"""Words for what was not read, and for what no number is."""
DATABASES = (".db", ".sqlite", ".sqlite3")
READABLE = f"give .csv, {WORKBOOK}, .jsonl or .parquet, or a database of SQLite ({', '.join(DATABASES)})"
MAY_HOLD_CODE = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".npy", ".npz", ".zip", ".gz", ".xlsm", ".xls")
ZIPPED = b"PK\x03\x04"
MAGIC = {
    b"\x80": "a pickle, which may run code when it is opened",
    ZIPPED: "a zip archive (as .npz, .pt and .xlsx files are)",
    b"\x1f\x8b": "compressed",
    b"x\x9c": "compressed",
    b"\x93NUMPY": "an array of NumPy",
}


@dataclass(frozen=True)
class FileWords:
    """What a person says of a file from elsewhere, which does not say it itself."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """What its columns, or the keys of its readings, are here, by their names there."""
    table: str = ""
    """Of a database the table with the readings, of a workbook the page; empty where only one can be meant."""

    def here(self, name: str) -> str:
        """Return what a column is called here."""
        return self.columns.get(name, name)


@dataclass(frozen=True)
class Loaded:
    """What a file holds, not judged yet."""

    ours: bool
    """Whether the laboratory wrote it."""
    records: Sequence[tuple[int, Record]]
    """Each with the number of its line or row; ``in`` is None of readings whose settings are not known."""
    knobs: Sequence[str] | None
    """Names of the values of ``in``; None if the file does not say."""
    channels: Sequence[str]
    """In the order of the file."""
    faults: Sequence[Fault]
    conditions: Sequence[str] = ()
    """What nobody chose, and is known of each row: temperature, humidity."""
    unused: Sequence[str] = ()
    """Columns of a table with something in them that is neither of a knob nor of a channel."""
    tables: Sequence[str] = ()
    """Tables of a database, or pages of a workbook, that are not used, in words."""


def refuse_unsafe_file(path: Path) -> None:
    """Refuse a file that may hold code, by its name and by its first bytes.

    Raises:
        InvalidInput: for such a file, for one that cannot be read and for one that is too large.
    """
    if path.suffix.lower() in MAY_HOLD_CODE:
        raise InvalidInput(f"{path}: a {path.suffix} file is never opened, since it may hold code; {READABLE}")
    try:
        check_regular(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
    except (OSError, ValueError) as error:  # a name may hold what no name can
        raise InvalidInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    for magic, kind in MAGIC.items():
        if start.startswith(magic) and (magic != ZIPPED or path.suffix.lower() != WORKBOOK):
            raise InvalidInput(f"{path} is {kind}, whatever its name says; {READABLE}")
    if size > LARGEST:
        raise InvalidInput(f"{path} has {size} bytes; at most {LARGEST} are read at once, split it")


def choose_table(path: Path, kind: str, names: Sequence[str], fitting: Sequence[str], words: FileWords) -> str:
    """Return the table of a file that is meant.

    Args:
        path: Of the file.
        kind: What such a file calls a table.
        names: Of all that are in it.
        fitting: Of those that have readings.
        words: What a person says of the file.

    Raises:
        InvalidInput: if there is none of the name that was said, or none or several may be meant.
    """
    if words.table and words.table not in names:
        raise InvalidInput(f"{path}: no {kind} {words.table!r} in it{suggest_nearest(words.table, names)}")
    if words.table or len(fitting) == 1:
        return words.table or fitting[0]
    found = f"of {', '.join(map(repr, fitting))} each may be meant" if fitting else "none has readings"
    raise InvalidInput(f"{path}: which {kind}? {found}; 'sdl import --table NAME' says it, of {', '.join(names)}")


def are_names(values: Iterable[Any]) -> bool:
    """Return whether values are the names of a category: at least two words, each with a letter in front."""
    words = {value.strip() if isinstance(value, str) else "" for value in values}
    return len(words) > 1 and all(word[:1].isalpha() and word.casefold() not in NOTHING for word in words)


def raise_faults(path: Path, faults: Iterable[Fault]) -> None:
    """Raise the first ten faults of a file and the number of the others, if there are any.

    Raises:
        InvalidInput: with the file and the place of each.
    """
    in_order = sorted(faults)
    if in_order:
        place = "row" if path.suffix.lower() in (".parquet", WORKBOOK, *DATABASES) else "line"
        more = [f"and {len(in_order) - SHOWN} more"] if len(in_order) > SHOWN else []
        raise InvalidInput([f"{path.name}, {place} {number}: {fault}" for number, fault in in_order[:SHOWN]] + more)


def write_lines(file: BinaryIO, records: Sequence[Record], knobs: Sequence[str], channels: Sequence[str]) -> None:
    """Write one object a line, in ASCII."""
    file.writelines((json.dumps(record) + "\n").encode("ascii") for record in pass_failpoint_each("in-export", records))


def read_lines(path: Path, _: Space, words: FileWords) -> Loaded:
    """Read one object a line; the text of a line that is not ours becomes its ``raw``.

    The settings of a line from elsewhere are a list or, as in the first line that has some, an object with the names of
    the knobs.
    """
    with path.open(encoding="utf-8-sig") as file:
        return read_texts(((number, line) for number, line in enumerate(file, start=1) if line.strip()), words)


def read_texts(texts: Iterable[tuple[int, str]], words: FileWords) -> Loaded:
    """Read objects, each with the number of its line or row."""
    records, faults, ours = list[tuple[int, Record]](), list[Fault](), False
    knobs: list[str] | None = None
    named = False
    for number, line in texts:
        try:
            record = _object(line)
        except (ValueError, RecursionError) as error:
            faults.append((number, f'needs {{"in": [numbers], "out": {{channel: number}}}}: {error}'))
            continue
        ours = set(COLUMNS) <= record.keys() if not records else ours
        record = record if ours else _renamed(record, words)
        if not named and (ours or record.get("in") is not None):
            knobs, named = _names(record["settings"] if ours else record["in"]) or None, True
        try:
            records.append((number, record if ours else _from_elsewhere(record, knobs, line.strip())))
        except ValueError as error:
            faults.append((number, str(error)))
    channels = dict.fromkeys(name for _, record in records for name in _names(record.get("out")))
    conditions = dict.fromkeys(name for _, record in records for name in _names(record.get(CONDITIONS)))
    return Loaded(ours, records, knobs, list(channels), faults, list(conditions))


def _renamed(record: Record, words: FileWords) -> Record:
    """The same with settings and readings as they are called here."""
    parts = {key: record[key] for key in ("in", "out", CONDITIONS) if isinstance(record.get(key), dict)}
    return record | {key: {words.here(name): value for name, value in part.items()} for key, part in parts.items()}


def _from_elsewhere(record: Record, knobs: Sequence[str] | None, raw: str) -> Record:
    """A line of somebody else with its settings in the order of the knobs, if these have names, and its time."""
    settings = record.get("in")
    if settings is None and _names(record.get("out")):
        record = record | {"in": None}
    elif isinstance(settings, Mapping) or knobs is not None:
        if set(_names(settings)) != set(knobs or ()):
            wanted = f"an object of {', '.join(knobs)}" if knobs else "a list"
            raise ValueError(f"'in' is {wanted} in the first line, got {str(settings)[:60]}")
        record = record | {"in": [record["in"][name] for name in knobs or ()]}
    time = parse_time(next((record[name] for name in TIMES if name in record), None))
    return record | {"time": time, "source": str(record.get("source") or ""), "raw": raw}


def _object(line: str) -> Record:
    value = parse_json(line, _no_constant)
    if not isinstance(value, dict):
        raise ValueError(f"this is {line.strip()[:40]!r}")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no reading, leave the channel out")


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, Mapping) else []
