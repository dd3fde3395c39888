"""The figures of a back-test: requests until VERIFIED by strategy, and how near the target they come on the way."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sdl.reports.figures import (
    BAND,
    INK,
    LINES,
    QUIET,
    STYLE,
    WIDTH,
    MarkedFigure,
    apart_by_panel,
    figure_uri,
    line_looks,
    marked_figure,
    render_svg,
    shorten,
)

Array = NDArray[np.float64]
NARROW = 22
"""Characters that fit beside a panel."""


@matplotlib.rc_context(STYLE)
def draw_requests(problems: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]], budget: int) -> str:
    """Draw what ``draw_requests_marked`` draws as SVG, on white paper of its own."""
    return render_svg(_requests_figure(problems, runs, budget)[0], transparent=False)


@matplotlib.rc_context(STYLE)
def draw_requests_marked(
    problems: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]], budget: int
) -> MarkedFigure:
    """Draw the requests until VERIFIED, every run and each strategy's median, one panel a problem, for a page.

    Args:
        problems: Of the result, each with at least one strategy.
        runs: Every run of the result.
        budget: What a run counts for that was never VERIFIED.
    """
    return marked_figure(*_requests_figure(problems, runs, budget))


def _requests_figure(
    problems: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]], budget: int
) -> tuple[Figure, list[str], list[tuple[Axes, Array, Array]]]:
    """The figure, what is said of each run, and where it is."""
    most = max(len(problem["strategies"]) for problem in problems)
    figure, shown = Figure((WIDTH, len(problems) * (0.75 + 0.24 * most)), layout="constrained"), list[_Strip]()
    for place, problem in enumerate(problems):
        axes = figure.add_subplot(len(problems), 1, place + 1)
        for row, standing in enumerate(problem["strategies"]):
            of_row = [run for run in runs if _belongs(run, problem["name"], standing["strategy"])]
            along = np.array([run["requests"] for run in of_row], float)
            shown.append(_Strip(axes, of_row, along, _strip(axes, row, along, standing["median"])))
        axes.axvline(budget, color=QUIET, lw=0.6, ls=":")
        axes.set_yticks(
            range(len(problem["strategies"])),
            [shorten(standing["strategy"], NARROW) for standing in problem["strategies"]],
        )
        axes.set_ylim(len(problem["strategies"]) - 0.4, -0.6)
        axes.set_xlim(0, 1.05 * budget)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_title(shorten(problem["name"]), loc="left", weight="bold")
        axes.set_xlabel("requests until VERIFIED")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    words = [_run_words(run) for strip in shown for run in strip.runs]
    return figure, words, apart_by_panel([(each.axes, each.along, each.up) for each in shown])


@dataclass(frozen=True, eq=False)
class _Strip:
    """One strategy on one problem: its runs, and where each is drawn."""

    axes: Axes
    runs: Sequence[Mapping[str, Any]]
    along: Array
    up: Array


def _run_words(run: Mapping[str, Any]) -> str:
    became = f"VERIFIED after {run['requests']} requests" if run["verified"] else f"not VERIFIED: {run['ended']}"
    return f"{run['strategy']} on {run['problem']}, seed {run['seed']}: {became}"


@matplotlib.rc_context(STYLE)
def draw_learning(problem: Mapping[str, Any]) -> str:
    """Draw the distance from the target against requests: medians over the seeds, quartiles for the first strategy."""
    figure = Figure((WIDTH, 3.3 + 0.18 * math.ceil(len(problem["strategies"]) / 2)), layout="constrained")
    axes = figure.add_subplot()
    axes.axhspan(1e-6, 1, color=BAND, lw=0, zorder=0)
    heights = [
        _line(axes, standing, look["color"], look["ls"], band=not place)
        for place, (look, standing) in enumerate(
            zip(line_looks(len(problem["strategies"])), problem["strategies"], strict=True)
        )
    ]
    medians = np.concatenate(heights)
    medians = medians[np.isfinite(medians) & (medians > 0)]
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(*((0.7 * medians.min(), 1.4 * medians.max()) if medians.size else (0.1, 10.0)))
    axes.set_xlim(left=0)
    axes.set_xlabel("requests (the band is the tolerance)")
    axes.set_ylabel("distance of the incumbent, tolerances")
    figure.legend(loc="outside upper left", ncols=2, fontsize=8)
    return figure_uri(figure)


def _strip(axes: Axes, row: int, runs: Array, median: Mapping[str, float | None]) -> Array:
    """One strategy: a mark for each run, a little apart where several agree, and the interval of the median above.

    Returns how far up each run's mark is.
    """
    order = np.argsort(runs, kind="stable")
    apart = np.empty(len(runs))
    apart[order] = np.linspace(-0.18, 0.18, len(runs)) if len(runs) > 1 else 0.0
    axes.scatter(runs, row + apart, color=LINES[0], s=7, alpha=0.35, lw=0)
    if median["low"] is not None and median["high"] is not None:
        axes.plot((median["low"], median["high"]), (row, row), color=INK, lw=1.6, solid_capstyle="butt")
    axes.plot(median["value"] or math.nan, row, color=INK, marker="o", ms=4.5)
    return row + apart


def _line(axes: Axes, standing: Mapping[str, Any], colour: str, dash: str, *, band: bool) -> Array:
    curve = {
        name: np.array([math.nan if value is None else value for value in values])
        for name, values in standing["curve"].items()
    }
    at = np.arange(1, len(curve["median"]) + 1)
    if band:
        axes.fill_between(at, curve["low"], curve["high"], color=colour, alpha=0.15, lw=0)
    axes.plot(at, curve["median"], color=colour, lw=1.3, ls=dash, label=shorten(standing["strategy"], NARROW))
    return curve["median"]


def _belongs(run: Mapping[str, Any], problem: str, strategy: str) -> bool:
    return (run["problem"], run["strategy"]) == (problem, strategy) and "requests" in run
