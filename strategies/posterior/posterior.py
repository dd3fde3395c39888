"""All channels together: one Gaussian process each, and lamps that were switched for all of them at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtrs

from sdl.space import Readings, Settings
from strategies.posterior.channel import ChannelPosterior, ChannelRows
from strategies.posterior.covariance import AMPLITUDE, BACKGROUND, GAIN, NOISE, Covariance, Matrix, Others, switched
from strategies.posterior.hyperparameters import BEFORE
from strategies.posterior.rows import Pursuit, Rows, Statement
from strategies.posterior.shared import of_others

EVERY = 14
"""Up to so many rows the hyperparameters are learned anew with each row ..."""
OFTEN = 1.1
"""... and from then on each time that the rows have become so many times as many."""
MOST = 120
"""Most rows that hyperparameters are learned from: the latest half, and of the earlier ones evenly as many."""
SCALED = [AMPLITUDE, BACKGROUND, NOISE, GAIN]
"""Hyperparameters that are logarithms of parts of the range."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the rows of a campaign say about every setting at any moment."""

    rows: Rows
    instrument: Statement
    channels: Sequence[ChannelPosterior]
    members: Sequence[np.ndarray]
    """Which rows each channel was learned from, boolean, ``(n,)`` each."""
    switches: tuple[float, ...]
    """Moments just before which a lamp was switched."""
    learned: int
    """Number of rows that the hyperparameters were learned at."""

    @property
    def cost(self) -> float:
        """Minus the logarithm of the posterior density, all channels together, but for a constant."""
        return sum(channel.cost for channel in self.channels)

    @property
    def now(self) -> float:
        """The moment of the next request."""
        return float(self.rows.order[-1] + 1) if len(self.rows) else 0.0

    def at(self, settings: Settings, channels: Sequence[int] | None = None) -> tuple[Readings, Readings]:
        """Mean and standard deviation ``(m, p)`` of the noise-free readings at settings ``(m, d)``, now.

        Of some channels alone where these are given, ``(m, channels)``.
        """
        asked = self.channels if channels is None else [self.channels[c] for c in channels]
        both = [channel.at(settings, self.now) for channel in asked]
        return np.column_stack([mean for mean, _ in both]), np.column_stack([deviation for _, deviation in both])

    @cached_property
    def degrees(self) -> Readings:
        """Degrees of freedom of the noise of each channel, ``(p,)``."""
        return np.array([channel.degrees_of_freedom for channel in self.channels])

    def noise_at(self, pursuit: Pursuit) -> Readings:
        """Standard deviation of one reading of each fixed channel of a target, where it is met."""
        wanted = zip(pursuit.fixed, pursuit.window.wanted.tolist(), strict=True)
        return np.array([self.channels[c].noise(reading)[0] for c, reading in wanted])

    def unit_of(self, pursuit: Pursuit) -> Readings:
        """What counts as one in each fixed channel of a target: its tolerance, or the noise beside a single bound."""
        return pursuit.window.unit(self.noise_at(pursuit))


def learn(rows: Rows, instrument: Statement, before: Posterior | None = None, *, anew: bool | None = None) -> Posterior:
    """The posterior of some rows.

    It is a function of the rows alone where ``before`` was learned from the rows one fewer, and so on to the first;
    then it is quick, too. ``learn_all`` begins at the first.

    Args:
        rows: Everything that was read.
        instrument: What it states of itself.
        before: Of fewer rows.
        anew: Whether hyperparameters are learned anew; by default with each of the first rows, then more seldom.
    """
    switches = before.switches if before is not None else ()
    due = before is None or (_is_due(len(rows), before.learned) if anew is None else anew)
    members = [np.isfinite(rows.readings[:, c]) | (rows.censored[:, c] != 0) for c in range(rows.readings.shape[1])]
    starts = [None] * len(members) if before is None else _starts(before)
    others: Sequence[Matrix | None] = [None] * len(members)
    if before is not None:
        others = _common(before) if due else [channel.beliefs.chances for channel in before.channels]
    channels = _channels(rows, instrument, members, switches, starts, others, due)
    found = Posterior(
        rows, instrument, channels, members, switches, len(rows) if due else before.learned if before else 0
    )
    return _with_lamp(_without_needless_lamps(found)) if due else found


def _is_due(n: int, last: int) -> bool:
    return n <= EVERY or n >= OFTEN * last


def learn_all(rows: Rows, instrument: Statement) -> Posterior:
    """The posterior of some rows, learned from the first few on, one row after the other."""
    found = learn(rows.first(min(len(rows), 2)), instrument)
    for n in range(3, len(rows) + 1):
        found = learn(rows.first(n), instrument, found)
    return found


def _starts(before: Posterior) -> list[tuple[Matrix, float] | None]:
    return [(channel.theta, channel.scale) for channel in before.channels]


def _common(found: Posterior) -> list[Matrix]:
    """What all other channels tell each one of what they have in common."""
    if len(found.channels) == 1:
        return [BEFORE]
    return of_others([channel.common_likelihoods for channel in found.channels], BEFORE)


def _channels(
    rows: Rows,
    instrument: Statement,
    members: Sequence[np.ndarray],
    switches: tuple[float, ...],
    starts: Sequence[tuple[Matrix, float] | None],
    others: Sequence[Matrix | None],
    due: bool,
) -> list[ChannelPosterior]:
    found, frame = [], _frames(rows, switches)
    for c, (own, start) in enumerate(zip(members, starts, strict=True)):
        data = replace(_channel_rows(rows, instrument, own, c, frame), others=others[c])
        theta = None if start is None else _rescaled(*start, data.range[1])
        if due or theta is None:
            some = _few(np.flatnonzero(own))
            part = (
                data
                if len(some) == own.sum()
                else replace(_channel_rows(rows, instrument, some, c, frame), others=others[c])
            )
            channel = part.learned(None if theta is None else _rescaled(theta, data.range[1], part.range[1]))
            if part is data:
                found.append(channel)
                continue
            theta = _rescaled(channel.theta, part.range[1], data.range[1])
        found.append(data.judged(data.channel(theta)))
    return found


def _channel_rows(
    rows: Rows, instrument: Statement, own: np.ndarray, c: int, frame: Callable[[np.ndarray], Covariance]
) -> ChannelRows:
    limits = float(instrument.floor[c]), float(instrument.ceiling[c])
    censored = rows.censored[own, c]
    readings = np.where(censored > 0, limits[1], np.where(censored < 0, limits[0], rows.readings[own, c]))
    return ChannelRows(frame(own), readings, censored, limits, float(instrument.noise[c]))


def _frames(rows: Rows, switches: tuple[float, ...]) -> Callable[[np.ndarray], Covariance]:
    """The covariance of some of the rows; channels that were read in the same rows have the same one."""
    known: dict[bytes, Covariance] = {}

    def frame(own: np.ndarray) -> Covariance:
        if (key := own.tobytes()) not in known:
            part = rows.at(own)
            held = tuple(rows.held.tolist())
            others = Others(part.source, part.louder) if part.source.any() else None
            known[key] = Covariance(part.inputs, part.order, part.reference, switches, part.apart, held, others)
        return known[key]

    return frame


def _rescaled(theta: Matrix, was: float, now: float) -> Matrix:
    """Hyperparameters in parts of another range."""
    moved = theta.copy()
    moved[SCALED] += np.log(was) - np.log(now)
    return moved


def _few(places: np.ndarray) -> np.ndarray:
    """Of the places of rows those that hyperparameters are learned from."""
    if len(places) <= MOST:
        return places
    early, late = places[: -MOST // 2], places[-MOST // 2 :]
    return np.concatenate((early[np.linspace(0, len(early) - 1, MOST // 2).astype(int)], late))


# ---------------------------------------------------------------------- lamps

SUSPECT = 8.0
"""Gain in the logarithm of the likelihood, all channels together, from which on a lamp is looked into ..."""
SURE = 6.0
"""... and by which it must be the better explanation, beyond the logarithm of the number of moments."""
SIZE = 0.1
"""Variance of the change that is looked for, in squares of the range."""


def _with_lamp(found: Posterior) -> Posterior:
    """The same with a lamp that was switched, if one explains the rows better than drift and outliers do."""
    moment, gain = _suspect(found)
    if gain < SUSPECT:
        return found
    switches = tuple(sorted((*found.switches, moment)))
    starts = [(_quiet(channel), channel.scale) for channel in found.channels]
    channels = _channels(found.rows, found.instrument, found.members, switches, starts, _common(found), True)
    lit = replace(found, channels=channels, switches=switches)
    # A bend that nobody looked for explains much of what a lamp does.
    bent = _relearned(found, found.switches)
    return lit if min(found.cost, bent.cost) - lit.cost > _price_of_a_lamp(found.rows) else found


def _without_needless_lamps(found: Posterior) -> Posterior:
    """The same without those lamps that later rows explain as well without."""
    for moment in found.switches:
        switches = tuple(other for other in found.switches if other != moment)
        dark = _relearned(found, switches)
        if dark.cost - found.cost < _price_of_a_lamp(found.rows):
            found = dark
    return found


def _price_of_a_lamp(rows: Rows) -> float:
    """How much better an explanation it must be, in the logarithm of the likelihood."""
    return float(SURE + np.log(len(rows)))


def _relearned(found: Posterior, switches: tuple[float, ...]) -> Posterior:
    """The same rows, learned from the beginning with these lamps."""
    starts = [None] * len(found.channels)
    channels = _channels(found.rows, found.instrument, found.members, switches, starts, _common(found), True)
    return replace(found, channels=channels, switches=switches)


def _quiet(channel: ChannelPosterior) -> Matrix:
    """Hyperparameters by which nothing but the noise explains changes in the order of requests."""
    theta = channel.theta.copy()
    theta[BACKGROUND] = min(theta[BACKGROUND], channel.beliefs.mean[BACKGROUND])
    theta[GAIN] = min(theta[GAIN], channel.beliefs.mean[GAIN])
    theta[NOISE] = min(theta[NOISE], channel.beliefs.mean[NOISE])
    return theta


def _suspect(found: Posterior) -> tuple[float, float]:
    """The likeliest moment of a lamp that is not known yet, and what it gains in the logarithm of the likelihood."""
    order = found.rows.order[-MOST:]  # of earlier ones it was asked before
    moments = order[2:-1]  # two rows on each side: a single one may be an outlier
    moments = moments[~np.isin(moments, found.switches)]
    if not len(moments):
        return 0.0, -np.inf
    gains = sum(_gain(channel, moments) for channel in found.channels)
    best = int(np.argmax(gains))
    return float(moments[best]), float(np.asarray(gains)[best])


def _gain(channel: ChannelPosterior, moments: Matrix) -> Matrix:
    """What a switch at each moment gains for one channel, ``(k,)``."""
    evidence = channel.evidence.last(MOST)
    if not len(evidence.values):
        return np.zeros(len(moments))
    whole = replace(evidence, spread=np.ones(len(evidence.values)))
    factor = dpotrf(whole.matrix(_quiet(channel)), lower=1, overwrite_a=1)[0]
    after = dtrtrs(factor, switched(evidence.covariance.order, tuple(moments)), lower=1)[0]
    pull = SIZE * (after.T @ dtrtrs(factor, evidence.values, lower=1)[0]) ** 2
    doubt = 1 + SIZE * (after**2).sum(axis=0)
    return np.asarray(0.5 * pull / doubt - 0.5 * np.log(doubt))
