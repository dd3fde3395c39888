"""Every distinct answer of a fitted model to a target: draws, localised, reduced to families, each set right nearby."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdl.space import Readings, Settings
from strategies.answers.candidates import Candidate, corrected
from strategies.answers.clustering import refused
from strategies.answers.distinct import APART, DistinctAnswer, KnownAnswers, distinct_answers
from strategies.contract import Predicts, Target
from strategies.correction.corrected_model import CorrectedModel
from strategies.correction.rows import TrainingRows
from strategies.numerics.localisation import localise
from strategies.numerics.support import Region

MOST = 100
"""Answers that are told where all are wanted: a family may be a surface that no number of them fills."""


@dataclass(frozen=True, eq=False)
class FamilyCandidate(Candidate):
    """One of several answers; its share is the part of the starts that ended as answers and that it stands for."""

    family: int
    """Its number; answers of one family can be moved into each other without leaving the target."""
    fragility: float
    """What settings that are off by a hundredth of the box cost in readings, in standard deviations of one."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What became of the starts."""

    found: Sequence[FamilyCandidate]
    """The least fragile first."""
    arrived: float
    """Part of the starts that ended as answers, 0 to 1."""
    strayed: float
    """Part that ended where there are no rows, so that what a model says there is a guess; they are left out."""


def family_candidates(
    model: Predicts,
    target: Target,
    tolerance: Readings,
    background: Readings,
    rows: TrainingRows,
    starts: Settings,
    *,
    most: int = MOST,
    apart: float = APART,
    known: KnownAnswers | None = None,
) -> Answers:
    """The distinct answers that starts lead to.

    Every start is moved to where the model, with what it misses nearby, gives the target. Those that arrive among the
    rows are reduced to the distinct ones, and each of these is set right by the rows around it, as any offer is.

    Args:
        model: Fitted.
        target: Readings wanted, ``(p,)``, NaN where free.
        tolerance: Largest allowed error, ``(p,)``, positive where the target is fixed.
        background: By the last reference, ``(p,)``.
        rows: What was measured.
        starts: Draws of the model, or points of the box, ``(m, d)``; those outside the box begin at its wall.
        most: Answers at most.
        apart: Distance in the unit box within which one answer of a family speaks for the others.
        known: Settings that are answers already, and speak for others in the same way.
    """
    wanted, fixed = target - background, np.isfinite(target)
    forward = CorrectedModel.of(model, rows, wanted)
    unit = np.where(fixed, tolerance, 1.0)
    ends = localise(forward.tangent, starts, wanted, unit, Region.of(rows.settings), tolerance=1.0)
    noise = np.maximum(rows.noise, _TINY)
    found = distinct_answers(
        ends.settings[ends.arrived], forward.predict, wanted, noise, apart=apart, most=most, known=known
    )
    lost = refused(starts)
    told = [_answer(model, target, background, rows, each, lost) for each in found]
    return Answers(told, float(ends.arrived.mean()), float(ends.strayed.mean()))


def _answer(
    model: Predicts, target: Target, background: Readings, rows: TrainingRows, found: DistinctAnswer, lost: float
) -> FamilyCandidate:
    offer = corrected(model, target, background, rows, found, lost)
    return FamilyCandidate(**vars(offer), family=found.family, fragility=found.fragility)


_TINY = 1e-12
