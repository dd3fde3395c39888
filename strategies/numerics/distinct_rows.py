"""Rows that differ: each distinct row once, with the place of every row among them."""

import numpy as np
from numpy.typing import NDArray

from sdl.space import Settings


def distinct_rows(settings: Settings) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Distinct settings of rows ``(n, d)`` in the order of their first row: that row ``(k,)``, and each row's ``(n,)``.

    >>> distinct_rows(np.array([[0.9], [0.1], [0.9]]))
    (array([0, 1]), array([0, 1, 0]))
    """
    _, first, place = np.unique(settings, axis=0, return_index=True, return_inverse=True)
    return np.sort(first), np.argsort(np.argsort(first))[place.reshape(-1)]
