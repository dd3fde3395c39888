"""Whether draws are as wide as they should be: where the truth ranks among them."""

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput

Array = NDArray[np.float64]


def ranks(draws: Array, truths: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """How many of the ``n`` draws ``(n, m, d)`` are below the truth ``(m, d)``, each from 0 to ``n``, ``(m, d)``.

    If the truths were drawn from the prior and the draws from the posterior, every rank is as likely as any other.
    Ties are broken by chance, as draws that repeat rows of the data would be unfair otherwise.

    Raises:
        InvalidInput: for shapes that do not match.

    References:
        Talts, Betancourt, Simpson, Vehtari, Gelman (2018), arXiv:1804.06788

    >>> ranks(np.array([[[1.0]], [[3.0]]]), np.array([[2.0]]), np.random.default_rng(0)).tolist()
    [[1]]
    """
    if draws.ndim != 3 or draws.shape[1:] != truths.shape or not draws.size:
        raise InvalidInput(f"ranks need draws (n, m, d) of truths (m, d), got {draws.shape} and {truths.shape}")
    ties = (draws == truths).sum(axis=0)
    return np.asarray((draws < truths).sum(axis=0) + rng.integers(ties + 1))


def unevenness(ranked: NDArray[np.intp], n: int) -> Array:
    """Largest distance between the shares of ranks ``(m, d)`` up to each of 0 to ``n`` and even shares, ``(d,)``.

    Even ranks of ``m`` truths stay below ``1.36 / sqrt(m)`` in 95 of 100 cases.

    References:
        Kolmogorov's statistic; Massey (1951), doi:10.1080/01621459.1951.10500769

    >>> unevenness(np.array([[0], [1], [2], [3]]), 3).tolist()
    [0.0]
    """
    up_to = (ranked[:, :, None] <= np.arange(n + 1)).mean(axis=0)
    return np.asarray(np.abs(up_to - np.arange(1, n + 2) / (n + 1)).max(axis=1))
