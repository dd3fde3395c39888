"""The figures of a comparison of inverse models: draws over the data, parity, and densities of the settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sdl.formatting import format_number
from sdl.reports.figures import (
    BAD,
    BAND,
    GRID_WIDTH,
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
    mask_undrawable,
    pair_grid,
    shorten,
)
from sdl.space import Readings, Settings

Array = NDArray[np.float64]
SMALL: dict[Any, Any] = STYLE | {"font.size": 8, "axes.titlesize": 8}
DATA, UNSEEN, DRAWN = (QUIET, 9, "o"), (LINES[1], 6, "^"), (INK, 6, "s")
"""Colour, size and mark."""
MOST = 8
"""Knobs and channels in a figure."""
MOST_PAIRS = 3
"""Pairs of them for each of the models that are not the best."""
NARROW = 14
"""Characters that fit beside a small panel."""
LETTERS = 84
"""That fit beside each other over the panels of a row."""
FINE = 400
"""Points of a density."""


@dataclass(frozen=True, eq=False)
class ModelEvidence:
    """What the figures show of one model; settings in the units of the knobs."""

    draws: Settings
    """Settings for the target, ``(n, d)``."""
    draws_readings: Readings
    """One fresh reading simulated at each of them, background included, ``(n, c)``."""
    unseen: Settings
    """Settings drawn for the readings of rows that the model had not seen, ``(m, d)``."""
    unseen_readings: Readings
    """Those readings, with the background of the target, ``(m, c)``."""
    readings: Mapping[str, tuple[Array, Array]]
    """By ``train`` and ``test``: measured and predicted, background subtracted, both ``(., c)``."""
    settings: Mapping[str, tuple[Array, Array]]
    """By ``train`` and ``test``: asked for and answered, both ``(., d)``."""
    rows: Array
    """Settings and readings that the model drew without a target, ``(k, d + c)``; none of one that cannot."""


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """The data, as the figures show them."""

    settings: Settings
    """In the units of the knobs, ``(n, d)``."""
    readings: Readings
    """With the background of the target, ``(n, c)``."""
    unseen: NDArray[np.int_]
    """Lines in the file of the rows that judge, in the order of every model's evidence of them, ``(t,)``."""


def draw_all(
    result: Mapping[str, Any], rows: ScoredRows, evidence: Mapping[str, ModelEvidence]
) -> dict[str, str | MarkedFigure | None]:
    """Draw all figures, each by name, as the URI of an image or with marks; ``others`` is None for a single model.

    Args:
        result: What ``flows.studies.compare.compare`` returns.
        rows: The data.
        evidence: By model, the best first, at least one.
    """
    (_, first), *rest = evidence.items()
    names = [*_units(result["knobs"]), *_units(result["channels"])]
    marks = [*(math.nan for _ in result["knobs"]), *result["target"].values()]
    return {
        "densities": draw_densities(result, evidence),
        "pairs": draw_pairs(names, marks, rows, first),
        "others": draw_other_models(names, marks, rows, dict(rest)) if rest else None,
        "parity": draw_parity(names, result["knobs"], evidence, rows.unseen),
    }


def _units(units: Mapping[str, str]) -> list[str]:
    return [f"{name} ({unit})" if unit else name for name, unit in units.items()]


# ---------------------------------------------------------------------- draws over the data


@matplotlib.rc_context(SMALL)
def draw_pairs(names: Sequence[str], marks: Sequence[float], rows: ScoredRows, evidence: ModelEvidence) -> str:
    """Draw every knob and channel against every other one: the data, and the draws of one model on top.

    Args:
        names: Of knobs and channels, ``d + c`` of them, at least 2.
        marks: What the target fixes each to, NaN where nothing.
        rows: The data.
        evidence: Of the model.
    """
    figure, grid = pair_grid(names[:MOST])
    for (row, column), axes in np.ndenumerate(grid):
        if column <= row:
            _cloud(axes, column, row + 1, marks, rows, evidence)
    _legend(figure)
    return figure_uri(figure)


@matplotlib.rc_context(SMALL)
def draw_other_models(
    names: Sequence[str], marks: Sequence[float], rows: ScoredRows, evidence: Mapping[str, ModelEvidence]
) -> str:
    """Draw pairs of knobs for further models, one model a line; of knob and channel where there is one knob."""
    d = rows.settings.shape[1]
    pairs = list(combinations(range(d if d > 1 else min(len(names), MOST)), 2))[:MOST_PAIRS]
    high, across = GRID_WIDTH / MOST_PAIRS, MOST_PAIRS
    figure = Figure((GRID_WIDTH, 0.35 + 0.7 * high * len(evidence)), dpi=160, layout="constrained")
    grid = figure.subplots(len(evidence), across, squeeze=False)
    for line, (model, shown) in zip(grid, evidence.items(), strict=True):
        for axes, (first, second) in zip(line, pairs, strict=False):
            _cloud(axes, first, second, marks, rows, shown)
            axes.tick_params(labelsize=7, length=2)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.set_xlabel(shorten(names[first], NARROW), labelpad=1)
            axes.set_ylabel(shorten(names[second], NARROW), labelpad=1)
        for axes in line[len(pairs) :]:
            axes.remove()
        line[0].set_title(shorten(model), loc="left", weight="bold")
    return figure_uri(figure)


def _cloud(
    axes: Axes, first: int, second: int, marks: Sequence[float], rows: ScoredRows, evidence: ModelEvidence
) -> None:
    clouds = (
        (rows.settings, rows.readings, *DATA),
        (evidence.unseen, evidence.unseen_readings, *UNSEEN),
        (evidence.draws, evidence.draws_readings, *DRAWN),
    )
    columns = [
        mask_undrawable(np.column_stack((settings, readings)))[:, [first, second]] for settings, readings, *_ in clouds
    ]
    for values, (_, _, colour, size, shape) in zip(columns, clouds, strict=True):
        axes.scatter(values[:, 0], values[:, 1], c=colour, s=size, marker=shape, alpha=0.7, lw=0, rasterized=True)
    for mark, line in ((marks[first], axes.axvline), (marks[second], axes.axhline)):
        if math.isfinite(mark):
            line(mark, color=BAD, lw=0.7, ls="--")
    data, unseen, draws = columns
    limits = [
        _limits([data[:, place], _bulk(unseen[:, place]), _bulk(draws[:, place]), [mark]])
        for place, mark in enumerate((marks[first], marks[second]))
    ]
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])


def _legend(figure: Figure) -> None:
    axes = figure.axes[0]
    looks = ((DATA, "data"), (UNSEEN, "draws for rows not seen"), (DRAWN, "draws for the target"))
    for (colour, _, mark), label in looks:
        axes.scatter([], [], color=colour, marker=mark, s=18, label=label)
    axes.plot([], [], color=BAD, lw=0.7, ls="--", label="target")
    figure.legend(loc="upper right", fontsize=9)


def _bulk(values: Array) -> Array:
    """Least and greatest of all but the farthest hundredth on either side."""
    finite = values[np.isfinite(values)]
    return np.quantile(finite, [0.01, 0.99]) if finite.size else finite


def _limits(parts: Sequence[Any]) -> tuple[float, float]:
    """Least and greatest finite value with some room."""
    values = np.concatenate([np.asarray(part, float).ravel() for part in parts])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    room = 0.05 * float(np.ptp(values)) or 0.05 * max(abs(float(values[0])), 1e-6)
    return float(values.min()) - room, float(values.max()) + room


# ---------------------------------------------------------------------- parity


@matplotlib.rc_context(SMALL)
def draw_parity(
    names: Sequence[str], knobs: Mapping[str, str], evidence: Mapping[str, ModelEvidence], unseen: NDArray[np.int_]
) -> MarkedFigure:
    """Draw predicted readings and answered settings against the true ones: a line for each model.

    Args:
        names: Of knobs and channels, ``d + c`` of them.
        knobs: The knobs among them, which come first.
        evidence: By model.
        unseen: Lines in the file of the rows that no model had seen, ``(t,)``; these say what they are when pointed at.
    """
    d = len(knobs)
    order = [*range(d, len(names)), *range(d)][:MOST]
    wide = max(len(order), 3)
    side = GRID_WIDTH / wide
    figure = Figure((GRID_WIDTH, 0.4 + (side + 0.05) * len(evidence)), dpi=160)
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02)
    grid = figure.subplots(len(evidence), wide, squeeze=False, sharex="col", sharey="col")
    for axes, column in zip(grid[0], order, strict=False):
        axes.set_title(shorten(names[column], LETTERS // wide), loc="left")
    for line, (model, shown) in zip(grid, evidence.items(), strict=True):
        for axes, column in zip(line, order, strict=False):
            sets = shown.settings if column < d else shown.readings
            _parity(axes, {part: select_column(pair, column - (0 if column < d else d)) for part, pair in sets.items()})
        for axes in line[len(order) :]:
            axes.remove()
        line[0].set_ylabel(shorten(model, 20), weight="bold")
    answers = {model: _unseen_rows(shown, len(unseen))[..., order] for model, shown in evidence.items()}
    spots = [
        spot
        for place in range(len(order))
        for spot in apart_by_panel(
            [(line[place], *each[..., place]) for line, each in zip(grid, answers.values(), strict=True)]
        )
    ]
    words = [
        f"{model}, row in line {line}: {_answered([names[column] for column in order], *each)}"
        for model, rows in answers.items()
        for line, each in zip(unseen.tolist(), rows.swapaxes(0, 1), strict=True)
    ]
    return marked_figure(figure, words, spots)


def _unseen_rows(shown: ModelEvidence, t: int) -> Array:
    """True and answered settings and readings of ``t`` rows not seen, ``(2, t, d + c)``; NaN if not asked."""
    sets = [np.array(evidence["test"], float) for evidence in (shown.settings, shown.readings)]
    return np.concatenate(
        [np.pad(each, ((0, 0), (0, t - each.shape[1]), (0, 0)), constant_values=np.nan) for each in sets], axis=2
    )


def _answered(names: Sequence[str], true: Array, answered: Array) -> str:
    known = [place for place in range(len(names)) if math.isfinite(true[place]) and math.isfinite(answered[place])]
    return "; ".join(f"{names[i]} {format_number(answered[i])}, true {format_number(true[i])}" for i in known)


def select_column(pair: tuple[Array, Array], column: int) -> tuple[Array, Array]:
    """Return one column of both arrays of a pair, as far as it can be drawn."""
    return mask_undrawable(pair[0][:, column]), mask_undrawable(pair[1][:, column])


def _parity(axes: Axes, sets: Mapping[str, tuple[Array, Array]]) -> None:
    true = np.concatenate([pair[0] for pair in sets.values()])
    low, high = _limits([true])
    axes.plot((low, high), (low, high), color=QUIET, lw=0.6, zorder=0)
    for part, (measured, answered) in sets.items():
        look: dict[str, Any] = (
            {"s": 9, "alpha": 0.35, "color": LINES[0], "lw": 0}
            if part == "train"
            else {"s": 8, "marker": "s", "facecolor": "none", "edgecolor": LINES[1], "lw": 0.6}
        )
        axes.scatter(measured, answered, rasterized=True, **look)
    axes.set_xlim(low, high)
    axes.set_ylim(*_limits([true, *(_bulk(pair[1]) for pair in sets.values())]))
    axes.tick_params(labelsize=6, length=2, pad=1)
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_locator(MaxNLocator(2))


# ---------------------------------------------------------------------- densities


@matplotlib.rc_context(STYLE)
def draw_densities(result: Mapping[str, Any], evidence: Mapping[str, ModelEvidence]) -> str:
    """Draw for each knob the density of the draws for the target, all models over each other, candidates below."""
    knobs = _units(result["knobs"])[:MOST]
    offers = {row["model"]: row["candidates"] for row in result["models"] if row["error"] is None}
    across = min(len(knobs), 2)
    down, looks = math.ceil(len(knobs) / across), line_looks(len(evidence))
    figure = Figure((WIDTH, 0.5 + 0.17 * math.ceil(len(evidence) / 2) + 2.4 * down), layout="constrained")
    for column, knob in enumerate(knobs):
        axes = figure.add_subplot(down, across, column + 1)
        limits = _limits([_bulk(shown.draws[:, column]) for shown in evidence.values()])
        for place, (model, shown) in enumerate(evidence.items()):
            grid = np.linspace(*limits, FINE)
            colour, dash = looks[place]["color"], looks[place]["ls"]
            axes.plot(grid, _density(shown.draws[:, column], grid), color=colour, lw=1.2, ls=dash, label=shorten(model))
            settings = [list(offer["settings"].values())[column] for offer in offers[model]]
            axes.scatter(settings, np.full(len(settings), -0.06 * (place + 1)), color=colour, marker="|", s=26, lw=1.6)
        axes.axhspan(-0.06 * (len(evidence) + 1), 0, color=BAND, lw=0, zorder=0)
        axes.set_xlim(*limits)
        axes.set_ylim(-0.06 * (len(evidence) + 1), 1.06)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(shorten(knob, 30))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8)
    return figure_uri(figure)


def _density(draws: Array, grid: Array) -> Array:
    """Kernel density of draws ``(n,)`` at the points of a grid ``(g,)``, its greatest value 1.

    The width of the kernel is Silverman's, by the narrower of the standard deviation and the quartiles.
    """
    low, high = np.quantile(draws, [0.25, 0.75])
    width = 0.9 * min(float(draws.std()), float(high - low) / 1.34 or math.inf) * len(draws) ** -0.2
    width = max(width, float(grid[1] - grid[0]))
    heights = np.exp(-0.5 * ((grid[:, None] - draws) / width) ** 2).sum(axis=1)
    return np.asarray(heights / max(float(heights.max()), 1e-12))
