"""The figures of the report, each as an image in a ``data:`` address that loads nothing."""

import base64
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from sdl.analysis.control_chart import Chart
from sdl.formatting import escape_invisible
from sdl.history import Purpose
from sdl.space import Readings

INK, QUIET, BAND = "#26323a", "#7d8a93", "#dfe8e3"
GOOD, BAD = "#1f7a4d", "#b3402e"
LINES = ("#2b6a99", "#c07a1d", "#2f8a63", "#8a5a9e", "#a8434f", "#5c6b73")
PURPOSES = {
    Purpose.DESIGN: "#2b6a99",
    Purpose.LEARNING: "#c07a1d",
    Purpose.VERIFICATION: "#2f8a63",
    Purpose.REFERENCE: "#9aa5ac",
    Purpose.PATCH: "#b0563f",
    Purpose.BY_HAND: "#8a5a9e",
    Purpose.IMPORTED: "#5c6b73",
}
WIDTH = 7.2
"""Inches; the page is that wide in print."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # the reader's own font, as in the text around
    "svg.hashsalt": "sdl",  # the same figure gives the same bytes
    "text.usetex": False,
    "text.parse_math": False,  # a stranger's dollar signs are no mathematics
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
FARTHEST = 8.0
"""Tolerances from the target that are drawn; what is farther off is written at the edge."""
NAMED = 12
"""Exams that have room for their names in the figure of the background."""
NARROW = 18
"""Characters that fit beside a small panel."""
LARGEST = 1e15
"""Absolute value from which on nothing can be drawn."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


@dataclass(frozen=True)
class Bar:
    """One channel of one target, in units of its tolerance, or of its margin where it has one bound."""

    label: str
    off: float
    """Measured less wanted."""
    margin: float
    below: float = 1.0
    """How far below the wanted reading the band of what is allowed goes."""
    above: float = 1.0


@matplotlib.rc_context(STYLE)
def draw_targets(bars: Sequence[Bar]) -> str:
    """Draw how far each channel is from its target, with the band that the tolerance allows."""
    figure = Figure((WIDTH, 0.75 + 0.3 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color=QUIET, lw=0.6)
    widths = (abs(bar.off) + bar.margin for bar in bars)
    reach = max([1.6, *(width for width in widths if width < FARTHEST)])
    edge = 1.08 * reach
    for place, bar in enumerate(bars):
        axes.fill_betweenx((place - 0.5, place + 0.5), max(-bar.below, -edge), min(bar.above, edge), color=BAND, lw=0)
        _bar(axes, place, bar, reach)
    axes.set_xlim(-edge, edge)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_yticks(range(len(bars)), [shorten(bar.label) for bar in bars])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("measured less wanted, in tolerances (the band is what is allowed)")
    return figure_uri(figure)


@matplotlib.rc_context(STYLE)
def draw_control_charts(charts: Sequence[Chart]) -> str:
    """Draw the gain of each knob over the calibrations, its weighted mean, and the expected band, in per cent."""
    figure = Figure((WIDTH, 0.5 + 1.4 * len(charts)), layout="constrained")
    for panel, chart in zip(np.atleast_1d(figure.subplots(len(charts), sharex=True)), charts, strict=True):
        places = np.arange(1, len(chart.gains) + 1)
        panel.axhspan(-100 * chart.limit, 100 * chart.limit, color=BAND, lw=0)
        panel.plot(places, 100 * (chart.weighted - 1), color=QUIET, lw=1.2, label="weighted mean")
        panel.plot(places, 100 * (chart.gains - 1), color=INK, marker="o", ms=3.5, lw=0)
        if chart.alarm:
            panel.plot(places[-1], 100 * (chart.gains[-1] - 1), color=BAD, marker="D", ms=6, lw=0)
        panel.set_ylabel(f"{shorten(chart.knob)}, %")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panel.set_xlabel("calibration (the band is what the earlier ones let expect)")
    return figure_uri(figure)


def _bar(axes: Axes, place: int, bar: Bar, reach: float) -> None:
    if math.isnan(bar.off):
        axes.text(0.04, place, "not measured", color=QUIET, va="center", size=8)
    elif abs(bar.off) > reach:
        words = "at its ceiling →" if math.isinf(bar.off) else f"{bar.off:.3g} →" if bar.off > 0 else f"← {bar.off:.3g}"
        axes.text(
            math.copysign(reach, bar.off),
            place,
            words,
            color=GOOD if -bar.below <= bar.off <= bar.above else BAD,
            ha="right" if bar.off > 0 else "left",
            va="center",
        )
    else:
        margin = bar.margin if bar.margin < reach else reach
        colour, marker = (GOOD, "o") if -bar.below <= bar.off - margin and bar.off + margin <= bar.above else (BAD, "D")
        axes.errorbar(bar.off, place, xerr=margin, color=colour, marker=marker, ms=4.5, capsize=3, lw=1.2)


@matplotlib.rc_context(STYLE)
def draw_parity(channels: Sequence[str], sets: Mapping[str, tuple[Readings, Readings]]) -> str:
    """Draw predicted against measured readings, one panel a channel.

    Args:
        channels: Their names and units.
        sets: By name (``train``, ``test``), measured and predicted, both ``(n, p)``.
    """
    drawn = {name: (mask_undrawable(true), mask_undrawable(expected)) for name, (true, expected) in sets.items()}
    across = min(len(channels), 3)
    down = math.ceil(len(channels) / across)
    figure = Figure((WIDTH, 0.3 + WIDTH / 3 * down), layout="constrained")
    for column, channel in enumerate(channels):
        axes = figure.add_subplot(down, across, column + 1)
        axes.set_title(shorten(channel, 30), loc="left")
        _parity(axes, {name: (true[:, column], expected[:, column]) for name, (true, expected) in drawn.items()})
    figure.axes[0].legend(fontsize=8, handletextpad=0.2, loc="upper left")
    figure.supxlabel("measured", size=9)
    figure.supylabel("predicted", size=9)
    return figure_uri(figure)


def _parity(axes: Axes, sets: Mapping[str, tuple[Readings, Readings]]) -> None:
    values = np.concatenate([values for pair in sets.values() for values in pair])
    values = values[np.isfinite(values)]
    if values.size:
        axes.axline((values.min(), values.min()), slope=1, color=QUIET, lw=0.6, zorder=0)
    for name, (measured, predicted) in sets.items():
        fill, rim = ("none", LINES[0]) if name == "train" else (LINES[1], "white")
        axes.scatter(measured, predicted, s=18, lw=0.7, label=name, facecolor=fill, edgecolor=rim)
    axes.set_aspect("equal", adjustable="datalim")
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))


@matplotlib.rc_context(STYLE | {"font.size": 8})
def draw_pairs(
    names: Sequence[str],
    values: NDArray[np.float64],
    purposes: Sequence[Purpose],
    answers: Sequence[Sequence[float]] = (),
) -> str:
    """Draw every quantity against every other one.

    Args:
        names: Of ``k`` quantities, at least 2.
        values: Shape ``(n, k)``; NaN where not known.
        purposes: Why each row was taken, ``n`` of them.
        answers: Of several verified answers the ``k`` quantities, to be numbered.
    """
    k, values = len(names), mask_undrawable(values)
    tones = [PURPOSES[purpose] for purpose in purposes]
    figure = Figure((WIDTH, WIDTH), dpi=160)
    grid = figure.subplots(k - 1, k - 1, squeeze=False, gridspec_kw={"wspace": 0.08, "hspace": 0.08})
    figure.subplots_adjust(left=0.1, right=0.99, bottom=0.08, top=0.99)
    for (row, column), axes in np.ndenumerate(grid):
        if column > row:
            axes.remove()
            continue
        axes.scatter(values[:, column], values[:, row + 1], c=tones, s=7, alpha=0.75, lw=0, rasterized=True)
        for place, answer in enumerate(mask_undrawable(answers), start=1):
            if np.isfinite(at := answer[[column, row + 1]]).all():
                axes.plot(*at, marker="o", ms=6, mfc="none", mec=BAD, mew=0.8)
                axes.annotate(str(place), at, (4, 3), textcoords="offset points", color=BAD)
        axes.tick_params(labelsize=6, labelbottom=row == k - 2, labelleft=column == 0, length=2)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        if row == k - 2:
            axes.set_xlabel(shorten(names[column], NARROW))
        if column == 0:
            axes.set_ylabel(shorten(names[row + 1], NARROW))
    figure.align_labels()
    for purpose in dict.fromkeys(purposes):
        figure.axes[0].scatter([], [], color=PURPOSES[purpose], s=14, label=purpose.value)
    if len(answers):
        figure.axes[0].plot([], [], marker="o", ms=6, mfc="none", mec=BAD, lw=0, label="answer")
    figure.legend(loc="upper right", fontsize=9)
    return figure_uri(figure)


@matplotlib.rc_context(STYLE)
def draw_uncertainty(rounds: Sequence[int], channels: Mapping[str, Sequence[float]], chance: Sequence[float]) -> str:
    """Draw what the model did not know before each round, and the chance that it gave an exam.

    Args:
        rounds: Their numbers.
        channels: By name and unit, the standard deviation of the expected reading before each round.
        chance: Of passing, before each round.
    """
    figure = Figure((WIDTH, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (name, values) in zip(line_colours(len(channels)), channels.items(), strict=True):
        left.plot(rounds, mask_undrawable(values), color=colour, marker="o", ms=3.5, lw=1.2, label=shorten(name))
    left.set_title("standard deviation of the expected reading", loc="left")
    left.set_ylim(bottom=0)
    left.legend(fontsize=8)
    right.plot(rounds, chance, color=INK, marker="o", ms=3.5, lw=1.2)
    right.set_title("chance that the candidate passes", loc="left")
    right.set_ylim(-0.03, 1.03)
    for axes in (left, right):
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure_uri(figure)


@dataclass(frozen=True, eq=False)
class Light:
    """The background of one channel, as it was read and as it is believed to have been; NaN where nothing is known."""

    channel: str
    """With its unit."""
    read: Sequence[float]
    """By the references."""
    state: Readings
    """At ``n`` places, between the references too, ``(n,)``."""
    certainty: Readings
    """Half width of the band that the true background lies in, ``(n,)``."""


@matplotlib.rc_context(STYLE)
def draw_background(
    places: Sequence[int], between: Sequence[int], lights: Sequence[Light], exams: Sequence[tuple[str, int, int]]
) -> str:
    """Draw the background through the campaign, with its band of certainty.

    Args:
        places: Of the references in the order of requests.
        between: Places where the state is drawn.
        lights: One for each channel.
        exams: Name, first and last place of each.
    """
    figure = Figure((WIDTH, 2.7), layout="constrained")
    axes = figure.add_subplot()
    for name, first, last in exams:
        axes.axvspan(first - 0.5, last + 0.5, color=BAND, lw=0)
        if len(exams) <= NAMED:
            axes.text(first, 0.98, shorten(name), transform=axes.get_xaxis_transform(), size=7, va="top", color=GOOD)
    for colour, light in zip(line_colours(len(lights)), lights, strict=True):
        state, width = mask_undrawable(light.state), mask_undrawable(light.certainty)
        axes.fill_between(between, state - width, state + width, color=colour, alpha=0.2, lw=0)
        axes.plot(between, state, color=colour, lw=1)
        axes.plot(
            places, mask_undrawable(light.read), color=colour, marker="o", ms=3.5, lw=0, label=shorten(light.channel)
        )
    axes.set_xlabel("request (exams are shaded)")
    widest = max(len(shorten(light.channel)) for light in lights)
    axes.legend(fontsize=8, ncols=max(1, 95 // (widest + 6)), loc="lower left", bbox_to_anchor=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure_uri(figure)


def mask_undrawable(values: ArrayLike) -> NDArray[np.float64]:
    """Return the values as an array, with NaN for those that are too large to be drawn."""
    numbers = np.asarray(values, float)
    return np.where(np.abs(numbers) < LARGEST, numbers, np.nan)


def line_colours(n: int) -> list[str]:
    """Return one colour for each of ``n`` lines, again from the first where there are more than ``LINES``."""
    return [LINES[i % len(LINES)] for i in range(n)]


def shorten(text: str, most: int = 40) -> str:
    """Return a stranger's text on one line of at most so many characters."""
    line = " ".join(escape_invisible(text).split())
    line = line if len(line) <= most else f"{line[: most - 1]}…"
    return f" {line}" if line.startswith("_") else line  # a legend leaves out what begins with _


def figure_uri(figure: Figure) -> str:
    """Return a figure as an address that holds it."""
    return svg_uri(render_svg(figure))


def svg_uri(image: str) -> str:
    """Return an image in SVG as an address that holds it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(image.encode()).decode()}"


def render_svg(figure: Figure, *, transparent: bool = True) -> str:
    """Return a figure as SVG; on white paper, if not transparent."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the reader's font draws it, not the one that measures it
        figure.savefig(buffer, format="svg", transparent=transparent, facecolor="white", metadata={"Date": None})
    return buffer.getvalue().replace("'DejaVu Sans'", FONT)
