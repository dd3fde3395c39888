"""Where to read next for a target: where all its channels are likeliest to be inside their bounds now.

One reading at a time. A reading there counts for the verdict, and if it is off it teaches most where the answer lies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from sdl.space import Readings, Settings
from strategies.posterior.posterior import Posterior
from strategies.posterior.price import forecast
from strategies.posterior.rows import Pursuit

REPLICATES = 4.0
"""Readings that a verdict rests on, as a rule ..."""
ERRORS = 1.6
"""... and how many standard errors of their mean it leaves inside the bounds."""
LEAST = 0.2
"""Part of a tolerance that is aimed at, however large the noise."""
PRICED = 16
"""Settings of which the price is forecast, the likeliest ones."""
HOPE = 0.3
"""Chance to be verified below which the price says nothing, and the likeliest settings are read."""
SLACK = 0.1
"""Part by which the logarithm of the chance may be worse at the last settings, for them to be read again."""
WORTH_STAYING = 1.0
"""Requests that other settings must save to be read instead of the last ones: the best of many looks better than it is.
"""
DISTINCT = 0.1
"""Distance in the unit box from which on settings are another answer."""
SPREAD = 256
"""Settings tried all over the box ..."""
CLOSE = 96
"""... and about those that read nearest."""
BEST = 10
CHILDREN = 60
SWEEPS = 6


@dataclass(frozen=True, eq=False)
class NextReading:
    """Settings to read next, ``(d,)`` in the unit box, and what is expected there."""

    settings: Settings
    log_chance: float
    """Logarithm of the chance that all channels are inside there, nearly."""
    requests: float
    """Expected requests until the target is verified there."""
    chance: float
    """That it is verified there by the readings that are forecast."""


def log_chance(posterior: Posterior, pursuit: Pursuit, settings: Settings) -> Readings:
    """Logarithm of the chance, at settings ``(m, d)``, that every channel is well inside its bounds, ``(m,)``.

    Where all chances vanish it falls with the distance from the target, so that a search has a slope to follow.
    """
    window = pursuit.window
    mean, deviation = posterior.at(settings, pursuit.fixed)
    margin = np.minimum(ERRORS * posterior.noise_at(pursuit) / np.sqrt(REPLICATES), (1 - LEAST) * window.half)
    below, above = window.below - margin + mean - window.wanted, window.above - margin - mean + window.wanted
    near = log_ndtr(np.minimum(below, above) / deviation)
    far = log_ndtr(-np.maximum(below, above) / deviation)
    inside = near + np.log1p(-np.exp(np.minimum(far - near, -1e-12)))
    return np.asarray(inside.sum(axis=1))


@dataclass(frozen=True, eq=False)
class Moving:
    """What it costs to leave the last settings, where some knobs are dear to move."""

    cost: Callable[[Settings], Readings]
    """Of settings ``(m, d)`` in the unit box, in requests, ``(m,)``."""
    kept: Callable[[Settings], Settings]
    """The same settings with those knobs where they are."""


Score = Callable[[Posterior, Pursuit, Settings], Readings]


def choose(
    posterior: Posterior,
    pursuit: Pursuit,
    rng: np.random.Generator,
    answers: Settings | None = None,
    offers: Settings | None = None,
    moving: Moving | None = None,
) -> NextReading | None:
    """The settings to read next for a target: of the likeliest ones those of the least price.

    Args:
        posterior: Of all rows.
        pursuit: The target.
        rng: Source of randomness.
        answers: Settings that are answers already, ``(k, d)``: other ones are sought.
        offers: Settings that an inverse model offers, ``(m, d)``: the search begins at them as well.
        moving: What it costs to move knobs; nothing by default.

    Returns:
        None if all settings are near to those answers.
    """
    last = others(posterior.rows.settings[posterior.rows.pursuit == pursuit.number][-1:], answers)
    pool = np.vstack((searched(posterior, pursuit, rng, answers, offers), last))
    if not len(pool):
        return None
    likely = log_chance(posterior, pursuit, pool)
    first = np.argsort(-likely[: len(pool) - len(last)], kind="stable")[:PRICED]
    offered = np.append(first, np.arange(len(pool) - len(last), len(pool)))
    places, chances = pool[offered], likely[offered]
    if moving is not None:
        kept = others(moving.kept(pool), answers)
        near = log_chance(posterior, pursuit, kept)
        likeliest = np.argsort(-near, kind="stable")[:PRICED]
        places, chances = np.vstack((kept[likeliest], places)), np.append(near[likeliest], chances)
    price = forecast(posterior, pursuit, places)
    if price.chance.max() > HOPE:
        stays = np.arange(len(places)) >= len(places) - len(last)
        cost = 0.0 if moving is None else moving.cost(places)
        best = int(np.argmin(price.requests + cost - WORTH_STAYING * stays))
    else:
        best = _likeliest(chances, len(last))
    return NextReading(places[best], float(chances[best]), float(price.requests[best]), float(price.chance[best]))


def _likeliest(chances: Readings, last: int) -> int:
    """Place of the largest of the logarithms ``(m,)``; of the last reading, if there is one, unless it is far worse.

    What is hopeless is shown by readings at one place, not by ever new ones beside it.
    """
    stays = last > 0 and chances[-1] >= (1 + SLACK) * chances.max() - SLACK
    return len(chances) - 1 if stays else int(np.argmax(chances))


def searched(
    posterior: Posterior,
    pursuit: Pursuit,
    rng: np.random.Generator,
    answers: Settings | None = None,
    offers: Settings | None = None,
    score: Score = log_chance,
) -> Settings:
    """Settings ``(m, d)`` that the instrument can apply, ever closer to where a score is largest.

    A grid of few points is searched whole.

    Args:
        posterior: Of all rows.
        pursuit: The target.
        rng: Source of randomness.
        answers: Settings that are answers already, ``(k, d)``: other ones are sought.
        offers: Settings to begin at as well, ``(m, d)``.
        score: Of settings ``(m, d)``, ``(m,)``; by default how likely they give the target.
    """
    if (grid := posterior.instrument.grid) is not None:
        return others(grid, answers)
    last = posterior.rows.settings[-1:]
    begun = _begun(posterior, pursuit, rng) if offers is None else np.vstack((_begun(posterior, pursuit, rng), offers))
    pool = np.vstack((begun, _about(last, CLOSE // 2, 0.02, rng)))
    for sweep in range(SWEEPS):
        pool = others(posterior.instrument.applied(pool), answers)
        if not len(pool):
            return pool
        best = pool[np.argsort(-score(posterior, pursuit, pool), kind="stable")[:BEST]]
        pool = np.vstack((best, _about(best, CHILDREN, 0.08 / 3**sweep, rng)))
    return others(posterior.instrument.applied(pool), answers)


def others(settings: Settings, answers: Settings | None) -> Settings:
    """Those of the settings ``(m, d)`` that are not near to an answer."""
    if answers is None or not len(answers):
        return settings
    away = np.abs(settings[:, None] - answers).max(axis=2).min(axis=1)
    return np.asarray(settings[away > DISTINCT])


def _begun(posterior: Posterior, pursuit: Pursuit, rng: np.random.Generator) -> Settings:
    """Settings all over the box, and about the rows that read nearest to the target."""
    rows, missed = posterior.rows, pursuit.window.missed(posterior.rows.readings[:, pursuit.fixed])
    off = np.nan_to_num(missed / posterior.unit_of(pursuit), nan=1e6)
    nearest = rows.settings[np.argsort((off**2).sum(axis=1), kind="stable")[:3]]
    around = posterior.instrument.spread(rng.random((SPREAD, rows.settings.shape[1])))
    return np.vstack((around, _about(nearest, CLOSE, 0.1, rng)))


def _about(places: Settings, n: int, width: float, rng: np.random.Generator) -> Settings:
    """Settings ``(n, d)`` scattered about some of these, in the box."""
    of = places[rng.integers(len(places), size=n)]
    return np.asarray(np.clip(of + width * rng.standard_normal(of.shape), 0, 1))
