"""From what a point is worth to a batch: one point after the other, each by what those before it leave to learn."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sdl.space import Settings

Worth = Callable[[NDArray[np.float64], Sequence[int]], NDArray[np.float64]]
"""What each of ``m`` points is worth, ``(m,)``, given its distance to the nearest that was measured or chosen and the
places of those chosen so far."""


def greedy(pool: Settings, measured: Settings, n: int, worth: Worth) -> Settings:
    """Up to ``n`` points of a pool ``(m, d)``, each worth most when it is chosen; fewer once none is worth anything."""
    distance = cdist(pool, measured).min(axis=1, initial=np.inf)
    chosen: list[int] = []
    for _ in range(n):
        worths = worth(distance, chosen)
        best = int(worths.argmax())
        if not worths[best] > 0:
            break
        chosen.append(best)
        distance = np.minimum(distance, np.linalg.norm(pool - pool[best], axis=1))
    return np.asarray(pool[np.array(chosen, int)])
