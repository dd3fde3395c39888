"""What fills one plate: exams of several targets and of several candidates each, and readings to learn from.

A plate costs much and its wells little. So an exam has all its replicates at once, and a target has several candidates
beside each other, chosen so that one of them is within the target by nearly every function that the readings so far
leave possible. Readings at one candidate count for its neighbours, as they do from exam to exam, and there is one look
at each candidate (``Rows.looked``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from sdl.space import Readings, Settings
from strategies.plan.round_context import RoundContext
from strategies.posterior import NextReading, Posterior, Pursuit
from strategies.posterior.verdict import FEWEST, looks, quantiles

PLATE = 96.0
"""Wells that one more plate is worth where no price says so: as many as most have."""
FIRST = 3
"""Settings of the first plate for each axis, and for one axis more, unless the design says how many."""
WELLS = (3, 4, 5, 6, 8, 10, 12)
"""Numbers of wells that a target may have on one plate."""
FRESH = 2
"""Replicates of each candidate, or more."""
POOL = 160
"""Settings about the best one that candidates are chosen from ..."""
WIDTHS = (0.01, 0.03, 0.06)
"""... in the unit box, scattered by these."""
DRAWS = 64
"""Functions that the readings so far leave possible."""


@dataclass(frozen=True, eq=False)
class PlannedExam:
    """An exam as it is to be."""

    settings: Settings
    """In the unit box, ``(d,)``."""
    replicates: int
    chance: float
    """That the exams of its target on this plate settle it."""


def candidates(turn: RoundContext, reading: NextReading, plate: float = PLATE) -> list[PlannedExam]:
    """The exams of the target of a turn on the next plate, the best one first.

    Args:
        turn: Whose plate it is.
        reading: Where one exam alone would be.
        plate: Wells that one more plate is worth.
    """
    insight, rule = turn.insight, turn.campaign.verification
    best = insight.candidate(turn.target, reading)
    if insight.nearest(turn.target).out_of_reach:
        n = rule.most if rule.replicates == "planned" else rule.replicates
        return [PlannedExam(best, min(n, WELLS[-1]), reading.chance)]
    posterior, pursuit = insight.posterior, insight.pursuit(turn.target)
    pool = _about(best, posterior, turn.rng(3))
    drawn = _drawn(posterior, pursuit, pool, turn.rng(4))
    each = FRESH if rule.replicates == "planned" else rule.replicates
    numbers = [n for n in WELLS if n <= rule.most] if rule.replicates == "planned" else [each, 2 * each, 3 * each]
    offers = []
    for n in numbers:
        places, chance = _covering(_passes(posterior, pursuit, drawn, n), max(n // each, 1), FRESH / plate)
        offers.append((n + (1 - chance) * plate, n, places, chance))
    _, n, places, chance = min(offers, key=lambda offer: offer[0])
    q = len(places)
    return [PlannedExam(pool[place], n // q + (rank < n % q), chance) for rank, place in enumerate(places)]


def _about(best: Settings, posterior: Posterior, rng: np.random.Generator) -> Settings:
    """The best settings and others that can be applied about them, ``(m, d)``, each once."""
    widths = np.repeat(WIDTHS, POOL // len(WIDTHS))[:, None]
    around = np.clip(best + widths * rng.standard_normal((len(widths), len(best))), 0, 1)
    applied = posterior.instrument.applied(np.vstack((best, around)))
    _, first = np.unique(applied.round(9), axis=0, return_index=True)
    return np.asarray(applied[np.sort(first)])


def _drawn(posterior: Posterior, pursuit: Pursuit, pool: Settings, rng: np.random.Generator) -> Readings:
    """Readings ``(DRAWS, m, fixed channels)`` at settings ``(m, d)``, by functions with as much bend as may be."""
    channels = [posterior.channels[c].bolder for c in pursuit.fixed]
    return np.stack([channel.drawn(pool, posterior.now, DRAWS, rng) for channel in channels], axis=-1)


def _passes(posterior: Posterior, pursuit: Pursuit, drawn: Readings, n: int) -> Readings:
    """Chance that a look after ``n`` readings verifies each setting, if the truth is as drawn, ``(DRAWS, m)``."""
    past, window = looks(posterior.rows, pursuit), pursuit.window
    taken = max(n, FEWEST)
    error = posterior.noise_at(pursuit) / np.sqrt(taken)
    margin = error * quantiles(posterior, pursuit, past, taken + (past[-1] if past else 0), np.full(len(error), taken))
    off = drawn - window.wanted
    above, below = window.above - margin, window.below - margin
    passes = np.where(above > -below, ndtr((above - off) / error) - ndtr((-below - off) / error), 0.0)
    return np.asarray(passes.prod(axis=-1))


def _covering(passes: Readings, most: int, worth: float) -> tuple[list[int], float]:
    """Places of settings of which one passes by nearly every draw, one after the other, and how likely that is."""
    found, covered = list[int](), np.zeros(len(passes))
    while len(found) < most:
        gains = np.maximum(passes, covered[:, None]).mean(axis=0)
        place = int(np.argmax(gains))
        if found and gains[place] - covered.mean() < worth / 4:
            break
        found.append(place)
        covered = np.maximum(covered, passes[:, place])
    return found, float(covered.mean())


def within(found: Sequence[Sequence[PlannedExam]], wells: int) -> list[list[PlannedExam]]:
    """The exams of several targets as far as there are wells for them: the best of each target first.

    Where there are not enough for any, the first one has what there is.
    """
    kept: list[list[PlannedExam]] = [[] for _ in found]
    if found and 0 < wells < min(several[0].replicates for several in found):
        return [[replace(found[0][0], replicates=wells)], *kept[1:]]
    for rank in range(max(map(len, found), default=0)):
        for place, several in enumerate(found):
            if rank < len(several) and several[rank].replicates <= wells:
                kept[place].append(several[rank])
                wells -= several[rank].replicates
    return kept
