"""Gaussian processes, inverted by bounded optimisation and by Bayes' rule."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats.qmc import Sobol

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.base.noise import PRIOR_NOISE, residual_noise, span
from strategies.models.gaussian_process.forward import channels
from strategies.models.sampling.smc import Shape, posterior_draws
from strategies.numerics.blas_threads import one_thread

Array = NDArray[np.float64]
POOL = 10
"""The searches of ``invert`` start from the best of 2 to the power of this many points."""
NINE_TENTHS = 1.645  # standard deviations of the normal distribution that nine tenths lie within
FEW = 40  # rows from which on the shape of the errors counts half
SEPARATION = 0.02
"""Solutions that are closer than this, in the unit box, are one."""
WORSE = 0.5
"""By how much the log likelihood of a solution may be below that of the best: one deviation off instead of none."""


@dataclass(eq=False)
class GaussianProcess:
    """Readings as a linear function of the settings plus a smooth bend, one Gaussian process a channel.

    Noise, size and lengths of the bend are those of the highest posterior (BoTorch); given these, predictions are
    exact. What they are off for rows left out, in units of their own standard deviation, widens them where that is
    too small and tells how the errors of the channels go together: fresh readings follow a Student distribution.

    Backward, ``sample`` draws from the posterior of the settings: the density of the target at them, for the
    channels that it fixes, times a prior that is uniform on the unit box and a tenth around it (statistical
    inversion). ``invert`` gives the best settings in the box instead.

    Args:
        most_rows: Rows that are used at most. Of more, those are taken that fill the space of the settings: each
            time the row farthest from all that were taken before.

    Raises:
        InvalidInput: for less than two rows.

    References:
        Balandat et al. (2020), arXiv:1910.06403, for BoTorch;
        Tarantola (2005), doi:10.1137/1.9780898717921, for statistical inversion
    """

    most_rows: int = 200

    def __post_init__(self) -> None:
        if self.most_rows < 2:
            raise InvalidInput(f"a Gaussian process needs most_rows >= 2, got {self.most_rows}")

    def rows_needed(self, d: int, p: int) -> int:
        """Two more than there are knobs."""
        return d + 2

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Fit a process for each channel on rows that fill the box, and calibrate its deviation on rows left out."""
        readings, settings = complete_rows(self, readings, settings)
        self.domain_ = Domain(readings, settings)
        kept = _filling(settings, self.most_rows)
        readings, settings = readings[kept], settings[kept]
        self.middle_, self.width_ = _middle(settings), span(settings) / 2
        self.level_, self.height_ = _middle(readings), span(readings) / 2
        with one_thread():
            self.channels_ = channels((settings - self.middle_) / self.width_, (readings - self.level_) / self.height_)
        left_out = np.column_stack([channel.left_out for channel in self.channels_])
        # One deviation is what is expected. The rows had their say in d + 2 values a channel before they were left out.
        noise = residual_noise(left_out, np.full(len(self.channels_), 1 / PRIOR_NOISE), settings.shape[1] + 2)
        tails = _tails(left_out)
        self.noise_ = replace(noise, covariance=noise.covariance * np.outer(tails, tails))
        return self

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` from the posterior of the target ``(p,)`` by sequential Monte Carlo."""
        must_be_fitted(self, "noise_")
        with one_thread():
            return posterior_draws(lambda settings: self.likelihood(target, settings), self.middle_.size, n, rng)

    def likelihood(self, target: Target, settings: Settings) -> Shape:
        """Log density of the fixed channels of a target ``(p,)`` at settings ``(m, d)``, up to a constant.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: as ``sample``.
        """
        misfit, slopes, deviation = self._misfit(target, settings)
        return Shape.student(settings, misfit, slopes, np.log(deviation).sum(axis=1), self.noise_.dof)

    def invert(self, target: Target, starts: int = 16) -> Settings:
        """Distinct settings ``(m, d)`` in the unit box that fit the fixed channels of a target best, the best first.

        The misfit in units of the predicted standard deviation is minimised within the bounds, from the best of a
        thousand points that fill the box. Settings that are as good as the best, give or take one deviation, are
        kept; where the target leaves the settings free these are examples.

        Args:
            target: Readings, ``(p,)``; NaN where a channel is left free.
            starts: Number of searches.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: as ``sample``, or for less than one search.
        """
        must_be_fitted(self, "noise_")
        if starts < 1:
            raise InvalidInput(f"an inversion needs starts >= 1, got {starts}")
        with one_thread():
            pool = Sobol(self.middle_.size, rng=0).random_base2(POOL)
            likely = pool[np.argsort(-self.likelihood(target, pool).value)[:starts]]
            ends = sorted((self._search(target, start) for start in likely), key=lambda end: end[0])
        chosen: list[Settings] = []
        for cost, settings in ends:
            apart = all(np.linalg.norm(settings - other) >= SEPARATION for other in chosen)
            if apart and cost < ends[0][0] + WORSE:
                chosen.append(settings)
        return np.array(chosen)

    def predict(self, settings: Settings) -> Readings:
        """Means of the processes at settings, ``(n, p)``."""
        must_be_fitted(self, "noise_")
        return self.level_ + self.height_ * self._scaled(settings)[0]

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` that scatter by the deviation of the processes."""
        must_be_fitted(self, "noise_")
        mean, deviation = self._scaled(settings)
        return self.level_ + self.height_ * (mean + deviation * self.noise_.draw((n, len(mean)), rng))

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "noise_")
        return self.domain_.remoteness(target)

    def _search(self, target: Target, start: Settings) -> tuple[float, Settings]:
        """Half the squared misfit and the settings ``(d,)`` where it is least, near a start."""

        def misfit(settings: Settings) -> Array:
            return np.asarray(self._misfit(target, settings[None])[0][0])

        def slopes(settings: Settings) -> Array:
            return np.asarray(-self._misfit(target, settings[None])[1][0].T)

        best = least_squares(misfit, start, slopes, bounds=(0, 1))
        return float(best.cost), best.x

    def _scaled(self, settings: Settings) -> tuple[Array, Array]:
        """Expected readings and standard deviations of fresh ones, both ``(m, p)``, from -1 to 1 over the rows."""
        places = (np.asarray(settings, float) - self.middle_) / self.width_
        with one_thread():
            means, deviations = zip(*(channel.at(places)[:2] for channel in self.channels_), strict=True)
        return np.column_stack(means), np.column_stack(deviations)

    def _misfit(self, target: Target, settings: Settings) -> tuple[Array, Array, Array]:
        """How far the fixed channels are off, ``(m, k)``, and how fast that falls, ``(m, d, k)``, in deviations.

        In these units the errors of the channels are independent. Last come the deviations ``(m, k)`` themselves.
        """
        must_be_fitted(self, "noise_")
        fixed = fixed_columns(target, len(self.channels_))
        places = (settings - self.middle_) / self.width_
        goal = (np.asarray(target, float) - self.level_) / self.height_
        means, deviations, slopes = zip(*(self.channels_[c].at(places) for c in fixed), strict=True)
        deviation = np.column_stack(deviations)
        whiten = np.linalg.inv(np.linalg.cholesky(self.noise_.covariance[np.ix_(fixed, fixed)])).T
        misfit = (goal[fixed] - np.column_stack(means)) / deviation @ whiten
        rise = np.stack(slopes, axis=2) / self.width_[:, None] / deviation[:, None] @ whiten
        return misfit, rise, deviation


def _tails(left_out: Array) -> Array:
    """How much wider nine tenths of the errors ``(n, p)`` are than those of a normal distribution so wide, ``(p,)``.

    A few bad readings widen the standard deviation, and with it every interval; few rows are no evidence of that.
    """
    deviation = np.sqrt((left_out**2).mean(axis=0)) + _TINY
    ratio = np.quantile(np.abs(left_out), 0.9, axis=0) / NINE_TENTHS / deviation
    return np.asarray(np.maximum(ratio, _TINY) ** (len(left_out) / (len(left_out) + FEW)))


_TINY = 1e-12


def _middle(columns: Array) -> Array:
    return np.asarray((columns.min(axis=0) + columns.max(axis=0)) / 2)


def _filling(settings: Settings, most: int) -> NDArray[np.intp]:
    """Rows that fill the space of the settings, in their order: each time the farthest from all taken before."""
    if len(settings) <= most:
        return np.arange(len(settings))
    taken = [int(np.linalg.norm(settings - settings.mean(axis=0), axis=1).argmin())]
    distance = np.full(len(settings), np.inf)
    while len(taken) < most:
        distance = np.minimum(distance, np.linalg.norm(settings - settings[taken[-1]], axis=1))
        distance[taken] = -1.0
        taken.append(int(distance.argmax()))
    return np.sort(taken)
