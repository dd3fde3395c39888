"""What a notebook shows: small tables, and a line that is written anew in its place."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Protocol, TypeVar

from sdl.errors import InvalidInput
from sdl.formatting import escape_invisible

Show = Callable[[str], object]
"""Shows HTML in the place of what was shown before."""


class Part(Protocol):
    """What shows itself in a notebook."""

    def _repr_html_(self) -> str: ...


Each = TypeVar("Each", bound=Part)


class Shown(tuple[Each, ...]):
    """Several such things, which show themselves one below the other."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in self)


def html_text(words: object) -> str:
    """Return words of anybody's as text of a page."""
    return escape(escape_invisible(str(words)))


def html_table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in HTML; cells are text, whatever they hold."""
    heads = "".join(f"<th>{html_text(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


@contextmanager
def shown_in_place() -> Iterator[Show]:
    """Show HTML below the cell at work, each time in the place of what was there; outside a notebook, nothing."""
    if not _in_a_notebook():
        yield lambda _: None
        return
    from IPython import display

    handle = display.display(display.HTML(""), display_id=True)  # type: ignore[no-untyped-call]
    yield lambda words: handle.update(display.HTML(words))  # type: ignore[no-untyped-call]


def pandas() -> Any:
    """Return the library of tables.

    Raises:
        InvalidInput: where it is not installed, with what to do.
    """
    try:
        import pandas as library
    except ModuleNotFoundError as error:
        raise InvalidInput("a table needs pandas: pip install 'inverse-sdl[notebook]'") from error
    return library


def _in_a_notebook() -> bool:
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python else None
    return shell is not None and hasattr(shell, "kernel")
