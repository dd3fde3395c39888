"""What a terminal shows: lines of JSON for programs, tables whose figures are never cut for people, how far work is."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from sdl.formatting import escape_invisible, format_duration, make_jsonable

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)
NARROWEST = 7
"""Columns of a terminal below which one of a table's is too narrow to be read."""
FIRST_S, LONGEST_S = 2.0, 60.0
"""After how long the first line goes into a log, and the longest between two; each waits twice as long as the last."""
_for_json: TextIO | None = None
"""Standard output, where it is kept for JSON."""


@contextlib.contextmanager
def kept_for_json() -> Iterator[None]:
    """Let nothing but JSON to standard output in this block: what drivers and models print there goes to the errors."""
    global _for_json
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except (OSError, AttributeError):  # it is closed, or a full disk
        yield
        return
    try:
        os.dup2(2, 1)
        with open(kept, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False) as _for_json:
            yield
    finally:
        _for_json = None
        with contextlib.suppress(OSError, ValueError):  # a driver may have closed it
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def print_json_line(data: Any) -> None:
    """Print data as one line of JSON, for a program that reads on and on."""
    print(_written(data), file=_for_json, flush=True)


def show(data: Any, as_json: bool, *parts: Table | Text | str) -> None:
    """Print data as JSON, or else as tables and lines for people; nothing in a line is taken for markup."""
    if as_json:
        print(_written(data, indent=2), file=_for_json, flush=True)  # a server goes on after it
        return
    for each in parts:
        if isinstance(each, Table):
            for part in split_wide_table(each, out):
                for line in [part] if out.width >= NARROWEST * len(part.columns) else _listed(part):
                    out.print(line)
        else:
            words = each if isinstance(each, Text) else escape_invisible(each)
            out.print(words, markup=False, soft_wrap=True)  # a terminal breaks lines itself, a pipe needs them whole


def _written(data: Any, indent: int | None = None) -> str:
    """Data as JSON, in characters that standard output has."""
    has_all = sys.stdout is not None and (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(make_jsonable(data), indent=indent, ensure_ascii=not has_all)


def _listed(table: Table) -> Iterator[Text]:
    """The cells of a table a line each, for a terminal in which its columns would have no room."""
    if table.title:
        yield Text.from_markup(str(table.title))
    headings = [Text.from_markup(str(column.header)) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        for heading, cell in zip(headings, row, strict=True):
            yield Text.assemble(heading, ": ", cell if isinstance(cell, Text) else Text.from_markup(str(cell)))
        yield Text()


def plain_table(columns: Iterable[str], rows: Iterable[Iterable[Any]], title: str | None = None) -> Table:
    """A table with its rows; nothing in a cell is taken for markup."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")  # a narrow terminal hides nothing
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else escape(_cell(value)) for value in row))
    return made


def figure_table(title: str, words: Iterable[str], figures: Iterable[str], **look: Any) -> Table:
    """A table without rows: columns of words, then of figures, which stand at the right; no name is taken for markup.

    Words fold where the terminal is narrow. A figure that is cut is another figure, so figures are left whole
    (``split_wide_table``).

    Args:
        title: Above it.
        words: Names of the first columns.
        figures: Names of the others.
        look: Further options of ``rich.table.Table``.
    """
    made = Table(title=escape(escape_invisible(title)), caption_justify="left", **look)
    for column in words:
        made.add_column(escape(escape_invisible(column)), overflow="fold")
    for column in figures:
        made.add_column(escape(escape_invisible(column)), justify="right", no_wrap=True)
    return made


def split_wide_table(whole: Table, console: Console) -> list[Table]:
    """Split a table with more figures than the terminal has room for into several; each has the columns of words."""
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
    return f"{value:.5g}" if isinstance(value, float) else escape_invisible(value)


# ---------------------------------------------------------------------- how far long work is


class Tell(Protocol):
    """Says how far work is."""

    def __call__(self, done: int, of: int, doing: str = "") -> Any:
        """Say that so many parts of so many are done, and what is done next."""


@contextlib.contextmanager
def show_progress(
    what: str, *, quiet: bool = False, console: Console = err, clock: Callable[[], float] = time.monotonic
) -> Iterator[Tell]:
    """Show how far work is while this block runs.

    Args:
        what: What is done, in a word.
        quiet: Whether nothing is to be shown.
        console: Where.
        clock: Seconds, from any moment on.
    """
    if quiet:
        yield lambda done, of, doing="": None
    elif not console.is_terminal:
        yield _Log(what, console, clock)
    else:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        words = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[far]}"))
        with Progress(SpinnerColumn(), *words, TimeElapsedColumn(), console=console, transient=True) as bar:
            task, began = bar.add_task(what, total=None, far=""), clock()

            def tell(done: int, of: int, doing: str = "") -> None:
                far = ", ".join(filter(None, (f"{done} of {of}", estimate_left(clock() - began, done, of))))
                bar.update(task, completed=done, total=of, description=escape_invisible(f"{what} {doing}"), far=far)

            yield tell


def estimate_left(seconds: float, done: int, of: int) -> str:
    """Say how much is left of work of which a part took so long; empty where nothing is known of it.

    >>> estimate_left(30, 3, 12), estimate_left(2, 0, 12)
    ('about 1 min 30 s left', '')
    """
    return f"about {format_duration(seconds * (of - done) / done)} left" if 0 < done < of else ""


@dataclass
class _Log:
    """Lines of a log, the rarer the longer the work takes."""

    what: str
    console: Console
    clock: Callable[[], float]
    wait: float = FIRST_S
    began: float = field(init=False)
    last: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.last = self.clock()

    def __call__(self, done: int, of: int, doing: str = "") -> None:
        now = self.clock()
        if now - self.last < self.wait:
            return
        self.last, self.wait = now, min(2 * self.wait, LONGEST_S)
        left = estimate_left(now - self.began, done, of)
        parts = [f"{self.what}: {done} of {of}", f"{format_duration(now - self.began)} so far", left, doing]
        words = escape_invisible(", ".join(filter(None, parts)))
        self.console.print(words, markup=False, soft_wrap=True)
