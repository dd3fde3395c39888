"""What a survey shows of any number of knobs and channels: each channel against each knob, and how each is spread.

Panels come in figures of a few, each with its own axes, which a page lays beside each other as its width allows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sdl.history import Purpose
from sdl.reports.figures import BAD, LINES, PURPOSES, STYLE, WIDTH, figure_uri, mask_undrawable, shorten

MOST_KNOBS, MOST_CHANNELS = 12, 12
"""That are drawn; which are left out is said."""
ACROSS, DOWN = 3, 4
"""Panels beside and below each other in a figure."""
HISTOGRAMS = 4
"""Beside each other."""
HIGH = 1.25
"""Inches of a line of panels."""
NARROW = 15
"""Characters that fit below or beside a panel."""
FEWEST = 3
"""Rows below which nothing is said of a correlation."""
SMALL: dict[Any, Any] = STYLE | {"font.size": 8}


@dataclass(frozen=True, eq=False)
class SurveyRows:
    """Rows of a survey, as they are drawn."""

    knobs: Sequence[str]
    """Their names and units, ``d``."""
    channels: Sequence[str]
    """The same, ``p``."""
    settings: NDArray[np.float64]
    """Shape ``(n, d)``."""
    readings: NDArray[np.float64]
    """Shape ``(n, p)``; NaN where not known."""
    purposes: Sequence[Purpose]
    """Why each row was taken, ``n`` of them."""
    categories: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """The names that stand for 0, 1, 2 and so on of some knobs, by their place."""
    answers: Sequence[tuple[Sequence[float], Sequence[float]]] = ()
    """Settings and readings of verified answers, to be numbered."""


@dataclass(frozen=True, eq=False)
class SurveyFigures:
    """All that is drawn and said of a survey."""

    grids: Sequence[tuple[str, str]]
    """Each as what it shows, in words, and the URI of an image."""
    distributions: str
    correlations: Sequence[tuple[str, Sequence[float]]]
    """By channel, with each knob; NaN where there is none, as of a category or of what does not change."""
    knobs: Sequence[str]
    """Of the columns of correlations."""
    left_out: Sequence[str]
    """Knobs and channels that are not drawn, since there are too many."""

    @classmethod
    def of(cls, rows: SurveyRows) -> "SurveyFigures":
        """Draw a survey of at least one knob and one channel."""
        shown = SurveyRows(
            rows.knobs[:MOST_KNOBS],
            rows.channels[:MOST_CHANNELS],
            mask_undrawable(rows.settings)[:, :MOST_KNOBS],
            mask_undrawable(rows.readings)[:, :MOST_CHANNELS],
            rows.purposes,
            rows.categories,
            rows.answers,
        )
        return cls(
            grids=draw_channels_by_knobs(shown),
            distributions=draw_distributions(shown),
            correlations=correlate(shown),
            knobs=shown.knobs,
            left_out=[*rows.knobs[MOST_KNOBS:], *rows.channels[MOST_CHANNELS:]],
        )


def correlate(rows: SurveyRows) -> list[tuple[str, list[float]]]:
    """Pearson's correlation of every channel with every knob, over the rows that are no references."""
    lit = np.array([purpose is not Purpose.REFERENCE for purpose in rows.purposes])
    return [
        (
            channel,
            [
                math.nan if k in rows.categories else _correlation(rows.settings[lit, k], rows.readings[lit, c])
                for k in range(len(rows.knobs))
            ],
        )
        for c, channel in enumerate(rows.channels)
    ]


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < FEWEST or not np.ptp(one[both]) > 0 or not np.ptp(other[both]) > 0:
        return math.nan
    return float(np.corrcoef(one[both], other[both])[0, 1])


@matplotlib.rc_context(SMALL)
def draw_channels_by_knobs(rows: SurveyRows) -> list[tuple[str, str]]:
    """Draw every channel against every knob, a few of each in a figure: what it shows, and its URI."""
    return [
        (
            f"{', '.join(shorten(rows.channels[c]) for c in channels)} against "
            f"{', '.join(shorten(rows.knobs[k]) for k in knobs)}",
            _grid(rows, channels, knobs),
        )
        for channels in _portions(len(rows.channels), DOWN)
        for knobs in _portions(len(rows.knobs), ACROSS)
    ]


def _portions(n: int, most: int) -> list[range]:
    """The numbers below ``n`` in as few portions of at most so many as there can be, about as large as each other."""
    ends = np.linspace(0, n, math.ceil(n / most) + 1).round().astype(int).tolist()
    return [range(first, last) for first, last in pairwise(ends)]


def _grid(rows: SurveyRows, channels: range, knobs: range) -> str:
    present = list(dict.fromkeys(rows.purposes))
    figure = Figure((WIDTH, 0.75 + HIGH * len(channels)), dpi=160, layout="constrained")
    grid = figure.subplots(len(channels), len(knobs), squeeze=False, sharex="col", sharey="row")
    for (line, place), axes in np.ndenumerate(grid):
        c, k = channels[line], knobs[place]
        for purpose in present:
            taken = np.array([each is purpose for each in rows.purposes])
            colour, mark = PURPOSES[purpose]
            look: dict[str, Any] = {"color": colour, "marker": mark, "s": 9, "alpha": 0.75}
            axes.scatter(
                rows.settings[taken, k], rows.readings[taken, c], lw=0.8 * (mark == "x"), rasterized=True, **look
            )
        for number, (settings, readings) in enumerate(rows.answers, start=1):
            at = mask_undrawable([settings[k], readings[c]])
            if np.isfinite(at).all():
                axes.plot(*at, marker="o", ms=6, mfc="none", mec=BAD, mew=0.8)
                axes.annotate(str(number), (float(at[0]), float(at[1])), (4, 3), textcoords="offset points", color=BAD)
        _name_axes(axes, rows, k, last=line == len(channels) - 1)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        if place == 0:
            axes.set_ylabel(shorten(rows.channels[c], NARROW))
    for purpose in present:
        colour, mark = PURPOSES[purpose]
        figure.axes[0].scatter([], [], color=colour, marker=mark, s=18, label=purpose.value)
    figure.legend(loc="outside upper left", ncols=4, fontsize=8, handletextpad=0.2)
    return figure_uri(figure)


def _name_axes(axes: Axes, rows: SurveyRows, knob: int, last: bool) -> None:
    """Name the axis of a knob, and what stands along it, where that is the last line of its column."""
    axes.tick_params(labelsize=7, length=2)
    if kinds := rows.categories.get(knob):
        axes.set_xticks(range(len(kinds)), [shorten(kind, 8) for kind in kinds], size=6, rotation=90)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(3))
    if last:
        axes.set_xlabel(shorten(rows.knobs[knob], NARROW + 5))


@matplotlib.rc_context(SMALL)
def draw_distributions(rows: SurveyRows) -> str:
    """Draw a histogram of every knob and every channel, over the rows that are no references."""
    lit = np.array([purpose is not Purpose.REFERENCE for purpose in rows.purposes])
    names, values = [*rows.knobs, *rows.channels], np.column_stack((rows.settings, rows.readings))[lit]
    down = math.ceil(len(names) / HISTOGRAMS)
    figure = Figure((WIDTH, 1.2 * down), layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(down, HISTOGRAMS, place + 1)
        column = values[:, place][np.isfinite(values[:, place])]
        kinds = rows.categories.get(place)
        bins: Any = np.arange(len(kinds) + 1) - 0.5 if kinds else min(12, max(4, math.isqrt(max(len(column), 1))))
        axes.hist(column, bins=bins, color=LINES[0], edgecolor="white", lw=0.4)
        axes.tick_params(labelsize=6, length=2, pad=1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        if kinds:
            axes.set_xticks(range(len(kinds)), [shorten(kind, 8) for kind in kinds], size=6, rotation=90)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.set_xlabel(shorten(name, NARROW), labelpad=1)
    return figure_uri(figure)
