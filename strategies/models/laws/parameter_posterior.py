"""What rows say of the parameters of a law: draws of their posterior, with the noise and a shared error beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings
from strategies.models.base.noise import PRIOR_NOISE, span
from strategies.models.laws.parameter import Parameter
from strategies.models.sampling.smc import Likelihood, Shape, posterior_draws
from strategies.numerics.jacobian import tangent

Array: TypeAlias = NDArray[np.float64]
Forward: TypeAlias = Callable[[Array], Array]
"""Places ``(s, k)`` of the parameters between their bounds, to the readings ``(s, n, p)`` that the law gives then."""
DRAWS = 512
STEP = 1e-4
"""Width of a difference, as a share of a parameter's bounds."""
PRIOR_ROWS = 0.1
"""How many rows the prior of the noise is worth: residuals are to tell it."""
MOST_NUMBERS = 2_000_000
"""Readings that are computed at once."""
ENDLESS = 1e12
"""What stands, in units of the noise, for a residual that is no number."""


@dataclass(frozen=True, eq=False)
class ParameterPosterior:
    """Draws of all that is not known, each row one joint draw."""

    places: Array
    """Of the parameters between their bounds, from 0 to 1, ``(s, k)``."""
    noise: Readings
    """Scale of the Student distribution of one reading, ``(s, p)``."""
    dof: float
    """Degrees of freedom of that distribution."""
    error: Readings
    """What all readings have too much in common, since one background was subtracted from them, ``(s, p)``."""
    information: Array
    """Fisher information of the rows about the places, its mean over the draws, ``(k, k)``."""
    left: Readings
    """Residuals at the most probable draw, decorrelated, ``(n, p)``."""
    slopes: Array
    """Of the expected readings there, decorrelated alike, ``(n, p, k)``."""
    likelihood: Likelihood
    """Log density of the posterior over the places, up to a constant."""

    @classmethod
    def of(
        cls,
        forward: Forward,
        readings: Readings,
        parameters: Sequence[Parameter],
        shared: float,
        rng: np.random.Generator,
    ) -> "ParameterPosterior":
        """Draw from the posterior that readings ``(n, p)`` leave.

        Residuals are normal, independent between channels, of a noise that is integrated out (its prior is inverse
        gamma, worth ``PRIOR_ROWS`` rows of ``PRIOR_NOISE`` of the span). Draws are by sequential Monte Carlo, so that
        curved ridges and several modes are followed, see ``posterior_draws``.

        Args:
            forward: The law.
            readings: Of the rows.
            parameters: Of the law, ``k`` of them.
            shared: Variance of an error that all rows share, in units of the noise: 1 where one reading of the
                background was subtracted from each, else 0.
            rng: The only source of randomness.

        References:
            Gelman et al. (2013), Bayesian Data Analysis, section 3.2, for a noise that is integrated out
        """
        likelihood = _Likelihood(forward, readings, parameters, shared)
        places = posterior_draws(likelihood, len(parameters), DRAWS, rng, margin=0.0)
        left, n = likelihood.residuals(places), len(readings)
        dof, unit = PRIOR_ROWS + n, likelihood.unit
        noise = unit * np.sqrt((PRIOR_ROWS + (left**2).sum(axis=1)) / dof)
        plain = unit * likelihood.plain(places).mean(axis=1)
        about = np.sqrt(shared / (1 + n * shared)) * noise
        error = plain * (n * shared / (1 + n * shared)) + about * rng.standard_normal(noise.shape)
        seen = likelihood(places)
        top = int(seen.value.argmax())
        _, slopes = likelihood.tangent(places[top : top + 1])
        information = seen.curvature.mean(axis=0) - likelihood.prior_precision
        return cls(places, noise, dof, error, information, left[top], -slopes[0], likelihood)

    def less_probable(self, places: Array) -> float:
        """Share of the draws that are less probable than places ``(k,)``: these are in the 90 % region from 0.1 on."""
        drawn, asked = (self.likelihood(each).value for each in (self.places, places[None]))
        return float((drawn < asked).mean())


class _Likelihood:
    """Log density of the readings over the places of the parameters, their prior included."""

    def __init__(self, forward: Forward, readings: Readings, parameters: Sequence[Parameter], shared: float) -> None:
        self.forward, self.readings = forward, readings
        self.unit = PRIOR_NOISE * span(readings)
        n = len(readings)
        self.common = 1 - 1 / np.sqrt(1 + n * shared)  # what of the mean decorrelates residuals that share an error
        self.centre, deviation = np.array([each.prior for each in parameters]).T
        self.prior_precision = np.diag(deviation**-2.0)
        self.chunk = max(int(MOST_NUMBERS / (readings.size * (2 * len(parameters) + 1))), 1)

    def plain(self, places: Array) -> Array:
        """Residuals ``(s, n, p)`` in the unit."""
        off = (self.readings - self.forward(places)) / self.unit
        return np.clip(np.nan_to_num(off, nan=ENDLESS, posinf=ENDLESS, neginf=-ENDLESS), -ENDLESS, ENDLESS)

    def residuals(self, places: Array) -> Array:
        """The same, decorrelated."""
        off = self.plain(places)
        return np.asarray(off - self.common * off.mean(axis=1, keepdims=True))

    def tangent(self, places: Array) -> tuple[Array, Array]:
        """The same and their slopes, ``(s, n, p)`` and ``(s, n, p, k)``."""
        left, slopes = tangent(lambda rows: self.residuals(rows).reshape(len(rows), -1), places, STEP)
        shape = (len(places), *self.readings.shape)
        return left.reshape(shape), slopes.reshape(*shape, -1)

    def __call__(self, places: Array) -> Shape:
        parts = [self._part(places[first : first + self.chunk]) for first in range(0, len(places), self.chunk)]
        value, gradient, curvature = (np.concatenate(each) for each in zip(*parts, strict=True))
        off = places - self.centre
        value = value - 0.5 * (off @ self.prior_precision * off).sum(axis=1)
        return Shape(places, value, gradient - off @ self.prior_precision, curvature + self.prior_precision)

    def _part(self, places: Array) -> tuple[Array, Array, Array]:
        left, slopes = self.tangent(places)
        channels = [
            Shape.student(places, left[:, :, c], -slopes[:, :, c].transpose(0, 2, 1), np.zeros(len(places)), PRIOR_ROWS)
            for c in range(left.shape[2])
        ]
        value, gradient, curvature = (
            np.sum([getattr(each, name) for each in channels], axis=0) for name in ("value", "gradient", "curvature")
        )
        return value, gradient, curvature
