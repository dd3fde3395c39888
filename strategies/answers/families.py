"""Families of answers: draws of which a way leads from one to the other without leaving the target."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from sdl.space import Settings
from strategies.numerics.jacobian import Forward, tangent

NEIGHBOURS = 4
"""Draws next to a draw that a way is looked for to."""
AWAY = 0.25
"""How far a way may lead off the straight one, as a share of its length: beyond, it leads to somewhere else."""
ALLOWED = 3.0
"""Standard deviations of a reading by which a place may miss the target and still be on it."""
STEP = 1e-3
REFINED = 3
LARGER = 32
"""Families that are tried to be joined to each other: draws leave holes in them."""
Array = NDArray[np.float64]
Numbers = NDArray[np.intp]


def families(settings: Settings, missed: Forward, apart: float) -> Numbers:
    """Number of the family of each of the settings ``(n, d)``: first by ways to neighbours, then between families.

    Args:
        settings: In the unit box.
        missed: What settings ``(m, d)`` miss of a target, ``(m, p)``, in standard deviations of a reading.
        apart: Distance up to which a way between two families is looked for.
    """
    n = len(settings)
    links = _linked(settings, _neighbours(settings), missed)
    between = _between(settings, _components(links, n))
    short = between[_length(settings, between) <= apart]  # a longer one may lead over a third family
    links = np.concatenate((links, _linked(settings, short, missed)))
    return _components(links, n)


def _linked(settings: Settings, pairs: Numbers, missed: Forward) -> Numbers:
    """Those of the pairs ``(m, 2)`` between which there is a way.

    Half-way the readings are within the noise, or the next settings that give the target are near there, and not by
    one of the two.
    """
    if not len(pairs):
        return pairs
    half = settings[pairs].mean(axis=1)
    left, slopes = tangent(missed, half, STEP)
    inverse = np.linalg.pinv(slopes)
    before, place = np.abs(left).max(axis=1), half
    for _ in range(REFINED):
        place = np.clip(place - (inverse @ left[..., None])[..., 0], 0, 1)
        left = missed(place)
    there = np.abs(left).max(axis=1) <= np.maximum(ALLOWED, before / 10)
    aside = np.linalg.norm(place - half, axis=1) <= AWAY * _length(settings, pairs)
    return np.asarray(pairs[(before <= ALLOWED) | (there & aside)])


def _length(settings: Settings, pairs: Numbers) -> Array:
    return np.asarray(np.linalg.norm(settings[pairs[:, 0]] - settings[pairs[:, 1]], axis=1))


def _neighbours(settings: Settings) -> Numbers:
    """Pairs ``(m, 2)`` of each of the settings and those nearest to it."""
    n, many = len(settings), min(1 + NEIGHBOURS, len(settings))
    near = np.asarray(KDTree(settings).query(settings, many)[1]).reshape(n, many)[:, 1:]
    pairs = np.column_stack((np.repeat(np.arange(n), many - 1), near.ravel()))
    return np.array(sorted(set(map(tuple, np.sort(pairs).tolist()))), np.intp).reshape(-1, 2)


def _between(settings: Settings, family: Numbers) -> Numbers:
    """Pairs ``(m, 2)``, the closest of every two of the larger families."""
    labels, sizes = np.unique(family, return_counts=True)
    larger = [np.flatnonzero(family == label) for label in labels[np.argsort(-sizes, kind="stable")][:LARGER]]
    pairs = []
    for first, second in combinations(larger, 2):
        distance = cdist(settings[first], settings[second])
        row, column = divmod(int(distance.argmin()), len(second))
        pairs.append((first[row], second[column]))
    return np.array(pairs, np.intp).reshape(-1, 2)


def _components(pairs: Numbers, n: int) -> Numbers:
    links = coo_array((np.ones(len(pairs)), tuple(pairs.T)), (n, n))
    return np.asarray(connected_components(links, directed=False)[1], np.intp)
