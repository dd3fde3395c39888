"""Draws of settings from a likelihood over the unit box: sequential Monte Carlo with steps that follow its shape."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri_exp
from scipy.stats.qmc import Sobol

from sdl.space import Settings

Array = NDArray[np.float64]
POOL = 12
"""The first look at the box is at 2 to the power of this many points."""
PARTICLES = 512
"""Points that are kept while the likelihood is turned on; as many as draws are asked for, if these are more."""
EFFECTIVE = 0.25
"""Share of the points that may still count after each turn."""
ROUNDS = 2
"""Times that each kind of step is made once the likelihood is fully on; once at each turn before."""
SCALES = 6.0
"""Random steps are smaller than the shape suggests by 2 to the power of up to this."""
FLAT = 12.0
"""Precision of the uniform distribution on the box, for directions in which the likelihood says nothing."""
MARGIN = 0.1
"""How far the prior reaches beyond the unit box: a setting on a wall could lie in no central interval otherwise."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A log likelihood at settings, with what a Gauss-Newton step needs to know of it."""

    settings: Settings
    """``(m, d)``."""
    value: Array
    """``(m,)``, up to a constant; finite."""
    gradient: Array
    """``(m, d)``; it guides steps and need not be exact."""
    curvature: Array
    """``(m, d, d)``, minus the second derivative, positive semidefinite; need not be exact either."""

    @classmethod
    def student(cls, settings: Settings, misfit: Array, slopes: Array, log_scale: Array, dof: float) -> Self:
        """Multivariate Student distribution of ``k`` readings, in units in which they are independent.

        Args:
            settings: Where, ``(m, d)``.
            misfit: Target less expected readings, in units of their scale, ``(m, k)``.
            slopes: Derivative of the expected readings in the same units, ``(m, d, k)``.
            log_scale: Half the log determinant of the scale matrix, ``(m,)``.
            dof: Degrees of freedom.
        """
        square, k = (misfit**2).sum(axis=1), misfit.shape[1]
        weight = (dof + k) / (dof + square)
        value = -log_scale - 0.5 * (dof + k) * np.log1p(square / dof)
        gradient = weight[:, None] * (slopes @ misfit[..., None])[..., 0]
        return cls(settings, value, gradient, weight[:, None, None] * (slopes @ slopes.mT))

    def rows(self, some: NDArray[np.intp]) -> "Shape":
        """The same for some of the settings, by their places."""
        return Shape(self.settings[some], self.value[some], self.gradient[some], self.curvature[some])

    def replaced(self, where: NDArray[np.bool_], other: "Shape") -> "Shape":
        """The same with some rows ``(m,)`` from another one."""
        return Shape(
            np.where(where[:, None], other.settings, self.settings),
            np.where(where, other.value, self.value),
            np.where(where[:, None], other.gradient, self.gradient),
            np.where(where[:, None, None], other.curvature, self.curvature),
        )


Likelihood = Callable[[Settings], Shape]


def posterior_draws(
    likelihood: Likelihood, d: int, n: int, rng: np.random.Generator, margin: float = MARGIN
) -> Settings:
    """Draw settings ``(n, d)`` from a likelihood and a prior that is uniform on the unit box and a margin around it.

    Of the draws, those inside the unit box are draws for a prior that is uniform on it; the others are refused like
    those of any model. A pool of points that fill the box follows the likelihood as its power grows from 0 to 1: at
    each power the points are resampled, then moved by steps that leave the distribution at that power as it is. So
    branches that lie apart are all kept, directions that nothing determines stay spread, and walls are no obstacle. It
    is exact in the limit of many points, and the steps are exact Metropolis-Hastings steps. With as many as there are,
    the share of one of two far narrower branches scatters by 0.1.

    The last steps use random numbers of their own, and where the posterior is nearly normal the very last forgets
    where it came from: for one state of ``rng`` the draws then move smoothly with the target.

    References:
        Del Moral, Doucet, Jasra (2006), doi:10.1111/j.1467-9868.2006.00553.x, for the sampler;
        Martin, Wilcox, Burstedde, Ghattas (2012), doi:10.1137/110845598, for the Newton steps
    """
    early, late = (np.random.default_rng(seed) for seed in rng.integers(2**63, size=2))
    likelihood = _stretched(likelihood, margin)
    at, power = likelihood(Sobol(d, rng=early).random_base2(POOL)), 0.0
    while power < 1:
        step = _step(at.value, 1 - power)
        power = min(power + step, 1.0)
        last = power > 1 - 1e-9
        at = at.rows(_resampled(step * at.value, max(n, PARTICLES) if last else PARTICLES, early))
        for _ in range(ROUNDS if last else 1):
            for move in (_along_a_line, _at_random, _by_newton):
                at = move(likelihood, at, power, late if last else early)
    draws = at.settings[late.choice(len(at.settings), n, replace=False)] if n < len(at.settings) else at.settings
    return np.asarray(draws * (1 + 2 * margin) - margin)


def _stretched(likelihood: Likelihood, margin: float) -> Likelihood:
    """The likelihood over a unit box that stands for the wider one."""
    width = 1 + 2 * margin

    def stretched(places: Settings) -> Shape:
        shape = likelihood(places * width - margin)
        return Shape(places, shape.value, width * shape.gradient, width**2 * shape.curvature)

    return stretched


def _step(values: Array, most: float) -> float:
    """By how much the power may grow so that ``EFFECTIVE`` of the points still count."""

    def few(step: float) -> bool:
        weights = np.exp(step * (values - values.max()))
        return bool(weights.sum() ** 2 < EFFECTIVE * len(values) * (weights**2).sum())

    if not few(most):
        return most
    low, high = np.log(1e-12), np.log(most)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if few(np.exp(middle)) else (middle, high)
    return float(np.exp(low))


def _resampled(log_weights: Array, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows ``(n,)`` by systematic resampling."""
    sums = np.cumsum(np.exp(log_weights - log_weights.max()))
    rows = np.searchsorted(sums, (np.arange(n) + rng.random()) / n * sums[-1])
    return np.asarray(np.minimum(rows, len(sums) - 1), np.intp)


def _by_newton(likelihood: Likelihood, at: Shape, power: float, rng: np.random.Generator) -> Shape:
    """Propose a draw from the normal distribution that a Newton step expects."""
    return _normal_step(likelihood, at, power, rng, np.ones(len(at.settings)), 1.0)


def _at_random(likelihood: Likelihood, at: Shape, power: float, rng: np.random.Generator) -> Shape:
    """Propose a random step at any scale: the curvature may be far too small, as it is at a fold."""
    return _normal_step(likelihood, at, power, rng, 2.0 ** rng.uniform(0, SCALES, len(at.settings)), 0.0)


def _normal_step(
    likelihood: Likelihood, at: Shape, power: float, rng: np.random.Generator, finer: Array, drift: float
) -> Shape:
    noise, chance = rng.standard_normal(at.settings.shape), rng.random(len(at.settings))
    there = _Normal(at, power, finer, drift)
    moved = there.centre + np.linalg.solve(there.root.mT, noise[..., None])[..., 0]
    inside = np.all((moved >= 0) & (moved <= 1), axis=1)
    new = likelihood(np.where(inside[:, None], moved, at.settings))
    back = _Normal(new, power, finer, drift)
    return _accepted(at, new, power, back.log_density(at.settings) - there.log_density(new.settings), chance)


class _Normal:
    """What a place proposes: a normal distribution about the end of a Newton step, or about itself without drift."""

    def __init__(self, at: Shape, power: float, finer: Array, drift: float) -> None:
        precision = _precision(at, power)
        newton = np.linalg.solve(precision, power * at.gradient[..., None])[..., 0]
        self.centre: Settings = at.settings + drift * newton
        self.root: Array = finer[:, None, None] * np.linalg.cholesky(precision)

    def log_density(self, settings: Settings) -> Array:
        off = (self.root.mT @ (settings - self.centre)[..., None])[..., 0]
        return np.asarray(_half_log_det(self.root) - 0.5 * (off**2).sum(axis=1))


def _along_a_line(likelihood: Likelihood, at: Shape, power: float, rng: np.random.Generator) -> Shape:
    """Propose a draw on a line through the place: normal as the shape suggests, cut off at the walls of the box."""
    noise, (level, chance) = rng.standard_normal(at.settings.shape), rng.random((2, len(at.settings)))
    direction = np.linalg.solve(np.linalg.cholesky(_precision(at, power)).mT, noise[..., None])[..., 0]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    walls = np.stack((-at.settings, 1 - at.settings)) / np.where(direction == 0, _TINY, direction)
    low, high = np.minimum(walls.min(axis=0).max(axis=1), 0.0), np.maximum(walls.max(axis=0).min(axis=1), 0.0)
    there = _Chord(at, direction, power, low, high)
    length = there.draw(level)
    new = likelihood(np.clip(at.settings + length[:, None] * direction, 0, 1))
    back = _Chord(new, direction, power, low - length, high - length)
    return _accepted(at, new, power, back.log_density(-length) - there.log_density(length), chance)


class _Chord:
    """A normal distribution on the part of a line that lies in the box, by the shape at the place it starts from."""

    def __init__(self, at: Shape, direction: Array, power: float, low: Array, high: Array) -> None:
        root: Array = np.linalg.cholesky(_precision(at, power)).astype(float)
        stiff = ((root.mT @ direction[..., None])[..., 0] ** 2).sum(axis=1)
        # How likely this direction is among those of draws from the normal distribution.
        self._choice = _half_log_det(root) - 0.5 * direction.shape[1] * np.log(stiff)
        self._width = 1 / np.sqrt(stiff)
        self._centre = power * (direction * at.gradient).sum(axis=1) / stiff
        ends = (np.stack((low, high)) - self._centre) / self._width
        self._sign = np.where(ends.sum(axis=0) > 0, -1.0, 1.0)  # only the left tail keeps its digits
        left, right = np.sort(self._sign * ends, axis=0)
        self._low, self._high, self._below = low, high, log_ndtr(left)
        above = log_ndtr(right)
        self._mass = above + np.log(-np.expm1(np.minimum(self._below - above, -_TINY)))

    def draw(self, level: Array) -> Array:
        below = np.logaddexp(self._below, np.log(level + _TINY) + self._mass)
        deviate = self._sign * ndtri_exp(np.minimum(below, 0.0))
        return np.asarray(np.clip(self._centre + self._width * deviate, self._low, self._high))

    def log_density(self, length: Array) -> Array:
        deviate = (length - self._centre) / self._width
        return np.asarray(self._choice - 0.5 * deviate**2 - np.log(self._width) - self._mass)


def _precision(at: Shape, power: float) -> Array:
    return power * at.curvature + FLAT * np.eye(at.settings.shape[1])


def _half_log_det(root: Array) -> Array:
    return np.asarray(np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1))


def _accepted(at: Shape, new: Shape, power: float, ratio: Array, chance: Array) -> Shape:
    """Step or stay, by Metropolis and Hastings; the log ratio is that of the proposals, backward to forward."""
    return at.replaced(np.log(chance + _TINY) < power * (new.value - at.value) + ratio, new)


_TINY = 1e-300
