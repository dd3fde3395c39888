"""Readings in a database of SQLite, as people share them who write to one: opened for reading, and never changed.

Its table has either a column of JSON, an object with ``in`` and ``out`` a row, or columns of knobs and channels. What a
stranger wrote into its schema runs nothing: tables alone are read, no view, and no function that is not SQLite's own.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdl.errors import InvalidInput
from sdl.formatting import count_words
from sdl.interchange.formats.csv_parquet import read_rows
from sdl.interchange.formats.jsonl import COLUMNS, FileWords, Loaded, choose_table, read_texts
from sdl.space import Space

WAIT_S = 10.0
"""For somebody who writes to it meanwhile."""
LONGEST_CELL = 10_000_000
"""Bytes."""


def read_sqlite(path: Path, space: Space, words: FileWords) -> Loaded:
    """Read the table of a database that has readings; the others are named as not used.

    Raises:
        InvalidInput: if it is no database, or none or several of its tables may be meant.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_S)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_CELL)
            database.execute("PRAGMA trusted_schema = OFF")
            return _read(database, path, space, words)
    except sqlite3.Error as error:
        raise InvalidInput(f"{path} is no database of SQLite that can be read: {error}") from error


def _read(database: sqlite3.Connection, path: Path, space: Space, words: FileWords) -> Loaded:
    of_tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    names = [name for (name,) in database.execute(of_tables)]
    fitting = [name for name in names if _json_column(database, name) or _has_readings(database, name, space, words)]
    wanted = choose_table(path, "table", names, fitting, words)
    others = [f"{name} ({count_words(_count(database, name), 'row')})" for name in names if name != wanted]
    return replace(_table(database, wanted, path, space, words), tables=others)


def _table(database: sqlite3.Connection, name: str, path: Path, space: Space, words: FileWords) -> Loaded:
    if column := _json_column(database, name):
        rows = database.execute(f"SELECT {_quoted(column)} FROM {_quoted(name)}")
        return read_texts(((number, _text(cell)) for number, (cell,) in enumerate(rows, start=1)), words)
    header = _columns(database, name)
    return read_rows(path, header, _cells(database, name, header), space, words)


def _cells(database: sqlite3.Connection, name: str, header: list[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, row in enumerate(database.execute(f"SELECT * FROM {_quoted(name)}"), start=1):
        if blobs := [column for column, cell in zip(header, row, strict=True) if isinstance(cell, bytes)]:
            yield number, f"{', '.join(blobs)} holds bytes, which are no number"
        else:
            yield number, {column: cell for column, cell in zip(header, row, strict=True) if cell is not None}


def _columns(database: sqlite3.Connection, name: str) -> list[str]:
    return [column for column, *_ in database.execute(f"SELECT * FROM {_quoted(name)} LIMIT 0").description]


def _json_column(database: sqlite3.Connection, name: str) -> str:
    """The column of which a row is an object with ``in`` and ``out``; empty if there is none."""
    for column in _columns(database, name):
        cell = _quoted(column)
        looks = f"json_valid({cell}) AND json_type({cell}, '$.in') NOT NULL AND json_type({cell}, '$.out') NOT NULL"
        query = f"SELECT 1 FROM {_quoted(name)} WHERE typeof({cell}) = 'text' AND {looks} LIMIT 1"
        if database.execute(query).fetchone():
            return column
    return ""


def _has_readings(database: sqlite3.Connection, name: str, space: Space, words: FileWords) -> bool:
    try:
        header = _columns(database, name)
        return not {*COLUMNS} <= {*header} and bool(read_rows(Path(name), header, [], space, words).channels)
    except InvalidInput:
        return False


def _count(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(cell: Any) -> str:
    """A cell of JSON as text: anything else is shown as it is."""
    return cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)
