"""Whether any settings give a target, which come nearest to it, and whether the noise lets anybody tell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri, ndtri, stdtrit

from sdl.space import Readings, Settings
from strategies.posterior.channel import DOUBTED, ChannelPosterior
from strategies.posterior.choice import searched
from strategies.posterior.covariance import correlation
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import Pursuit, Rows

BEYOND = 0.001
"""Chance that a channel is inside after all, below which settings are out of the question."""
LOW_NOISE = 0.05
"""Chance that the noise is less than what a target is given up for."""
REPEATS = 3
"""Repeated readings, beyond the first at each settings, from which on they tell the noise."""
DIGITS = 9
"""Decimals of settings in the unit box that count."""


@dataclass(frozen=True, eq=False)
class NearestSettings:
    """The settings that come nearest to a target."""

    settings: Settings
    """In the unit box, ``(d,)``."""
    readings: Readings
    """Expected there now, ``(p,)``."""
    off: float
    """Of the channel that is farthest off, in tolerances: 1 on a bound, more beyond it."""
    surely: float
    """The same with every channel as near as it may be, but for a chance of ``BEYOND``."""

    @property
    def out_of_reach(self) -> bool:
        """Whether no settings give the target, by the posterior of the whole box.

        Readings taken for the target have to say so too, by refuting these settings, for a posterior may not know of a
        hill, nor readings at one place of another.
        """
        return self.surely > 1


def nearest(
    posterior: Posterior, pursuit: Pursuit, rng: np.random.Generator, offers: Settings | None = None
) -> NearestSettings:
    """Where the readings come nearest to a target: never worse than at the best settings that were measured.

    Args:
        posterior: Of all rows.
        pursuit: The target.
        rng: Source of randomness.
        offers: Settings that somebody thinks give the target, ``(m, d)``: none is out of reach before these are.
    """
    known = [posterior.rows.settings, *(() if offers is None else (posterior.instrument.applied(offers),))]
    places = np.vstack((searched(posterior, pursuit, rng, offers=offers), *known))
    surely = -_nearness_at_best(posterior, pursuit, places).max()
    if surely > 1:  # the likeliest are not there: neither the nearest, nor those that may be nearest
        for score in (nearness, _nearness_at_best):
            places = np.vstack((places, searched(posterior, pursuit, rng, offers=offers, score=score)))
        surely = -_nearness_at_best(posterior, pursuit, places).max()
    near = nearness(posterior, pursuit, places)
    best = int(near.argmax())
    return NearestSettings(places[best], posterior.at(places[best : best + 1])[0][0], -near[best], float(surely))


def nearness(posterior: Posterior, pursuit: Pursuit, settings: Settings) -> Readings:
    """Less how far off the farthest channel is expected to be at settings ``(m, d)``, in tolerances, ``(m,)``."""
    mean, _ = posterior.at(settings, pursuit.fixed)
    return np.asarray(-pursuit.window.off(mean, posterior.unit_of(pursuit)).max(axis=1))


def _nearness_at_best(posterior: Posterior, pursuit: Pursuit, settings: Settings) -> Readings:
    """The same with every channel as near as it may be, but for a chance of ``BEYOND``."""
    mean, _ = posterior.at(settings, pursuit.fixed)
    unit = posterior.unit_of(pursuit)
    bolder = replace(posterior, channels=[channel.bolder for channel in posterior.channels])
    doubt = stdtrit(posterior.degrees[pursuit.fixed], 1 - BEYOND) * bolder.at(settings, pursuit.fixed)[1]
    return np.asarray(-(pursuit.window.off(mean, unit) - doubt / unit).max(axis=1))


def lost_in_noise(posterior: Posterior, pursuit: Pursuit, readings: int) -> bool:
    """Whether so many readings at perfect settings could not verify a target, with as little noise as there may be.

    Noise of which one reading passes much on to the next counts as more: the mean of such readings is as uncertain. And
    whatever else may be true, light or gains that drift, is to say the same.
    """
    repeated = _least_scatter(posterior.rows)
    window = pursuit.window
    for c, tolerance, wanted in zip(pursuit.fixed, window.half, window.wanted, strict=True):  # a side has all room
        channel = posterior.channels[c]
        if ndtri(1 - pursuit.error) * _margin(channel, float(wanted), readings) <= tolerance:
            continue
        if ndtri(1 - pursuit.error) * repeated[c] / np.sqrt(max(readings, 1)) <= tolerance:
            continue  # what a model leaves over is no noise
        least = [
            _least([_margin(other, float(wanted), readings) for other in others], weights)
            for others, weights in map(channel.doubted, DOUBTED)
        ]
        if ndtri(1 - pursuit.error) * min(least) > tolerance:
            return True
    return False


def _margin(channel: ChannelPosterior, reading: float, readings: int) -> float:
    """Standard deviation of the mean of so many readings at the same settings, of which one is expected."""
    passed_on = correlation(channel.theta)
    independent = max(readings * (1 - passed_on) / (1 + passed_on), 1.0)
    return float(channel.noise(reading)[0] / np.sqrt(independent))


def _least(margins: Sequence[float], weights: Readings) -> float:
    """What a margin is above but for a small chance, by those that may be true, ``(k,)``, and how likely they are."""
    order = np.argsort(margins)
    return float(np.array(margins)[order][np.searchsorted(np.cumsum(weights[order]), LOW_NOISE)])


def noise_correlation(posterior: Posterior, pursuit: Pursuit) -> Readings:
    """Correlation of the noise of two successive readings of each fixed channel of a target.

    Where it is large it says why a target that is ``lost_in_noise`` is: the same noise, independent, might not be.
    """
    return np.array([correlation(posterior.channels[c].theta) for c in pursuit.fixed])


def _least_scatter(rows: Rows) -> Readings:
    """Lower bound of the noise by readings that were repeated, ``(p,)``; 0 where too few were."""
    _, place = np.unique(rows.settings.round(DIGITS), axis=0, return_inverse=True)
    at = np.eye(place.max() + 1)[place]
    read = np.isfinite(rows.readings)
    times = at.T @ read
    means = at.T @ np.where(read, rows.readings, 0.0) / np.maximum(times, 1)
    squares = (np.where(read, rows.readings - at @ means, 0.0) ** 2).sum(axis=0)
    degrees = np.maximum(times - 1, 0).sum(axis=0)
    bound = np.sqrt(squares / chdtri(np.maximum(degrees, 1), LOW_NOISE))
    return np.where(degrees >= REPEATS, bound, 0.0)
