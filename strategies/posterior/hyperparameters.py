"""Hyperparameters of one channel: what is believed of them before any row, and the likeliest after."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.optimize import minimize

from strategies.posterior.covariance import (
    AMPLITUDE,
    BACKGROUND,
    CORRELATION,
    GAIN,
    GROWTH,
    JITTER,
    LENGTH,
    MEMORY,
    NOISE,
    OFF,
    SHARED,
    Covariance,
    Matrix,
)

BELIEFS = {
    AMPLITUDE: (-3.0, 1.5, -9.0, 1.0),
    LENGTH: (0.3, 1.0, -2.3, 2.0),
    BACKGROUND: (-7.5, 2.0, -11.0, 1.5),
    MEMORY: (4.1, 0.7, 2.0, 7.0),
    NOISE: (-4.5, 1.5, -10.0, 0.0),
    GROWTH: (0.0, 0.6, -3.0, 3.0),
    CORRELATION: (-3.0, 1.2, -6.0, 3.5),
    GAIN: (-7.0, 2.0, -9.0, 0.0),
    OFF: (-0.5, 1.0, -6.0, 3.0),
}
"""Mean and standard deviation of each shared one, and the limits that it is sought within."""
SINGLE_KNOB = (0.0, 0.4, -1.5, 1.5)
"""The same for the departure of the length along one knob."""
STATED = 0.2
"""By how much the logarithm of a stated noise is off, where it is meant for this instrument ..."""
TAIL = 3.0
"""... and degrees of freedom of that doubt: a statement that data contradict is soon forgotten."""
BENT = {AMPLITUDE: -1.5, LENGTH: -0.2}
"""A bend that the search begins with as well ..."""
DRIFTING = {BACKGROUND: -4.0, GAIN: -3.0}
"""... and light and gains that drift."""
ITERATIONS = 40


@dataclass(frozen=True, eq=False)
class HyperPrior:
    """What is believed of the hyperparameters ``(9 + d,)`` before any row: independent normal distributions.

    That of the noise is a t distribution about what the instrument states, if it states anything.
    """

    mean: Matrix
    deviation: Matrix
    low: Matrix
    high: Matrix
    stated: bool

    @classmethod
    def about(cls, d: int, noise: float) -> "HyperPrior":
        """The prior for ``d`` knobs; ``noise`` is the stated one in units of the range, NaN where unknown."""
        table = np.array([*BELIEFS.values(), *[SINGLE_KNOB] * d])
        stated = bool(np.isfinite(noise) and noise > 0)
        if stated:
            limits = BELIEFS[NOISE]
            table[NOISE, :2] = np.clip(np.log(noise), limits[2] + 0.5, limits[3] - 0.5), STATED
        mean, deviation, low, high = table.T
        return cls(mean, deviation, low, high, stated)

    def penalty(self, theta: Matrix) -> tuple[float, Matrix]:
        """Minus the logarithm of the prior density, and its gradient ``(9 + d,)``."""
        off = (theta - self.mean) / self.deviation
        losses, slopes = 0.5 * off**2, off / self.deviation
        if self.stated:
            u = off[NOISE]
            losses[NOISE] = (TAIL + 1) / 2 * np.log1p(u**2 / TAIL)
            slopes[NOISE] = (TAIL + 1) * u / (TAIL + u**2) / self.deviation[NOISE]
        return float(losses.sum()), slopes

    def precision(self, theta: Matrix) -> Matrix:
        """Curvature of the penalty, not below 0, ``(9 + d,)``."""
        found = 1 / self.deviation**2
        if self.stated:
            square = ((theta[NOISE] - self.mean[NOISE]) / self.deviation[NOISE]) ** 2
            found[NOISE] *= (TAIL + 1) * max(TAIL - square, 0.0) / (TAIL + square) ** 2
        return np.asarray(found)


@dataclass(frozen=True, eq=False)
class ChannelData:
    """What hyperparameters are learned from: readings with their covariance, outliers and censored rows settled."""

    covariance: Covariance
    values: Matrix
    """Readings in units of the range, ``(n,)``; for a censored row what stands for it."""
    spread: Matrix
    """How many times as uncertain a row is as others, being an outlier, ``(n,)``."""
    site: Matrix
    """Variance of what stands for a censored row, ``(n,)``; 0 for complete ones."""

    def matrices(self, theta: Matrix) -> tuple[Matrix, tuple[Matrix, Matrix, Matrix, Matrix]]:
        """Covariance of the values ``(n, n)``, and its parts: remainder, background, gain and noise."""
        latent, *parts = self.covariance.latent(theta)
        complete = self.site == 0
        noise = self.covariance.noise(theta, self.spread) * complete[:, None] * complete
        whole = latent + noise
        whole.flat[:: len(whole) + 1] += self.site + JITTER
        return whole, (parts[0], parts[1], parts[2], noise)

    def last(self, n: int) -> "ChannelData":
        """That of the last ``n`` rows."""
        return ChannelData(self.covariance.last(n), self.values[-n:], self.spread[-n:], self.site[-n:])

    def loss(self, theta: Matrix, beliefs: HyperPrior) -> tuple[float, Matrix]:
        """Minus the logarithm of the posterior density, and its gradient ``(9 + d,)``."""
        whole, parts = self.matrices(theta)
        try:
            factor = cholesky(whole, lower=True, check_finite=False)
        except LinAlgError:
            return 1e10, np.zeros_like(theta)
        inverse = cho_solve((factor, True), np.eye(len(whole)), check_finite=False)
        weighted = inverse @ self.values
        penalty, slopes = beliefs.penalty(theta)
        loss = 0.5 * self.values @ weighted + np.log(np.diag(factor)).sum() + penalty
        return float(loss), self.covariance.gradient(
            theta, 0.5 * (inverse - np.outer(weighted, weighted)), parts
        ) + slopes

    def likeliest(self, beliefs: HyperPrior, start: Matrix | None = None) -> Matrix:
        """The hyperparameters of largest posterior density, sought from a start, ``(9 + d,)``."""
        limits = list(zip(beliefs.low, beliefs.high, strict=True))
        found = minimize(
            self.loss,
            beliefs.mean if start is None else np.clip(start, beliefs.low, beliefs.high),
            args=(beliefs,),
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": ITERATIONS, "ftol": 1e-5},
        )
        return np.asarray(found.x)

    def explained(self, beliefs: HyperPrior, by: dict[int, float]) -> Matrix:
        """Hyperparameters by which the noise is as believed, and something else explains what a plane leaves over."""
        theta = beliefs.mean.copy()
        theta[list(by)] = list(by.values())
        return theta

    def information(self, theta: Matrix, inverse: Matrix) -> Matrix:
        """Expected information of the shared hyperparameters, ``(9, 9)``; ``inverse`` is that of the covariance."""
        _, (remainder, background, gain, noise) = self.matrices(theta)
        frame, lag = self.covariance, np.abs(self.covariance.order[:, None] - self.covariance.order)
        whitened = [
            inverse @ derivative
            for derivative in (
                2 * remainder,
                remainder * np.log(np.maximum(np.exp(2 * theta[AMPLITUDE]) / np.maximum(remainder, 1e-300), 1.0)) * 2,
                2 * background,
                background * lag * np.exp(-theta[MEMORY]),
                2 * noise,
                noise * (frame.height[:, None] + frame.height),
                noise * lag * (1 - 1 / (1 + np.exp(-theta[CORRELATION]))),
                2 * gain,
                noise * (frame.reference[:, None].astype(float) + frame.reference),
            )
        ]
        return np.array([[0.5 * float(np.sum(a * b.T)) for b in whitened] for a in whitened])


def doubts(evidence: ChannelData, beliefs: HyperPrior, theta: Matrix) -> Matrix:
    """Standard deviations of the shared hyperparameters about the likeliest ones, all unknown together, ``(9,)``."""
    information = evidence.information(theta, np.asarray(np.linalg.inv(evidence.matrices(theta)[0])))
    information += np.diag(beliefs.precision(theta)[:SHARED])
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(information))))
