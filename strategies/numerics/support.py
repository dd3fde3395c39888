"""Where a forward model has data, so that what it says is more than a guess."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.space import Settings

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

Mask: TypeAlias = NDArray[np.bool_]
USUAL, ALLOWANCE = 0.99, 1.5
"""Share of the rows whose distance to the next one counts as usual, and how much farther one may go."""
SITES = 10_000
"""Rows that tell what is usual, at most."""


@dataclass(frozen=True, eq=False)
class Region:
    """Where a forward model has data: no farther from a row of its fit than rows are from each other."""

    rows: "NearestNeighbors"
    """Of the fit; with many knobs a tree would look at every one of them, at a hundredth of the pace of a product."""
    radius: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The region of rows at settings ``(n, d)``; everywhere if there are less than two distinct ones."""
        from sklearn.neighbors import NearestNeighbors  # a third of a second of imports, for who moves settings

        sites = np.unique(settings, axis=0)
        rows = NearestNeighbors(n_neighbors=2, n_jobs=1).fit(sites)
        if len(sites) < 2:
            return cls(rows, np.inf)
        apart = rows.kneighbors(sites[:: -(-len(sites) // SITES)])[0][:, 1]
        return cls(rows, float(ALLOWANCE * np.quantile(apart, USUAL)))

    def strayed(self, settings: Settings) -> Mask:
        """Which of the settings ``(m, d)`` lie outside."""
        if not len(settings):
            return np.zeros(0, bool)
        return np.asarray(self.rows.kneighbors(settings, 1)[0][:, 0] > self.radius)
