"""What an ensemble believes of the readings at some settings, and how a reading would change that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from sdl.space import Readings, Settings
from strategies.contract import InverseModel, Noise, noise_at

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Expected readings at ``m`` settings and how uncertain they are together, each channel by itself.

    The covariance is that of the members of the ensemble, tapered with distance: a few members agree by chance
    about places that are far apart.

    References:
        Houtekamer, Mitchell (2001), doi:10.1175/1520-0493(2001)129<0123:ASEKFF>2.0.CO;2, for the taper
    """

    settings: Settings
    """In the unit box, ``(m, d)``."""
    mean: Readings
    """Expected readings, ``(m, p)``."""
    covariance: Array
    """Of the expected readings at two settings, ``(p, m, m)``."""
    noise: Readings
    """Standard deviation of one reading at each of them, ``(m, p)``; never 0, so that it may be divided by."""
    telling: Readings
    """Chance that a reading there is below the ceiling of its channel and tells more than "at least", ``(m, p)``."""
    deviations: Array
    """What each of ``k`` members says beside their mean; the squares sum to the variance, ``(k, m, p)``."""
    locality: float
    """Distance in the unit box over which beliefs go together."""

    @classmethod
    def of(
        cls,
        models: Sequence[InverseModel],
        settings: Settings,
        noise: Noise,
        ceiling: Readings | None,
        columns: NDArray[np.intp],
        locality: float,
    ) -> Self:
        """Ask an ensemble of at least two models.

        Args:
            models: Fitted.
            settings: Where, ``(m, d)``.
            noise: Of a reading of every channel.
            ceiling: Of every channel, less the background; None or infinite where there is none.
            columns: Channels that are of interest, ``(p,)``.
            locality: Distance in the unit box over which beliefs go together.
        """
        predictions = np.array([model.predict(settings)[:, columns] for model in models])
        mean, scatter = predictions.mean(axis=0), np.maximum(noise_at(noise, settings)[:, columns], _TINY)
        deviations = (predictions - mean) / np.sqrt(len(models) - 1)
        covariance = np.einsum("kmp,kop->pmo", deviations, deviations, optimize=True)
        covariance *= taper(settings, settings, locality)
        spread = np.sqrt((deviations**2).sum(axis=0) + scatter**2)
        below = telling(mean, spread, None if ceiling is None else ceiling[columns])
        return cls(settings, mean, covariance, scatter, below, deviations, locality)

    @property
    def variance(self) -> Readings:
        """Of the expected readings, ``(m, p)``."""
        return np.asarray(np.diagonal(self.covariance, axis1=1, axis2=2).T)

    @property
    def weight(self) -> Readings:
        """By what the square of a covariance with a reading is multiplied for what that explains, ``(m, p)``."""
        return np.asarray(self.telling / (np.maximum(self.variance, 0.0) + self.noise**2))

    def fall(self, cross: Array) -> Array:
        """Expected fall of the variance of ``q`` quantities by one reading at each of the settings, ``(m, q)``.

        Args:
            cross: Covariance of these quantities with the reading at each setting, ``(p, m, q)``.
        """
        return np.asarray(np.einsum("mp,pmq->mq", self.weight, cross**2, optimize=True))

    def told(self, at: int) -> Self:
        """The same once a reading was taken at one of the settings, whatever it will be."""
        return replace(self, covariance=self.covariance - self.explained(at, self.covariance))

    def explained(self, at: int, cross: Array) -> Array:
        """What a reading at one setting takes from the covariance of quantities with all others, ``(p, m, q)``."""
        column = self.weight[at][:, None] * self.covariance[:, :, at]
        return np.asarray(column[:, :, None] * cross[:, None, at, :])

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """Expected readings as they may truly be, ``n`` times over all settings, ``(n, m, p)``."""
        m, p = self.mean.shape
        drawn = np.empty((n, m, p))
        for channel, covariance in enumerate(self.covariance):
            ridge = (_JITTER * np.trace(covariance) / m + _TINY) * np.eye(m)
            drawn[:, :, channel] = rng.standard_normal((n, m)) @ np.linalg.cholesky(covariance + ridge).T
        return self.mean + drawn


def telling(mean: Readings, spread: Readings, ceiling: Readings | None) -> Readings:
    """Chance that a reading is below the ceiling of its channel and tells more than "at least", ``(m, p)``.

    Args:
        mean: What is expected of it, ``(m, p)``.
        spread: How far it may be off, its own noise and what is not known of the mean together, ``(m, p)``.
        ceiling: Of each channel, ``(p,)``; None or infinite where there is none.
    """
    return np.ones_like(mean) if ceiling is None else np.asarray(ndtr((ceiling - mean) / spread))


def taper(one: Settings, other: Settings, locality: float) -> Array:
    """How far beliefs at two sets of settings go together by their distance, ``(m, n)``, 1 at none."""
    return np.asarray(np.exp(-0.5 * (cdist(one, other) / locality) ** 2))


_TINY = 1e-12
_JITTER = 1e-6
