"""What an answer is: a draw, the mean of its branch, or its most probable settings; and paths, and what is kept.

Tables for a terminal of what ``solve`` says beside its offers.
"""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.terminal import figure_table
from sdl.formatting import escape_invisible, format_percent

KINDS = {"draw": "draw", "mean": "mean of draws", "most_probable": "most probable"}
"""By the name in the data, what people call it; what is offered is the draw."""
WAYS = {"tikhonov": "Tikhonov", "truncated": "truncated SVD"}


def branch_tables(result: Mapping[str, Any]) -> list[Table]:
    """What each branch of the first model's answers is, the path and the regularised settings, where there are any."""
    rows = [row for row in result["models"] if row["error"] is None]
    made = [_kinds(result, row) for row in rows if row["model"] == result["first"]]
    if any(row.get("path") for row in rows):
        made.append(_paths(result, rows))
    if any(row.get("regularised") for row in rows):
        made.append(_kept(result, rows))
    return made


def _kinds(result: Mapping[str, Any], row: Mapping[str, Any]) -> Table:
    title = f"Each answer of {row['model']} as a draw, which is offered, as a mean, and at its most probable"
    table = figure_table(escape(escape_invisible(title)), ["answer", "settings"], _columns(result))
    for number, offer in enumerate(row["candidates"], start=1):
        for kind, words in KINDS.items():
            place = offer if kind == "draw" else offer[kind]
            misses = f", misses {', '.join(place['misses'])}" if place["misses"] else ""
            table.add_row(
                f"{number}" if kind == "draw" else "", escape(escape_invisible(words + misses)), *_cells(place)
            )
    table.caption = "a mean is no answer where the draws lie on a curve; readings are the model's own"
    return table


def _paths(result: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> Table:
    table, notes = figure_table("Path from the known pair", ["model", "of the way"], _columns(result)), list[str]()
    for row in rows:
        path = row["path"]
        if path["error"] is None:
            table.add_row(escape(escape_invisible(row["model"])), format_percent(path["share"]), *_cells(path))
        notes.append(f"{row['model']}: {path['error'] or path['reason']}")
    table.caption = escape("\n".join(map(escape_invisible, notes)))
    return table


def _kept(result: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> Table:
    table = figure_table("Kept to what was known before, as far as noise allows", ["model", "by"], _columns(result))
    notes = list[str]()
    for row in rows:
        found = row["regularised"]
        if found["error"] is not None:
            notes.append(f"{row['model']}: {found['error']}")
            continue
        for way, words in WAYS.items():
            table.add_row(escape(escape_invisible(row["model"])), words, *_cells(found[way]))
            notes.append(f"{row['model']}, {words}: {found[way]['reason']} {found[way]['gave_up']}")
    table.caption = escape("\n".join(map(escape_invisible, notes)))
    return table


def _columns(result: Mapping[str, Any]) -> list[str]:
    return [*result["row"]["settings"], *result["target"]]


def _cells(place: Mapping[str, Any]) -> list[str]:
    settings = [f"{value:.4f}" for value in place["settings"].values()]
    return [*settings, *(f"{value:.5g}" for value in place["readings"].values())]
