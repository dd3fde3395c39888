"""The price of reading on at some settings: requests that are still to come until a target is verified there.

The estimate that the verdict goes by is a mean of the readings near the settings; what further ones add to it is
forecast by the posterior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sdl.space import Readings, Settings
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import NEAR, SAME, Pursuit, Rows
from strategies.posterior.verdict import FEWEST, estimate, looks, quantiles

AHEAD = 12
"""Readings that are forecast."""
BEYOND = 12.0
"""Requests that follow where these do not suffice."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What becomes of further readings at each of some settings."""

    requests: Readings
    """Expected number until the target is verified, ``(m,)``."""
    chance: Readings
    """That one of the looks that are forecast verifies it, ``(m,)``."""
    at_once: Readings
    """That a single look does after 1, 2, ... readings that are taken together, ``(AHEAD, m)``."""


def forecast(posterior: Posterior, pursuit: Pursuit, settings: Settings) -> Forecast:
    """The price of a target at each of settings ``(m, d)``."""
    mean, deviation = posterior.at(settings, pursuit.fixed)
    at_once = chance_at_once(posterior, pursuit, settings, np.arange(1, AHEAD + 1)[:, None], mean, deviation)
    passed = np.maximum.accumulate(at_once)
    return Forecast(1 + (1 - passed[:-1]).sum(axis=0) + BEYOND * (1 - passed[-1]), passed[-1], at_once)


def chance_at_once(
    posterior: Posterior,
    pursuit: Pursuit,
    settings: Settings,
    ahead: NDArray[np.int_],
    truth: Readings,
    deviation: Readings | float = 0.0,
) -> Readings:
    """Chance that a single look verifies a target after further readings at settings ``(m, d)``, ``(a, m)``.

    Args:
        posterior: Of all rows.
        pursuit: The target.
        settings: Where they are taken.
        ahead: How many, together, ``(a, 1)``.
        truth: The noise-free readings there, ``(..., m, fixed channels)``.
        deviation: How uncertain these are.
    """
    window, noise, rows = pursuit.window, posterior.noise_at(pursuit), posterior.rows
    estimates, widened = _estimates(posterior, pursuit, settings, posterior.at(settings, pursuit.fixed)[0])
    near, fresh = (_counts(rows, pursuit, settings, distance) for distance in (pursuit.reach, SAME))
    k = (near + ahead)[..., None]
    weight = ahead[..., None] / k
    off = (1 - weight) * estimates + weight * truth - window.wanted
    spread = weight * np.sqrt(deviation**2 + noise**2 / ahead[..., None])
    margin = _quantiles(posterior, pursuit, near + ahead, widened) * widened * noise / np.sqrt(k)
    above, below = window.above - margin, window.below - margin
    passes = np.where(above > -below, ndtr((above - off) / spread) - ndtr((-below - off) / spread), 0.0).prod(axis=-1)
    looked = (fresh + ahead >= pursuit.fresh) & (near + ahead >= FEWEST)
    return np.asarray(np.where(looked, passes, 0.0))


def _counts(rows: Rows, pursuit: Pursuit, settings: Settings, distance: float) -> NDArray[np.int_]:
    """How many readings for the target there are within a distance of each of settings ``(m, d)``, ``(m,)``."""
    mine = rows.settings[pursuit.taken(rows)]
    return np.asarray((np.abs(mine[None] - settings[:, None]).max(axis=2) <= distance).sum(axis=1))


def _estimates(posterior: Posterior, pursuit: Pursuit, settings: Settings, mean: Readings) -> tuple[Readings, Readings]:
    """What the readings near to those of the last one say of each of the settings, and how surely.

    Returns:
        The estimates, ``(m, p)``, and how many times as uncertain they are as that many independent readings, ``(p,)``.
    """
    rows = posterior.rows
    if not pursuit.taken(rows)[-1:].any():
        return mean, np.ones(len(pursuit.fixed))
    last = rows.settings[-1]
    level, deviation = estimate(posterior, pursuit, last, posterior.now)
    shift = level - posterior.at(last[None], pursuit.fixed)[0][0]
    close = np.abs(settings - last).max(axis=1) <= pursuit.reach
    independent = posterior.noise_at(pursuit) / np.sqrt(pursuit.near(rows, last, NEAR).sum())
    return mean + np.where(close[:, None], shift, 0.0), np.maximum(deviation / independent, 1.0)


def _quantiles(posterior: Posterior, pursuit: Pursuit, k: NDArray[np.int_], widened: Readings) -> Readings:
    """Standard errors that an estimate has to lie inside when there are ``k`` readings ``(a, m)``, ``(a, m, p)``."""
    past = looks(posterior.rows, pursuit)
    worth = k.max() / widened**2  # of the last reading that is forecast, where what drifts now goes on drifting
    numbers = np.maximum(k, (past[-1] if past else 0) + np.arange(1, len(k) + 1)[:, None])
    distinct, where = np.unique(np.maximum(numbers, FEWEST), return_inverse=True)
    by_number = [quantiles(posterior, pursuit, past, number, worth) for number in distinct.tolist()]
    return np.array(by_number)[where.reshape(k.shape)]
