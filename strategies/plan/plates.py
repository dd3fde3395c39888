"""What fills one plate: exams of several targets and of several candidates each, and readings to learn from.

A plate costs much and its wells little. So an exam has all its replicates at once, and a target has several candidates
beside each other, chosen so that one of them is within the target by nearly every function that the readings so far
leave possible. Readings at one candidate count for its neighbours, as they do from exam to exam, and there is one look
at each candidate (``Rows.looked``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.space import Plate, Readings, Settings, Space
from strategies.plan.knowledge.assessment import Assessment
from strategies.plan.learning_batch import learning_batch
from strategies.plan.round_context import RoundContext
from strategies.posterior import NextReading, Posterior, Pursuit
from strategies.posterior.choice import HOPE
from strategies.posterior.price import chance_at_once
from strategies.posterior.verdict import FEWEST

PLATE = 1 / 8
"""Part of its wells that one more plate is worth where no price says so."""
SWEEPS = 3
"""How often the exams of each target are chosen anew beside those of all others."""
FIRST = 3
"""Settings of the first plate for each axis, and for one axis more, unless the design says how many."""
WELLS = (2, 3, 4, 5, 6, 8, 10, 12)
"""Numbers of wells that a target may have on one plate."""
AGAIN = FEWEST
"""Wells that a target which is not settled needs on the next plate."""
FRESH = 2
"""Replicates of each candidate, or more."""
POOL = 160
"""Settings about the best one that candidates are chosen from ..."""
WIDTHS = (0.01, 0.03, 0.06)
"""... in the unit box, scattered by these."""
PLOTS = 3
"""Plates of a design at least, each with its own value of the knobs that are constant within a batch: so that one bend
of readings along them is seen ..."""
MORE = 2
"""... and by how many they are more than those knobs."""
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


def plate_worth(campaign: Campaign, plate: Plate) -> float:
    """Wells that one more plate is worth: of instruments side by side all, which take no longer together than one."""
    price = campaign.price
    if price is None or not price.plate or not price.request:
        return plate.capacity if plate.parallel else PLATE * plate.capacity
    return price.plate / price.request


def in_plots(space: Space, design: Settings, most: float, rng: np.random.Generator) -> Settings:
    """A design in which the knobs that are constant within a batch have a few values, one plate after the other.

    That is a split-plot design: what is dear to change is set for a whole plot, and the rest within it.

    Args:
        space: Of the instrument.
        design: Its settings ``(n, d)``, all over the box.
        most: Plates at most.
        rng: Which settings are of one plate, and which values of several knobs meet.
    """
    if not space.shared:
        return design
    n = int(max(min(max(PLOTS, len(space.shared) + MORE), most, len(design) // 2), 1))
    shares = (np.array([rng.permutation(n) for _ in range(space.d)]).T + 0.5) / n
    plots = np.array_split(rng.permutation(len(design)), n)
    whole = space.at_shares(shares)
    return space.reachable(np.vstack([space.beside(design[rows], at) for rows, at in zip(plots, whole, strict=True)]))


def at_one_value(turns: Sequence[RoundContext]) -> list[RoundContext]:
    """The turns of a plate with the knobs that are constant within it held where they serve all targets best.

    The values tried are those at which each target would be read by itself. Targets that are hardly met there wait for
    another plate.
    """
    insight = turns[0].insight
    if not insight.space.shared or not turns:
        return list(turns)
    readings = [reading for turn in turns if (reading := insight.reading(turn.target)) is not None]
    held = [insight.held(reading.settings, [turn.target for turn in turns]) for reading in readings]

    def worth(there: Assessment) -> tuple[float, float]:
        found = [reading for turn in turns if (reading := there.reading(turn.target)) is not None]
        return sum(reading.chance for reading in found), sum(reading.log_chance for reading in found)

    best = max(held, key=worth)
    return [replace(turn, insight=best) for turn in turns if best.reading(turn.target) is not None]


def served(turns: Sequence[RoundContext]) -> list[RoundContext]:
    """Those that have exams on their plate: all, or with a knob held those of a target that is likely to be met."""
    if not turns or not turns[0].insight.space.shared:
        return list(turns)
    chances = [reading.chance if (reading := turn.insight.reading(turn.target)) else 0.0 for turn in turns]
    return [turn for turn, chance in zip(turns, chances, strict=True) if chance >= min(HOPE, max(chances))]


def learned_from(turn: RoundContext, reading: NextReading) -> Settings:
    """What a plate has to learn from, ``(m, u)`` in the unit box, at what is constant within it."""
    batch = learning_batch(turn, reading)
    if not turn.insight.space.shared:
        return batch
    return np.unique(turn.insight.posterior.instrument.applied(np.clip(batch, 0.0, 1.0)), axis=0)


def candidates(turn: RoundContext, reading: NextReading, plate: float) -> list[list[PlannedExam]]:
    """The ways to examine the target of a turn on the next plate, the best exam of each first.

    Args:
        turn: Whose plate it is.
        reading: Where one exam alone would be.
        plate: Wells that one more plate is worth.
    """
    insight, rule = turn.insight, turn.campaign.verification
    best = insight.posterior.instrument.applied(insight.candidate(turn.target, reading))
    if insight.nearest(turn.target).out_of_reach:
        n = rule.most if rule.replicates == "planned" else rule.replicates
        return [[PlannedExam(best, min(n, WELLS[-1]), reading.chance)]]
    posterior, pursuit = insight.posterior, insight.pursuit(turn.target)
    pool = _about(best, posterior, turn.rng(3))
    drawn = _drawn(posterior, pursuit, pool, turn.rng(4))
    each = FRESH if rule.replicates == "planned" else rule.replicates
    numbers = [n for n in WELLS if n <= rule.most] if rule.replicates == "planned" else [each, 2 * each, 3 * each]
    ways = list[list[PlannedExam]]()
    for n in numbers:
        passes = chance_at_once(posterior, pursuit, pool, np.array([[n]]), drawn)
        places, chance = _covering(passes, max(n // each, 1), FRESH / max(plate, 1.0))
        q = len(places)
        ways.append([PlannedExam(pool[place], n // q + (rank < n % q), chance) for rank, place in enumerate(places)])
    return ways


def cheapest(ways: Sequence[Sequence[Sequence[PlannedExam]]], plate: float) -> list[list[PlannedExam]]:
    """Of the ways of each target the one by which all together cost least: wells, and one more plate if one fails.

    Where one target is likely to need that plate anyway, wells that make another one surer save little.
    """

    def cost(way: Sequence[PlannedExam], others: float = 1.0) -> float:
        chance, wells = way[0].chance, sum(exam.replicates for exam in way)
        return wells + (1 - chance) * AGAIN + (1 - others * chance) * plate

    chosen = [min(each, key=cost) for each in ways]
    for _ in range(SWEEPS):
        for place, each in enumerate(ways):
            others = prod(way[0].chance for other, way in enumerate(chosen) if other != place)
            chosen[place] = min(each, key=partial(cost, others=others))
    return [list(way) for way in chosen]


def _about(best: Settings, posterior: Posterior, rng: np.random.Generator) -> Settings:
    """The best settings and others that can be applied about them, ``(m, d)``, each once."""
    widths = np.repeat(WIDTHS, POOL // len(WIDTHS))[:, None]
    around = np.clip(best + widths * rng.standard_normal((len(widths), len(best))), 0, 1)
    applied = posterior.instrument.applied(np.vstack((best, around)))
    _, first = np.unique(applied.round(9), axis=0, return_index=True)
    return np.asarray(applied[np.sort(first)])


def _drawn(posterior: Posterior, pursuit: Pursuit, pool: Settings, rng: np.random.Generator) -> Readings:
    """Readings ``(DRAWS, m, fixed channels)`` at settings ``(m, d)``, by functions of the posterior."""
    channels = [posterior.channels[c] for c in pursuit.fixed]
    return np.stack([channel.drawn(pool, posterior.now, DRAWS, rng) for channel in channels], axis=-1)


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


def with_idle_used(found: Sequence[Sequence[PlannedExam]], wells: int) -> list[list[PlannedExam]]:
    """The exams of several targets with replicates in so many more wells, as ``WELLS`` allows a target.

    The exam with the fewest has the next one, and of equals the best of its target.
    """
    filled = [list(exams) for exams in found]
    for _ in range(wells):
        unfilled = [exams for exams in filled if sum(each.replicates for each in exams) < WELLS[-1]]
        places = [(each.replicates, rank, exams) for exams in unfilled for rank, each in enumerate(exams)]
        if not places:
            break
        fewest, rank, exams = min(places, key=lambda place: place[:2])
        exams[rank] = replace(exams[rank], replicates=fewest + 1)
    return filled
