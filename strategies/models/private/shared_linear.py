"""A linear model that knows no rows, only private statistics of them."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings, Space
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.private.private_statistics import PrivateStatistics, inputs, slopes
from strategies.models.sampling.smc import Shape, posterior_draws
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.projection import pool

Array = NDArray[np.float64]


def channel_scale(space: Space) -> tuple[Readings, Readings]:
    """The middle of the range of each channel and half its width, both ``(p,)``; each has a floor and a ceiling."""
    low, high = np.array([channel.floor for channel in space.channels], float), space.ceiling
    return (low + high) / 2, (high - low) / 2


class SharedLinear:
    """Readings as a linear or quadratic function of the settings, and settings by Bayes' rule.

    What it says scatters by the noise of a reading, by how few rows there were and by the noise that keeps them
    private. Its domain is the whole box: where the rows lay is not among the statistics.

    Args:
        statistics: Of the rows.
        space: Knobs, and channels with the floor and ceiling that the rows were held to.
    """

    single_valued: ClassVar[bool] = False

    def __init__(self, statistics: PrivateStatistics, space: Space) -> None:
        self._middle, self._half = channel_scale(space)
        self._d = space.u
        self._degree, self._rows, self._variance = statistics.degree, statistics.rows, statistics.variance
        self._coefficients, self._covariance = statistics.regression()

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` from the posterior of the target ``(p,)``, NaN where a channel is free.

        Raises:
            InvalidInput: for a target without a fixed channel or with an infinite one.
        """
        fixed = fixed_columns(target, len(self._middle))
        wanted = ((np.asarray(target, float) - self._middle) / self._half)[fixed]
        dof = max(self._rows - len(self._coefficients), 1.0)

        def likelihood(settings: Settings) -> Shape:
            mean, deviation = self._expected(settings)
            spread = np.sqrt(deviation**2 + self._variance)[:, fixed]
            lines = slopes(settings, self._degree) @ self._coefficients[:, fixed] / spread[:, None]
            return Shape.student(settings, (wanted - mean[:, fixed]) / spread, lines, np.log(spread).sum(axis=1), dof)

        with one_thread():
            return posterior_draws(likelihood, self._d, n, rng)

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(m, p)`` at settings in the unit box ``(m, d)``."""
        return self.expectation(settings)[0]

    def expectation(self, settings: Settings) -> tuple[Readings, Readings]:
        """Mean and standard deviation of the noise-free reading at settings ``(m, d)``, both ``(m, p)``."""
        mean, deviation = self._expected(np.asarray(settings, float))
        return self._middle + self._half * mean, self._half * deviation

    @property
    def reading_noise(self) -> Readings:
        """Standard deviation of one reading, ``(p,)``."""
        return np.asarray(self._half * np.sqrt(self._variance))

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Draw ``n`` fresh readings at each of the settings ``(m, d)``, ``(n, m, p)``."""
        mean, deviation = self.expectation(settings)
        scatter = np.hypot(deviation, self.reading_noise) * rng.standard_normal((n, *mean.shape))
        return np.asarray(mean + scatter)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from what the box gives."""
        everywhere = pool(self._d)
        return Domain(self.predict(everywhere), everywhere).remoteness(target)

    def _expected(self, settings: Settings) -> tuple[Array, Array]:
        """The same as ``expectation``, from -1 to 1 over the range of each channel."""
        columns = inputs(settings, self._degree)
        variance = np.einsum("mq,pqr,mr->mp", columns, self._covariance, columns)
        return columns @ self._coefficients, np.sqrt(np.maximum(variance, 0.0))
