"""Whether another source tells more for its price than the instrument, and where to ask it.

What readings tell is how much surer they make the posterior where the target is likely to be met, in nats and beyond
what its tolerance needs; the source of most nats for its price is asked.

References:
    Song, Chen, Yue (2019), "A general framework for multi-fidelity Bayesian optimization with Gaussian processes",
    AISTATS, for information by price
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sdl.space import Settings
from strategies.fusion.fused import Fused
from strategies.fusion.source_rows import APART, LONG_AGO
from strategies.posterior import NextReading, Posterior, Pursuit
from strategies.posterior.choice import searched
from strategies.posterior.posterior import learn
from strategies.posterior.rows import Rows

BATCH = 0.4
"""Requests to the instrument that one batch of a source may cost, as far as that is one reading or more."""
MOST = 12
"""Readings of a batch at most."""
PLACES = 12
"""Settings at which the posterior is to become surer."""
NEEDED = 0.5
"""Part of a tolerance by which readings that are surer are sure enough."""
SURE = 0.8
"""Chance that the next readings of the instrument verify a target, from which on no source is asked."""
WIDTHS = (0.05, 0.15, 0.4)
"""Distances in the unit box from where the target is likely met, of the batches that are weighed."""


@dataclass(frozen=True, eq=False)
class Askable:
    """A source that may be asked."""

    name: str
    number: int
    """As it stands in the rows' ``source``."""
    price: float
    """Of one request, in requests to the instrument."""
    left: int
    """Requests that it may still be sent."""


def next_batch(
    fused: Fused, pursuit: Pursuit, reading: NextReading, sources: Sequence[Askable], rng: np.random.Generator
) -> tuple[str, Settings] | None:
    """The source to be asked before the instrument, and at which settings ``(m, d)``; None where that tells more.

    Args:
        fused: What is known.
        pursuit: The target.
        reading: What would be read next at the instrument.
        sources: Those that may be asked.
        rng: Source of randomness.
    """
    posterior = fused.posterior
    if reading.chance >= SURE:
        return None
    places = _likely_places(posterior, pursuit, reading.settings, rng)
    unit = NEEDED * posterior.unit_of(pursuit)
    before = posterior.at(places, pursuit.fixed)[1]

    def nats(after: Posterior) -> float:
        surer = np.log((before**2 + unit**2) / (after.at(places, pursuit.fixed)[1] ** 2 + unit**2))
        return float(surer.sum(axis=1).mean() / 2)

    expected = posterior.at(reading.settings[None])[0][0]
    rows = posterior.rows.with_row(reading.settings, expected, posterior.instrument)
    most, best = nats(learn(rows, posterior.instrument, posterior, anew=False)), None
    for source in sources:
        n = min(int(np.clip(BATCH / source.price, 1, MOST)), source.left)
        if n < 1 or not fused.listens_to(source.name):
            continue
        for width in WIDTHS:
            batch = posterior.instrument.applied(_about(places, n, width, rng))
            rate = nats(_with_source(fused, source, batch)) / (n * source.price)
            if rate > most:
                most, best = rate, (source.name, batch)
    return best


def _likely_places(posterior: Posterior, pursuit: Pursuit, first: Settings, rng: np.random.Generator) -> Settings:
    """Where the target is likely to be met: settings ``(d,)`` to read next, and others that the search ends with."""
    found = searched(posterior, pursuit, rng)
    some = found[rng.integers(len(found), size=PLACES - 1)]
    return np.vstack((first, some))


def _about(places: Settings, n: int, width: float, rng: np.random.Generator) -> Settings:
    """Settings ``(n, d)`` scattered in boxes of a width about some of these, in the unit box."""
    of = places[rng.integers(len(places), size=n)]
    return np.asarray(np.clip(of + width * rng.uniform(-1, 1, of.shape), 0, 1))


def _with_source(fused: Fused, source: Askable, settings: Settings) -> Posterior:
    """The posterior as sure as it would be with readings of a source at settings ``(m, d)``."""
    posterior, belief = fused.posterior, fused.beliefs.get(source.name)
    rows = posterior.rows
    apart, louder = (APART, 1.0) if belief is None else (belief.apart or 0.0, belief.louder or 1.0)
    expected, number = posterior.at(settings)[0], np.full(len(settings), source.number)
    k = rows.conditions.shape[1]
    asked = Rows.from_elsewhere(settings, expected, 2 * LONG_AGO, apart=apart, source=number, louder=louder, k=k)
    lasting = replace(posterior, learned=len(rows) + len(settings))
    return learn(asked.followed_by(rows), posterior.instrument, lasting, anew=False)
