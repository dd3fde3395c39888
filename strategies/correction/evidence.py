"""How well each size and distance of what a model misses explains its residuals."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings
from strategies.correction import cholesky

AMPLITUDES = (0.0025, 0.01, 0.04, 0.16, 0.64)
"""Tried sizes of what a model misses, as shares of the range of the readings."""


def evidences(
    kernels: Mapping[float, NDArray[np.float64]],
    errors: NDArray[np.float64],
    residuals: Readings,
    span: float,
    usual: float = np.inf,
) -> dict[tuple[float, float], float]:
    """How well each size and distance of what a model misses explains the residuals ``(n,)`` of one channel.

    Args:
        kernels: By distance, ``(n, n)``.
        errors: Covariance of all else, ``(n, n)``.
        residuals: Of the rows.
        span: Range of the readings, of which the sizes are shares.
        usual: Size that is expected, as such a share (the median of a half-Cauchy prior); infinite where none is.

    Returns:
        Logarithms of prior times marginal likelihood, up to a constant that is the same for all sizes and distances.

    References:
        Gelman (2006), doi:10.1214/06-BA117A, for the prior
    """
    prior = _prior(usual, len(kernels)) if np.isfinite(usual) else dict.fromkeys(AMPLITUDES, 0.0)
    return {
        (part * span, length): _evidence((part * span) ** 2 * like + errors, residuals) + prior[part]
        for part in AMPLITUDES
        for length, like in kernels.items()
    }


def _prior(usual: float, lengths: int) -> dict[float, float]:
    """Logarithm of the probability of each size, at each of so many distances."""
    expected = {part: part / (1 + (part / usual) ** 2) for part in AMPLITUDES}
    return {part: float(np.log(share / sum(expected.values()) / lengths)) for part, share in expected.items()}


def _evidence(covariance: NDArray[np.float64], residuals: Readings) -> float:
    """Logarithm of the marginal likelihood, up to a constant."""
    lower = cholesky.factor(regular(covariance))
    fit = residuals @ cholesky.solve(lower, residuals)
    return float(-0.5 * fit - np.log(np.diag(lower)).sum())


def regular(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """A covariance ``(n, n)`` with as much on its diagonal as rounding needs to leave it positive definite."""
    ridge = 1e-9 * np.trace(covariance) / len(covariance) + 1e-12
    return np.asarray(covariance + ridge * np.eye(len(covariance)))


def kernel(distance: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """How alike what a model misses is at settings that are so far apart."""
    return np.asarray(np.exp(-0.5 * (distance / length) ** 2))
