"""The channels that a target leaves free, foretold at the settings of each answer, as a table for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.terminal import figure_table
from sdl.formatting import escape_invisible, format_interval, format_percent
from strategies.posterior.predictive_interval import LEVEL


def foretold_tables(result: Mapping[str, Any]) -> list[Table]:
    """The intervals at every answer of a result of ``solve`` or ``compare_models``; none where nothing is left free."""
    row = result["row"]
    if not row["free"]:
        return []
    title = f"Channels left free: {format_percent(LEVEL)} interval of one reading"
    table = figure_table(title, ["at the settings of"], list(row["free"]))
    for answered in result["models"]:
        if answered["error"] is None:
            for place, answer in enumerate(answered["candidates"] or [answered["nearest"]], start=1):
                number = f" {place}" if len(answered["candidates"]) > 1 else ""
                _add(table, f"{answered['model']}{number}", answer["free"])
    table.add_section()
    _add(table, f"row in line {row['line']}", row["free"])
    return [table]


def _add(table: Table, words: str, free: Mapping[str, Mapping[str, float]]) -> None:
    cells = [format_interval(each["low"], each["high"]) for each in free.values()]
    table.add_row(escape(escape_invisible(words)), *map(escape, cells))
