"""A benchmark as one HTML page that holds all it shows: tables, figures, bars, and what it ran on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from sdl import __version__
from sdl.figures import LINES, QUIET, STYLE, WIDTH, short, uri
from sdl.page import template, write_page

Point = tuple[str, float, float]
"""Name, and where it lies along and up."""
MARKS = "os^Dv<>pP*X"


@dataclass(frozen=True)
class Part:
    """A table with its figure."""

    title: str
    notes: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    """Name, and the cells after it; a name that repeats is shown once."""
    figure: str = ""
    """Address of an image, see ``scatter``."""
    alt: str = ""


def write(
    title: str, result: Mapping[str, Any], notes: Sequence[str], parts: Sequence[Part], bars: Sequence[Any], path: Path
) -> Path:
    """Write the page in place of an earlier one and return where it lies.

    Args:
        title: Of the page.
        result: With ``at``, ``machine`` and ``versions``.
        notes: What to know before one reads.
        parts: Its tables.
        bars: Each with ``figure``, ``value``, ``bar`` and ``met``.
        path: Where to.

    Raises:
        InvalidInput: if it cannot be written.
    """
    machine = result["machine"]
    shown = [{**vars(part), "rows": [_row(part, place) for place in range(len(part.rows))]} for part in parts]
    page = template("benchmark.html").render(
        title=title,
        subtitle=f"{result['at']} · {machine['cores']} cores, {machine['processor']}, {machine['system']}",
        notes=notes,
        parts=shown,
        bars=bars,
        versions=result["versions"],
        version=__version__,
    )
    return write_page(page, path)


def scatter(series: Mapping[str, Sequence[Point]], along: str, up: str) -> str:
    """Points by name in logarithmic units, one mark for each name and a colour for each series.

    Args:
        series: Points above 0 of each series.
        along: What the first coordinate is.
        up: What the second one is.
    """
    names = list(dict.fromkeys(name for points in series.values() for name, _, _ in points))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        for colour, (label, points) in zip(LINES, series.items(), strict=False):
            for name, x, y in points:
                mark = MARKS[names.index(name) % len(MARKS)]
                axes.plot(x, y, mark, color=colour, markersize=5, alpha=0.85)
            axes.plot([], [], "s", color=colour, label=short(label))
        for name in names:
            axes.plot([], [], MARKS[names.index(name) % len(MARKS)], color=QUIET, label=short(name))
        axes.set(xscale="log", yscale="log", xlabel=along, ylabel=up)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        return uri(figure)


def _row(part: Part, place: int) -> dict[str, Any]:
    name, cells = part.rows[place]
    same = place > 0 and part.rows[place - 1][0] == name
    return {"name": "" if same else name, "cells": cells, "same": same}
