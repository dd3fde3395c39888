"""Curves of a comparison of models: how many rows each needs, and how its answer follows a line of targets."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from sdl.reports.comparison_figures import DATA, MOST, SMALL, ModelEvidence, ScoredRows
from sdl.reports.figures import (
    BAD,
    LINES,
    STYLE,
    WIDTH,
    figure_uri,
    line_looks,
    mask_undrawable,
    pair_grid,
    shorten,
)

LEAST = 0.05
"""Part of a mean below which the lower end of its interval is not drawn on an axis of powers."""
MOST_MODELS = 2
"""Whose unconditional draws are drawn: the best two that have any."""
LEARNED = {"settings": "energy score of settings (‰)", "readings": "error of readings (‰)"}


@matplotlib.rc_context(STYLE)
def draw_learning(result: Mapping[str, Any]) -> str | None:
    """Draw the errors of every model on rows not seen against the rows that it learned from; None if none has any.

    Args:
        result: What ``flows.studies.compare.compare`` returns.
    """
    learned = {row["model"]: row["learning"] for row in result["models"] if row.get("learning")}
    known = {name: [point for point in points if point["error"] is None] for name, points in learned.items()}
    known = {name: points for name, points in known.items() if points}
    if not known:
        return None
    figure = Figure((WIDTH, 4.4 + 0.17 * math.ceil(len(known) / 2)), layout="constrained")
    panels: Any = figure.subplots(2, 1, sharex=True)
    for axes, (what, title) in zip(panels, LEARNED.items(), strict=True):
        for look, (name, points) in zip(line_looks(len(known)), known.items(), strict=True):
            rows = [point["rows"] for point in points]
            mean, low, high = (
                np.array([1e3 * point[what][end] for point in points]) for end in ("mean", "low", "high")
            )
            axes.plot(rows, mean, **look, ms=4, lw=1.2, label=shorten(name))
            axes.fill_between(rows, np.maximum(low, LEAST * mean), high, color=look["color"], alpha=0.15, lw=0)
        axes.set_title(title, loc="left")
        _powers(axes)
    _count_rows(panels[-1], result["learning"]["rows"])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8)
    return figure_uri(figure)


def _powers(axes: Axes) -> None:
    """An axis of powers, whose figures stand as they are; signs of mathematics are not set in these pages."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _count_rows(axes: Axes, rows: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("rows learned from")
    apart = [n for place, n in enumerate(rows) if not place or n >= 1.3 * rows[place - 1]]
    axes.set_xticks(apart)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())


@matplotlib.rc_context(STYLE)
def draw_along(result: Mapping[str, Any]) -> str | None:
    """Draw the answer of every model along the line of targets, a panel a knob; None if no model has any.

    Args:
        result: What ``flows.studies.compare.compare`` returns.
    """
    shown = {row["model"]: row["along"]["settings"] for row in result["models"] if row.get("along")}
    knobs = list(result["units"])[:MOST]
    if not shown:
        return None
    across = min(len(knobs), 2)
    down, looks = math.ceil(len(knobs) / across), line_looks(len(shown))
    figure = Figure((WIDTH, 0.6 + 0.17 * math.ceil(len(shown) / 2) + 2.2 * down), layout="constrained")
    for place, knob in enumerate(knobs):
        axes = figure.add_subplot(down, across, place + 1)
        axes.axvline(1, color=BAD, lw=0.7, ls="--")
        for look, (model, settings) in zip(looks, shown.items(), strict=True):
            values = mask_undrawable([math.nan if value is None else value for value in settings[knob]])
            axes.plot(result["along"]["shares"], values, **look, ms=3, lw=1, label=shorten(model))
        unit = result["units"][knob]
        axes.set_title(shorten(f"{knob} ({unit})" if unit else knob, 30), loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8)
    figure.supxlabel("share of the way to the target", size=9)
    return figure_uri(figure)


@matplotlib.rc_context(SMALL)
def draw_unconditional(
    result: Mapping[str, Any], rows: ScoredRows, evidence: Mapping[str, ModelEvidence]
) -> list[tuple[str, str]]:
    """Draw rows that models draw without a target over the data: the name of each model, and an image.

    Args:
        result: What ``flows.studies.compare.compare`` returns.
        rows: The data.
        evidence: By model, the best first.
    """
    able = [(name, each.rows) for name, each in evidence.items() if len(each.rows)][:MOST_MODELS]
    units = [*result["knobs"].items(), *result["channels"].items()][:MOST]
    names = [f"{name} ({unit})" if unit else name for name, unit in units]
    data = np.column_stack((rows.settings, rows.readings))
    return [(name, _draw_rows(names, data, drawn)) for name, drawn in able]


def _draw_rows(names: list[str], data: Any, drawn: Any) -> str:
    data, drawn = mask_undrawable(data), mask_undrawable(drawn)
    figure, grid = pair_grid(names)
    colour, size, mark = DATA
    for (row, column), axes in np.ndenumerate(grid):
        if column <= row:
            at = [column, row + 1]
            axes.scatter(*drawn[:, at].T, c=LINES[0], s=5, marker="s", alpha=0.4, lw=0, rasterized=True)
            axes.scatter(*data[:, at].T, c=colour, s=size, marker=mark, alpha=0.7, lw=0, rasterized=True)
    figure.axes[0].scatter([], [], color=colour, marker=mark, s=18, label="data")
    figure.axes[0].scatter([], [], color=LINES[0], marker="s", s=18, label="drawn without a target")
    figure.legend(loc="upper right", fontsize=9)
    return figure_uri(figure)
