"""From draws of an inverse model to a few distinct candidates."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from sdl.space import Settings
from strategies.numerics.unit_box import in_unit_box

FEWEST = 8  # draws that make a cluster, or a twentieth of all of them
SEPARATION = 0.02
"""Settings that come as close as this, in the unit box, are one answer."""


@dataclass(frozen=True, eq=False)
class DrawCluster:
    """Settings that a model offers for a target."""

    settings: Settings
    """The most central draw of a cluster, ``(d,)``, in the unit box."""
    spread: Settings
    """Standard deviation of the draws of that cluster, ``(d,)``."""
    share: float
    """Part of the draws inside the box that belongs to the cluster, 0 to 1."""
    members: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp), kw_only=True)
    """Which of the draws inside the box these are."""


def cluster_draws(draws: Settings, separation: float = SEPARATION, *, one: bool = False) -> list[DrawCluster]:
    """Distinct candidates among draws ``(n, d)``, the likeliest first; none if all draws are outside the box.

    Draws outside the unit box are refused, never clipped; ``refused`` counts them. The others are clustered by
    density, whatever its scale. Each cluster answers with its medoid, because a mean of valid draws need not be
    valid. Meant for thousands of draws at most: all distances are kept at once.

    Args:
        draws: From ``InverseModel.sample``, one target.
        separation: Clusters that come as close as this, in the unit box, are one.
        one: Whether all draws are of one answer, as those of a model that knows no other.

    References:
        Campello, Moulavi, Sander (2013), doi:10.1007/978-3-642-37456-2_14, for the clusters

    >>> rng = np.random.default_rng(0)
    >>> draws = np.concatenate((rng.normal(0.2, 0.01, (60, 2)), rng.normal(0.8, 0.03, (40, 2))))
    >>> [(cluster.settings.round(1).tolist(), cluster.share) for cluster in cluster_draws(draws)]
    [([0.2, 0.2], 0.6), ([0.8, 0.8], 0.4)]
    """
    inside = draws[in_unit_box(draws)]
    distance = cdist(inside, inside)
    labels = np.zeros(len(inside), np.intp) if one else _clusters(inside, distance, separation)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    clusters = [_candidate(inside[rows], distance[np.ix_(rows, rows)], len(inside), rows) for rows in members]
    return sorted(clusters, key=lambda each: -each.share)


def refused(draws: Settings) -> float:
    """Share of draws ``(n, d)`` outside the unit box, 0 to 1."""
    return float(1 - in_unit_box(draws).mean())


def _candidate(draws: Settings, distance: NDArray[np.float64], n: int, members: NDArray[np.intp]) -> DrawCluster:
    return DrawCluster(draws[distance.sum(axis=0).argmin()], draws.std(axis=0), len(draws) / n, members=members)


def _clusters(draws: Settings, distance: NDArray[np.float64], separation: float) -> NDArray[np.intp]:
    """Label of each draw ``(n,)``."""
    n, one = len(distance), np.zeros(len(distance), np.intp)
    fewest = max(FEWEST, n // 20)
    if n < 2 * fewest:
        return one
    from sklearn.cluster import HDBSCAN  # a third of a second of imports, for who has draws to group

    labels = HDBSCAN(fewest, allow_single_cluster=True, copy=True).fit_predict(draws)
    dense = np.flatnonzero(labels >= 0)
    if not dense.size:
        return one
    groups = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    # Not by cluster_selection_epsilon: that option of HDBSCAN fails for some draws (scikit-learn 1.9).
    close = [[distance[np.ix_(a, b)].min() < separation for b in groups] for a in groups]
    merged = connected_components(np.array(close))[1]
    return np.asarray(merged[labels[dense[distance[:, dense].argmin(axis=1)]]], np.intp)
