"""What the commands share: their options, how they print, and how they set up Prefect."""

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from copy import copy, deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from flows import environment
from sdl.errors import InvalidInput
from sdl.formatting import jsonable, shown, visible
from sdl.ledger.ledger import Ledger

Home = Annotated[
    Path | None, typer.Option("--home", help="Data directory; SDL_HOME or ./sdl-data unless told.", show_default=False)
]
LedgerOption = Annotated[
    str | None, typer.Option("--ledger", help="Ledger: a file or a database URL; SDL_LEDGER or a file in the home.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="KEY=VALUE of the instrument, again for more.", show_default=False),
]

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def lines(data: Any) -> None:
    """Print data as one line of JSON, for a program that reads on and on."""
    print(json.dumps(jsonable(data), ensure_ascii=False), flush=True)


def show(data: Any, as_json: bool, *parts: Table | Text | str) -> None:
    """Print data as JSON, or else as tables and lines for people; nothing in a line is taken for markup."""
    if as_json:
        print(json.dumps(jsonable(data), indent=2, ensure_ascii=False), flush=True)  # a server goes on after it
        return
    for each in parts:
        if isinstance(each, Table):
            for part in blocks(each, out):
                out.print(part)
        else:
            words = each if isinstance(each, Text) else visible(each)
            out.print(words, markup=False, soft_wrap=True)  # a terminal breaks lines itself, a pipe needs them whole


def table(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str | None = None) -> Table:
    """A table of plain cells; nothing in them is taken for markup."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")  # a narrow terminal hides nothing
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else escape(_cell(value)) for value in row))
    return made


def ruled(title: str, words: Iterable[str], figures: Iterable[str], **look: Any) -> Table:
    """A table without rows: columns of words, then of figures, which stand at the right; no name is taken for markup.

    Words fold where the terminal is narrow. A figure that is cut is another figure: these are left whole (``blocks``).

    Args:
        title: Above it.
        words: Names of the first columns.
        figures: Names of the others.
        look: Further options of ``rich.table.Table``.
    """
    made = Table(title=escape(visible(title)), caption_justify="left", **look)
    for column in words:
        made.add_column(escape(visible(column)), overflow="fold")
    for column in figures:
        made.add_column(escape(visible(column)), justify="right", no_wrap=True)
    return made


def blocks(whole: Table, console: Console) -> list[Table]:
    """A table with more figures than the terminal has room for as several, one below another, each with the words."""
    words = [column for column in whole.columns if not column.no_wrap]
    figures = [column for column in whole.columns if column.no_wrap]
    for column in figures:  # Rich would take it to be as narrow as its longest word
        cells = (Text.from_markup(str(cell)) for cell in (column.header, *column.cells))
        column.min_width = max(line.cell_len for cell in cells for line in cell.split())
    endless = console.options.update(max_width=sys.maxsize)  # else the terminal's width is the most that is measured
    made = [_of(whole, words)]
    for figure in figures:
        wider = _of(whole, [*made[-1].columns, figure])
        if len(wider.columns) > len(words) + 1 and console.measure(wider, options=endless).minimum > console.width:
            made.append(_of(whole, [*words, figure]))
        else:
            made[-1] = wider
    made[0].title, made[-1].caption = whole.title, whole.caption
    return made


def _of(whole: Table, columns: Iterable[Column]) -> Table:
    """Some columns of a table, with its look and all its rows."""
    chosen, part = list(columns), copy(whole)
    part.title, part.caption, part.columns, part.rows = None, None, [], []
    for each in chosen:
        part.columns.append(replace(each, _index=len(part.columns), _cells=[]))
    for row, cells in zip(whole.rows, zip(*(each.cells for each in chosen), strict=True), strict=True):
        part.add_row(*cells, end_section=row.end_section)
    return part


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else visible(value)


def open_ledger(home: Path | None, ledger: str | None) -> Ledger:
    """The ledger that the options name."""
    return Ledger(environment.ledger(ledger, environment.home(home)))


def pairs(written: Iterable[str] | None, what: str) -> dict[str, Any]:
    """``KEY=VALUE`` strings as a dictionary, values read as TOML where they can be.

    Raises:
        InvalidInput: listing every one that has no ``=``.
    """
    given = list(written or [])
    if wrong := [each for each in given if "=" not in each]:
        raise InvalidInput([f"{what} needs KEY=VALUE, got {shown(each)}" for each in wrong])
    return {key.strip(): _value(text.strip()) for key, _, text in (each.partition("=") for each in given)}


def override(written: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What was written with dotted keys replaced: ``instrument.url``, ``budget``, ``targets.0.tolerance``.

    Raises:
        InvalidInput: listing every key that leads nowhere.
    """
    changed = deepcopy(dict(written))
    faults = list[str]()
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = changed
        try:
            for key in parents:
                place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
            place[int(last) if isinstance(place, list) else last] = value
        except (AttributeError, IndexError, TypeError, ValueError):
            faults.append(f"--set {shown(path)}: the file has no such place")
    if faults:
        raise InvalidInput(faults)
    return changed


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # text, or a number of thousands of digits
        pass
    try:
        return float(text)  # TOML has no .5
    except ValueError:
        return text


def start_prefect(home: Path) -> str:
    """Make a Prefect API available and point Prefect at it, before its first import."""
    from flows.server import server

    environment.set_up_prefect(home)
    with err.status("starting Prefect"):
        url = server.api(home)
    environment.set_up_prefect(home, url)
    return url
