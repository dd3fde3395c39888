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
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

AMPLITUDE, LENGTH, BACKGROUND, MEMORY, NOISE, GROWTH, CORRELATION, GAIN, OFF = range(9)
SHARED = 9
"""Hyperparameters before those of the single knobs."""
VAGUE = 4.0
"""Variance of the coefficients of the plane: any that readings of unit range can have."""
STEP = 4.0
"""Variance of the change when a lamp is switched."""
SLOW = 60.0
"""Requests over which gains change smoothly."""
JITTER = 1e-9
"""Variance that keeps matrices invertible: a thirty-thousandth of the range, squared."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of the rows of one channel, as a function of the hyperparameters ``(9 + d,)``."""

    settings: Matrix
    """``(n, d)``."""
    order: Matrix
    """``(n,)``."""
    height: Matrix
    """Where in the range each reading stands, -1/2 to 1/2, ``(n,)``."""
    reference: NDArray[np.bool_]
    """``(n,)``."""
    switches: tuple[float, ...] = ()
    """Moments just before which a lamp was switched."""
    apart: Matrix | None = None
    """Of each row by which part its gains are off from today's, ``(n,)``; 0, and None, for today's rows."""

    @cached_property
    def _apart(self) -> Matrix:
        """Squared distance along each knob, ``(d, n, n)``."""
        columns = self.settings.T
        return np.asarray((columns[:, :, None] - columns[:, None, :]) ** 2)

    @cached_property
    def _lag(self) -> Matrix:
        return np.asarray(np.abs(self.order[:, None] - self.order))

    @cached_property
    def _plane(self) -> Matrix:
        return np.asarray(1 + self.settings @ self.settings.T)

    @cached_property
    def _fixed(self) -> Matrix:
        """What depends on no hyperparameter: the plane, the lamps, and a plane and a light of their own long ago."""
        after = switched(self.order, self.switches)
        fixed = VAGUE * self._plane + STEP * after @ after.T
        if self.apart is not None and self.apart.any():
            earlier = self.apart > 0
            fixed = fixed + np.outer(self.apart, self.apart) * (self._plane - 1) + np.outer(earlier, earlier)
        return np.asarray(fixed)

    @cached_property
    def _slow_plane(self) -> Matrix:
        return np.asarray(self._plane * np.exp(-0.5 * (self._lag / SLOW) ** 2))

    def latent(self, theta: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
        """Covariance without noise ``(n, n)``, then its parts: remainder, background, gain."""
        remainder = np.exp(2 * theta[AMPLITUDE] - 0.5 * np.tensordot(inverse_squares(theta), self._apart, axes=1))
        background = np.exp(2 * theta[BACKGROUND] - self._lag * np.exp(-theta[MEMORY]))
        gain = np.exp(2 * theta[GAIN]) * self._slow_plane
        return self._fixed + remainder + background + gain, remainder, background, gain

    def noise(self, theta: Matrix, spread: Matrix) -> Matrix:
        """Covariance of the noise ``(n, n)``; ``spread`` ``(n,)`` widens rows that are taken for outliers."""
        each = spread * self.deviations(theta)
        return np.asarray(each[:, None] * each * np.exp(np.log(correlation(theta)) * self._lag))

    def deviations(self, theta: Matrix) -> Matrix:
        """Standard deviation of the noise of each row, ``(n,)``."""
        return noise_at(theta, self.height, self.reference)

    def gradient(self, theta: Matrix, weights: Matrix, parts: tuple[Matrix, Matrix, Matrix, Matrix]) -> Matrix:
        """Sum of ``weights`` times the derivative of the covariance, by each hyperparameter, ``(9 + d,)``.

        Args:
            theta: Hyperparameters.
            weights: ``(n, n)``, symmetric.
            parts: Remainder, background, gain and noise, ``(n, n)`` each.
        """
        remainder, background, gain, noise = (weights * part for part in parts)
        by_knob = inverse_squares(theta) * np.tensordot(self._apart, remainder, axes=2)
        rows, lagged = noise.sum(axis=1), self._lag * noise
        shared = [
            2 * remainder.sum(),
            by_knob.sum(),
            2 * background.sum(),
            (self._lag * background).sum() * np.exp(-theta[MEMORY]),
            2 * rows.sum(),
            2 * rows @ self.height,
            lagged.sum() * (1 - correlation(theta)),
            2 * gain.sum(),
            2 * rows @ self.reference,
        ]
        return np.concatenate((shared, by_knob))

    def last(self, n: int) -> "Covariance":
        """That of the last ``n`` rows."""
        return replace(
            self,
            settings=self.settings[-n:],
            order=self.order[-n:],
            height=self.height[-n:],
            reference=self.reference[-n:],
            apart=None if self.apart is None else self.apart[-n:],
        )

    def cross(self, theta: Matrix, settings: Matrix, now: float) -> Matrix:
        """Covariance ``(n, m)`` of the rows with noise-free readings at settings ``(m, d)`` at a moment."""
        scaled, others = self.settings * np.sqrt(inverse_squares(theta)), settings * np.sqrt(inverse_squares(theta))
        squares = (scaled**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * scaled @ others.T
        lag = np.abs(self.order - now)[:, None]
        plane = 1 + self.settings @ settings.T
        lamps = switched(self.order, self.switches) @ switched(np.array([now]), self.switches).T
        return np.asarray(
            np.exp(2 * theta[AMPLITUDE] - 0.5 * np.maximum(squares, 0))
            + plane * (VAGUE + np.exp(2 * theta[GAIN] - 0.5 * (lag / SLOW) ** 2))
            + np.exp(2 * theta[BACKGROUND] - lag * np.exp(-theta[MEMORY]))
            + STEP * lamps
        )

    def prior(self, theta: Matrix, settings: Matrix, now: float) -> Matrix:
        """Variance ``(m,)`` of a noise-free reading at settings ``(m, d)`` at a moment, before any row."""
        plane = 1 + (settings**2).sum(axis=1)
        level = np.exp(2 * theta[AMPLITUDE]) + np.exp(2 * theta[BACKGROUND])
        lamps = STEP * (switched(np.array([now]), self.switches) ** 2).sum()
        return np.asarray(level + plane * (VAGUE + np.exp(2 * theta[GAIN])) + lamps)


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
