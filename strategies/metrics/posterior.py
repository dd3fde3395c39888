"""How far draws are from the true posterior, of which a rejection sample shows what it looks like."""

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Target

DIRECTIONS = 200
Array = NDArray[np.float64]


def rejected(settings: Settings, readings: Readings, target: Target, n: int) -> Settings:
    """The ``n`` settings of a large sample of the prior whose readings are nearest to a target, ``(n, d)``.

    Distances are in standard deviations of each channel. Together they are a sample of the posterior, as exactly as
    ``n`` is small against the sample.

    Raises:
        InvalidInput: if the sample is smaller than that.

    References:
        Rubin (1984), doi:10.1214/aos/1176346785
    """
    if not 0 < n <= len(settings):
        raise InvalidInput(f"a rejection sample of {n} needs as many draws of the prior, got {len(settings)}")
    off = (((readings - target) / readings.std(axis=0)) ** 2).sum(axis=1)
    return settings[np.argpartition(off, n - 1)[:n]]


def sliced_wasserstein(one: Settings, other: Settings, rng: np.random.Generator, directions: int = DIRECTIONS) -> float:
    """Mean distance between two samples ``(n, d)`` and ``(m, d)``, over projections on random directions.

    Scale them first: in standard deviations of the prior, 0.5 is far, and 500 draws of one distribution are about 0.06
    from 500 others.

    Raises:
        InvalidInput: for an empty sample, or different numbers of columns.

    References:
        Bonneel, Rabin, Peyre, Pfister (2015), doi:10.1007/s10851-014-0506-3

    >>> sliced_wasserstein(np.zeros((5, 1)), np.full((3, 1), 2.0), np.random.default_rng(0))
    2.0
    """
    if one.ndim != 2 or not len(one) or not len(other) or one.shape[1:] != other.shape[1:]:
        raise InvalidInput(f"samples (n, d) and (m, d) are needed, none empty, got {one.shape} and {other.shape}")
    along = rng.standard_normal((one.shape[1], directions))
    along /= np.linalg.norm(along, axis=0)
    levels = (np.arange(max(len(one), len(other))) + 0.5) / max(len(one), len(other))
    first, second = (np.sort(sample @ along, axis=0)[(levels * len(sample)).astype(int)] for sample in (one, other))
    return float(np.abs(first - second).mean())
