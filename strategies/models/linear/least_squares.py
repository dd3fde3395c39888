"""Linear regression of readings on inputs, with what is uncertain about it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from strategies.models.base.noise import Noise, residual_noise, span

RIDGE = 1e-6  # an input that never moved keeps a coefficient, as unknown as a thousand times the noise
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Coefficients with their posterior: normal about these for a known noise, Student for one that is learned."""

    coefficients: Array
    """Shape ``(q, p)``."""
    root: Array
    """Root of the covariance of the coefficients of one channel, in units of its noise, ``(q, q)``."""
    noise: Noise

    @classmethod
    def fit(cls, inputs: Array, readings: Array) -> Self:
        """Fit readings ``(n, p)`` to inputs ``(n, q)``."""
        gram = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1])
        coefficients = np.asarray(np.linalg.solve(gram, inputs.T @ readings))
        noise = residual_noise(readings - inputs @ coefficients, span(readings), inputs.shape[1])
        return cls(coefficients, np.linalg.cholesky(np.linalg.inv(gram)), noise)

    def predict(self, inputs: Array) -> Array:
        """Expected readings ``(m, p)`` at inputs ``(m, q)``."""
        return np.asarray(inputs @ self.coefficients)

    def spread(self, inputs: Array) -> Array:
        """Scale of a prediction ``(m,)`` in units of the noise: a reading's own and that of the coefficients."""
        return np.asarray(np.sqrt(1 + ((inputs @ self.root) ** 2).sum(axis=1)))

    def simulate(self, inputs: Array, n: int, rng: np.random.Generator) -> Array:
        """Fresh readings ``(n, m, p)`` at inputs ``(m, q)``."""
        scatter = self.spread(inputs)[:, None] * self.noise.draw((n, len(inputs)), rng)
        return np.asarray(self.predict(inputs) + scatter)
