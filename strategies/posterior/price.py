"""The price of reading on at some settings: requests that are still to come until a target is verified there.

The estimate that the verdict goes by is a mean of the readings near the settings; what further ones add to it is forecast
by the posterior.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from sdl.space import Readings, Settings
from strategies.posterior.posterior import Posterior
from strategies.posterior.verdict import FEWEST, FRESH, NEAR, SAME, level, level_of, looks

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


def forecast(
    posterior: Posterior,
    target: int,
    wanted: Readings,
    tolerance: Readings,
    settings: Settings,
    error: float = 0.05,
) -> Forecast:
    """The price of a target at settings ``(m, d)``; other arguments as of ``verdict.judge``."""
    rows, fixed = posterior.rows, np.flatnonzero(np.isfinite(wanted))
    mine = rows.pursuit == target
    away = np.abs(rows.settings[mine][None] - settings[:, None]).max(axis=2)
    near, fresh = (away <= NEAR).sum(axis=1), (away <= SAME).sum(axis=1)
    mean, deviation = (part[:, fixed] for part in posterior.at(settings))
    noise = posterior.noise(np.where(np.isfinite(wanted), wanted, 0.0)[None])[0, fixed]
    estimate, widened = _estimates(posterior, target, fixed, settings, mean, noise)
    ahead = np.arange(1, AHEAD + 1)[:, None, None]
    k = near[None, :, None] + ahead
    weight = ahead / k
    off = (1 - weight) * estimate + weight * mean - wanted[fixed]
    spread = weight * np.sqrt(deviation**2 + noise**2 / ahead)
    room = tolerance[fixed] - _quantiles(posterior, target, fixed, k[..., 0], error) * widened * noise / np.sqrt(k)
    passes = np.where(room > 0, ndtr((room - off) / spread) - ndtr((-room - off) / spread), 0.0).prod(axis=2)
    looked = (fresh + ahead[..., 0] >= FRESH) & (near + ahead[..., 0] >= FEWEST)
    passed = np.maximum.accumulate(np.where(looked, passes, 0.0))
    return Forecast(1 + (1 - passed[:-1]).sum(axis=0) + BEYOND * (1 - passed[-1]), passed[-1])


def _estimates(
    posterior: Posterior, target: int, fixed: Readings, settings: Settings, mean: Readings, noise: Readings
) -> tuple[Readings, Readings]:
    """What the readings near to those of the last one say of each of the settings, and how surely.

    Returns:
        The estimates, ``(m, p)``, and how many times as uncertain they are as that many independent readings, ``(p,)``.
    """
    rows = posterior.rows
    if not len(rows) or rows.pursuit[-1] != target:
        return mean, np.ones(len(fixed))
    last = rows.settings[-1]
    own = (rows.pursuit == target) & (np.abs(rows.settings - last).max(axis=1) <= NEAR)
    levels = [level_of(posterior.channels[c], last, own[posterior.members[c]], posterior.now) for c in fixed.tolist()]
    estimate, deviation = np.array(levels).T
    shift = estimate - posterior.at(last[None])[0][0, fixed]
    close = np.abs(settings - last).max(axis=1) <= NEAR
    return mean + np.where(close[:, None], shift, 0.0), np.maximum(deviation * np.sqrt(own.sum()) / noise, 1.0)


def _quantiles(posterior: Posterior, target: int, fixed: Readings, k: Readings, error: float) -> Readings:
    """Standard errors that an estimate has to lie inside when there are ``k`` readings ``(a, m)``, ``(a, m, p)``."""
    past = looks(posterior.rows, target)
    after = past[-1] if past else 0
    numbers = np.maximum(k, after + np.arange(1, len(k) + 1)[:, None])
    distinct, where = np.unique(np.maximum(numbers, FEWEST), return_inverse=True)
    levels = np.array([level(error, past, int(number)) for number in distinct])[where.reshape(k.shape)]
    degrees = np.array([posterior.channels[c].degrees_of_freedom for c in fixed])
    return np.asarray(stdtrit(degrees, 1 - levels[..., None]))
