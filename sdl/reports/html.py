"""What our HTML pages have in common: one file that loads nothing, its style, and strangers' words made harmless."""

import base64
import hashlib
import re
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from sdl.errors import InvalidInput
from sdl.formatting import (
    escape_invisible,
    format_moment,
    format_number,
    format_percent,
    format_setting,
    format_with_margin,
)
from sdl.system.atomic_files import write_atomically

SCRIPT = "marks.js"
"""The one thing that runs in a page, on figures with marks."""
TABLE = re.compile(r"<table(?P<class>[^>]*)>(?P<rows>.*?)</table>", re.DOTALL)
ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)
CELL = re.compile(r"<(?P<tag>t[hd])(?P<attributes>[^>]*)>(?P<content>.*?)</(?P=tag)>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")
WIDTHS = range(280, 1240, 60)
"""Pixels of the space for a table; below that of its class its rows are folded, those of the last one always are."""
LETTER, GAP = 8.8, 16
"""Pixels of a letter in a table, in a wide font, and between columns."""
SMALL_LETTER, SMALL_GAP = 7.7, 12
"""The same in tables of many columns, and of all tables on a phone."""
PHONE = 400
"""Pixels of the space for a table below which its letters are small."""
BOLD = 1.15
"""Times as wide are letters of the names of models."""
BREAKABLE = 24
"""Letters from which on words in a cell go on in the next line."""


def render_page(template: str, /, **values: Any) -> str:
    """Return a page of this package, such as ``report.html``, with tables that no screen cuts."""
    script = hashlib.sha256(_load_template(SCRIPT).render().encode()).digest()
    known = f"'sha256-{base64.b64encode(script).decode()}'"  # so that nothing of strangers runs
    page = _load_template(template).render(**values, widths=WIDTHS, phone=PHONE, script=known)
    return TABLE.sub(_fold_table, page)


def _fold_table(found: re.Match[str]) -> str:
    """A table whose cells know the names of their columns and which says how much room it needs.

    Where it has less, the style shows each row as a block of cells, each below the name of its column.
    """
    rows = [list(CELL.finditer(row)) for row in ROW.findall(found["rows"])]
    heads = [_words(cell["content"]) for cell in rows[0]] if rows else []
    needed = [0.0] * len(heads)
    for row in rows:
        for place, cell in enumerate(row[: len(heads)]):
            if "colspan" not in cell["attributes"]:
                needed[place] = max(needed[place], _needed(cell))
    small = SMALL_GAP * len(heads) + SMALL_LETTER * sum(needed)
    room = small if "small" in found["class"] or small < PHONE else GAP * len(heads) + LETTER * sum(needed)
    least = next((width for width in WIDTHS if width >= room), WIDTHS[-1])
    folded = ROW.sub(lambda row: _name_cells(row[0], heads), found["rows"])
    names = [*re.findall(r'"(.*)"', found["class"]), f"w{least}"]
    return f'<table class="{" ".join(names)}">{folded}</table>'


def _words(content: str) -> str:
    return TAG.sub(" ", content).strip()


def _needed(cell: re.Match[str]) -> float:
    """Letters that a cell has to have beside each other."""
    lines = [unescape(TAG.sub("", line)).strip() for line in cell["content"].split("<br>")]
    words = [word for line in lines for word in line.split()]
    if cell["tag"] == "th":
        lines = words
    elif 'class="n"' not in cell["attributes"]:
        lines = [*words, *(line[:BREAKABLE] for line in lines)]
    return max(map(len, lines), default=0) * (BOLD if "model" in cell["attributes"] else 1.0)


def _name_cells(row: str, heads: list[str]) -> str:
    names = iter(heads)

    def named(cell: re.Match[str]) -> str:
        head = next(names, "")
        if cell["tag"] == "th" or "colspan" in cell["attributes"] or not cell["content"]:
            return cell[0]
        return f'<td{cell["attributes"]} data-label="{head}">{cell["content"]}</td>'

    return CELL.sub(named, row)


def _load_template(name: str) -> Template:
    """Return the template of a page.

    Whatever is printed in it passes through ``escape_invisible`` and is then escaped; the page itself is ours alone.
    """
    environment = Environment(
        loader=FunctionLoader(lambda page: files("sdl.reports").joinpath("templates", page).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.finalize = _harmless
    environment.filters |= {
        "number": format_number,
        "setting": format_setting,
        "within": format_with_margin,
        "moment": format_moment,
        "percent": format_percent,
    }
    return environment.get_template(name)


def _harmless(value: Any) -> Any:
    """What is printed; what is markup already came of a template, which printed its parts in the same way."""
    return escape_invisible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def write_page(page: str, path: Path) -> Path:
    """Write a page in place of an earlier one, in a folder that is made if need be, and return where it lies.

    Raises:
        InvalidInput: if it cannot be written there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot make the folder {path.parent}: {error.strerror}") from error
    with write_atomically(path, force=True) as file:
        file.write(page.encode())
    return path
