"""The parameters of laws, as the rows have them, as a table for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.terminal import figure_table
from sdl.formatting import escape_invisible
from sdl.history import LawFacts


def law_tables(result: Mapping[str, Any]) -> list[Table]:
    """What each law of a result of ``solve`` or ``compare_models`` says of its parameters; none without a law."""
    laws = {row["model"]: LawFacts.from_json(row["law"]) for row in result["models"] if row.get("law")}
    if not laws:
        return []
    table = figure_table("Parameters of laws, 90 % intervals", ["law", "parameter"], ["by the rows"])
    for name, facts in laws.items():
        for parameter, each in (facts.parameters or {}).items():
            table.add_row(*(escape(escape_invisible(cell)) for cell in (name, parameter, str(each))))
    said = [f"{name}, {about}: {words}" for name, facts in laws.items() for about, words in facts.words.items()]
    kept = [text for text in said if ", parameters: " not in text]
    table.caption = escape("\n".join(map(escape_invisible, kept)))
    return [table]
