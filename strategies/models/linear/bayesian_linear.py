"""Bayesian linear regression, inverted by Bayes' rule."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.linear.least_squares import LeastSquares
from strategies.models.sampling.smc import Shape, posterior_draws
from strategies.numerics.blas_threads import one_thread

Array = NDArray[np.float64]


@dataclass(eq=False)
class BayesianLinear:
    """Readings as a linear function of the settings with its exact posterior, and with it that of the settings.

    Priors: flat for the coefficients (a ridge of 1e-6 stands in for it), inverse Wishart for the covariance of the
    noise, worth three rows of 0.35 % of the span of each channel, and uniform on the unit box and a tenth around it for
    the settings. Then the readings at settings x follow a multivariate Student distribution whose scale grows with the
    leverage of x, and the posterior of x is that density at the target, for the channels that it fixes, cut off at the
    prior's ends. This density is exact, no linearisation and no plug-in of estimates. Its draws are by Monte Carlo (see
    ``posterior_draws``), right in the limit of many points; those for a target beyond the box crowd outside its walls.

    Args:
        intercept: Whether readings may differ from 0 at settings 0. They do not once the background is
            subtracted, and a fit through the origin needs one row less.
        degree: 1, or 2 for squares and products of settings too; it may then have several solutions.

    Raises:
        InvalidInput: for another degree.

    References:
        Geisser (1965), Bayesian estimation in multivariate analysis, for the predictive distribution;
        Tarantola (2005), doi:10.1137/1.9780898717921, for the posterior of settings
    """

    intercept: bool = False
    degree: int = 1

    def __post_init__(self) -> None:
        if self.degree not in (1, 2):
            raise InvalidInput(f"Bayesian linear regression needs degree 1 or 2, got {self.degree}")

    @property
    def single_valued(self) -> bool:
        """Whether it has one answer to a target at most, which a linear function has."""
        return self.degree == 1

    def rows_needed(self, d: int, p: int) -> int:
        """One for each coefficient of a channel."""
        return self.intercept + d + (self.degree == 2) * d * (d + 1) // 2

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Regress the readings on the settings, and on their products where ``degree`` is 2."""
        readings, settings = complete_rows(self, readings, settings)
        self.d_ = settings.shape[1]
        self.regression_ = LeastSquares.fit(self._inputs(settings), readings)
        self.domain_ = Domain(readings, settings)
        return self

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` from the posterior of the target ``(p,)`` by sequential Monte Carlo."""
        must_be_fitted(self, "regression_")
        with one_thread():
            return posterior_draws(lambda settings: self.likelihood(target, settings), self.d_, n, rng)

    def likelihood(self, target: Target, settings: Settings) -> Shape:
        """Log density of the fixed channels of a target ``(p,)`` at settings ``(m, d)``, up to a constant.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: as ``sample``.
        """
        must_be_fitted(self, "regression_")
        fixed = fixed_columns(target, self.regression_.coefficients.shape[1])
        # In these units the noise of the fixed channels is independent and has variance 1.
        whiten = np.linalg.inv(np.linalg.cholesky(self.regression_.noise.covariance[np.ix_(fixed, fixed)])).T
        coefficients = self.regression_.coefficients[:, fixed] @ whiten
        inputs = self._inputs(settings)
        spread = self.regression_.spread(inputs)
        misfit = (np.asarray(target, float)[fixed] @ whiten - inputs @ coefficients) / spread[:, None]
        slopes = self._slopes(settings) @ coefficients / spread[:, None, None]
        return Shape.student(settings, misfit, slopes, fixed.size * np.log(spread), self.regression_.noise.dof)

    def predict(self, settings: Settings) -> Readings:
        """Readings ``(n, p)`` of the regression."""
        must_be_fitted(self, "regression_")
        return self.regression_.predict(self._inputs(np.asarray(settings, float)))

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` with the noise and the uncertain coefficients of the regression."""
        must_be_fitted(self, "regression_")
        return self.regression_.simulate(self._inputs(np.asarray(settings, float)), n, rng)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "regression_")
        return self.domain_.remoteness(target)

    def _inputs(self, settings: Settings) -> Array:
        """What the readings are linear in, ``(m, q)``."""
        columns = [np.ones((len(settings), int(self.intercept))), settings]
        if self.degree == 2:
            one, other = self._pairs(settings.shape[1])
            columns.append(settings[:, one] * settings[:, other])
        return np.hstack(columns)

    def _slopes(self, settings: Settings) -> Array:
        """Derivative of the inputs, ``(m, d, q)`` or ``(1, d, q)`` where it is the same everywhere."""
        unit = np.eye(self.d_)
        columns = [np.zeros((self.d_, int(self.intercept))), unit]
        if self.degree == 1:
            return np.hstack(columns)[None]
        one, other = self._pairs(self.d_)
        products = unit[:, one] * settings[:, None, other] + unit[:, other] * settings[:, None, one]
        constant = np.broadcast_to(np.hstack(columns), (len(settings), self.d_, self.intercept + self.d_))
        return np.concatenate((constant, products), axis=2)

    @staticmethod
    def _pairs(d: int) -> tuple[list[int], list[int]]:
        one, other = zip(*combinations_with_replacement(range(d), 2), strict=True)
        return list(one), list(other)
