"""Where a model was trained: how far a target lies from the readings of the fit, and what is remote about it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.noise import span

THIN = 0.02
"""Directions in which readings scatter by less, relative to the widest, hold noise and curvature, not the settings."""
USUAL = 0.98
"""Share of the rows whose own distance from the others counts as usual."""
ALLOWANCE = 1.3
"""How much farther than usual a target may lie."""
NEIGHBOURS = 0.9
"""Share of the pairs of neighbours whose distance counts as usual: those across a gap are fewer than the others."""
COINCIDE = 0.2
"""Part of the mean spacing within which rows count as one."""
EDGE = 0.2
"""Mean distances between neighbours by which a target may lie beyond the last of them."""
FEWEST = 5
"""Rows for each channel from which on the manifold can be told from noise."""


@dataclass(frozen=True, eq=False)
class Domain:
    """The readings of a fit, asked whether a target is one of their kind.

    Three things make a target remote, and the worst counts: a channel beyond all that were read (extrapolation), no
    reading near it (a gap), and channels that do not go together as they do in the data (off the manifold). Each is
    measured against what the rows show of each other.

    Args:
        readings: Of the fit, ``(n, p)``; NaN where a channel was not read.
        settings: Of the same rows, ``(n, d)``, if they are known: rows that repeat a setting lie beside each other
            however far apart the settings are, and say nothing of how densely the readings were covered.

    References:
        Jackson, Mudholkar (1979), doi:10.1080/00401706.1979.10489779, for the distance off the manifold;
        Ramaswamy, Rastogi, Shim (2000), doi:10.1145/342009.335437, for the distance to the next neighbour

    >>> x = np.concatenate((np.linspace(0, 1, 20), np.linspace(2, 3, 20)))
    >>> parabola = Domain((x**2)[:, None])
    >>> [parabola.remoteness(np.array([y])).score > 1 for y in (0.5, 2.5, 8.0, 12.0, -3.0)]
    [False, True, False, True, True]
    """

    readings: Readings
    settings: Settings | None = None

    def remoteness(self, target: Target) -> Remoteness:
        """How far a target ``(p,)`` lies from the readings, in the channels that it fixes.

        Raises:
            InvalidInput: for another shape, an infinite value, or a target without a fixed channel.
        """
        fixed = fixed_columns(target, self.readings.shape[1])
        if (shape := self._shape(fixed)) is None:
            return self._channel_by_channel(target, fixed)
        goal = np.asarray(target, float)[fixed] / shape.unit
        parts = [
            _beyond(shape.rows, goal, len(shape.sites) ** (-1 / max(shape.wide.shape[1], 1)), fixed),
            _gap(goal, shape),
            _off(goal - shape.rows.mean(axis=0), shape),
        ]
        return max(parts, key=lambda each: each.score)

    def alike(self, target: Target, others: Readings) -> NDArray[np.bool_]:
        """Which further readings ``(m, p)`` lie as near to a target ``(p,)`` as rows usually do to others, ``(m,)``.

        A channel that the target fixes and that was not read is near to nothing.

        Raises:
            InvalidInput: as ``remoteness``.
        """
        fixed = fixed_columns(target, self.readings.shape[1])
        if (shape := self._shape(fixed)) is None:
            return np.zeros(len(others), bool)
        off = (others[:, fixed] - np.asarray(target, float)[fixed]) / shape.unit
        near = np.linalg.norm(off @ shape.wide, axis=1) <= ALLOWANCE * shape.usual
        return np.asarray(near & np.array([_off(each, shape).score <= 1 for each in off], bool))

    def _shape(self, fixed: NDArray[np.intp]) -> "_Shape | None":
        """How the rows lie in some channels; None if no two have all of these."""
        complete = np.asarray(np.isfinite(self.readings[:, fixed]).all(axis=1))
        rows = self.readings[complete][:, fixed]
        if len(rows) < 2:
            return None
        rows = rows / (unit := span(rows))
        directions, widths = principal(rows - rows.mean(axis=0))
        wide = widths > THIN * widths.max(initial=0.0)
        many = len(rows) >= FEWEST * fixed.size
        thin = directions[:, ~wide & many] / np.maximum(widths[~wide & many], _TINY)
        sites = _sites(rows, self._places[complete])
        return _Shape(unit, rows, sites, directions[:, wide], thin, self._pairs(complete))

    def _channel_by_channel(self, target: Target, fixed: NDArray[np.intp]) -> Remoteness:
        """For rows of which no two have all channels of the target: the worst that can be said of one channel."""
        if fixed.size == 1:
            return Remoteness(np.inf, "beyond all readings", tuple(fixed.tolist()))
        alone = (np.where(np.arange(len(target)) == channel, target, np.nan) for channel in fixed)
        return max((self.remoteness(each) for each in alone), key=lambda each: each.score)

    def _pairs(self, complete: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Neighbours among ``_sites``, by their places; none where settings are not known."""
        if self.settings is None:
            return np.empty((0, 2), np.intp)
        first = np.unique(self._places[complete], return_index=True)[1]
        return neighbours(self.settings[complete][first])

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """Which rows share a setting, ``(n,)``."""
        if self.settings is None:
            return np.arange(len(self.readings))
        return np.asarray(np.unique(self.settings, axis=0, return_inverse=True)[1]).reshape(-1)


@dataclass(frozen=True, eq=False)
class _Shape:
    """Rows in ``c`` channels, and the directions in which they scatter."""

    unit: Readings
    """What counts as one of each channel, ``(c,)``."""
    rows: Readings
    """In these units, ``(n, c)``."""
    sites: Readings
    """Their means at each distinct setting, ``(k, c)``."""
    wide: NDArray[np.float64]
    """Directions that they fill, by column."""
    thin: NDArray[np.float64]
    """The others, each divided by what the rows scatter along it; none where there are too few rows to tell."""
    pairs: NDArray[np.intp]
    """Neighbours among the sites, by their places."""

    @cached_property
    def usual(self) -> float:
        """How far it usually is from one site to the next."""
        return usual_distance(self.sites @ self.wide, self.pairs)


@dataclass(frozen=True, eq=False)
class SettingsDomain:
    """The settings of distinct rows ``(k, d)``, asked whether other settings are near any.

    A target may lie among the readings and its settings in a gap all the same, on a branch that nobody measured. A gap
    across the whole box is narrow beside the distances between few rows, and wide beside the steps of its own knob: so
    each knob counts by itself, too.
    """

    rows: Settings

    def remoteness(self, settings: Settings) -> NDArray[np.float64]:
        """How far settings ``(m, d)`` lie from the rows, ``(m,)``: above 1 in a gap of them or beyond all."""
        worst = np.zeros(len(settings))
        for knobs, tree, usual in self._views:
            worst = np.maximum(worst, tree.query(settings[:, knobs])[0] / (ALLOWANCE * usual + _TINY))
        return worst

    @cached_property
    def _views(self) -> list[tuple[list[int], KDTree, float]]:
        """All knobs together, and each alone: which, the distinct rows in these, and how far they usually are apart."""
        d = self.rows.shape[1]
        views = [(knobs, np.unique(self.rows[:, knobs], axis=0)) for knobs in [[*range(d)], *([k] for k in range(d))]]
        return [(knobs, KDTree(rows), usual_distance(rows, neighbours(rows))) for knobs, rows in views if len(rows) > 1]


def principal(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions ``(c, c)`` by column and the standard deviation of centred rows along each, ``(c,)``."""
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    return vectors, np.sqrt(np.maximum(values, 0.0))


def _sites(rows: Readings, places: NDArray[np.intp]) -> Readings:
    """Mean reading at each distinct setting, ``(k, c)``."""
    _, which, times = np.unique(places, return_inverse=True, return_counts=True)
    sums = np.zeros((len(times), rows.shape[1]))
    np.add.at(sums, which, rows)
    return np.asarray(sums / times[:, None])


def _beyond(rows: Readings, target: Readings, apart: float, fixed: NDArray[np.intp]) -> Remoteness:
    """How far beyond the rows, in one channel; ``apart`` is the mean distance between neighbours."""
    over = np.maximum(rows.min(axis=0) - target, target - rows.max(axis=0)) / (EDGE * apart)
    return Remoteness(max(float(over.max()), 0.0), "beyond all readings", tuple(fixed[over > 1].tolist()))


def _gap(target: Readings, shape: _Shape) -> Remoteness:
    """How far from the nearest site, where it counts as usual how far neighbouring ones are apart."""
    if not shape.wide.shape[1] or len(shape.sites) < 2:
        return Remoteness(0.0, "in a gap")
    nearest = KDTree(shape.sites @ shape.wide).query(target @ shape.wide)[0]
    return Remoteness(_beside(float(nearest), shape.usual), "in a gap")


def _beside(distance: float, usual: float) -> float:
    """A distance in parts of the usual one and what is allowed beyond: above 1 where it is farther."""
    return distance / (ALLOWANCE * usual + _TINY)


def neighbours(settings: Settings) -> NDArray[np.intp]:
    """Pairs of distinct settings ``(k, d)``, by their places, ``(m, 2)``, that are one step of a single knob apart.

    Of a factorial these are the steps of each knob, a coarse one's among them; settings that were drawn at random have
    none, and mirror images on two branches, which read the same, are none.
    """
    pairs = [np.empty((0, 2), np.intp)]
    for knob in range(settings.shape[1]):
        others = np.unique(np.delete(settings, knob, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
        order = np.lexsort((settings[:, knob], others))
        along = np.diff(others[order]) == 0
        pairs.append(np.column_stack((order[:-1], order[1:]))[along])
    return np.concatenate(pairs)


def usual_distance(values: NDArray[np.float64], pairs: NDArray[np.intp]) -> float:
    """How far from the nearest of the values ``(k, c)`` it usually is, between neighbours and from one to the next.

    Values that nearly coincide count as one: the distance to its mirror image would say of each value that the
    readings were covered without any gap.
    """
    between = np.linalg.norm(values[pairs[:, 0]] - values[pairs[:, 1]], axis=1) / 2
    half = float(np.quantile(between, NEIGHBOURS)) if len(between) else 0.0
    apart = values[_separate(values)]
    if len(apart) < 2:
        return half
    return max(half, float(np.quantile(np.asarray(KDTree(apart).query(apart, 2)[0])[:, 1], USUAL)))


def _separate(values: NDArray[np.float64]) -> list[int]:
    """Places of values ``(n, c)``, no two nearer than a part of the mean spacing; every other one is near one."""
    widths, tree = np.ptp(values, axis=0), KDTree(values)
    widths, left = widths[widths > 0], list(range(len(values)))
    while len(left) > 1 and len(widths):
        near = tree.query_ball_point(values, COINCIDE * float((widths.prod() / len(left)) ** (1 / len(widths))))
        covered, kept = np.zeros(len(values), bool), list[int]()
        for place in range(len(values)):
            if not covered[place]:
                kept.append(place)
                covered[near[place]] = True
        if len(kept) >= len(left):
            return kept
        left = kept
    return left


def _off(off: Readings, shape: _Shape) -> Remoteness:
    """How far a difference ``(c,)`` leads off the directions that the rows fill, in units of what they leave over."""
    left = (shape.rows - shape.rows.mean(axis=0)) @ shape.thin
    usual = float(np.quantile(np.linalg.norm(left, axis=1), USUAL))
    return Remoteness(_beside(float(np.linalg.norm(off @ shape.thin)), usual), "off the manifold")


_TINY = 1e-12
