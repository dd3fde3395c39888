"""Where a forward model has data, so that what it says is more than a guess."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sdl.space import Settings

Mask: TypeAlias = NDArray[np.bool_]
USUAL, ALLOWANCE = 0.99, 1.5
"""Share of the rows whose distance to the next one counts as usual, and how much farther one may go."""


@dataclass(frozen=True, eq=False)
class Region:
    """Where a forward model has data: no farther from a row of its fit than rows are from each other."""

    rows: KDTree
    radius: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The region of rows at settings ``(n, d)``; everywhere if there are less than two distinct ones."""
        sites = np.unique(settings, axis=0)
        rows = KDTree(sites)
        if len(sites) < 2:
            return cls(rows, np.inf)
        apart = np.asarray(rows.query(sites, 2)[0])[:, 1]
        return cls(rows, float(ALLOWANCE * np.quantile(apart, USUAL)))

    def strayed(self, settings: Settings) -> Mask:
        """Which of the settings ``(m, d)`` lie outside."""
        return np.asarray(np.isinf(self.rows.query(settings, distance_upper_bound=self.radius)[0]))
