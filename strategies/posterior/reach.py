"""Whether any settings give a target, which come nearest to it, and whether the noise lets anybody tell."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from sdl.history import Verdict
from sdl.space import Readings, Settings
from strategies.posterior.choice import searched
from strategies.posterior.posterior import Posterior
from strategies.posterior.verdict import Judgement

BEYOND = 0.001
"""Chance that a channel is inside after all, below which settings are out of the question."""
LOW_NOISE = 0.05
"""Chance that the noise is less than what a target is given up for."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """The settings that come nearest to a target."""

    settings: Settings
    """In the unit box, ``(d,)``."""
    readings: Readings
    """Expected there now, ``(p,)``."""
    off: float
    """Largest distance from the target, in tolerances."""
    surely: float
    """The same with every channel as near as it may be, but for a chance of ``BEYOND``."""


def nearest(posterior: Posterior, wanted: Readings, tolerance: Readings, rng: np.random.Generator) -> Nearest:
    """Where the readings come nearest to a target: never worse than at the best settings that were measured."""
    fixed = np.isfinite(wanted)
    places = np.vstack((searched(posterior, wanted, tolerance, rng), posterior.rows.settings))
    mean, deviation = posterior.at(places)
    degrees = np.array([channel.degrees_of_freedom for channel in posterior.channels])
    away = np.abs(mean - wanted)[:, fixed] / tolerance[fixed]
    doubt = (stdtrit(degrees, 1 - BEYOND) * deviation)[:, fixed] / tolerance[fixed]
    best = int(away.max(axis=1).argmin())
    surely = float((away - doubt).max(axis=1).min())
    return Nearest(places[best], mean[best], float(away[best].max()), surely)


def out_of_reach(place: Nearest, judgement: Judgement | None) -> bool:
    """Whether no settings give the target.

    Both must say so: the posterior of every setting in the box, and the readings taken for the target, which refute the
    settings where it was likeliest. Neither alone would do, for a model may not know of a hill, nor readings at one
    place of another.
    """
    return place.surely > 1 and judgement is not None and judgement.verdict is Verdict.REFUTED


def lost_in_noise(
    posterior: Posterior, wanted: Readings, tolerance: Readings, readings: int, confidence: float = 0.95
) -> bool:
    """Whether so many readings at perfect settings could not verify a target, were the noise as low as it may well be.

    Args:
        posterior: Of all rows.
        wanted: Readings, ``(p,)``; NaN where free.
        tolerance: Largest distance from them, ``(p,)``.
        readings: How many there can be for this target in all.
        confidence: Of a verdict.
    """
    fixed = np.flatnonzero(np.isfinite(wanted))
    noise = posterior.noise(np.where(np.isfinite(wanted), wanted, 0.0)[None])[0, fixed]
    degrees = np.array([posterior.channels[c].degrees_of_freedom for c in fixed])
    least = noise * np.exp(ndtri(LOW_NOISE) / np.sqrt(2 * degrees))
    return bool((ndtri(confidence) * least / np.sqrt(max(readings, 1)) > tolerance[fixed]).any())
