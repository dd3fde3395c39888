"""As large, or as small, as possible: the bound that no setting is expected to pass by more than an allowance.

A maximum is pursued as a side: at least so much that, with the confidence asked for, no setting anywhere gives more
than the allowance beyond it. The bound falls as readings rule out what might have been; settings whose readings
verify it are the answer, and the verdict is that of any side. While an exam there would hardly pass, it is read where
the most improvement is expected; so the search looks elsewhere until the exam is all that is left.

What stands where nobody has measured depends on how rough the response is, and of a narrow peak the likeliest
hyperparameters know nothing. So functions are drawn by many that the rows leave possible, believed by a sceptic.

References:
    Jones, Schonlau, Welch (1998), doi:10.1023/A:1008306431147, for the improvement that is expected; Snoek,
    Larochelle, Adams (2012), arXiv:1206.2944, for its mean over hyperparameters; Wang, Jegelka (2017),
    arXiv:1703.01968, for draws of the largest value
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sdl.space import Interval, Readings, Settings, Window
from strategies.posterior.channel import ChannelPosterior
from strategies.posterior.choice import log_chance, searched
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import Pursuit

BELIEVED = 16
"""Hyperparameters that functions are drawn by ..."""
ASKED = 4
"""... and of which one in so many says where improvement is expected."""
DRAWS = 32
"""Functions drawn by each."""
HOPEFUL = (0.0, 1.0, 2.5)
"""How many standard deviations above the mean the settings are sought that may be the best."""
EVERYWHERE = 96
"""Settings all over the box beside these ..."""
FARTHER = 600
"""... and such that each of the hyperparameters chooses from ..."""
KEPT = 32
"""... so many by each degree of hope."""
LIKELY = 0.5
"""Chance to meet all other wishes from which on settings are compared."""
SHARE = 0.5
"""Part of the error rate within which the bound is true; of a false exam at settings on the bound the rest is left."""
LEAST = 1e-30
"""Improvement that counts as none, in parts of the range."""


@dataclass(frozen=True, eq=False)
class Extreme:
    """What all rows say of a maximum or minimum."""

    posterior: Posterior
    pursuit: Pursuit
    """As it is wanted: its window has plus infinity for a maximum, minus infinity for a minimum."""
    believed: Sequence[ChannelPosterior]
    """The channel by hyperparameters that the rows leave possible."""
    seed: int
    """Of what is drawn."""

    @classmethod
    def of(cls, posterior: Posterior, pursuit: Pursuit, rng: np.random.Generator) -> Self:
        """What the rows of a posterior say of a target's maximum or minimum."""
        channel = posterior.channels[int(np.flatnonzero(np.isinf(pursuit.target.wanted))[0])]
        return cls(posterior, pursuit, channel.sampled(BELIEVED, rng), int(rng.integers(1 << 32)))

    @property
    def column(self) -> int:
        """Of the channel."""
        return int(np.flatnonzero(np.isinf(self.pursuit.target.wanted))[0])

    @property
    def wish(self) -> Interval:
        """What is wanted of it."""
        return self.pursuit.target[self.column]

    @property
    def upwards(self) -> float:
        """1 for a maximum, -1 for a minimum."""
        return 1.0 if self.wish.wanted > 0 else -1.0

    @property
    def allowance(self) -> float:
        """By how much other settings may be better."""
        return float(self.wish.below if self.upwards > 0 else self.wish.above)

    @cached_property
    def others(self) -> Pursuit:
        """What else is wanted."""
        return replace(self.pursuit, target=_with(self.pursuit.target, self.column, np.nan, np.nan, np.nan))

    @cached_property
    def places(self) -> Settings:
        """Settings ``(m, d)`` among which the best is likely to be by the likeliest hyperparameters."""
        return _places(self.posterior, self.others, self.column, self.upwards, np.random.default_rng([self.seed, 0]))

    @cached_property
    def best(self) -> int | None:
        """Place of those expected to give the most of all that are likely to meet the other wishes; None if none is."""
        usual = self._allowed(self.places, np.random.default_rng([self.seed, 1])).mean(axis=0) >= LIKELY
        return int(np.argmax(np.where(usual, self._expected, -np.inf))) if usual.any() else None

    @cached_property
    def window(self) -> Window:
        """The window of the target with a bound in the place of its maximum or minimum.

        By how much others pass the best is drawn together with that one, whose own level an exam tells.
        """
        rng, now = np.random.default_rng([self.seed, 2]), self.posterior.now
        grid = self.posterior.instrument.grid is not None
        further = self.posterior.instrument.applied(rng.random((0 if grid else FARTHER, self.places.shape[1])))
        pool, first = np.vstack((self.places, further)), self.best or 0
        beyond = list[Readings]()
        for channel in self.believed:
            mean, deviation = channel.at(pool, now)
            hopes = [np.argsort(-(self.upwards * mean + hope * deviation))[:KEPT] for hope in HOPEFUL]
            some = pool[[first, *np.unique(np.concatenate(hopes))]]
            drawn = self.upwards * channel.drawn(some, now, DRAWS, rng)
            # Where nothing is known that meets the other wishes: no bound that anything there could meet unseen.
            known = self.best is not None
            more = np.where(self._allowed(some, rng), drawn - drawn[:, :1], 0.0) if known else drawn
            beyond.append(more.max(axis=1))
        bound = float(np.quantile(np.concatenate(beyond), 1 - SHARE * self.pursuit.error))
        if self.best is not None:
            bound += float(self._expected[self.best]) - self.allowance
        return put_bound(self.pursuit.target, self.column, self.upwards * bound)

    def improvement(self, posterior: Posterior, pursuit: Pursuit, settings: Settings) -> Readings:
        """Logarithm of the improvement on the best that is expected at settings ``(m, d)``, ``(m,)``."""
        level = 0.0 if self.best is None else self._expected[self.best]
        both = [channel.at(settings, posterior.now) for channel in self.believed[::ASKED]]
        means, deviations = (np.array(each) for each in zip(*both, strict=True))
        more = (self.upwards * means - level) / deviations
        gains = deviations * (more * ndtr(more) + np.exp(-0.5 * more**2) / np.sqrt(2 * np.pi))
        scale = posterior.channels[self.column].scale
        found = np.asarray(np.log(np.maximum(gains.mean(axis=0) / scale, LEAST)))
        others = self.others
        return found if not others.fixed else found + np.maximum(log_chance(posterior, others, settings), -30.0)

    @cached_property
    def _expected(self) -> Readings:
        means = [channel.at(self.places, self.posterior.now)[0] for channel in self.believed]
        return np.asarray(self.upwards * np.mean(means, axis=0))

    def _allowed(self, settings: Settings, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Where functions drawn at settings ``(m, d)`` meet all other wishes, ``(DRAWS, m)``."""
        allowed = np.ones((DRAWS, len(settings)), bool)
        for other in self.others.fixed:
            allowed &= _inside(_draws(self.posterior, other, settings, rng), self.pursuit.target, other)
        return allowed


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
