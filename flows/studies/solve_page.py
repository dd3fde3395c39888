"""What ``sdl solve`` says as one HTML page that holds all it shows: which settings to take, then every table."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from flows.studies.solve import solve_tables
from sdl.reports.html import render_page, write_page


def write_solve_page(result: Mapping[str, Any], path: Path) -> Path:
    """Write the page of an answer, in place of an earlier one, and return where it lies.

    Args:
        result: What ``flows.studies.solve.solve`` returns.
        path: File of the page.

    Raises:
        InvalidInput: if it cannot be written.
    """
    tables = [_plain_table(table) for table in solve_tables(result)]
    return write_page(
        render_page("solution.html", result=result, name=Path(result["data"]).name, at=time.time(), tables=tables),
        path,
    )


def _plain_table(table: Table) -> dict[str, Any]:
    """The words of a table for a terminal: title, heads (each with whether figures stand below it), rows, notes."""
    columns = [list(map(_plain_text, column.cells)) for column in table.columns]
    return {
        "title": _plain_text(table.title),
        "heads": [(_plain_text(column.header), column.justify == "right") for column in table.columns],
        "rows": list(zip(*columns, strict=True)),
        "notes": _plain_text(table.caption).splitlines(),
    }


def _plain_text(words: Any) -> str:
    return Text.from_markup(str(words or "")).plain
