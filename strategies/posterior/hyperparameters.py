"""Hyperparameters of one channel: what is believed of them before any row, and the likeliest after."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri, dtrtrs

from strategies.posterior.covariance import (
    AMPLITUDE,
    BACKGROUND,
    CORRELATION,
    FACTOR,
    GAIN,
    GROWTH,
    JITTER,
    LENGTH,
    LIGHT,
    MEMORY,
    NOISE,
    OFF,
    READING,
    REMAINDER,
    SHARED,
    SLOW_GAIN,
    Covariance,
    Matrix,
    coefficients,
    parts_of,
)
from strategies.posterior.descent import lowest
from strategies.posterior.shared import COMMON, believed, penalties, places

BELIEFS = {
    AMPLITUDE: (-3.0, 1.5, -9.0, 1.0),
    LENGTH: (0.3, 0.85, -2.0, 2.0),
    BACKGROUND: (-7.5, 1.5, -11.0, 1.5),
    MEMORY: (4.1, 0.7, 3.0, 7.0),
    NOISE: (-4.5, 1.5, -10.0, 0.0),
    GROWTH: (0.0, 0.6, -3.0, 3.0),
    CORRELATION: (-3.0, 1.3, -6.0, 3.5),
    GAIN: (-7.0, 2.0, -9.0, 0.0),
    OFF: (-0.5, 1.0, -6.0, 3.0),
}
"""Mean and standard deviation of each shared one, and the limits that it is sought within."""
SINGLE_KNOB = (0.0, 0.4, -1.5, 1.5)
"""The same for the departure of the length along one knob."""
UNSURE = 0.5
"""Standard deviation of the logarithm of a stated noise, as far as steps and ridges go by it."""
BENT = {AMPLITUDE: -1.5, LENGTH: -0.2}
"""A bend that the search begins with as well ..."""
DRIFTING = {BACKGROUND: -4.0, GAIN: -3.0}
"""... light and gains that drift ..."""
CORRELATED = {CORRELATION: 1.0}
"""... and noise that one reading passes on to the next."""
CURVED = 30
"""Rows that tell how curved the density is where the search begins."""
SPARE = 2
"""Rows of a source, beyond those that a plane takes, from which on it may have a factor."""
FAILED = 1e10
"""Loss where a covariance is singular."""
NO_NOISE = -1e3
"""Logarithm of a noise that is none: what stands for a censored row, or a row of another source, has its own doubt."""


_TABLE = np.array([BELIEFS[axis] for axis in COMMON])
AT = places(_TABLE[:, 2:].tolist())
"""Where what channels have in common may be, ``(c, k)``."""
BEFORE = believed(AT, _TABLE[:, 0], _TABLE[:, 1])
"""How likely that is before any reading, ``(c, k)``."""


@dataclass(frozen=True, eq=False)
class HyperPrior:
    """What is believed of the hyperparameters ``(9 + d,)`` before any row: independent distributions.

    They are normal, but for what channels have in common.
    """

    mean: Matrix
    deviation: Matrix
    low: Matrix
    high: Matrix
    stated: bool
    """Whether the mean of the noise is what the instrument states; otherwise it is not common."""
    chances: Matrix
    """Of what this channel has in common with others, ``(c, k)``."""

    @classmethod
    def about(cls, d: int, noise: float, others: Matrix | None = None) -> "HyperPrior":
        """The prior for ``d`` knobs.

        Args:
            d: Number of knobs.
            noise: The stated one in units of the range, NaN where unknown.
            others: Chances of what is common, by what other channels tell; by default before any reading.
        """
        table = np.array([*BELIEFS.values(), *[SINGLE_KNOB] * d])
        stated = bool(np.isfinite(noise) and noise > 0)
        if stated:
            limits = BELIEFS[NOISE]
            table[NOISE, :2] = np.clip(np.log(noise), limits[2] + 0.5, limits[3] - 0.5), UNSURE
        mean, deviation, low, high = table.T
        return cls(mean, deviation, low, high, stated, BEFORE if others is None else others)

    def penalty(self, theta: Matrix) -> tuple[float, Matrix]:
        """Minus the logarithm of the prior density, and its gradient ``(9 + d,)``."""
        off = (theta - self.mean) / self.deviation
        losses, slopes = 0.5 * off**2, off / self.deviation
        first = 0 if self.stated else 1
        axes = list(COMMON[first:])
        common, by_common = penalties(self.common(theta), AT, self.chances)
        losses[axes], slopes[axes] = common[first:], by_common[first:]
        return float(losses.sum()), slopes

    def common(self, theta: Matrix) -> Matrix:
        """What a channel has in common with others, ``(c,)``: of its noise the factor of what is stated."""
        found = theta[list(COMMON)]
        found[0] -= self.mean[NOISE]
        return np.asarray(found)


@dataclass(frozen=True, eq=False)
class ChannelData:
    """What hyperparameters are learned from: readings with their covariance, outliers and censored rows settled."""

    covariance: Covariance
    values: Matrix
    """Readings in units of the range, ``(n,)``; for a censored row what stands for it."""
    height: Matrix
    """Where in the range readings near each stand, -1/2 to 1/2, ``(n,)``."""
    spread: Matrix
    """How many times as uncertain a row is as others, being an outlier, ``(n,)``."""
    site: Matrix
    """Variance of what stands for a censored row, ``(n,)``; 0 for complete ones."""

    @cached_property
    def _heights(self) -> Matrix:
        """Feature of the growth of the noise, ``(t,)``."""
        pairs = self.covariance.pairs
        return np.asarray(self.height[pairs.first] + self.height[pairs.second])

    @cached_property
    def _factors(self) -> Matrix | float:
        """Covariance by the factor of each source, which multiplies the plane of its readings, ``(t,)``.

        What is left over of a plane would explain itself.
        """
        if (others := self.covariance.others) is None:
            return 0.0
        plane = np.zeros(len(self.values))
        for number in np.unique(others.source[others.source > 0]):
            mine = others.source == number
            axes = self.covariance.settings[mine]
            if len(axes) > axes.shape[1] + SPARE:
                whole = np.hstack((axes, np.ones((len(axes), 1))))
                plane[mine] = axes @ np.linalg.lstsq(whole, self.values[mine])[0][:-1]
        return self.covariance.pairs.taken_from(FACTOR**2 * np.outer(plane, plane) * others.together)

    @cached_property
    def _widened(self) -> Matrix:
        """Logarithm of what the noise of each pair is multiplied by, ``(t,)``."""
        each = np.where(self.site == 0, np.log(self.spread), NO_NOISE)
        pairs = self.covariance.pairs
        return np.asarray(each[pairs.first] + each[pairs.second])

    def parts(self, theta: Matrix, coefficient: Matrix) -> Matrix:
        """Remainder, background, noise and gain of each pair, ``(4, t)``, by the coefficients ``(9 + d,)``."""
        by_part = np.zeros((4, len(theta)))
        by_part[parts_of(len(theta) - SHARED), np.arange(len(theta))] = coefficient
        exponents = by_part @ self.covariance.features
        exponents[READING] += theta[GROWTH] * self._heights + self._widened
        exponents[SLOW_GAIN] += self.covariance.slow_plane
        if self.covariance.others is not None:
            exponents[REMAINDER] += self.covariance.bent_apart
            exponents[[LIGHT, SLOW_GAIN]] += self.covariance.timeless
        return np.asarray(np.exp(exponents, out=exponents))

    def triangular(self, parts: Matrix) -> Matrix:
        """Covariance of the values, of which the lower triangle is filled, ``(n, n)``."""
        whole = self.covariance.pairs.matrix(self.covariance.fixed + self._factors + parts.sum(axis=0))
        whole.flat[:: len(whole) + 1] += self.site + JITTER
        return whole

    def matrix(self, theta: Matrix) -> Matrix:
        """Covariance of the values, of which the lower triangle is filled, ``(n, n)``."""
        return self.triangular(self.parts(theta, coefficients(theta)[0]))

    def last(self, n: int) -> "ChannelData":
        """That of the last ``n`` rows."""
        if n >= len(self.values):
            return self
        own = (self.values[-n:], self.height[-n:], self.spread[-n:], self.site[-n:])
        return ChannelData(self.covariance.last(n), *own)

    def density(self, theta: Matrix, beliefs: HyperPrior) -> float:
        """Logarithm of the posterior density of hyperparameters ``(9 + d,)``, but for a constant."""
        factor, failed = dpotrf(self.matrix(theta), lower=1, overwrite_a=1)
        if failed:
            return -FAILED
        whitened = dtrtrs(factor, self.values, lower=1)[0] if len(self.values) else self.values
        logarithm = 0.5 * float(whitened @ whitened) + float(np.log(factor.diagonal()).sum())
        return -logarithm - beliefs.penalty(theta)[0]

    def loss(self, theta: Matrix, beliefs: HyperPrior) -> tuple[float, Matrix]:
        """Minus the logarithm of the posterior density, and its gradient ``(9 + d,)``."""
        if not len(self.values):
            return beliefs.penalty(theta)
        coefficient, slopes = coefficients(theta)
        parts = self.parts(theta, coefficient)
        factor, failed = dpotrf(self.triangular(parts), lower=1, overwrite_a=1)
        if failed:
            return FAILED, np.zeros_like(theta)
        weighted = dpotrs(factor, self.values, lower=1)[0]
        penalty, gradient = beliefs.penalty(theta)
        loss = 0.5 * self.values @ weighted + np.log(factor.diagonal()).sum() + penalty
        pairs = self.covariance.pairs
        inverse = dpotri(factor, lower=1, overwrite_c=1)[0]
        parts *= pairs.share * pairs.taken_from(inverse - weighted[:, None] * weighted)
        by_part, own = parts @ self.covariance.features.T, parts_of(len(theta) - SHARED)
        by_feature = by_part[own, np.arange(len(own))]
        by_feature[GROWTH] = parts[READING] @ self._heights
        found = slopes * by_feature
        found[LENGTH] = found[SHARED:].sum()
        return float(loss), found + gradient

    def likeliest(self, beliefs: HyperPrior, start: Matrix | None = None) -> Matrix:
        """The hyperparameters of largest posterior density, sought from a start, ``(9 + d,)``."""
        first = np.clip(beliefs.mean if start is None else start, beliefs.low, beliefs.high)
        curvature = self.last(CURVED).information(first) + np.diag(1 / beliefs.deviation**2)
        box = beliefs.low, beliefs.high
        return lowest(lambda theta: self.loss(theta, beliefs), first, box, np.asarray(np.linalg.inv(curvature)))

    def explained(self, beliefs: HyperPrior, by: dict[int, float]) -> Matrix:
        """Hyperparameters by which the noise is as believed, and something else explains what a plane leaves over."""
        theta = beliefs.mean.copy()
        theta[list(by)] = list(by.values())
        return theta

    def information(self, theta: Matrix) -> Matrix:
        """Expected information of the hyperparameters, ``(9 + d, 9 + d)``."""
        if not len(self.values):
            return np.zeros((len(theta), len(theta)))
        coefficient, slopes = coefficients(theta)
        parts = self.parts(theta, coefficient)
        derivatives = parts[parts_of(len(theta) - SHARED)] * self.covariance.features
        derivatives[GROWTH] = parts[READING] * self._heights
        derivatives *= slopes[:, None]
        derivatives[LENGTH] = derivatives[SHARED:].sum(axis=0)
        pairs = self.covariance.pairs
        whole = np.empty((len(theta), pairs.n, pairs.n))
        whole[:, pairs.first, pairs.second] = whole[:, pairs.second, pairs.first] = derivatives
        root = dtrtri(dpotrf(self.triangular(parts), lower=1)[0], lower=1)[0]
        whitened = (root @ whole @ root.T).reshape(len(theta), -1)
        return np.asarray(0.5 * whitened @ whitened.T)


def doubts(evidence: ChannelData, beliefs: HyperPrior, theta: Matrix) -> Matrix:
    """Covariance of the hyperparameters about the likeliest ones, ``(9 + d, 9 + d)``."""
    return np.asarray(np.linalg.inv(evidence.information(theta) + np.diag(1 / beliefs.deviation**2)))
