"""The figures of a back-test: requests until VERIFIED by strategy, and how near the target they come on the way."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sdl.reports.comparison_figures import DASHES, MODELS
from sdl.reports.figures import BAND, INK, LINES, QUIET, STYLE, WIDTH, short, svg, uri

NARROW = 22
"""Characters that fit beside a panel."""
ACROSS = 2
"""Panels in a row."""


@matplotlib.rc_context(STYLE)
def requests(
    problems: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    budget: int,
    *,
    transparent: bool = True,
) -> str:
    """Requests until VERIFIED: every run, and the median of each strategy with its interval, one panel a problem; SVG.

    Args:
        problems: Of the result, each with at least one strategy.
        runs: Every run of the result.
        budget: What a run counts for that was never VERIFIED.
        transparent: Whether it is for a page, and not on white paper of its own.
    """
    down = math.ceil(len(problems) / ACROSS)
    most = max(len(problem["strategies"]) for problem in problems)
    figure = Figure((WIDTH, down * (0.75 + 0.24 * most)), layout="constrained")
    for place, problem in enumerate(problems):
        axes = figure.add_subplot(down, ACROSS, place + 1)
        for row, standing in enumerate(problem["strategies"]):
            of_row = [each for each in runs if _belongs(each, problem["name"], standing["strategy"])]
            _strip(axes, row, np.array([each["requests"] for each in of_row], float), standing["median"])
        axes.axvline(budget, color=QUIET, lw=0.6, ls=":")
        axes.set_yticks(
            range(len(problem["strategies"])), [short(each["strategy"], NARROW) for each in problem["strategies"]]
        )
        axes.set_ylim(len(problem["strategies"]) - 0.4, -0.6)
        axes.set_xlim(0, 1.05 * budget)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_title(short(problem["name"]), loc="left", weight="bold")
        axes.set_xlabel("requests until VERIFIED")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return svg(figure, transparent=transparent)


@matplotlib.rc_context(STYLE)
def learning(problem: Mapping[str, Any]) -> str:
    """Distance from the target against requests: median over the seeds, with quartiles for the first strategy."""
    figure = Figure((WIDTH, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.axhspan(1e-6, 1, color=BAND, lw=0, zorder=0)
    heights = [
        _line(axes, standing, MODELS[place % len(MODELS)], DASHES[place // len(MODELS) % len(DASHES)], band=not place)
        for place, standing in enumerate(problem["strategies"])
    ]
    known = np.concatenate(heights)
    known = known[np.isfinite(known) & (known > 0)]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(*((0.7 * known.min(), 1.4 * known.max()) if known.size else (0.1, 10.0)))
    axes.set_xlim(left=0)
    axes.set_xlabel("requests (the band is the tolerance)")
    axes.set_ylabel("distance of the incumbent, tolerances")
    figure.legend(loc="outside right upper", fontsize=8)
    return uri(figure)


def _strip(axes: Axes, row: int, runs: NDArray[np.float64], median: Mapping[str, float | None]) -> None:
    """One strategy: a mark for each run, a little apart where several agree, and the interval of the median above."""
    order = np.argsort(runs, kind="stable")
    apart = np.empty(len(runs))
    apart[order] = np.linspace(-0.18, 0.18, len(runs)) if len(runs) > 1 else 0.0
    axes.scatter(runs, row + apart, color=LINES[0], s=7, alpha=0.35, lw=0)
    if median["low"] is not None and median["high"] is not None:
        axes.plot((median["low"], median["high"]), (row, row), color=INK, lw=1.6, solid_capstyle="butt")
    axes.plot(median["value"] or math.nan, row, color=INK, marker="o", ms=4.5)


def _line(axes: Axes, standing: Mapping[str, Any], colour: str, dash: str, *, band: bool) -> NDArray[np.float64]:
    curve = {
        name: np.array([math.nan if value is None else value for value in values])
        for name, values in standing["curve"].items()
    }
    at = np.arange(1, len(curve["median"]) + 1)
    if band:
        axes.fill_between(at, curve["low"], curve["high"], color=colour, alpha=0.15, lw=0)
    axes.plot(at, curve["median"], color=colour, lw=1.3, ls=dash, label=short(standing["strategy"], NARROW))
    return curve["median"]


def _belongs(run: Mapping[str, Any], problem: str, strategy: str) -> bool:
    return (run["problem"], run["strategy"]) == (problem, strategy) and "requests" in run
