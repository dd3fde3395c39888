"""The verdict on a target: what all readings taken for it say of the settings where the last ones were taken.

Of the rows only those taken for this target and near to the settings give the level; the rest, the design included,
give the slopes by which these are moved to the settings, the light and the noise. So the estimate is that of generalised
least squares, with the slopes as uncertain as the posterior has them.

Error rates, for a target and however often one looks: the probability of VERIFIED, when at every setting the true
reading of some channel lies on the edge of its tolerance or beyond, is 5 % at most; so is that of REFUTED for settings
at which all channels are within.

References:
    Lan, DeMets (1983), doi:10.1093/biomet/70.3.659, for spending an error rate; Berger (1982), doi:10.2307/1267823, for
    several channels at once
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sdl.analysis.group_sequential import open_ended
from sdl.history import Verdict
from sdl.space import Readings, Settings
from strategies.posterior.channel import Channel
from strategies.posterior.covariance import Matrix
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import Rows

NEAR = 0.1
"""Distance in the unit box within which readings are moved to the settings."""
FRESH = 2
"""Readings that there must be at the very settings."""
FEWEST = 3
"""Readings near to the settings before the first look."""
PACE = 3.0
"""Readings in which 63 % of the error rate are spent."""
MOST = 60
"""Looks that the level is computed from; it is negligible from there on, and the bound of the last one stays."""
DOUBT = 0.2
"""Part of a move by the model's slopes that it may be off beyond its own uncertainty: standard deviation."""
LEVEL = 25.0
"""Variance of the level that readings for a target have of their own, in squares of the range: any."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found out about a target at some settings; every array is over its channels, ``(p,)``."""

    verdict: Verdict
    settings: Settings
    """In the unit box, ``(d,)``."""
    mean: Readings
    """Estimate of the noise-free reading."""
    deviation: Readings
    """Standard deviation of that estimate."""
    quantile: Readings
    """How many of these the estimate has to lie inside the tolerance at this look."""
    noise: Readings
    """Standard deviation of one reading that was used."""
    degrees: Readings
    """Degrees of freedom of that noise."""
    readings: int
    """How many the level was estimated from."""
    look: int
    """How many times the target was looked at, this one included."""


def looks(rows: Rows, target: int) -> tuple[int, ...]:
    """The looks that there were at a target: to how many readings near to the settings each, made increasing.

    There is one after each reading for which there are enough near to its settings, and at them.
    """
    found, settings = [0], rows.settings[rows.pursuit == target]
    for place, row in enumerate(settings):
        away = np.abs(settings[: place + 1] - row).max(axis=1)
        near, fresh = int((away <= NEAR).sum()), int((away <= SAME).sum())
        if near >= FEWEST and fresh >= FRESH:
            found.append(max(near, found[-1] + 1))
    return tuple(found[1:])


def looked(rows: Rows, target: int) -> bool:
    """Whether there was a look after the last row."""
    return rows.pursuit[-1] == target and len(looks(rows, target)) > len(looks(rows.first(len(rows) - 1), target))


def level(error: float, past: tuple[int, ...], readings: int) -> float:
    """One-sided level of the look after those in the past, at so many readings."""
    return open_ended(error, past[:MOST], readings if len(past) < MOST else past[MOST - 1] + 1, PACE)


def judge(
    posterior: Posterior, target: int, wanted: Readings, tolerance: Readings, error: float = 0.05
) -> Judgement | None:
    """Judge a target by the readings taken for it, at the settings of the last row; None where these are too few.

    Args:
        posterior: Of all rows.
        target: Number of the target in the rows' ``pursuit``.
        wanted: Readings, ``(p,)``; NaN where free.
        tolerance: Largest distance from them, ``(p,)``.
        error: Probability of a false verdict, for the target.
    """
    rows = posterior.rows
    if not looked(rows, target):
        return None
    settings, taken = rows.settings[-1], looks(rows, target)
    near = (rows.pursuit == target) & (np.abs(rows.settings - settings).max(axis=1) <= NEAR)
    fixed = np.flatnonzero(np.isfinite(wanted))
    levels = [level_of(posterior.channels[c], settings, near[posterior.members[c]], posterior.now - 1) for c in fixed]
    mean, deviation = np.array(levels).T
    degrees = np.array([posterior.channels[c].degrees_of_freedom for c in fixed])
    noise = np.array([posterior.channels[c].noise(m)[0] for c, m in zip(fixed, mean, strict=True)])
    now = level(error, taken[:-1], taken[-1])
    quantile = stdtrit(degrees, 1 - now)
    off = np.abs(mean - wanted[fixed])
    share = stdtrit(degrees, 1 - now / (2 * len(fixed)))
    if (off + quantile * deviation <= tolerance[fixed]).all():
        verdict = Verdict.VERIFIED
    elif (off - share * deviation > tolerance[fixed]).any():
        verdict = Verdict.REFUTED
    else:
        verdict = Verdict.INCONCLUSIVE
    return Judgement(verdict, settings, mean, deviation, quantile, noise, degrees, int(near.sum()), len(taken))


def level_of(channel: Channel, settings: Settings, near: NDArray[np.bool_], now: float) -> tuple[float, float]:
    """The noise-free reading of a channel at settings and its standard deviation, with a level from some rows alone.

    Args:
        channel: Of which.
        settings: In the unit box, ``(d,)``.
        near: Which of its rows the level is taken from, ``(n,)``.
        now: The moment that is meant.
    """
    whole, _ = channel.evidence.matrices(channel.theta)
    moved = channel.at(channel.covariance.settings[near], now)[0] - channel.at(settings[None], now)[0]
    own = LEVEL * np.outer(near, near)
    own[near, near] += (DOUBT * moved / channel.scale) ** 2
    cross = channel.covariance.cross(channel.theta, settings[None], now)[:, 0] + LEVEL * near
    prior = float(channel.covariance.prior(channel.theta, settings[None], now)[0]) + LEVEL
    solved: Matrix = np.linalg.solve(whole + own, np.column_stack((channel.evidence.values, cross)))
    mean, variance = cross @ solved[:, 0], prior - cross @ solved[:, 1]
    return channel.middle + channel.scale * float(mean), channel.scale * float(np.sqrt(max(variance, TINY)))


SAME = 1e-9
"""Distance of settings that are the same."""
TINY = 1e-12
