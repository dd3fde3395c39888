"""Linear forward model, inverted by a bounded program."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.linear.least_squares import LeastSquares


@dataclass(eq=False)
class LinearProgram:
    """Readings as a linear function of the settings, by least squares; settings by a program within the bounds.

    A draw takes coefficients from their posterior, blurs the target by the residual noise and solves for the
    settings. Freedom that the target leaves is spread over the box: among the settings that solve a draw, those
    nearest to a uniform random point are taken (randomise, then optimise). A solution outside the box is solved
    again within its bounds and then lies on a wall.

    Args:
        intercept: Whether readings may differ from 0 at settings 0. They do not once the background is
            subtracted, and a fit through the origin needs one row less.

    References:
        Kitchin (2025), doi:10.1039/d5dd00137d;
        Bardsley, Solonen, Haario, Laine (2014), doi:10.1137/140964023
    """

    intercept: bool = False
    single_valued: ClassVar[bool] = True

    def rows_needed(self, d: int, p: int) -> int:
        """One for each coefficient of a channel."""
        return d + self.intercept

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Regress the readings on the settings."""
        readings, settings = complete_rows(self, readings, settings)
        self.regression_ = LeastSquares.fit(self._inputs(settings), readings)
        self.domain_ = Domain(readings, settings)
        return self

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` that give the target by slopes and readings drawn within their errors."""
        must_be_fitted(self, "regression_")
        fixed = fixed_columns(target, self.regression_.coefficients.shape[1])
        # In these units the noise of the fixed channels is independent and has variance 1.
        whiten = np.linalg.inv(np.linalg.cholesky(self.regression_.noise.covariance[np.ix_(fixed, fixed)])).T
        stretch = self.regression_.noise.stretch(n, rng)[:, None]
        slopes = self.regression_.coefficients[:, fixed] @ whiten
        slopes = slopes + stretch[..., None] * (self.regression_.root @ rng.standard_normal((n, *slopes.shape)))
        goals = np.asarray(target, float)[fixed] @ whiten + stretch * rng.standard_normal((n, fixed.size))
        if self.intercept:
            goals, slopes = goals - slopes[:, 0], slopes[:, 1:]
        return _solve(slopes, goals, rng.random(slopes.shape[:2]))

    def predict(self, settings: Settings) -> Readings:
        """Readings ``(n, p)`` of the regression."""
        must_be_fitted(self, "regression_")
        return self.regression_.predict(self._inputs(np.asarray(settings, float)))

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Readings ``(n, m, p)`` with the noise and the uncertain coefficients of the regression."""
        must_be_fitted(self, "regression_")
        return self.regression_.simulate(self._inputs(np.asarray(settings, float)), n, rng)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "regression_")
        return self.domain_.remoteness(target)

    def _inputs(self, settings: Settings) -> NDArray[np.float64]:
        return np.column_stack((np.ones(len(settings)), settings)) if self.intercept else settings


def _solve(slopes: NDArray[np.float64], wanted: NDArray[np.float64], near: Settings) -> Settings:
    """Settings ``(n, d)`` in the box with ``settings @ slopes = wanted``, all in noise units, close to ``near``."""
    normal = slopes @ slopes.mT + np.eye(near.shape[1])
    misfit = wanted - np.einsum("nd,ndf->nf", near, slopes)
    solved = near + np.linalg.solve(normal, (slopes @ misfit[..., None]))[..., 0]
    for i in np.flatnonzero(((solved < 0) | (solved > 1)).any(axis=1)):
        rows = np.vstack((slopes[i].T, np.eye(near.shape[1])))
        solved[i] = lsq_linear(rows, np.concatenate((wanted[i], near[i])), (0, 1), method="bvls").x
    return solved
