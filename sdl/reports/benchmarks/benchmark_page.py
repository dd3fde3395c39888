"""A benchmark as one HTML page that holds all it shows: tables, figures, bars, and what it ran on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from sdl.formatting import format_moment
from sdl.reports.figures import GRID_WIDTH, LINES, QUIET, STYLE, figure_uri, shorten
from sdl.reports.html import render_page, write_page
from sdl.space import Settings

Array = NDArray[np.float64]
Point = tuple[str, float, float]
"""Name, and where it lies along and up."""
FEW_DECADES = 50.0
"""An axis from a number to less than so many times that has more marks than powers of ten."""
ACROSS = 4
"""Panels beside each other."""
MARKS = "os^Dv<>pP*XhdH8"


@dataclass(frozen=True)
class BenchmarkPart:
    """A table with its figure."""

    title: str
    notes: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    """Name, and the cells after it; a name that repeats is shown once."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Addresses of images by what they show, see ``draw_scatter`` and ``draw_level_curves``."""


def write_benchmark_page(
    title: str,
    result: Mapping[str, Any],
    notes: Sequence[str],
    parts: Sequence[BenchmarkPart],
    bars: Sequence[Any],
    path: Path,
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
    machine, at = result["machine"], format_moment(datetime.fromisoformat(result["at"]).timestamp())
    tables = [{**vars(part), "rows": [_row(part, place) for place in range(len(part.rows))]} for part in parts]
    page = render_page(
        "benchmark.html",
        title=title,
        subtitle=f"{at} · {machine['cores']} cores, {machine['processor']}, {machine['system']}",
        notes=notes,
        parts=tables,
        bars=bars,
        versions=result["versions"],
    )
    return write_page(page, path)


def draw_scatter(series: Mapping[str, Sequence[Point]], along: str, up: str) -> str:
    """Draw points by name in logarithmic units, one mark for each name and a colour for each series.

    Args:
        series: Points above 0 of each series.
        along: What the first coordinate is.
        up: What the second one is.
    """
    names = list(dict.fromkeys(name for points in series.values() for name, _, _ in points))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(GRID_WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        for colour, (label, points) in zip(LINES, series.items(), strict=False):
            for name, x, y in points:
                mark = MARKS[names.index(name) % len(MARKS)]
                axes.plot(x, y, mark, color=colour, markersize=5, alpha=0.85)
            axes.plot([], [], "s", color=colour, label=shorten(label))
        for name in names:
            axes.plot([], [], MARKS[names.index(name) % len(MARKS)], color=QUIET, label=shorten(name))
        axes.set(xscale="log", yscale="log", xlabel=along, ylabel=up)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            if high < FEW_DECADES * low:
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        return figure_uri(figure)


def draw_level_curves(
    grid: Array, level: float, extent: tuple[float, float, float, float], draws: Mapping[str, Settings]
) -> str:
    """Draw where a response of two knobs has a value, and the draws ``(n, 2)`` of each name, a panel each.

    Args:
        grid: The response, ``(m, m)``, the first knob along.
        level: The value.
        extent: Ends of the first knob, then of the second.
        draws: In units of the knobs, by name.
    """
    rows = -(-len(draws) // ACROSS)
    with matplotlib.rc_context(STYLE | {"font.size": 8, "axes.titlesize": 8}):
        figure = Figure(figsize=(GRID_WIDTH, 0.3 + 1.9 * rows), layout="constrained")
        panels = figure.subplots(rows, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
        first, second = (np.linspace(extent[place], extent[place + 1], len(grid)) for place in (0, 2))
        for axes in panels[len(draws) :]:
            axes.set_axis_off()
        for axes, (name, settings) in zip(panels, draws.items(), strict=False):
            axes.contour(first, second, grid.T, [level], colors=[QUIET], linewidths=0.8)
            inside = np.asarray(settings, float).reshape(-1, 2)
            axes.plot(*inside.T, ".", color=LINES[0], markersize=2.5, alpha=0.6)
            axes.set(xlim=extent[:2], ylim=extent[2:], title=shorten(name, 28), aspect="equal")
        return figure_uri(figure)


def _row(part: BenchmarkPart, place: int) -> dict[str, Any]:
    name, cells = part.rows[place]
    same = place > 0 and part.rows[place - 1][0] == name
    return {"name": "" if same else name, "cells": cells, "same": same}
