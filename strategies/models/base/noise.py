"""How uncertain a fit is: residuals, helped out by a weak prior where rows are few."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRIOR_ROWS = 3
"""How many rows the prior is worth."""
PRIOR_NOISE = 0.0035
"""What the prior takes one standard deviation for, as a share of the span of a column."""


@dataclass(frozen=True, eq=False)
class Noise:
    """What a fit leaves unexplained: an inverse Wishart posterior, seen from outside as a Student distribution."""

    covariance: NDArray[np.float64]
    """Its scale, ``(m, m)``, positive definite whatever the residuals are."""
    dof: float
    """Degrees of freedom of the Student distribution, at least ``PRIOR_ROWS``."""

    @property
    def variance(self) -> NDArray[np.float64]:
        """Covariance of the Student distribution, ``(m, m)``: larger than its scale, the more so for few rows."""
        return np.asarray(self.covariance * self.dof / (self.dof - 2))

    def stretch(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Factors ``(n,)`` that turn draws of the normal into draws of the Student distribution."""
        return np.asarray(np.sqrt(self.dof / rng.chisquare(self.dof, n)))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Draws ``(*shape, m)`` of the Student distribution."""
        root = np.linalg.cholesky(self.covariance)
        stretch = self.stretch(int(np.prod(shape)), rng).reshape(*shape, 1)
        return np.asarray(stretch * (rng.standard_normal((*shape, len(root))) @ root.T))


def span(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width of each column ``(n, m)``, ``(m,)``; the size of its value where it is constant, never 0."""
    width = np.ptp(columns, axis=0)
    return np.asarray(np.where(width > 0, width, np.maximum(np.abs(columns).max(axis=0), 1.0)))


def residual_noise(
    residuals: NDArray[np.float64],
    scale: NDArray[np.float64],
    parameters: int,
    weights: NDArray[np.float64] | None = None,
) -> Noise:
    """Noise of residuals ``(n, m)`` of a fit that spent ``parameters`` rows.

    A diagonal prior of ``PRIOR_ROWS`` rows, each ``PRIOR_NOISE * scale``, keeps the answer sensible for rows that
    are as few as the parameters, and positive definite for columns that are collinear.

    Args:
        residuals: What is left, ``(n, m)``.
        scale: Span of each column, ``(m,)``.
        parameters: Rows that the fit used up.
        weights: How much each row counts, ``(n,)``; by default all 1.
    """
    share = np.ones(len(residuals)) if weights is None else weights
    dof = PRIOR_ROWS + max(share.sum() - parameters, 0.0)
    prior = PRIOR_ROWS * np.diag((PRIOR_NOISE * scale) ** 2)
    return Noise((residuals.T @ (share[:, None] * residuals) + prior) / dof, dof)
