"""What the rows alone say of the reading at any settings, whatever model offered these, and how surely.

One Gaussian process a channel: a plane, what bends from it, and noise that the rows tell. The bend has two derivatives
and no more (Matérn 5/2): were it as smooth as can be, the rows on both sides of a gap would tell too much of what is in
it.

References:
    Rasmussen & Williams (2006), ISBN 978-0-262-18253-9, sections 2.7 and 5.4
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Exponentiation, Kernel, Matern, WhiteKernel

from sdl.space import Readings, Settings, Window
from strategies.models.base.noise import span
from strategies.numerics.blas_threads import one_thread
from strategies.posterior.covariance import draw_values
from strategies.solving.conditions import NO_CONDITIONS, Conditions

LEARN, ASK = 200, 1000
"""Rows at most that tell how the readings change, and that are asked for a reading; a random part of more."""
SIZES, LENGTHS, NOISES = (1e-4, 1e2), (0.05, 10.0), (1e-8, 1.0)
"""Limits of the search, in variances of the readings and in the unit box."""
SLOPE = 4.0
"""Variance of a slope, in variances of the readings, over the unit box: any."""
PLANE = DotProduct(1.0, "fixed")
"""What readings are but for a bend. With conditions it is squared: slopes change with these, and few of them were seen,
between which nothing else would tell."""


@dataclass(frozen=True, eq=False)
class RowPosterior:
    """The noise-free reading at settings, as the rows around tell it."""

    processes: Sequence[GaussianProcessRegressor]
    middle: Readings
    scale: Readings
    """By which readings were made comparable, ``(c,)``."""
    conditions: Conditions = NO_CONDITIONS
    """In which it is asked for readings: those given."""

    @classmethod
    def of(cls, readings: Readings, settings: Settings, conditions: Conditions = NO_CONDITIONS) -> Self:
        """Learn from complete rows: readings ``(n, c)``, settings in the unit box ``(n, d)``, and their conditions."""
        order = np.random.default_rng(0).permutation(len(settings))[:ASK]
        middle, scale = readings.mean(axis=0), readings.std(axis=0)
        scale = np.where(scale > 0, scale, span(readings))
        some, values = conditions.beside(settings)[order], ((readings - middle) / scale)[order]
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its limit says that the knob does nothing
            trend = Exponentiation(PLANE, 2) if conditions.varied.any() else PLANE
            return cls([_process(some, column, trend) for column in values.T], middle, scale, conditions)

    @property
    def noise(self) -> Readings:
        """Standard deviation of one reading, ``(c,)``."""
        return np.asarray(self.scale * np.sqrt([_white(process) for process in self.processes]))

    def mean(self, settings: Settings) -> Readings:
        """Of the noise-free reading at settings ``(m, d)``, ``(m, c)``, which is quicker without its deviation."""
        return self._mean(self.conditions.held(settings))

    def moved(self, readings: Readings, settings: Settings, conditions: Conditions) -> Readings:
        """Readings ``(n, c)`` at settings ``(n, d)``, NaN where unknown, as they were in the conditions given.

        Args:
            readings: Read in other conditions.
            settings: In the unit box.
            conditions: Of these rows.
        """
        if not conditions.varied.any() or not len(readings):
            return readings
        return np.asarray(readings + self.mean(settings) - self._mean(conditions.beside(settings)))

    def _mean(self, inputs: Settings) -> Readings:
        expected = np.stack([process.predict(inputs) for process in self.processes], axis=1)
        return np.asarray(self.middle + self.scale * expected)

    def at(self, settings: Settings) -> tuple[Readings, Readings]:
        """Mean and standard deviation of the noise-free reading at settings ``(m, d)``, both ``(m, c)``."""
        inputs = self.conditions.held(settings)
        said = [process.predict(inputs, return_std=True) for process in self.processes]
        mean = np.stack([each for each, _ in said], axis=1)
        variance = np.stack(
            [sd**2 - _white(process) for process, (_, sd) in zip(self.processes, said, strict=True)], axis=1
        )
        return self.middle + self.scale * mean, self.scale * np.sqrt(np.maximum(variance, TINY))

    def drawn(self, settings: Settings, column: int, n: int, rng: np.random.Generator) -> Readings:
        """Noise-free readings of one channel at settings ``(m, d)``, by ``n`` functions that the rows allow."""
        process = self.processes[column]
        mean, covariance = process.predict(self.conditions.held(settings), return_cov=True)
        covariance -= _white(process) * np.eye(len(settings))
        return np.asarray(self.middle[column] + self.scale[column] * (mean + draw_values(covariance, n, rng)))

    def chance(self, settings: Settings, window: Window, light: Readings) -> NDArray[np.float64]:
        """Probability that all channels are within their bounds at settings ``(m, d)``, ``(m,)``.

        Args:
            settings: In the unit box.
            window: Where the readings are to lie, background subtracted.
            light: Standard deviation of that background, ``(c,)``.
        """
        mean, unsure = self.at(settings)
        deviation = np.hypot(unsure, light)
        off = mean - window.wanted
        below, above = off + window.below, window.above - off
        inside = ndtr(np.minimum(below, above) / deviation) - ndtr(-np.maximum(below, above) / deviation)
        return np.asarray(reduce(np.multiply, inside.T))


def _process(settings: Settings, readings: NDArray[np.float64], trend: Kernel) -> GaussianProcessRegressor:
    """The likeliest process through readings ``(n,)`` of mean 0 and variance 1, about a trend."""
    bend = ConstantKernel(1.0, SIZES) * Matern(np.full(settings.shape[1], 0.5), LENGTHS, nu=2.5)
    process = GaussianProcessRegressor(bend + WhiteKernel(0.05, NOISES) + ConstantKernel(SLOPE, "fixed") * trend)
    process.fit(settings[:LEARN], readings[:LEARN])
    if len(settings) > LEARN:
        process = GaussianProcessRegressor(process.kernel_, optimizer=None).fit(settings, readings)
    return process


def _white(process: GaussianProcessRegressor) -> float:
    """Variance of the noise that a process found."""
    return float(process.kernel_.k1.k2.noise_level)


TINY = 1e-12
