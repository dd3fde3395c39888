"""The verdict on a target: what all readings taken for it say of the settings where the last ones were taken.

Of the rows only those taken for this target and near to the settings give the level; the rest, the design included,
give the slopes by which these are moved to the settings, the light and the noise. So the estimate is that of
generalised least squares, with the slopes as uncertain as the posterior has them.

Error rates, for a target and however often one looks: the probability of VERIFIED, when at every setting the true
reading of some channel lies on a bound of its interval or beyond, is 5 % at most; so is that of REFUTED for settings
at which all channels are within. To be VERIFIED a channel passes a test at the full rate for each of its bounds, so one
bound takes one test; REFUTED may come from any bound, so all that there are share the rate.

A verdict that the likeliest hyperparameters give holds only if it bears the doubt of them: a noise that is larger than
it seems, readings that are alike, light or gains that drift though nobody has seen it yet. Each is followed as far as
the rows leave it possible. The noise is estimated anew at every look, so its doubt has to fit the level of the look;
others are the same at all of them, and may cost the whole rate once.

References:
    Lan, DeMets (1983), doi:10.1093/biomet/70.3.659, for spending an error rate; Berger (1982), doi:10.2307/1267823, for
    several channels at once
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv
from scipy.special import ndtr, ndtri, stdtrit

from sdl.analysis.group_sequential import open_ended
from sdl.history import Verdict
from sdl.space import Readings, Settings
from strategies.posterior.channel import DOUBTED, ChannelPosterior
from strategies.posterior.covariance import NOISE, Matrix
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import NEAR, SAME, Pursuit, Rows

FEWEST = 3
"""Readings near to the settings before the first look."""
WORTHS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])
"""Independent readings that an estimate is taken to be worth, the nearest of these."""
MOST = 60
"""Looks that the level is computed from; it is negligible from there on, and the bound of the last one stays."""
DOUBT = 0.2
"""Part of a move by the model's slopes that it may be off beyond its own uncertainty: standard deviation."""
LASTING = 1.0
"""Part of the error rate that a doubt which is the same at every look may cost."""
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
    """How many of these the estimate has to lie inside its bounds at this look."""
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

    There is one after each reading for which there are enough near to its settings, and at them; of readings that are
    taken together after the last.
    """
    taken = pursuit.taken(rows)
    counts, settings = [0], rows.settings[taken]
    away = np.abs(settings[:, None] - settings).max(axis=2)
    near, fresh = (np.tril(away <= distance).sum(axis=1).tolist() for distance in (NEAR, SAME))
    for k, here, looked in zip(near, fresh, rows.looked[taken].tolist(), strict=True):
        if looked and k >= FEWEST and here >= pursuit.fresh:
            counts.append(max(k, counts[-1] + 1))
    return tuple(counts[1:])


def levels(pursuit: Pursuit, past: tuple[int, ...], readings: int, worth: Readings) -> Readings:
    """Probability that may be spent at the look after those in the past, by estimates worth so many readings each.

    Args:
        pursuit: The target.
        past: Looks that there were.
        readings: That this look goes by.
        worth: Independent readings that would be as uncertain as the estimates, ``(fixed channels,)``: fewer where
            light or gains drift, or slopes are not well known.
    """
    counted = (past[:MOST], readings if len(past) < MOST else past[MOST - 1] + 1)
    nearest = WORTHS[np.abs(np.log(WORTHS) - np.log(np.maximum(worth, WORTHS[0]))[..., None]).argmin(axis=-1)]
    known = np.where(nearest < readings, nearest, np.inf).tolist()
    return np.array([open_ended(pursuit.error, *counted, pursuit.pace, each) for each in known])


def quantiles(
    posterior: Posterior, pursuit: Pursuit, past: tuple[int, ...], readings: int, worth: Readings
) -> Readings:
    """How many standard errors a mean has to lie off an edge at the look after those in the past.

    Args:
        posterior: Of all rows: the noise is as well known as it says.
        pursuit: The target.
        past: Looks that there were.
        readings: That this look goes by.
        worth: Independent readings that would be as uncertain as the mean, ``(fixed channels,)``.

    Returns:
        One for each fixed channel, as its noise is known.
    """
    spent = levels(pursuit, past, readings, worth)
    return np.asarray(stdtrit(posterior.degrees[pursuit.fixed], 1 - spent))


def judge(posterior: Posterior, pursuit: Pursuit) -> Judgement | None:
    """Judge a target by the readings taken for it, at the settings of the last row; None where these are too few."""
    rows = posterior.rows
    taken = looks(rows, pursuit)
    if len(taken) == len(looks(rows.first(len(rows) - 1), pursuit)):
        return None
    window, look = pursuit.window, (taken[:-1], taken[-1])
    claims = window.sides  # one channel refutes them all, beyond any of its bounds: these share the rate
    mean, deviation = estimate(posterior, pursuit, rows.settings[-1], posterior.now - 1)
    noise, room = posterior.noise_at(pursuit), window.room(mean)
    spent = levels(pursuit, *look, (noise / deviation) ** 2)
    quantile, refuting = -ndtri(spent), -ndtri(spent / claims)
    verdict = _verdict(room / deviation, quantile, refuting)
    if verdict is not Verdict.INCONCLUSIVE:
        claimed = room >= 0 if verdict is Verdict.VERIFIED else -room > refuting * deviation
        edge = window.nearer_bound(mean)
        allowed = np.minimum(spent / (LASTING * pursuit.error), 1.0)
        deviation = _with_doubt(posterior, pursuit, allowed, claimed, edge, mean, deviation)
        verdict = _verdict(room / deviation, quantile, refuting)
    readings = int(pursuit.near(rows, rows.settings[-1], NEAR).sum())
    degrees = posterior.degrees[pursuit.fixed]
    return Judgement(verdict, rows.settings[-1], mean, deviation, quantile, noise, degrees, readings, look=len(taken))


def _verdict(inside: Readings, passing: Readings, refuting: Readings) -> Verdict:
    """The verdict where estimates lie so many standard deviations inside the nearer bound, ``(fixed channels,)``."""
    if (inside >= passing).all():
        return Verdict.VERIFIED
    return Verdict.REFUTED if (-inside > refuting).any() else Verdict.INCONCLUSIVE


def _with_doubt(
    posterior: Posterior,
    pursuit: Pursuit,
    allowed: Readings,
    claimed: NDArray[np.bool_],
    edge: Readings,
    mean: Readings,
    deviation: Readings,
) -> Readings:
    """Standard deviations by which estimates are off an edge as surely as all hyperparameters that may be true allow.

    The chance that the true reading lies beyond its edge is that by the likeliest ones, or the largest that any doubt
    by itself makes of it.

    Args:
        posterior: Of all rows.
        pursuit: The target, judged at the last row's settings.
        allowed: Part of the chance that counts at this look, where a doubt is the same at every look: the error rate
            is spent but once on light, gains or a correlation that nobody saw, ``(fixed channels,)``; so are all that
            follow.
        claimed: Which of its fixed channels the claim rests on.
        edge: The nearer one of each channel.
        mean: The estimates.
        deviation: Standard deviations of these by the likeliest hyperparameters.
    """
    here, moment = posterior.rows.settings[-1], posterior.now - 1
    near, found = pursuit.near(posterior.rows, here, NEAR), deviation.copy()
    for place in np.flatnonzero(claimed):
        c, away = pursuit.fixed[place], edge[place] - mean[place]
        channel = posterior.channels[c]
        own = near[posterior.members[c]][-len(channel.recent.evidence.values) :]
        moved = _moved(channel.recent, here, own, moment)
        level, spread = level_of(channel.recent, here, own, moment, moved)
        beyond, widest = ndtr(-abs(away) / deviation[place]), deviation[place]
        for axis in DOUBTED:
            others, weights = channel.doubted(axis)
            levels, spreads = np.array([level_of(other, here, own, moment, moved) for other in others]).T
            reach = np.sign(away) * (away - levels + level) / (deviation[place] * spreads / spread)
            chance = float(weights @ ndtr(-reach))
            beyond = max(beyond, chance if axis == NOISE else chance * allowed[place])
            together = np.sqrt(weights @ (spreads**2 + (levels - level) ** 2))
            widest = max(widest, deviation[place] * float(together) / spread)
        # Of an estimate far inside a single bound a chance so small does not tell how uncertain it is.
        surely = beyond < TINY and pursuit.window.one_sided[place]
        found[place] = widest if surely else abs(away) / max(-ndtri(min(max(beyond, TINY), 0.5)), TINY)
    return found


def estimate(posterior: Posterior, pursuit: Pursuit, settings: Settings, moment: float) -> tuple[Readings, Readings]:
    """What the readings for a target near to settings say of the noise-free reading there, at a moment.

    Returns:
        Mean and standard deviation, ``(fixed channels,)``.
    """
    near = pursuit.near(posterior.rows, settings, NEAR)
    both = []
    for c in pursuit.fixed:
        channel, own = posterior.channels[c], near[posterior.members[c]]
        both.append(level_of(channel, settings, own, moment, _moved(channel, settings, own, moment)))
    mean, deviation = np.array(both).T
    return mean, deviation


def _moved(channel: ChannelPosterior, settings: Settings, near: NDArray[np.bool_], now: float) -> Matrix:
    """By how much a channel reads more at some of its rows than at settings, in parts of the range."""
    places = np.vstack((channel.covariance.settings[near], channel.covariance.asked(settings[None])))
    expected = channel.at(places, now)[0]
    return np.asarray((expected[:-1] - expected[-1]) / channel.scale)


def level_of(
    channel: ChannelPosterior, settings: Settings, near: NDArray[np.bool_], now: float, moved: Matrix
) -> tuple[float, float]:
    """The noise-free reading of a channel at settings and its standard deviation, with a level from some rows alone.

    Args:
        channel: Of which.
        settings: In the unit box, ``(d,)``.
        near: Which of its rows the level is taken from, ``(n,)``.
        now: The moment that is meant.
        moved: By how much these are thought to be above the level, each in parts of the range.
    """
    own = LEVEL * np.outer(near, near)
    own[near, near] += (DOUBT * moved) ** 2
    cross = channel.covariance.cross(channel.theta, settings[None], now)[:, 0] + LEVEL * near
    prior = float(channel.covariance.prior(channel.theta, settings[None], now)[0]) + LEVEL
    solved: Matrix = dposv(channel.whole + own, np.column_stack((channel.evidence.values, cross)), lower=1)[1]
    mean, variance = float(cross @ solved[:, 0]), prior - float(cross @ solved[:, 1])
    return channel.middle + channel.scale * mean, channel.scale * float(max(variance, TINY) ** 0.5)


TINY = 1e-12
