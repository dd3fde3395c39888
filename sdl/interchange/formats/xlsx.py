"""Readings in a workbook of a spreadsheet (XLSX): a page with columns of knobs and channels, as in a CSV table."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdl.errors import InvalidInput
from sdl.formatting import count_words
from sdl.interchange.formats.csv_parquet import read_rows, unpack
from sdl.interchange.formats.jsonl import FileWords, Loaded, choose_table
from sdl.measurement.workbooks import read_workbook
from sdl.space import Space

LARGEST = 100_000_000
"""Bytes of a workbook, unpacked: its reader takes many times as much memory."""

Row = tuple[int, list[Any]]
"""The number of a row that has something in it, and its cells."""


def read_xlsx(path: Path, space: Space, words: FileWords) -> Loaded:
    """Read the page of a workbook that has readings; the others are named as not used.

    Raises:
        InvalidInput: if it is no workbook, or none or several of its pages may be meant.
    """
    pages = {name: _filled(page) for name, page in read_workbook(path.name, path.read_bytes(), LARGEST).items()}
    filled = [name for name, page in pages.items() if page] or list(pages)[:1]
    fitting = [name for name in filled if len(filled) == 1 or _has_readings(path, pages[name], space, words)]
    wanted = choose_table(path, "page", list(pages), fitting, words)
    others = [f"{name} ({count_words(len(pages[name]), 'row')})" for name in filled if name != wanted]
    return replace(_table(path, pages[wanted], space, words), tables=others)


def _table(path: Path, page: Sequence[Row], space: Space, words: FileWords) -> Loaded:
    header = _header(page)
    return read_rows(path, [name for name in header if name], _cells(header, page[1:]), space, words, unpack)


def _header(page: Sequence[Row]) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in page[0][1]] if page else []


def _cells(header: Sequence[str], rows: Sequence[Row]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Rows by column without their empty cells; what stands under no heading is a note of somebody's."""
    for number, row in rows:
        yield number, {name: cell for name, cell in zip(header, row, strict=False) if name and cell is not None}


def _filled(page: Sequence[Sequence[Any]]) -> list[Row]:
    return [(number, list(row)) for number, row in enumerate(page, start=1) if any(cell is not None for cell in row)]


def _has_readings(path: Path, page: Sequence[Row], space: Space, words: FileWords) -> bool:
    try:
        header = [name for name in _header(page) if name]
        return bool(page) and bool(read_rows(path, header, [], space, words).channels)
    except InvalidInput:
        return False
