"""Records of measurements in tables: CSV and Parquet.

Our own have a column ``in.R`` for each knob, ``out.515nm`` for each channel and ``cond.temperature`` for each
condition; what is neither a plain number nor text is JSON there. An empty cell is a value that is not there.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sdl.errors import InvalidInput, suggest_nearest
from sdl.interchange.formats.jsonl import (
    COLUMNS,
    CONDITIONS,
    LARGEST,
    SAMPLE,
    SHOWN,
    TIMES,
    Fault,
    FileWords,
    Loaded,
    Record,
    are_names,
)
from sdl.interchange.formats.times import parse_time
from sdl.space import Space
from sdl.system.failpoints import pass_failpoint_each

TEXT = ("purpose", "state", "verdict", "reason", "raw", SAMPLE)
COUNTS = ("round", "index", "replicate", "attempt")
SECONDS = ("time", "done", "seconds")
GUARDED = tuple("=+-@\t\r'")
"""A spreadsheet takes text that begins like this for a formula; the last one marks text that was guarded."""
THOUSANDS = re.compile(r"[+-]?\d{1,3}([,'’_ \u00a0\u2009\u202f]\d{3})+(\.\d*)?")
DECIMAL_COMMA = re.compile(r"[+-]?[\d.'’ \u00a0\u2009\u202f]*,\d+")
WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
OTHER_MARKS = ";\t|"
"""What stands between columns where it is no comma."""
EXACT = 2**53
"""Whole numbers beyond this are not exact as floats."""


def write_csv(file: BinaryIO, records: Sequence[Record], knobs: Sequence[str], channels: Sequence[str]) -> None:
    """Write a CSV table; cells of text that a spreadsheet would run as a formula are guarded with ``'``."""
    header = _header(records, knobs, channels)
    text = io.TextIOWrapper(file, "utf-8", newline="")
    table = csv.writer(text)
    table.writerow(header)
    for record in pass_failpoint_each("in-export", records):
        cells = _flat(record, knobs)
        table.writerow([_cell(name, cells[name]) if name in cells else "" for name in header])
    text.detach()


def read_csv(path: Path, space: Space, words: FileWords) -> Loaded:
    """Read a CSV table, ours or with columns named by the knobs and channels of the space.

    Raises:
        InvalidInput: if its header is of no use.
    """
    csv.field_size_limit(LARGEST)
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.reader(file, strict=True)
        try:
            header = next(filter(any, table), [])
            rows = [(table.line_num, row) for row in table if any(row)]
        except csv.Error as error:
            raise InvalidInput(f"{path.name}, line {table.line_num}: {error}") from error
    if not set(COLUMNS) <= set(header):
        header = [name.strip() for name in header]
    return read_rows(path, header, _cells(header, rows), space, words, _uncell)


def write_parquet(file: BinaryIO, records: Sequence[Record], knobs: Sequence[str], channels: Sequence[str]) -> None:
    """Write a Parquet table; a channel that gave only numbers is a column of numbers, any other one is JSON."""
    header = _header(records, knobs, channels)
    flat = [_flat(record, knobs) for record in records]
    columns = {name: _column(name, [cells.get(name, _NONE) for cells in flat]) for name in header}
    pq.write_table(pa.table(columns), file)


def read_parquet(path: Path, space: Space, words: FileWords) -> Loaded:
    """Read a Parquet table, with columns as in ``read_csv``.

    Raises:
        InvalidInput: if it is none, unpacks to too much, or its header is of no use.
    """
    try:
        with pq.ParquetFile(path) as file:
            groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
            if (size := sum(group.total_byte_size for group in groups)) > LARGEST:
                raise InvalidInput(f"{path} unpacks to {size} bytes; at most {LARGEST} are read at once, split it")
            header, rows = file.schema_arrow.names, file.read().to_pylist()
    except InvalidInput:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # such as a date of the year 30,000
        raise InvalidInput(f"{path} is no table in Parquet: {error}") from error
    cells = ({name: cell for name, cell in row.items() if cell is not None} for row in rows)
    return read_rows(path, header, enumerate(cells, start=1), space, words, unpack)


_NONE: Any = object()


def _header(records: Sequence[Record], knobs: Sequence[str], channels: Sequence[str]) -> list[str]:
    # In the order of the alphabet, which is the same for whoever reads the file without knowing its channels.
    outputs = sorted({*channels, *(name for record in records for name in record["out"] or {})})
    conditions = sorted({name for record in records for name in record.get(CONDITIONS, {})})
    sample = [SAMPLE] if any(SAMPLE in record for record in records) else []
    named = [*(f"in.{name}" for name in knobs), *(f"out.{name}" for name in outputs)]
    return [*named, *(f"{CONDITIONS}.{name}" for name in conditions), *COLUMNS, *sample]


def _flat(record: Record, knobs: Sequence[str]) -> Record:
    """A record as cells by column; what is None has no cell, a channel that gave null has one."""
    cells = {f"in.{name}": value for name, value in zip(knobs, record["in"], strict=True)}
    cells |= {f"out.{name}": value for name, value in (record["out"] or {}).items()}
    cells |= {f"{CONDITIONS}.{name}": value for name, value in record.get(CONDITIONS, {}).items()}
    return cells | {name: record[name] for name in (*COLUMNS, SAMPLE) if record.get(name) is not None}


def _nested(cells: Record, roles: "_Roles") -> Record:
    out = {channel: cells[name] for name, channel in roles.outputs.items() if name in cells}
    record: Record = {"in": [cells.get(name) for name in roles.inputs]}
    record["out"] = out if out or cells.get("state") == "DONE" else None
    if known := {condition: cells[name] for name, condition in roles.conditions.items() if name in cells}:
        record[CONDITIONS] = known
    return record | {name: cells[name] for name in (*COLUMNS, SAMPLE) if name in cells}


def _cell(name: str, value: Any) -> str:
    if name not in TEXT:
        return json.dumps(value)
    return f"'{value}" if value.startswith(GUARDED) else str(value)


def _uncell(name: str, cell: str) -> Any:
    if name not in TEXT:
        return json.loads(cell)
    return cell[1:] if cell[0] == "'" and cell[1:].startswith(GUARDED) else cell


def unpack(name: str, cell: Any) -> Any:
    """Return what a cell of our own files stands for, where the format knows numbers from text."""
    return json.loads(cell) if isinstance(cell, str) and name not in TEXT else cell


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    missing = [value is _NONE for value in values]
    present = [None if value is _NONE else value for value in values]
    if name in TEXT:
        return pa.array(present, pa.string())
    if name in COUNTS:
        return pa.array(present, pa.int64())
    if name in SECONDS or all(gone or is_plain(value) for value, gone in zip(present, missing, strict=True)):
        return pa.array(present, pa.float64())
    return pa.array(
        [None if gone else json.dumps(value) for value, gone in zip(present, missing, strict=True)], pa.string()
    )


def is_plain(value: Any) -> bool:
    """Return whether a value is a number that any format holds exactly."""
    return type(value) in (int, float) and abs(value) <= EXACT


# ---------------------------------------------------------------------- from elsewhere


def _cells(header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> Iterator[tuple[int, Record | str]]:
    """Rows by column without their empty cells, or what is wrong with a row."""
    for place, row in rows:
        if len(row) == len(header):
            yield place, {name: cell for name, cell in zip(header, row, strict=True) if cell}
        else:
            hint = "; a decimal comma or thousands separators would do that" if len(row) > len(header) else ""
            yield place, f"needs {len(header)} cells as in the header, got {len(row)}{hint}"


def read_rows(
    path: Path,
    header: Sequence[str],
    rows: Iterable[tuple[int, Record | str]],
    space: Space,
    words: FileWords,
    thaw: Callable[[str, Any], Any] = lambda _, cell: cell,
) -> Loaded:
    """Read the rows of a table.

    Args:
        path: Of its file.
        header: Names of its columns.
        rows: Each with its number, and its cells by column, without the empty ones, or what is wrong with it.
        space: Whose knobs and channels are columns where none begins with ``in.`` or ``out.``.
        words: What is said of it.
        thaw: Makes a value of a cell of our own files.

    Raises:
        InvalidInput: if its header is of no use.
    """
    ours = set(COLUMNS) <= set(header)
    roles = _roles(path, header, space, words)
    times = [name for name in header if words.here(name) in TIMES and name not in roles.all]
    times.sort(key=lambda name: TIMES.index(words.here(name)))
    rows = list(rows)
    there = [row for _, row in rows if not isinstance(row, str)]
    named = {name for name in roles.inputs if not ours and are_names(row[name] for row in there if name in row)}
    records, faults, filled = list[tuple[int, Record]](), list[Fault](), set[str]()
    for place, cells in rows:
        if isinstance(cells, str):
            faults.append((place, cells))
            continue
        filled |= cells.keys()
        try:
            thawed = {name: thaw(name, cell) for name, cell in cells.items()} if ours else cells
            records.append((place, _nested(thawed, roles) if ours else _plain(cells, roles, times, named)))
        except (ValueError, RecursionError) as error:
            faults.append((place, str(error)))
    kept = {*roles.all, *times, *TIMES, "source", *((*COLUMNS, SAMPLE) if ours else ())}
    unused = [name for name in dict.fromkeys(header) if name in filled - kept]
    inputs, outputs, conditions = (list(named.values()) for named in (roles.inputs, roles.outputs, roles.conditions))
    return Loaded(ours, records, inputs, outputs, faults, conditions, unused)


@dataclass(frozen=True)
class _Roles:
    """What the columns of a table stand for, each with its name."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    conditions: Mapping[str, str]

    @property
    def all(self) -> set[str]:
        """The columns."""
        return {*self.inputs, *self.outputs, *self.conditions}


def _roles(path: Path, header: Sequence[str], space: Space, words: FileWords) -> _Roles:
    """Columns of knobs, of channels and of conditions."""
    here = [words.here(name) for name in header]
    if twice := sorted({name for name in filter(None, here) if here.count(name) > 1}):
        raise InvalidInput(
            f"{path.name}, line 1: every column needs a name of its own, found twice: {', '.join(twice)}"
        )
    if missing := [name for name in words.columns if name not in header]:
        raise InvalidInput(
            [f"{path.name}: no column {name!r} in it{suggest_nearest(name, header)}" for name in missing]
        )
    inputs, outputs, conditions = (
        {name: words.here(name).removeprefix(mark) for name in header if words.here(name).startswith(mark)}
        for mark in ("in.", "out.", f"{CONDITIONS}.")
    )
    if not inputs and not outputs:
        inputs = {name: words.here(name) for name in header if words.here(name) in space.knob_names}
        outputs = {name: words.here(name) for name in header if words.here(name) in space.channel_names}
        lacking = [name for name in space.knob_names if name not in inputs.values()]
        if inputs and outputs and lacking:
            found = ", ".join(inputs.values())
            raise InvalidInput(f"{path.name}, line 1: no column for {', '.join(lacking)}, only for {found}")
    if not inputs or not outputs:
        if separator := next((mark for mark in OTHER_MARKS if len(header) == 1 and mark in header[0]), ""):
            raise InvalidInput(
                f"{path.name}, line 1: its columns are separated by {separator!r}: write commas between them, and "
                "decimal points within numbers"
            )
        if not header:
            raise InvalidInput(f"{path.name} is empty: its first line has to name knobs and channels, as in 'in.R'")
        raise InvalidInput(
            f"{path.name}, line 1: no columns of knobs and channels among {', '.join(map(repr, header[:SHOWN]))}; "
            f"name them as in 'in.{space.knob_names[0]}' and 'out.{space.channel_names[0]}', with commas between"
        )
    return _Roles(inputs, outputs, conditions)


def _plain(cells: Record, roles: _Roles, times: Sequence[str], named: Collection[str]) -> Record:
    """A row from elsewhere; of the columns that are named its settings are text."""
    cells = {name: cell for name, cell in cells.items() if not isinstance(cell, str) or cell.strip()}
    missing = [name for name in roles.inputs if name not in cells]
    unpartnered = len(missing) == len(roles.inputs) and any(name in cells for name in roles.outputs)
    if missing and not unpartnered:
        raise ValueError(f"{', '.join(missing)} is empty")
    given = [name for name in roles.inputs if name in cells]
    settings = [cells[name].strip() if name in named else parse_number(name, cells[name]) for name in given]
    record: Record = {"in": None if unpartnered else settings}
    for part, columns in (("out", roles.outputs), (CONDITIONS, roles.conditions)):
        record[part] = {here: parse_number(name, cells[name]) for name, here in columns.items() if name in cells}
    time = next((cells[name] for name in times if name in cells), None)
    record |= {"time": parse_time(time), "source": str(cells.get("source") or "")}
    return record | {"raw": json.dumps(cells, default=str)}


def parse_number(name: str, cell: Any) -> int | float:
    """Return the number in a cell of a file from elsewhere.

    Raises:
        ValueError: saying what the cell holds instead.
    """
    value = _parsed(name, cell.strip()) if isinstance(cell, str) else cell
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {value!r}, not a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}: leave the cell empty if it was not read")
    return value


def _parsed(name: str, text: str) -> int | float:
    if text.startswith("="):
        raise ValueError(f"{name} is the formula {text[:40]!r}, which was never computed: save it in the spreadsheet")
    if THOUSANDS.fullmatch(text):
        raise ValueError(f"{name} is {text!r}: write it without thousands separators, with a decimal point")
    if DECIMAL_COMMA.fullmatch(text):
        raise ValueError(f"{name} is {text!r}: write it with a decimal point, not a decimal comma")
    try:
        return int(text) if WHOLE.fullmatch(text) else float(text.replace("_", "x"))  # Python's 1_0 is nobody's 10
    except ValueError:
        raise ValueError(f"{name} is {text[:40]!r}, not a number") from None
