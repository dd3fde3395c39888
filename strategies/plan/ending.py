"""When an exam is over before its last replicate: its verdict is certain, or the rest is worth less than a new one."""

from collections.abc import Sequence

import numpy as np

from sdl.analysis.background import Background
from sdl.analysis.verification import judge_exam, known_noise
from sdl.campaign.definition import VerificationPart
from sdl.campaign.validation import ResolvedTarget
from sdl.history import Exam, History, Purpose, Verdict
from sdl.space import Space
from strategies.fitting.fitting import undecided
from strategies.plan.exams import BEGUN, ExamForecast


def exam_batch_size(exam: Exam, rule: VerificationPart, k: int) -> int:
    """How many replicates to take until the next look, of which ``k`` are there."""
    if rule.replicates == "planned":
        return BEGUN - k if k < BEGUN else 1
    return exam.replicates - k


def exam_has_ended(
    exam: Exam, target: ResolvedTarget, history: History, rule: VerificationPart, space: Space, columns: Sequence[int]
) -> bool:
    """Whether a verdict is due.

    Args:
        exam: With its plan.
        target: Over all channels.
        history: With the replicates that are there.
        rule: Of the campaign.
        space: Of the instrument.
        columns: Channels that some target fixes.
    """
    replicates, fixed = history.taken(Purpose.VERIFICATION), [c for c in columns if np.isfinite(target.readings[c])]
    k = len(replicates)
    if rule.replicates != "planned" or k < BEGUN:
        return False
    if undecided(space, replicates, columns):
        return False  # a lamp for a moment: with another replicate it teaches nothing, but as it is it would
    if judge_exam(exam, target, replicates, rule, space).verdict is not Verdict.INCONCLUSIVE:
        return True
    readings = np.array([each.readings[fixed] for each in replicates])
    if not np.isfinite(readings).all():
        return True  # at the ceiling, which no target can be near
    known = known_noise(rule, space)[fixed]
    noise = np.where(np.isnan(known), readings.std(axis=0, ddof=1), known)
    drift = Background.of(history.observations, space.p).drift
    uncertainty, tolerance = exam.uncertainty[fixed], target.tolerance[fixed]
    outlook = ExamForecast(noise, tolerance, uncertainty, drift[fixed], rule.confidence, np.isnan(known))
    return outlook.hopeless(readings.mean(axis=0) - target.readings[fixed], k, exam.looks)
