"""Gaussian mixture of settings and readings together, conditioned on whatever is known."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from gmr import GMM
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.base.noise import PRIOR_NOISE, residual_noise, span
from strategies.models.mixtures.partition import shares
from strategies.numerics.blas_threads import one_thread

RIDGE = 1e-6  # lets a knob that never moved have a slope, which is 0
Array = NDArray[np.float64]


@dataclass(eq=False)
class Mixture:
    """Gaussian mixture of the joint distribution; the number of components by the Bayesian information criterion.

    Each component is a linear forward model where its settings are at home, so that several of them follow a
    curved response and keep apart the branches of one that is not one to one. The same mixture answers backward,
    for any subset of the channels, and forward.

    Args:
        max_components: Most components to try.

    References:
        Kitchin (2025), doi:10.1039/d5dd00137d; Fabisch (2021), doi:10.21105/joss.03054, for gmr;
        Deleforge, Forbes, Horaud (2015), doi:10.1007/s11222-014-9461-5, for the form of the covariance
    """

    max_components: int = 8

    def __post_init__(self) -> None:
        if self.max_components < 1:
            raise InvalidInput(f"a mixture needs max_components >= 1, got {self.max_components}")

    def rows_needed(self, d: int, p: int) -> int:
        """Two more than there are knobs."""
        return d + 2

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Fit a joint density of settings and readings, of as many components as the distinct settings allow."""
        readings, settings = complete_rows(self, readings, settings)
        self.d_ = settings.shape[1]
        distinct = len(np.unique(settings, axis=0))  # readings that repeat one setting tell nothing of slopes
        most = min(self.max_components, distinct // self.rows_needed(self.d_, readings.shape[1]))
        with one_thread():
            parts = shares(readings, settings, most)
        scale = np.concatenate((np.ones(self.d_), span(readings)))
        components = [_component(readings / scale[self.d_ :], settings, part) for part in parts.T]
        means, covariances = (np.array(each) for each in zip(*components, strict=True))
        # gmr takes a determinant below 2e-16 for that number. In units of the least scatter none is below 1.
        least = np.sqrt(np.linalg.eigvalsh(covariances).min())
        self.unit_: Array = scale * least
        self.domain_ = Domain(readings, settings)
        self.joint_ = GMM(len(means), parts.mean(axis=0), means / least, covariances / least**2, random_state=0)
        return self

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` of the joint density, given the fixed channels."""
        must_be_fitted(self, "joint_")
        fixed = self.d_ + fixed_columns(target, self.unit_.size - self.d_)
        values = np.asarray(target, float)[fixed - self.d_] / self.unit_[fixed]
        with one_thread():
            conditional = self.joint_.condition(fixed, values)
        knobs = slice(self.d_)
        answer = GMM(
            len(conditional.priors),
            conditional.priors,
            conditional.means[:, knobs],
            conditional.covariances[:, knobs, knobs],
        )
        return np.asarray(_drawn(answer, n, rng) * self.unit_[knobs])

    def predict(self, settings: Settings) -> Readings:
        """Mean readings ``(n, p)`` of the joint density, given the settings."""
        must_be_fitted(self, "joint_")
        with one_thread():
            readings = self.joint_.predict(np.arange(self.d_), np.asarray(settings, float) / self.unit_[: self.d_])
        return np.asarray(readings * self.unit_[self.d_ :])

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` of the joint density, given the settings."""
        must_be_fitted(self, "joint_")
        places = np.asarray(settings, float) / self.unit_[: self.d_]
        draws = np.empty((n, len(places), self.unit_.size - self.d_))
        for place, row in enumerate(places):
            with one_thread():
                conditional = self.joint_.condition(np.arange(self.d_), row)
            draws[:, place] = _drawn(conditional, n, rng)
        return np.asarray(draws * self.unit_[self.d_ :])

    def sample_rows(self, n: int, rng: np.random.Generator) -> tuple[Settings, Readings]:
        """Whole rows ``(n, d)`` and ``(n, p)`` of the joint density."""
        must_be_fitted(self, "joint_")
        rows = _drawn(self.joint_, n, rng) * self.unit_
        return rows[:, : self.d_], rows[:, self.d_ :]

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "joint_")
        return self.domain_.remoteness(target)


def _drawn(mixture: GMM, n: int, rng: np.random.Generator) -> Array:
    """Draws ``(n, .)`` of a mixture, in random order."""
    draws = [
        rng.multivariate_normal(mean, scatter, count, check_valid="ignore", method="eigh")
        for mean, scatter, count in zip(
            mixture.means, mixture.covariances, rng.multinomial(n, mixture.priors), strict=True
        )
    ]
    return rng.permutation(np.concatenate(draws))


def _component(readings: Readings, settings: Settings, share: Array) -> tuple[Array, Array]:
    """Mean ``(d + p,)`` and covariance ``(d + p, d + p)`` of rows that count as their share ``(n,)``.

    The covariance is that of settings, then readings by linear regression with noise: p channels that d knobs move
    are collinear, and their plain covariance would be singular.
    """
    d, rows = settings.shape[1], share.sum()
    mean = share @ np.column_stack((settings, readings)) / rows
    x, y = settings - mean[:d], readings - mean[d:]
    gram = x.T @ (share[:, None] * x)
    slopes = np.linalg.solve(gram + RIDGE * np.eye(d), x.T @ (share[:, None] * y))
    noise = residual_noise(y - x @ slopes, np.ones(y.shape[1]), d + 1, share).variance
    # A prediction is as uncertain as a reading and, by this much on average at fresh settings, as the slopes.
    noise = noise * (1 + (d + 1) / max(rows - d - 2, 1.0))
    scatter = gram / rows + PRIOR_NOISE**2 * np.eye(d)
    cross = scatter @ slopes
    return mean, np.block([[scatter, cross], [cross.T, slopes.T @ cross + noise]])
