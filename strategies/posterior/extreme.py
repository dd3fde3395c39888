"""As large, or as small, as possible: the bound that no setting is expected to pass by more than an allowance.

A maximum is pursued as a side: at least so much that, with the confidence asked for, no setting anywhere gives more
than the allowance beyond it. The bound falls as readings rule out what might have been; settings whose readings
verify it are the answer. So what is read next is what may lie beyond the bound, and the verdict is that of any side.

References:
    Jones, Schonlau, Welch (1998), doi:10.1023/A:1008306431147, for the improvement that may be left; Wang, Jegelka
    (2017), arXiv:1703.01968, for draws of the largest value
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings, Window
from strategies.posterior.choice import log_chance, searched
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import Pursuit

DRAWS = 512
"""Functions drawn from the posterior."""
HOPEFUL = (0.0, 1.0, 2.5)
"""How many standard deviations above the mean the settings are sought that may be the best."""
EVERYWHERE = 96
"""Settings all over the box beside these."""
LIKELY = 0.5
"""Chance to meet all other wishes from which on settings are compared."""


def within_reach(posterior: Posterior, pursuit: Pursuit, rng: np.random.Generator) -> Window:
    """The window of a target with a bound in the place of its maximum or minimum.

    Args:
        posterior: Of all rows.
        pursuit: The target; where it wants a maximum its window has plus infinity, for a minimum minus infinity.
        rng: Source of randomness.
    """
    window = pursuit.target
    column = int(np.flatnonzero(np.isinf(window.wanted))[0])
    upwards = 1.0 if window.wanted[column] > 0 else -1.0
    allowance = float(window.below[column] if upwards > 0 else window.above[column])
    others = replace(pursuit, target=_with(window, column, np.nan, np.nan, np.nan))
    places = _places(posterior, others, column, upwards, rng)
    drawn = upwards * _draws(posterior, column, places, rng)
    mean = upwards * posterior.at(places, [column])[0][:, 0]
    allowed = np.ones(drawn.shape, bool)
    for other in others.fixed:
        allowed &= _inside(_draws(posterior, other, places, rng), window, other)
    return put_bound(window, column, upwards * _bound(mean, drawn, allowed, allowance, pursuit.error))


def _bound(mean: Readings, drawn: Readings, allowed: NDArray[np.bool_], allowance: float, error: float) -> float:
    """The least reading that, but for an error, no setting passes by more than an allowance.

    By how much others pass the best is drawn together with that one, whose own level an exam tells.

    Args:
        mean: Expected at each of some settings, ``(m,)``.
        drawn: Of so many functions of a posterior, ``(n, m)``.
        allowed: Where these meet all other wishes, ``(n, m)``.
        allowance: By how much the best may pass the bound.
        error: Chance that it does so by more.
    """
    usual = allowed.mean(axis=0) >= LIKELY
    if not usual.any():  # nothing is known that meets the other wishes: no bound that anything there could meet unseen
        return float(np.quantile(drawn.max(axis=1), 1 - error))
    best = int(np.argmax(np.where(usual, mean, -np.inf)))
    more = np.where(allowed, drawn - drawn[:, best : best + 1], -np.inf).max(axis=1)
    return float(mean[best] + np.quantile(np.maximum(more, 0.0), 1 - error) - allowance)


def put_bound(window: Window, column: int, bound: float) -> Window:
    """Return a window with a bound in the place of the maximum or minimum of one channel."""
    return _with(window, column, bound, *((0.0, np.inf) if window.wanted[column] > 0 else (np.inf, 0.0)))


def _with(window: Window, column: int, wanted: float, below: float, above: float) -> Window:
    values = np.array([window.wanted, window.below, window.above])
    values[:, column] = wanted, below, above
    return Window(*values)


def _inside(readings: Readings, window: Window, column: int) -> NDArray[np.bool_]:
    low, high = window[column].low, window[column].high
    return np.asarray((readings >= low) & (readings <= high))


def _places(posterior: Posterior, others: Pursuit, column: int, upwards: float, rng: np.random.Generator) -> Settings:
    """Settings ``(m, d)`` among which the best is likely to be, by several degrees of hope."""
    if (grid := posterior.instrument.grid) is not None:
        return grid
    scale, begun = posterior.channels[column].scale, others if others.fixed else _about_best(posterior, others, column)

    def scored(hope: float) -> Settings:
        def score(known: Posterior, _: Pursuit, settings: Settings) -> Readings:
            mean, deviation = known.at(settings, [column])
            value = np.asarray((upwards * mean + hope * deviation)[:, 0] / scale)
            return value if not others.fixed else value + np.maximum(log_chance(known, others, settings), -30.0)

        found = searched(posterior, begun, rng, score=score)
        return found[np.argsort(-score(posterior, begun, found), kind="stable")[:EVERYWHERE]]

    everywhere = posterior.instrument.applied(rng.random((EVERYWHERE, posterior.rows.settings.shape[1])))
    return np.unique(np.vstack((*map(scored, HOPEFUL), everywhere, posterior.rows.settings)), axis=0)


def _about_best(posterior: Posterior, others: Pursuit, column: int) -> Pursuit:
    """A pursuit by which a search can begin where nothing else is wanted: of what a channel read in the middle."""
    return replace(others, target=_with(others.target, column, posterior.channels[column].middle, np.inf, 0.0))


def _draws(posterior: Posterior, column: int, settings: Settings, rng: np.random.Generator) -> Readings:
    """Noise-free readings of a channel at settings ``(m, d)``, now, ``(DRAWS, m)``: half of them of a bolder bend."""
    channel = posterior.channels[column]
    kinds = (channel, channel.bolder)
    return np.vstack([each.drawn(settings, posterior.now, DRAWS // len(kinds), rng) for each in kinds])
