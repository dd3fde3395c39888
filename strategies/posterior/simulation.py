"""One target pursued in memory: a design, then one reading at a time where the posterior says, until a verdict holds.

This is the loop that the posterior is for, without ledger, references or faults: benchmarks measure by it what the
statistics do before a campaign stands on them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sdl.history import Verdict
from sdl.space import Readings, Settings
from strategies.posterior.choice import choose
from strategies.posterior.posterior import Posterior, learn
from strategies.posterior.reach import lost_in_noise, nearest, noise_correlation, out_of_reach
from strategies.posterior.rows import Pursuit, Rows, Statement
from strategies.posterior.verdict import judge

FIRST = 4
"""Settings of a design at least; otherwise one more than there are knobs, by which a plane is determined."""

STRONG = 0.5
"""Correlation of the noise of successive readings from which on it is named as a reason."""


class Reads(Protocol):
    """Whatever gives the readings ``(p,)`` at settings ``(d,)`` of the unit box, NaN for a channel that gave none."""

    def __call__(self, settings: Settings, /) -> Readings: ...


@dataclass(frozen=True, eq=False)
class PursuitOutcome:
    """What came of a pursuit."""

    verdict: Verdict
    """``INCONCLUSIVE`` where the budget was spent, or the noise lets nobody tell."""
    settings: Settings
    """The verified settings, else the nearest ones, in the unit box ``(d,)``."""
    requests: int
    """Readings that were taken."""
    reason: str
    """Why it ended, in words."""


def pursue_target(
    read: Reads, statement: Statement, pursuit: Pursuit, design: Settings, budget: int, rng: np.random.Generator
) -> PursuitOutcome:
    """Pursue a target to its verdict.

    Args:
        read: Takes one reading.
        statement: What the instrument states.
        pursuit: The target.
        design: Settings to begin with, in the unit box ``(n, d)``; ``FIRST`` or ``d + 1`` will do.
        budget: Readings that may be taken, those of the design included.
        rng: Source of randomness.
    """
    rows, posterior = Rows.empty(design.shape[1], len(pursuit.readings)), None
    for settings in statement.applied(design)[:budget]:
        rows = rows.with_row(settings, read(settings), statement)
        posterior = learn(rows, statement, posterior) if len(rows) > 1 else None
    if posterior is None:
        raise ValueError(f"a pursuit begins with at least two readings, got {len(rows)}: a larger design or budget")
    while len(rows) < budget and not lost_in_noise(posterior, pursuit, budget - len(rows)):
        reading = choose(posterior, pursuit, rng)
        assert reading is not None, "without answers to stay away from there is always a setting"
        rows = rows.with_row(reading.settings, read(reading.settings), statement, pursuit.number)
        posterior = learn(rows, statement, posterior)
        if (outcome := _settled(posterior, pursuit, rng)) is not None:
            return outcome
    why = "the budget is spent"
    if len(rows) < budget:
        why = "its noise lets nobody tell with the readings that are left"
        if (passed_on := float(noise_correlation(posterior, pursuit).max())) > STRONG:
            why += f": one reading passes {passed_on:.0%} of it on to the next"
    place = nearest(posterior, pursuit, rng).settings
    return PursuitOutcome(Verdict.INCONCLUSIVE, place, len(rows), why)


def _settled(posterior: Posterior, pursuit: Pursuit, rng: np.random.Generator) -> PursuitOutcome | None:
    """The outcome if the last reading decided."""
    judgement, requests = judge(posterior, pursuit), len(posterior.rows)
    if judgement is None or judgement.verdict is Verdict.INCONCLUSIVE:
        return None
    if judgement.verdict is Verdict.VERIFIED:
        return PursuitOutcome(Verdict.VERIFIED, judgement.settings, requests, "its settings are verified")
    place = nearest(posterior, pursuit, rng)
    if not out_of_reach(place, judgement):
        return None
    return PursuitOutcome(Verdict.NOT_REACHABLE, place.settings, requests, "no settings give it")
