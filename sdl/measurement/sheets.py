"""Sheets: the samples that are wanted as a table to be filled in, in CSV, XLSX or JSON, and what somebody filled in.

A row is known by its ``sample``, so rows may come back in any order, in part, and more than once. Columns of one's own
are passed over.
"""

import csv
import datetime
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value
from sdl.ledger.people.samples import Sample
from sdl.measurement.quantities import has_decimal_comma, is_unit
from sdl.measurement.workbooks import read_workbook, write_workbook
from sdl.space import Space
from sdl.system.atomic_files import write_atomically
from sdl.system.named_files import check_regular

SAMPLE, PURPOSE, FAILED, NOTE = "sample", "purpose", "failed", "note"
FORMULAS = tuple("=+-@\t\r")
"""A spreadsheet takes text that begins like this for a formula."""
LARGEST = 10_000_000
"""Bytes of a sheet, unpacked."""
KINDS = (".csv", ".xlsx", ".json")
HEADING = re.compile(r"(.+?)\s*[\[(]\s*(\S.*?)\s*[\])]")
"""A name, and a unit in brackets."""
ONCE = " (whole plate)"
"""Behind the heading of a knob that is constant within a batch."""


@dataclass(frozen=True)
class SheetRow:
    """What somebody wrote about one sample, as it stands there."""

    sample: str
    place: str
    """Where it stands, such as ``line 3``."""
    cells: Mapping[str, Any]
    """By the name of a knob or channel, ``failed`` or ``note``: text or a number; what is empty is left out."""


@dataclass(frozen=True)
class FilledSheet:
    """A sheet that came back."""

    rows: Sequence[SheetRow]
    comma: bool = False
    """Whether its decimals are known to have a comma."""
    unread: Sequence[str] = field(default=())
    """Headings of columns that nothing is read from."""
    units: Mapping[str, str] = field(default_factory=dict)
    """By the name of a knob or channel the unit that its heading says, where that is not its own."""


def sheet_headings(space: Space) -> dict[str, str]:
    """Return by the names of knobs and channels what stands above their columns."""
    headings = {quantity.name: quantity.heading for quantity in space.quantities}
    return headings | {space.knobs[k].name: space.knobs[k].heading + ONCE for k in space.shared}


def describe_common(space: Space, samples: Sequence[Sample]) -> str:
    """Say where the knobs stand that are set once for all these samples; empty where samples differ in one, too."""
    written = [space.written_settings(sample.request.settings) for sample in samples]
    knobs = [space.knobs[k] for k in space.shared]
    if not knobs or len({tuple(each[knob.name] for knob in knobs) for each in written}) != 1:
        return ""
    common = (f"{knob.name} = {written[0][knob.name]} {knob.unit}".strip() for knob in knobs)
    return f"set once for the whole plate: {', '.join(common)}"


def write_sheet(path: Path, space: Space, samples: Iterable[Sample]) -> None:
    """Write the samples as a sheet with empty cells for their readings.

    Raises:
        InvalidInput: if it cannot be written, or its name ends otherwise than in .csv or .xlsx.
    """
    space = space.measured
    head = [SAMPLE, PURPOSE, *sheet_headings(space).values(), FAILED, NOTE]
    rows: list[list[Any]] = [
        [sample.name, sample.request.purpose.value]
        + [
            value if isinstance(value, str) else float(f"{value:.10g}")
            for value in space.shown_settings(sample.request.settings).values()
        ]
        + [*(sample.readings.get(name, "") for name in space.channel_names), "", ""]
        for sample in samples
    ]
    table = [[_guarded(cell) for cell in row] for row in [head, *rows]]
    if path.suffix.lower() == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerows(table)
        content = text.getvalue().encode("utf-8-sig")  # without the mark a spreadsheet takes µ for two letters
    elif path.suffix.lower() == ".xlsx":
        content = write_workbook(table)
    else:
        raise InvalidInput(f"a sheet needs a name that ends in .csv or .xlsx, got {format_value(path.name)}")
    with write_atomically(path) as file:
        file.write(content)


def read_sheet(path: Path, space: Space) -> FilledSheet:
    """Read a sheet that somebody filled in; what its cells say is not judged yet.

    Raises:
        InvalidInput: if it is no table, or has no column ``sample``.
    """
    if path.suffix.lower() not in KINDS:
        raise InvalidInput(f"a sheet needs a name that ends in {', '.join(KINDS)}, got {format_value(path.name)}")
    try:
        check_regular(path)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise InvalidInput(f"{path} is larger than a sheet can be ({LARGEST} bytes)")
    if path.suffix.lower() == ".json":
        return read_said(_json_rows(path.name, content))
    if path.suffix.lower() == ".xlsx":
        return _as_sheet(path.name, _read_workbook(path.name, content), space, comma=False)
    table, semicolons = _read_csv(content)
    return _as_sheet(path.name, table, space, comma=semicolons)


def read_said(rows: Iterable[Mapping[str, Any]]) -> FilledSheet:
    """Take what a program says of samples: ``sample``, ``readings`` by channel, ``failed``, ``note``.

    Raises:
        InvalidInput: listing every row that is nothing of the kind.
    """
    taken, faults = list[SheetRow](), list[str]()
    known = {SAMPLE, "readings", FAILED, NOTE}
    for number, row in enumerate(rows, start=1):
        place = f"entry {number}"
        readings = row.get("readings", {}) if isinstance(row, Mapping) else None
        if not isinstance(readings, Mapping) or not row.get(SAMPLE):
            faults.append(f'{place}: needs {{"sample": "r0-0-0", "readings": {{...}}}}, got {format_value(row)}')
        elif strange := sorted(set(row) - known):
            faults += [f"{place}: unknown key {name!r}{suggest_nearest(name, known)}" for name in strange]
        else:
            words = {name: row[name] for name in (FAILED, NOTE) if row.get(name) not in (None, "", False)}
            cells = {name: value for name, value in readings.items() if value is not None}
            taken.append(SheetRow(str(row[SAMPLE]), place, cells | words))
    if faults:
        raise InvalidInput(faults)
    return FilledSheet(taken)


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell


def _read_workbook(name: str, content: bytes) -> list[list[Any]]:
    """The cells of the first page with the heading of the samples, or of the first one."""
    pages = [[[_seen(cell) for cell in row] for row in page] for page in read_workbook(name, content, LARGEST).values()]
    return next((page for page in pages if _head(page) is not None), pages[0])


def _seen(cell: Any) -> Any:
    """A cell of a workbook, a date in words: nobody means it for a number."""
    kind = next((kind for kind in ("date", "time") if isinstance(cell, getattr(datetime, kind))), "")
    return f"the {kind} {cell}" if kind else cell


def _head(table: Sequence[Sequence[Any]]) -> int | None:
    """Where the headings stand; None if nowhere."""
    rows = enumerate(table)
    return next((place for place, row in rows if any(str(cell).strip().casefold() == SAMPLE for cell in row)), None)


def _columns(table: Sequence[Sequence[Any]]) -> int:
    """How many headings there are; none without that of the samples."""
    head = _head(table)
    return 0 if head is None else len(table[head])


def _read_csv(content: bytes) -> tuple[list[list[Any]], bool]:
    """The cells of a table, and whether semicolons part them: then commas are free for decimals."""
    little, big = content[1:2] == b"\0", content[:1] == b"\0"  # two bytes a letter, which not every program marks
    wide = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le" if little else "utf-16-be"
    for encoding in (wide,) if wide == "utf-16" or little or big else ("utf-8-sig", "cp1252", "latin-1"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise InvalidInput("the sheet is no text: save it as CSV in UTF-8")
    first = text.partition("\n")[0]
    marks = ";\t,"
    if first.lower().startswith("sep="):
        text = text.partition("\n")[2]
        marks = first[4:5]
    csv.field_size_limit(LARGEST)
    try:
        tables = {mark: list(csv.reader(io.StringIO(text, newline=""), delimiter=mark)) for mark in marks}
        mark = max(marks, key=lambda mark: (_columns(tables[mark]), first.count(mark)))
        return tables[mark], mark == ";"
    except csv.Error as error:
        raise InvalidInput(f"the sheet is no table in CSV: {error}") from error


def _json_rows(name: str, content: bytes) -> list[Any]:
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name} is not JSON: {error}") from error
    return rows if isinstance(rows, list) else rows.get("samples", [rows]) if isinstance(rows, dict) else [rows]


def _as_sheet(name: str, table: Sequence[Sequence[Any]], space: Space, *, comma: bool) -> FilledSheet:
    filled = [(number, [_plain(cell) for cell in row]) for number, row in enumerate(table, start=1)]
    filled = [(number, row) for number, row in filled if any(cell != "" for cell in row)]
    filled = filled[_head([row for _, row in filled]) or 0 :]  # after a title, if there is one
    heads = [str(cell).strip() for cell in filled[0][1]] if filled else []
    known = {word: quantity.name for quantity in space.quantities for word in (quantity.name, quantity.heading)}
    known |= {heading: quantity for quantity, heading in sheet_headings(space).items()}
    known |= {word: word for word in (SAMPLE, PURPOSE, FAILED, NOTE)}
    by_word = {word.casefold(): column for word, column in known.items()}
    columns, units = [known.get(head, by_word.get(head.casefold())) for head in heads], dict[str, str]()
    for quantity in space.quantities:
        for place, head in enumerate(heads):
            apart = HEADING.fullmatch(head) if columns[place] is None else None
            if apart and apart[1].casefold() == quantity.name.casefold() and is_unit(apart[2], quantity.unit):
                columns[place], units[quantity.name] = quantity.name, apart[2]
    faults = [f"{name}: the column {column!r} is there twice" for column in known.values() if columns.count(column) > 1]
    if SAMPLE not in columns:
        there = ", ".join(filter(None, heads)) or "none"
        faults.append(f"{name}: needs a column 'sample', as 'sdl propose --sheet' writes it; it has {there}")
    if faults:
        raise InvalidInput(dict.fromkeys(faults))
    rows = list[SheetRow]()
    for number, row in filled[1:]:
        cells = {
            column: cell
            for column, cell in zip(columns, row, strict=False)
            if column not in (None, PURPOSE) and cell != ""
        }
        sample = str(cells.pop(SAMPLE, "")).strip()
        if sample or cells.keys() & (set(space.channel_names) | {FAILED}):
            rows.append(SheetRow(sample, f"line {number}", cells))
    texts = [cell for row in rows for cell in row.cells.values() if isinstance(cell, str)]
    unread = [head for head, column in zip(heads, columns, strict=True) if head and column is None]
    return FilledSheet(rows, comma or any(map(has_decimal_comma, texts)), unread, units)


def _plain(cell: Any) -> Any:
    """A cell as a number or text; empty text where there is nothing."""
    if cell is None:
        return ""
    if isinstance(cell, bool | int | float):
        return cell
    text = str(cell).strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULAS) else text
