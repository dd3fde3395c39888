"""The verdict on a target: what all readings taken for it say of the settings where the last ones were taken.

Of the rows only those taken for this target and near to the settings give the level; the rest, the design included,
give the slopes by which these are moved to the settings, the light and the noise. So the estimate is that of
generalised least squares, with the slopes as uncertain as the posterior has them.

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
from scipy.linalg.lapack import dposv
from scipy.special import stdtrit

from sdl.analysis.group_sequential import open_ended
from sdl.history import Verdict
from sdl.space import Readings, Settings
from strategies.posterior.channel import ChannelPosterior
from strategies.posterior.covariance import Matrix
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import SAME, Pursuit, Rows

NEAR = 0.1
"""Distance in the unit box within which readings are moved to the settings."""
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
    """What was found out about a target at some settings; every array is over its fixed channels."""

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
    ripe: bool = True
    """Whether there are readings enough for a look."""


def looks(rows: Rows, pursuit: Pursuit) -> tuple[int, ...]:
    """The looks that there were at a target: to how many readings near to the settings each, made increasing.

    There is one after each reading for which there are enough near to its settings, and at them.
    """
    counts, settings = [0], rows.settings[pursuit.taken(rows)]
    away = np.abs(settings[:, None] - settings).max(axis=2)
    near, fresh = (np.tril(away <= distance).sum(axis=1).tolist() for distance in (NEAR, SAME))
    for k, here in zip(near, fresh, strict=True):
        if k >= FEWEST and here >= pursuit.fresh:
            counts.append(max(k, counts[-1] + 1))
    return tuple(counts[1:])


def quantiles(posterior: Posterior, pursuit: Pursuit, past: tuple[int, ...], readings: int, share: int = 1) -> Readings:
    """How many standard errors a mean has to lie off an edge at the look after those in the past.

    Args:
        posterior: Of all rows: the noise is as well known as it says.
        pursuit: The target.
        past: Looks that there were.
        readings: That this look goes by.
        share: Of how many claims this is one, which share the error rate.

    Returns:
        One for each fixed channel, as its noise is known.
    """
    counted = (past[:MOST], readings if len(past) < MOST else past[MOST - 1] + 1)
    level = open_ended(pursuit.error, *counted, PACE) / share
    return np.asarray(stdtrit(posterior.degrees[pursuit.fixed], 1 - level))


def judge(posterior: Posterior, pursuit: Pursuit) -> Judgement | None:
    """Judge a target by the readings taken for it, at the settings of the last row; None where these are too few."""
    rows = posterior.rows
    taken = looks(rows, pursuit)
    if len(taken) == len(looks(rows.first(len(rows) - 1), pursuit)):
        return None
    wanted, tolerance = pursuit.window
    mean, deviation = estimate(posterior, pursuit, rows.settings[-1], posterior.now - 1)
    quantile = quantiles(posterior, pursuit, taken[:-1], taken[-1])
    # One channel refutes them all, on either side of its target: these share the rate.
    refuting = quantiles(posterior, pursuit, taken[:-1], taken[-1], share=2 * len(wanted))
    off = np.abs(mean - wanted)
    if (off + quantile * deviation <= tolerance).all():
        verdict = Verdict.VERIFIED
    elif (off - refuting * deviation > tolerance).any():
        verdict = Verdict.REFUTED
    else:
        verdict = Verdict.INCONCLUSIVE
    readings = int(pursuit.near(rows, rows.settings[-1], NEAR).sum())
    noise, degrees = posterior.noise_at(pursuit), posterior.degrees[pursuit.fixed]
    return Judgement(verdict, rows.settings[-1], mean, deviation, quantile, noise, degrees, readings, look=len(taken))


def estimate(posterior: Posterior, pursuit: Pursuit, settings: Settings, moment: float) -> tuple[Readings, Readings]:
    """What the readings for a target near to settings say of the noise-free reading there, at a moment.

    Returns:
        Mean and standard deviation, ``(fixed channels,)``.
    """
    near = pursuit.near(posterior.rows, settings, NEAR)
    both = [level_of(posterior.channels[c], settings, near[posterior.members[c]], moment) for c in pursuit.fixed]
    mean, deviation = np.array(both).T
    return mean, deviation


def level_of(channel: ChannelPosterior, settings: Settings, near: NDArray[np.bool_], now: float) -> tuple[float, float]:
    """The noise-free reading of a channel at settings and its standard deviation, with a level from some rows alone.

    Args:
        channel: Of which.
        settings: In the unit box, ``(d,)``.
        near: Which of its rows the level is taken from, ``(n,)``.
        now: The moment that is meant.
    """
    moved = channel.at(channel.covariance.settings[near], now)[0] - channel.at(settings[None], now)[0]
    own = LEVEL * np.outer(near, near)
    own[near, near] += (DOUBT * moved / channel.scale) ** 2
    cross = channel.covariance.cross(channel.theta, settings[None], now)[:, 0] + LEVEL * near
    prior = float(channel.covariance.prior(channel.theta, settings[None], now)[0]) + LEVEL
    solved: Matrix = dposv(channel.whole + own, np.column_stack((channel.evidence.values, cross)), lower=1)[1]
    mean, variance = float(cross @ solved[:, 0]), prior - float(cross @ solved[:, 1])
    return channel.middle + channel.scale * mean, channel.scale * float(max(variance, TINY) ** 0.5)


TINY = 1e-12
