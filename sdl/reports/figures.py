"""The figures of the report, each as an image in a ``data:`` address that loads nothing."""

import base64
import io
import json
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
LINES = ("#2987a6", "#a67c00", "#800040", "#9779f2", "#203880", "#cc6666", "#594300", "#6600cc")
"""Told apart by people who see no red, green or blue too, and 3 to 1 against paper; marks and dashes say the same."""
MARKS = "osD^vP<>"
DASHES = ("-", "--", "-.", ":")
PURPOSES = {
    Purpose.DESIGN: ("#2987a6", "o"),
    Purpose.LEARNING: ("#a67c00", "s"),
    Purpose.VERIFICATION: ("#800040", "D"),
    Purpose.REFERENCE: (QUIET, "x"),
    Purpose.PATCH: ("#6600cc", "^"),
    Purpose.BY_HAND: ("#203880", "v"),
    Purpose.IMPORTED: ("#594300", "P"),
}
"""Colour and mark."""
WIDTH = 5.0
"""Inches of a figure, whose words can still be read when a phone shows it on its screen."""
GRID_WIDTH = 7.2
"""Inches of many panels beside each other."""
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
LETTERS = 60
"""Of the names of exams that fit beside each other in the figure of the background; others are left out."""
ROOMY = 4
"""Panels in a row from which on each has room for two figures on an axis."""
LARGEST = 1e15
"""Absolute value from which on nothing can be drawn."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


@dataclass(frozen=True)
class MarkedFigure:
    """A figure, and what its marks say to who points at them; a page needs ``templates/marks.js`` for that."""

    address: str
    """Which holds the figure."""
    marks: str
    """As JSON: ``words``, a sentence each of ``n``, and ``at``, for each its places in the figure, x and y in turn, in
    hundredths of a per cent of its width and height, from the left and from the top."""


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
    axes.set_yticks(range(len(bars)), [shorten(bar.label, 34) for bar in bars])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("measured less wanted, in tolerances")
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
    across = min(len(channels), 2)
    down = math.ceil(len(channels) / across)
    figure = Figure((WIDTH, 0.3 + WIDTH / 2 * down), layout="constrained")
    for column, channel in enumerate(channels):
        axes = figure.add_subplot(down, across, column + 1)
        axes.set_title(shorten(channel, 24 * (3 - across)), loc="left")
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
        fill, rim, mark = ("none", LINES[0], "o") if name == "train" else (LINES[1], "white", "s")
        axes.scatter(measured, predicted, s=20, lw=0.8, label=name, facecolor=fill, edgecolor=rim, marker=mark)
    axes.set_aspect("equal", adjustable="datalim")
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))


@matplotlib.rc_context(STYLE | {"font.size": 8})
def draw_pairs(
    names: Sequence[str],
    values: NDArray[np.float64],
    purposes: Sequence[Purpose],
    answers: Sequence[Sequence[float]] = (),
    categories: Mapping[int, Sequence[str]] | None = None,
    words: Sequence[str] = (),
) -> MarkedFigure:
    """Draw every quantity against every other one; pointing at a mark shows its row in all panels.

    Args:
        names: Of ``k`` quantities, at least 2.
        values: Shape ``(n, k)``; NaN where not known.
        purposes: Why each row was taken, ``n`` of them.
        answers: Of several verified answers the ``k`` quantities, to be numbered.
        categories: The names that stand for 0, 1, 2 and so on of some quantities, by their place.
        words: What is said of each row, ``n`` of them.
    """
    values = mask_undrawable(values)
    rows = {purpose: np.array([each is purpose for each in purposes]) for purpose in dict.fromkeys(purposes)}
    figure, grid = pair_grid(names, categories)
    spots = [(axes, *values[:, [column, row + 1]].T) for (row, column), axes in np.ndenumerate(grid) if column <= row]
    for (row, column), axes in np.ndenumerate(grid):
        if column > row:
            continue
        for purpose, taken in rows.items():
            colour, mark = PURPOSES[purpose]
            at = values[taken][:, [column, row + 1]]
            axes.scatter(*at.T, color=colour, marker=mark, s=9, alpha=0.75, lw=0.8 * (mark == "x"), rasterized=True)
        for place, answer in enumerate(mask_undrawable(answers), start=1):
            if np.isfinite(at := answer[[column, row + 1]]).all():
                axes.plot(*at, marker="o", ms=6, mfc="none", mec=BAD, mew=0.8)
                axes.annotate(str(place), at, (4, 3), textcoords="offset points", color=BAD)
    for purpose in rows:
        colour, mark = PURPOSES[purpose]
        figure.axes[0].scatter([], [], color=colour, marker=mark, s=20, label=purpose.value)
    if len(answers):
        figure.axes[0].plot([], [], marker="o", ms=6, mfc="none", mec=BAD, lw=0, label="answer")
    figure.legend(loc="upper right", fontsize=9)
    return marked_figure(figure, words, spots)


def pair_grid(
    names: Sequence[str], categories: Mapping[int, Sequence[str]] | None = None
) -> tuple[Figure, NDArray[np.object_]]:
    """Return panels for every pair of ``k`` quantities, ``(k - 1, k - 1)``, none above the diagonal.

    Args:
        names: Of the quantities, at least 2.
        categories: The names that stand for 0, 1, 2 and so on of some of them, by their place.
    """
    across = len(names) - 1
    figure = Figure((GRID_WIDTH, GRID_WIDTH), dpi=160)
    grid = figure.subplots(across, across, squeeze=False, gridspec_kw={"wspace": 0.1, "hspace": 0.1})
    figure.subplots_adjust(left=0.13, right=0.98, bottom=0.1, top=0.975)  # room for a factor such as 1e6 above
    ticks, prune = (2, "both") if across > ROOMY else (3, None)
    room = max(8, 84 // across)
    for (row, column), axes in np.ndenumerate(grid):
        if column > row:
            axes.remove()
            continue
        axes.tick_params(labelsize=7, labelbottom=row == across - 1, labelleft=column == 0, length=2)
        for axis, place in ((axes.xaxis, column), (axes.yaxis, row + 1)):
            if kinds := (categories or {}).get(place):
                axis.set_ticks(range(len(kinds)), [shorten(kind, 8) for kind in kinds], size=6)
            else:
                axis.set_major_locator(MaxNLocator(ticks, prune=prune))
        if column in (categories or {}):
            axes.tick_params(axis="x", labelrotation=90)
        if row == across - 1:
            axes.set_xlabel(_on_two_lines(names[column], room))
        if column == 0:
            axes.set_ylabel(_on_two_lines(names[row + 1], room))
    figure.align_labels()
    return figure, grid


@matplotlib.rc_context(STYLE)
def draw_uncertainty(rounds: Sequence[int], channels: Mapping[str, Sequence[float]], chance: Sequence[float]) -> str:
    """Draw what the model did not know before each round, and the chance that it gave an exam.

    Args:
        rounds: Their numbers.
        channels: By name and unit, the standard deviation of the expected reading before each round.
        chance: Of passing, before each round.
    """
    figure = Figure((WIDTH, 5.0 + 0.18 * math.ceil(len(channels) / 2)), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for look, (name, values) in zip(line_looks(len(channels)), channels.items(), strict=True):
        above.plot(rounds, mask_undrawable(values), **look, ms=4, lw=1.2, label=shorten(name, 30))
    above.set_title("standard deviation of the expected reading", loc="left")
    above.set_ylim(bottom=0)
    figure.legend(fontsize=8, ncols=2, loc="outside upper left")
    below.plot(rounds, chance, color=INK, marker="o", ms=3.5, lw=1.2)
    below.set_title("chance that the candidate passes", loc="left")
    below.set_ylim(-0.03, 1.03)
    below.set_xlabel("round")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
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
    places: Sequence[int],
    between: Sequence[int],
    lights: Sequence[Light],
    exams: Sequence[tuple[str, int, int]],
    words: Sequence[str] = (),
) -> MarkedFigure:
    """Draw the background through the campaign, with its band of certainty.

    Args:
        places: Of the references in the order of requests.
        between: Places where the state is drawn.
        lights: One for each channel.
        exams: Name, first and last place of each.
        words: What is said of each reference.
    """
    ncols = max(1, 62 // (max(len(shorten(light.channel, 30)) for light in lights) + 6))
    legend = 0.18 * max(0, math.ceil(len(lights) / ncols) - 4)  # inches of its lines beyond those of usual campaigns
    figure = Figure((WIDTH, 2.9 + legend), layout="constrained")
    axes = figure.add_subplot()
    letter, free = (max(between) - min(between) + 1) / LETTERS, -math.inf
    for name, first, last in exams:
        axes.axvspan(first - 0.5, last + 0.5, color=BAND, lw=0)
        if first >= free:
            axes.text(first, 0.98, shorten(name), transform=axes.get_xaxis_transform(), size=7, va="top", color=GOOD)
            free = first + letter * (len(shorten(name)) + 1)
    for look, light in zip(line_looks(len(lights)), lights, strict=True):
        state, width = mask_undrawable(light.state), mask_undrawable(light.certainty)
        axes.fill_between(between, state - width, state + width, color=look["color"], alpha=0.2, lw=0)
        axes.plot(between, state, color=look["color"], ls=look["ls"], lw=1)
        axes.plot(places, mask_undrawable(light.read), **look | {"ls": ""}, ms=4, label=shorten(light.channel, 30))
    axes.set_xlabel("request (exams are shaded)")
    axes.legend(fontsize=8, ncols=ncols, loc="lower left", bbox_to_anchor=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return marked_figure(figure, words, [(axes, places, mask_undrawable(light.read)) for light in lights])


def mask_undrawable(values: ArrayLike) -> NDArray[np.float64]:
    """Return the values as an array, with NaN for those that are too large to be drawn."""
    numbers = np.asarray(values, float)
    return np.where(np.abs(numbers) < LARGEST, numbers, np.nan)


def line_looks(n: int) -> list[dict[str, Any]]:
    """Return colour, mark and dashes for each of ``n`` lines, none of which tells two lines apart alone."""
    return [
        {"color": LINES[i % len(LINES)], "marker": MARKS[i % len(MARKS)], "ls": DASHES[i % len(DASHES)]}
        for i in range(n)
    ]


def shorten(text: str, most: int = 40) -> str:
    """Return a stranger's text on one line of at most so many characters; names that differ do so at their end."""
    line, tail = " ".join(escape_invisible(text).split()), most // 3
    line = line if len(line) <= most else f"{line[: most - 1 - tail]}…{line[-tail:]}"
    return f" {line}" if line.startswith("_") else line  # a legend leaves out what begins with _


def _on_two_lines(text: str, most: int) -> str:
    """A name of at most so many characters, its unit below where both are longer."""
    name, bracket, unit = text.partition(" (")
    whole = len(text) <= most or not bracket
    return shorten(text, most) if whole else f"{shorten(name, most)}\n{shorten(f'({unit}', most)}"


def figure_uri(figure: Figure) -> str:
    """Return a figure as an address that holds it."""
    return svg_uri(render_svg(figure))


def marked_figure(
    figure: Figure, words: Sequence[str], spots: Sequence[tuple[Axes, ArrayLike, ArrayLike]]
) -> MarkedFigure:
    """Return a figure with what its marks say.

    Args:
        figure: All that is drawn.
        words: What is said of each of ``n`` things, strangers' words among it.
        spots: Panels, and where in each these things are, ``(n,)`` and ``(n,)``; NaN where one is not.
    """
    address, at = figure_uri(figure), [list[int]() for _ in words]  # writing it lays it out
    for axes, along, up in spots:
        places = axes.transData.transform(np.column_stack((along, up)).astype(float))
        shares = places / (figure.bbox.width, figure.bbox.height)
        least, most = axes.bbox.get_points()
        drawn = ((places >= least - 1) & (places <= most + 1)).all(axis=1)  # which NaN is not
        for spot in np.flatnonzero(drawn).tolist()[: len(words)]:
            at[spot] += [round(1e4 * float(shares[spot, 0])), round(1e4 * (1 - float(shares[spot, 1])))]
    said = [escape_invisible(each) for each in words]
    return MarkedFigure(address, json.dumps({"words": said, "at": at}, ensure_ascii=False, separators=(",", ":")))


def apart_by_panel(
    parts: Sequence[tuple[Axes, NDArray[np.float64], NDArray[np.float64]]],
) -> list[tuple[Axes, NDArray[np.float64], NDArray[np.float64]]]:
    """Return spots, for ``marked_figure``, of things each of which is in one panel alone, panel after panel."""
    spots, first = [], 0
    n = sum(len(along) for _, along, _ in parts)
    for axes, along, up in parts:
        whole = np.full((2, n), np.nan)
        whole[:, first : first + len(along)] = along, up
        spots.append((axes, *whole))
        first += len(along)
    return spots


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
