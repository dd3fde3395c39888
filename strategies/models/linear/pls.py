"""Partial least squares, backward: settings as a linear function of the channels that the target fixes."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.cross_decomposition import PLSRegression

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.base.noise import Noise, residual_noise, span

Array = NDArray[np.float64]
NEGLIGIBLE = 1e-6  # singular values below it, relative to the largest, are rounding


@dataclass(eq=False)
class PartialLeastSquares:
    """Settings from readings by partial least squares, which takes collinear channels as they come.

    Only channels that the target fixes can enter, so there is one regression for each such set of channels, made
    when it is first asked for. Draws scatter about its prediction by the residuals and by how far the target is
    from the rows. Linear and single-valued: it answers a problem of two branches with the mean of both.

    Args:
        components: Latent directions, as many as there are knobs or more; fewer where rows or channels are fewer.

    References:
        Wold, Sjostrom, Eriksson (2001), doi:10.1016/S0169-7439(01)00155-1;
        Faber, Kowalski (1997), doi:10.1002/(SICI)1099-128X(199705)11:3<181::AID-CEM459>3.0.CO;2-7, for the scatter;
        Kitchin (2025), doi:10.1039/d5dd00137d
    """

    components: int = 3
    single_valued: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.components < 1:
            raise InvalidInput(f"partial least squares needs components >= 1, got {self.components}")

    def rows_needed(self, d: int, p: int) -> int:
        """Two more than there are components."""
        return min(self.components, p) + 2

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Regress the readings on the settings; the regression back is made for the channels that a target fixes."""
        self.readings_, self.settings_ = complete_rows(self, readings, settings)
        self.forward_ = _Regression(self.settings_, self.readings_, self.settings_.shape[1])
        self.backward_: dict[tuple[int, ...], _Regression] = {}
        self.domain_ = Domain(self.readings_, self.settings_)
        return self

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` of the regression back from the fixed channels, with its noise."""
        must_be_fitted(self, "forward_")
        fixed = fixed_columns(target, self.readings_.shape[1])
        backward = self._backward(fixed)
        goal = np.asarray(target, float)[None, fixed]
        return backward.simulate(goal, n, rng)[:, 0]

    def predict(self, settings: Settings) -> Readings:
        """Readings ``(n, p)`` of the forward regression."""
        must_be_fitted(self, "forward_")
        return self.forward_.predict(np.asarray(settings, float))

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` with the noise of the forward regression."""
        must_be_fitted(self, "forward_")
        return self.forward_.simulate(np.asarray(settings, float), n, rng)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "forward_")
        return self.domain_.remoteness(target)

    def _backward(self, fixed: NDArray[np.intp]) -> "_Regression":
        key = tuple(fixed.tolist())
        if key not in self.backward_:
            self.backward_[key] = _Regression(self.readings_[:, fixed], self.settings_, self.components)
        return self.backward_[key]


class _Regression:
    """One partial least squares regression with its uncertainty."""

    def __init__(self, inputs: Array, outputs: Array, components: int) -> None:
        self._centre, self._width = inputs.mean(axis=0), span(inputs)
        self._level, height = outputs.mean(axis=0), span(outputs)
        scaled = (inputs - self._centre) / self._width
        self._rotations, slopes = _latent(scaled, (outputs - self._level) / height, components)
        self._slopes = slopes * height
        scores = scaled @ self._rotations
        self._rows, self._precision = len(inputs), np.linalg.pinv(scores.T @ scores)
        self.noise: Noise = residual_noise(outputs - self.predict(inputs), height, scores.shape[1] + 1)

    def predict(self, inputs: Array) -> Array:
        return np.asarray(self._level + (inputs - self._centre) / self._width @ self._slopes)

    def simulate(self, inputs: Array, n: int, rng: np.random.Generator) -> Array:
        """Fresh outputs ``(n, m, .)`` at inputs ``(m, .)``."""
        spread = np.sqrt(1 + self.leverage(inputs))
        return np.asarray(self.predict(inputs) + spread[:, None] * self.noise.draw((n, len(inputs)), rng))

    def leverage(self, inputs: Array) -> Array:
        """Variance of the prediction at inputs ``(m, .)`` from that of its coefficients, in units of the noise."""
        scores = (inputs - self._centre) / self._width @ self._rotations
        return np.asarray(1 / self._rows + np.einsum("mi,ij,mj->m", scores, self._precision, scores))


def _latent(inputs: Array, outputs: Array, components: int) -> tuple[Array, Array]:
    """Rotations ``(., k)`` of the inputs to scores and slopes ``(., .)``, with as many components as there can be."""
    moved = np.ptp(outputs, axis=0) > 0  # scikit-learn stops at the first column that does not move
    slopes = np.zeros((inputs.shape[1], outputs.shape[1]))
    k = min(components, int(np.linalg.matrix_rank(inputs, rtol=NEGLIGIBLE)), len(inputs) - 2)
    if not k or not moved.any():
        return slopes[:, :0], slopes
    fitted = PLSRegression(k, scale=False).fit(inputs, outputs[:, moved])
    slopes[:, moved] = fitted.coef_.T
    return fitted.x_rotations_, slopes
