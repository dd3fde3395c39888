"""Points all over the unit box."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from sdl.space import Settings


def spread_points(n: int, d: int, rng: np.random.Generator) -> Settings:
    """At least ``n`` points that fill the unit box evenly, ``(m, d)``: a scrambled Sobol sequence, a power of 2."""
    return np.asarray(qmc.Sobol(d, rng=rng).random_base2((n - 1).bit_length()))


def in_unit_box(draws: Settings) -> NDArray[np.bool_]:
    """Which of the draws ``(n, d)`` are inside the unit box or on its walls, ``(n,)``."""
    return np.asarray(((draws >= 0) & (draws <= 1)).all(axis=1))
