"""Curves of a comparison of models: how many rows each needs, and how its answer follows a line of targets."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from sdl.reports.figures import STYLE, WIDTH, figure_uri, line_looks, shorten

LEAST = 0.05
"""Part of a mean below which the lower end of its interval is not drawn on an axis of powers."""
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
        axes.set_yscale("log")
    _count_rows(panels[-1], result["learning"]["rows"])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8)
    return figure_uri(figure)


def _count_rows(axes: Axes, rows: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("rows learned from")
    apart = [n for place, n in enumerate(rows) if not place or n >= 1.3 * rows[place - 1]]
    axes.set_xticks(apart)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
