"""How readings of one channel vary together: a plane, a curved remainder, light that comes and goes, and noise.

Settings lie in the unit box, readings are in units of the range that the channel was seen to have, and moments are
places in the order of requests. The logarithms of scales are the hyperparameters, in one vector:

====================  ====================================================================================
``AMPLITUDE``         of the curved remainder
``LENGTH``            over which the remainder changes; each knob departs from it by a hyperparameter of its own, at
                      the end of the vector
``BACKGROUND``        standard deviation of the background, an Ornstein-Uhlenbeck process in the order of requests
``MEMORY``            requests after which the background has forgotten itself
``NOISE``             standard deviation of one reading in the middle of the range
``GROWTH``            slope of the logarithm of the noise over the range
``CORRELATION``       logit of the correlation of the noise of two successive readings
``GAIN``              by how much the plane changes in the course of ``SLOW`` requests
``OFF``               logarithm of the noise with every knob off over that in the middle of the range
====================  ====================================================================================

Each part of the covariance that depends on them, remainder, background, gain and noise, is the exponential of a sum
over its hyperparameters: of a coefficient times a feature of the two rows. So a likelihood costs one product of
matrices and one exponential, and its gradient another product.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

AMPLITUDE, LENGTH, BACKGROUND, MEMORY, NOISE, GROWTH, CORRELATION, GAIN, OFF = range(9)
SHARED = 9
"""Hyperparameters before those of the single knobs."""
REMAINDER, LIGHT, READING, SLOW_GAIN = range(4)
"""Parts of the covariance that depend on hyperparameters."""
PART = (REMAINDER, REMAINDER, LIGHT, LIGHT, READING, READING, READING, SLOW_GAIN, READING)
"""To which part each of the shared ones belongs; those of the knobs belong to the remainder."""
VAGUE = 4.0
"""Variance of the coefficients of the plane: any that readings of unit range can have."""
STEP = 4.0
"""Variance of the change when a lamp is switched."""
SLOW = 60.0
"""Requests over which gains change smoothly."""
FACTOR = 0.3
"""Standard deviation of the factor by which a source other than the instrument reads more or less than it ..."""
OFFSET = 0.1
"""... and of what it reads more or less everywhere, in parts of the range: as small as factors make elsewhere."""
NEARBY = 0.05
"""Distance in the unit box within which noise is of one size."""
NEVER = -1e3
"""Logarithm of what is none."""
JITTER = 1e-9
"""Variance that keeps matrices invertible: a thirty-thousandth of the range, squared."""


@dataclass(frozen=True, eq=False)
class Others:
    """Rows of other sources than the instrument among some rows: noisy views of its response, each with a bias.

    They tell of nothing else: their noise is given, and the instrument's light and gains are not theirs.

    The bias of a source is a factor, a level, and another plane and remainder, of the part ``apart`` of what those of
    the instrument may be: factor and discrepancy of Kennedy and O'Hagan (2000), doi:10.1093/biomet/87.1.1.
    """

    source: NDArray[np.int_]
    """Number of the source of each row, ``(n,)``; 0 for the instrument."""
    louder: Matrix
    """How many times as large the noise of each row is as what the instrument states, ``(n,)``."""

    @property
    def together(self) -> NDArray[np.bool_]:
        """Whether two rows are of the same source, so that they share its bias, ``(n, n)``."""
        return np.asarray(self.source[:, None] == self.source)

    def last(self, n: int) -> "Others":
        """Those of the last ``n`` rows."""
        return Others(self.source[-n:], self.louder[-n:])


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of rows as a function of the hyperparameters ``(9 + d,)``: of pairs of rows, each pair once.

    Pairs ``(t,)`` are those of the lower triangle, ``t = n (n + 1) / 2``.
    """

    settings: Matrix
    """``(n, d)``; conditions of the rows, if there are any, are its last columns."""
    order: Matrix
    """``(n,)``."""
    reference: NDArray[np.bool_]
    """``(n,)``."""
    switches: tuple[float, ...] = ()
    """Moments just before which a lamp was switched."""
    apart: Matrix | None = None
    """Of each row by which part its gains are off from today's, ``(n,)``; 0, and None, for today's rows."""
    held: tuple[float, ...] = ()
    """Conditions in which readings are asked for."""
    others: Others | None = None
    """Rows of other sources than the instrument; None where there are none."""

    @property
    def pairs(self) -> "Pairs":
        """Pairs of its rows."""
        return pairs_of(len(self.order))

    @cached_property
    def fixed(self) -> Matrix:
        """What depends on no hyperparameter: the plane, the lamps, and what was another plane long ago, ``(t,)``."""
        after = switched(self.order, self.switches)
        fixed = VAGUE * self._plane + STEP * after @ after.T
        if self.apart is not None and self.apart.any():
            level = (self.apart > 0).astype(float)
            if self.others is not None:
                level = np.where(self.others.source > 0, OFFSET, level)
            bias = np.outer(self.apart, self.apart) * (self._plane - 1) + np.outer(level, level)
            fixed = fixed + (bias if self.others is None else bias * self.others.together)
        return self.pairs.taken_from(fixed)

    @cached_property
    def features(self) -> Matrix:
        """By what each hyperparameter's coefficient is multiplied, ``(9 + d, t)``; none for the growth of the noise."""
        first, second = self.pairs.first, self.pairs.second
        found = np.empty((SHARED + self.settings.shape[1], len(first)))
        found[[AMPLITUDE, BACKGROUND, NOISE, GAIN]] = 1.0
        found[[LENGTH, GROWTH]] = 0.0
        found[[MEMORY, CORRELATION]] = self.order[first] - self.order[second]
        found[OFF] = self.reference[first].astype(float) + self.reference[second]
        found[SHARED:] = ((self.settings[first] - self.settings[second]) ** 2).T
        return found

    @cached_property
    def slow_plane(self) -> Matrix:
        """Logarithm of the covariance of gains of unit size, ``(t,)``."""
        lag = self.features[MEMORY]
        return np.asarray(np.log(self.pairs.taken_from(self._plane)) - 0.5 * (lag / SLOW) ** 2)

    @cached_property
    def bent_apart(self) -> Matrix | float:
        """Logarithm of how many times as large the covariance of remainders is by the biases of sources, ``(t,)``."""
        if self.others is None or self.apart is None:
            return 0.0
        own = self.apart * (self.others.source > 0)
        return np.log1p(self.pairs.taken_from(np.outer(own, own) * self.others.together))

    @cached_property
    def timeless(self) -> Matrix | float:
        """Logarithm of the part that light and gains of the instrument have in each pair of rows: none of others."""
        if self.others is None:
            return 0.0
        own = self.others.source == 0
        return np.where(self.pairs.taken_from(np.outer(own, own).astype(float)) > 0, 0.0, NEVER)

    @cached_property
    def nearby(self) -> Matrix:
        """By what readings are multiplied to give the mean of those near to each row, ``(n, n)``."""
        close = np.abs(self.settings[:, None] - self.settings).max(axis=2) <= NEARBY
        return np.asarray(close / close.sum(axis=1, keepdims=True))

    @property
    def _plane(self) -> Matrix:
        return np.asarray(1 + self.settings @ self.settings.T)

    def last(self, n: int) -> "Covariance":
        """That of the last ``n`` rows."""
        if n >= len(self.order):
            return self
        apart = None if self.apart is None else self.apart[-n:]
        others = None if self.others is None else self.others.last(n)
        part = (self.settings[-n:], self.order[-n:], self.reference[-n:])
        return Covariance(*part, self.switches, apart, self.held, others)

    def asked(self, settings: Matrix) -> Matrix:
        """Settings ``(m, d)`` with the conditions in which readings are asked for; as they are if they have some."""
        if settings.shape[1] == self.settings.shape[1]:
            return settings
        return np.hstack((settings, np.tile(self.held, (len(settings), 1))))

    def cross(self, theta: Matrix, settings: Matrix, now: float) -> Matrix:
        """Covariance ``(n, m)`` of the rows with noise-free readings at settings ``(m, d)`` at a moment."""
        settings = self.asked(settings)
        length = np.sqrt(inverse_squares(theta))
        scaled, others = self.settings * length, settings * length
        squares = (scaled**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * scaled @ others.T
        lag = np.abs(self.order - now)
        found = np.exp(2 * theta[AMPLITUDE] - 0.5 * np.maximum(squares, 0))
        found += (1 + self.settings @ settings.T) * (VAGUE + np.exp(2 * theta[GAIN] - 0.5 * (lag / SLOW) ** 2))[:, None]
        lamps = switched(self.order, self.switches) @ switched(np.array([now]), self.switches)[0]
        found += (np.exp(2 * theta[BACKGROUND] - lag * np.exp(-theta[MEMORY])) + STEP * lamps)[:, None]
        return np.asarray(found)

    def prior(self, theta: Matrix, settings: Matrix, now: float) -> Matrix:
        """Variance ``(m,)`` of a noise-free reading at settings ``(m, d)`` at a moment, before any row."""
        settings = self.asked(settings)
        plane = 1 + (settings**2).sum(axis=1)
        level = np.exp(2 * theta[AMPLITUDE]) + np.exp(2 * theta[BACKGROUND])
        lamps = STEP * (switched(np.array([now]), self.switches) ** 2).sum()
        return np.asarray(level + plane * (VAGUE + np.exp(2 * theta[GAIN])) + lamps)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Places ``(t,)`` in the lower triangle of a matrix ``(n, n)`` that lies in memory by columns, as for LAPACK."""

    n: int
    first: NDArray[np.int_]
    second: NDArray[np.int_]
    """Row and column of each."""
    place: NDArray[np.int_]
    """Its place in memory."""
    share: Matrix
    """1 for two different rows, of which each pair stands for two; 1/2 on the diagonal."""

    def matrix(self, values: Matrix) -> Matrix:
        """A matrix with these values ``(t,)`` in its lower triangle."""
        whole = np.zeros(self.n * self.n)
        whole[self.place] = values
        return whole.reshape(self.n, self.n).T

    def taken_from(self, matrix: Matrix) -> Matrix:
        """Values ``(t,)`` of a matrix in its lower triangle."""
        return np.asarray(matrix.T.ravel()[self.place])


@lru_cache(maxsize=64)
def pairs_of(n: int) -> Pairs:
    """Pairs of ``n`` rows."""
    first, second = np.tril_indices(n)
    return Pairs(n, first, second, second * n + first, np.where(first == second, 0.5, 1.0))


@lru_cache(maxsize=64)
def parts_of(d: int) -> NDArray[np.int_]:
    """To which part of the covariance each hyperparameter belongs, ``(9 + d,)``."""
    return np.array([*PART, *[REMAINDER] * d])


def coefficients(theta: Matrix) -> tuple[Matrix, Matrix]:
    """Coefficient of each hyperparameter's feature, and its derivative, ``(9 + d,)`` each.

    The length has no feature of its own: its derivative is the sum of those of the knobs.
    """
    found, slopes = 2 * theta, np.full(len(theta), 2.0)
    forgets, by_knob = np.exp(-theta[MEMORY]), inverse_squares(theta)
    found[LENGTH], found[MEMORY], found[GROWTH], found[OFF] = 0.0, -forgets, theta[GROWTH], theta[OFF]
    found[CORRELATION] = -np.log1p(np.exp(-theta[CORRELATION]))
    slopes[MEMORY], slopes[GROWTH], slopes[OFF] = forgets, 1.0, 1.0
    slopes[CORRELATION] = 1 - correlation(theta)
    found[SHARED:], slopes[SHARED:] = -0.5 * by_knob, by_knob
    return found, slopes


def inverse_squares(theta: Matrix) -> Matrix:
    """One over the squared length of each knob, ``(d,)``."""
    return np.asarray(np.exp(-2 * (theta[LENGTH] + theta[SHARED:])))


def correlation(theta: Matrix) -> float:
    """Of the noise of two successive readings."""
    return float(1 / (1 + np.exp(-theta[CORRELATION])))


def noise_at(theta: Matrix, height: Matrix, reference: NDArray[np.bool_] | bool = False) -> Matrix:
    """Standard deviation ``(n,)`` of readings that stand at heights ``(n,)`` of the range."""
    return np.asarray(np.exp(theta[NOISE] + theta[GROWTH] * np.clip(height, -1, 1) + theta[OFF] * reference))


def switched(order: Matrix, switches: tuple[float, ...]) -> Matrix:
    """Whether moments ``(n,)`` lie after each of the switches, ``(n, k)``, 0 or 1."""
    return np.asarray(np.asarray(order)[:, None] >= np.array(switches)[None, :], float)


def draw_values(covariance: Matrix, n: int, rng: np.random.Generator) -> Matrix:
    """Draw values ``(n, m)`` about 0, whose covariance ``(m, m)``, of variances about 1, need not be of full rank."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, JITTER))
    return np.asarray(rng.standard_normal((n, len(covariance))) @ root.T)
