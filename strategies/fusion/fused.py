"""One response behind the instrument and other sources: how far each source is off it, how noisy, and whether at all.

Each source reads the response of the instrument and a bias, which is a plane and a bend of its own; both are learned
together. How large biases of a source are, and its noise, is what makes all readings likeliest. A source whose readings
are likelier apart from those of the instrument is dropped. The verdicts of a campaign never come from here: they are by
the readings of the instrument alone.

References:
    Kennedy, O'Hagan (2000), doi:10.1093/biomet/87.1.1, for a response that is another one and a discrepancy;
    Kass, Raftery (1995), doi:10.1080/01621459.1995.10476572, for the choice
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sdl.formatting import format_number
from sdl.history import SourceFacts
from strategies.posterior.covariance import Covariance, Others
from strategies.posterior.hyperparameters import ChannelData
from strategies.posterior.posterior import Posterior, learn
from strategies.posterior.rows import Rows, Statement

BIASES = {0.01: 0.2, 0.03: 0.3, 0.1: 0.3, 0.3: 0.15, 1.0: 0.05}
"""Parts of the response that a bias may be beside its factor, and how likely each is before any reading."""
LOUDER = {0.1: 0.1, 0.3: 0.2, 1.0: 0.4, 3.0: 0.2, 10.0: 0.1}
"""How many times as large its noise may be as that of the instrument, likewise."""
UNLIKE = -3.0
"""Logarithm of how likely readings have to be together, against apart, for a source to be listened to ..."""
TOO_FAR = 0.3
"""... and the part of the response from which on its bias, beside a factor, is too large for that ..."""
ALIKE = 3.0
"""... and how likely for it to tell the slopes by which readings of the instrument are moved for a verdict ..."""
CAUTIOUS = 0.1
"""... as if it were off by this part of the response at least."""


@dataclass(frozen=True, eq=False)
class Fused:
    """The posterior of all sources together, and what is believed of each."""

    posterior: Posterior
    beliefs: Mapping[str, SourceFacts]
    """By the names of sources, those that were asked."""

    @property
    def cautious(self) -> Posterior | None:
        """What verdicts may be by: slopes are as unsure as if each source were off by a good part.

        The level comes from the instrument's own readings there, as do its noise, light and gains. None while it is not
        clear enough that all sources that are listened to see the same response.
        """
        heard = [belief for belief in self.beliefs.values() if not belief.dropped]
        if not heard or min(belief.like or 0.0 for belief in heard) < ALIKE:
            return None
        rows = self.posterior.rows
        wide = np.where(rows.source > 0, np.maximum(rows.apart, CAUTIOUS), rows.apart)
        return learn(replace(rows, apart=wide), self.posterior.instrument, self.posterior, anew=False)

    def listens_to(self, name: str) -> bool:
        """Whether a source is not dropped."""
        return name not in self.beliefs or not self.beliefs[name].dropped

    def facts(self, channels: Sequence[str], names: Sequence[str]) -> Mapping[str, SourceFacts]:
        """What is believed of each source, with its bias in words, by the names of channels and of all sources."""
        return {
            name: belief if belief.dropped else replace(belief, bias=self._bias(channels, names.index(name) + 1))
            for name, belief in self.beliefs.items()
        }

    def _bias(self, channels: Sequence[str], number: int) -> Mapping[str, str]:
        """How the readings of a source differ from what the instrument is expected to read there."""
        rows = self.posterior.rows
        own = rows.at(np.flatnonzero(rows.source == number))
        expected = self.posterior.at(own.settings)[0]
        return {name: _line(own.readings[:, c], expected[:, c]) for c, name in enumerate(channels)}


def fuse(own: Posterior | None, rows: Rows, sources: Rows, statement: Statement, names: Sequence[str]) -> Fused:
    """The posterior of the instrument's response by all that was read, anywhere.

    Args:
        own: By the readings of the instrument alone; None while these are too few.
        rows: These readings.
        sources: Those of the sources.
        statement: What the instrument states.
        names: Of the sources, in the order of their numbers.
    """
    found = _learned(sources.followed_by(rows), statement)
    beliefs = dict[str, SourceFacts]()
    for number in np.unique(sources.source).tolist():
        beliefs[names[number - 1]] = belief = _belief(found, number)
        mine = sources.source == number
        if belief.dropped:
            continue
        sources = _believed(sources, mine, belief.apart or 0.0, belief.louder or 1.0)
    dropped = [number for number in range(1, len(names) + 1) if (b := beliefs.get(names[number - 1])) and b.dropped]
    sources = sources.at(np.flatnonzero(~np.isin(sources.source, dropped)))
    if not len(sources) and own is not None:
        return Fused(own, beliefs)
    return Fused(learn(sources.followed_by(rows), statement, found, anew=True), beliefs)


def _learned(rows: Rows, statement: Statement) -> Posterior:
    """The posterior of some rows, learned at once, and again by what channels have in common."""
    return learn(rows, statement, learn(rows, statement), anew=True)


def _belief(found: Posterior, number: int) -> SourceFacts:
    """What readings say of the bias and noise of a source, and of whether it is one of the same response at all."""
    rows = found.rows
    mine, own = rows.source == number, rows.source == 0
    scores = dict[tuple[float, float], float]()
    for (apart, before), (louder, as_before) in product(BIASES.items(), LOUDER.items()):
        tried = _believed(rows, mine, apart, louder)
        scores[apart, louder] = _evidence(found, tried, mine | own) + float(np.log(before * as_before))
    apart, louder = max(scores, key=lambda pair: scores[pair])
    tried = _believed(rows, mine, apart, louder)
    like = _evidence(found, tried, mine | own) - _evidence(found, tried, mine) - _evidence(found, tried, own)
    # With no more rows of the instrument than a plane takes a bias may be of any size.
    dropped = bool(own.sum() > rows.settings.shape[1] + 2) and (like < UNLIKE or apart >= TOO_FAR)
    return SourceFacts(asked=int(mine.sum()), apart=apart, louder=louder, like=like, dropped=dropped)


def _believed(rows: Rows, some: NDArray[np.bool_], apart: float, louder: float) -> Rows:
    """The rows with the bias and the noise of some of them as given."""
    return replace(rows, apart=np.where(some, apart, rows.apart), louder=np.where(some, louder, rows.louder))


def _evidence(found: Posterior, rows: Rows, some: NDArray[np.bool_]) -> float:
    """Logarithm of the likelihood of some of the rows, all channels together, by the hyperparameters that are found."""
    total = 0.0
    for channel, member in zip(found.channels, found.members, strict=True):
        kept, whole = some[member], rows.at(np.flatnonzero(member & some))
        data = channel.evidence
        covariance = Covariance(
            whole.inputs,
            whole.order,
            whole.reference,
            found.switches,
            whole.apart,
            tuple(rows.held.tolist()),
            Others(whole.source, whole.louder),
        )
        louder = (rows.louder / found.rows.louder)[member][kept]
        own = data.values[kept], data.height[kept], np.ones(int(kept.sum())), data.site[kept] * louder**2
        if len(own[0]):
            part = ChannelData(covariance, *own)
            total += part.density(channel.theta, channel.beliefs) + channel.beliefs.penalty(channel.theta)[0]
    return total


def _line(readings: NDArray[np.float64], expected: NDArray[np.float64]) -> str:
    """How readings differ from what is expected, as a factor and an offset, in words."""
    read = np.isfinite(readings)
    if read.sum() < 3 or np.ptp(expected[read]) == 0:
        return "not compared yet"
    factor, offset = np.polyfit(expected[read], readings[read], 1)
    left = float(np.std(readings[read] - factor * expected[read] - offset))
    sign = "+" if offset >= 0 else "−"
    line = f"{factor:.3f} × the instrument's {sign} {format_number(abs(offset))}"
    return f"{line}, give or take {format_number(left)}"
