"""What a fitted forward model misses, learned from the rows around: kriging of its residuals.

A global model has a floor (a line through a bent response is off by 0.5 %); the rows near a candidate, above all the
replicates of a failed exam, know better. The error of their background is part of the noise here, and shared by
rows that were taken between the same two references.

References:
    Matheron (1963), doi:10.2113/gsecongeo.58.8.1246; Rasmussen & Williams (2006), ISBN 978-0-262-18253-9, ch. 2 and 5
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from sdl.space import Readings, Settings

AMPLITUDES = (0.0025, 0.01, 0.04, 0.16, 0.64)
"""Tried sizes of what a model misses, as shares of the range of the readings."""
LENGTHS = (0.15, 0.3, 0.6)
"""Tried distances over which it changes, in the unit box."""
NEAREST = 300
"""Rows that are used at most: the nearest ones."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Settings, readings without their background, and what is known of their errors."""

    settings: Settings
    """In the unit box, ``(n, d)``."""
    readings: Readings
    """Background subtracted, ``(n, p)``."""
    noise: Readings
    """Standard deviation of one reading, ``(p,)``."""
    drift: Readings
    """Variance that the background gains with each request, ``(p,)``."""
    shared: NDArray[np.float64]
    """Covariance of the background's error between rows for a drift of 1, ``(n, n)``."""

    def nearest(self, settings: Settings, n: int = NEAREST) -> "Rows":
        """The rows nearest to one point ``(d,)`` of the box."""
        if len(self.settings) <= n:
            return self
        near = np.argsort(cdist(settings[None], self.settings)[0], kind="stable")[:n]
        return Rows(self.settings[near], self.readings[near], self.noise, self.drift, self.shared[np.ix_(near, near)])


def kriged(rows: Rows, residuals: Readings, at: Settings) -> tuple[Readings, Readings]:
    """Expected residuals at settings ``(m, d)`` and their standard deviation, both ``(m, p)``.

    Args:
        rows: Where the model was tried, ``n`` of them.
        residuals: Readings less what the model predicts there, ``(n, p)``.
        at: Where to estimate, in the unit box.
    """
    between, to = cdist(rows.settings, rows.settings), cdist(rows.settings, at)
    columns = [_channel(rows, residuals[:, c], c, between, to) for c in range(residuals.shape[1])]
    return np.stack([mean for mean, _ in columns], axis=1), np.stack([sd for _, sd in columns], axis=1)


def _channel(
    rows: Rows, residuals: Readings, c: int, between: NDArray[np.float64], to: NDArray[np.float64]
) -> tuple[Readings, Readings]:
    errors = rows.noise[c] ** 2 * np.eye(len(residuals)) + rows.drift[c] * rows.shared
    span = float(np.ptp(rows.readings[:, c])) or 1.0
    best = max(
        (_evidence((share * span) ** 2 * _kernel(between, length) + errors, residuals), share * span, length)
        for share in AMPLITUDES
        for length in LENGTHS
    )
    _, amplitude, length = best
    factor = cho_factor(_regular(amplitude**2 * _kernel(between, length) + errors))
    cross = amplitude**2 * _kernel(to, length)
    mean = cross.T @ cho_solve(factor, residuals)
    variance = amplitude**2 - np.einsum("nm,nm->m", cross, cho_solve(factor, cross))
    return np.asarray(mean), np.sqrt(np.maximum(variance, 0.0))


def _evidence(covariance: NDArray[np.float64], residuals: Readings) -> float:
    """Logarithm of the marginal likelihood, up to a constant."""
    lower, flag = cho_factor(_regular(covariance), lower=True)
    fit = residuals @ cho_solve((lower, flag), residuals)
    return float(-0.5 * fit - np.log(np.diag(lower)).sum())


def _regular(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    ridge = 1e-9 * np.trace(covariance) / len(covariance) + 1e-12
    return np.asarray(covariance + ridge * np.eye(len(covariance)))


def _kernel(distance: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * (distance / length) ** 2))
