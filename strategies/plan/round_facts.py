"""What a round says of itself: the facts that report, watchers and later rounds read."""

from collections.abc import Sequence

import numpy as np

from sdl.history import CandidateFacts, LessonFacts, RoundFacts
from sdl.space import Space
from strategies.answers.candidates import Candidate
from strategies.fitting.fitting import Fitted
from strategies.plan import multiple_answers as several
from strategies.plan.exams import ExamForecast
from strategies.plan.round_context import RoundContext


def round_facts(turn: RoundContext, candidates: Sequence[Candidate], chance: float) -> RoundFacts:
    """The facts of a round that has a candidate.

    Args:
        turn: Whose round it is.
        candidates: What the model offers, at least one, the candidate of this round first.
        chance: That the first of them passes an exam.
    """
    fitted, names, first = turn.insight.fitted, turn.campaign.channels, candidates[0]
    return RoundFacts(
        model=fitted.name,
        rows=len(fitted.settings) - fitted.translated,
        chosen=fitted.choice.reason,
        scores=fitted.choice.scores,
        held_out=fitted.choice.held_out,
        asked=fitted.asked,
        missed=tuple(fitted.missed.tolist()),
        skipped=fitted.skipped,
        target=turn.target.name,
        chance=chance,
        uncertainty=dict(zip(names, first.uncertainty.tolist(), strict=True)),
        refused=first.refused,
        candidates=tuple(_candidate_facts(turn.insight.space, candidate) for candidate in candidates),
        family=several.family_number(turn, first),
        history=lesson_facts(fitted),
        parity=fitted.parity(names),
    )


def _candidate_facts(space: Space, candidate: Candidate) -> CandidateFacts:
    settings = space.from_unit(candidate.settings).round(5)
    return CandidateFacts(settings=space.named_settings(settings), share=candidate.share)


def lesson_facts(fitted: Fitted) -> LessonFacts | None:
    """The facts about earlier campaigns; None where none is learned from."""
    return None if fitted.transfer is None else fitted.transfer.facts


def noise_limited_sentence(ideal: ExamForecast, n: int) -> str:
    """Why a target is given up that perfect settings would hardly pass an exam of ``n`` replicates for."""
    worst = int(np.argmax(ideal.noise / ideal.tolerance))
    return (
        f"even perfect settings could not pass an exam of {n} replicates: one reading scatters by "
        f"{ideal.noise[worst]:.3g} and the tolerance is {ideal.tolerance[worst]:.3g}; allow more replicates or "
        "a wider tolerance"
    )
