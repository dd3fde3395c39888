"""What a round says of itself: the facts that report, watchers and later rounds read."""

import numpy as np

from sdl.campaign.validation import ResolvedTarget
from sdl.history import CandidateFacts, LessonFacts, RoundFacts
from sdl.space import Settings
from strategies.contract import facts_of_law
from strategies.fitting.fitting import Fitted
from strategies.plan import multiple_answers as several
from strategies.plan.knowledge.assessment import Assessment
from strategies.plan.round_context import RoundContext
from strategies.posterior import NextReading
from strategies.posterior.reach import noise_correlation
from strategies.posterior.rows import NEAR

ALIKE = 0.5
"""Correlation of the noise of successive readings from which on the sentence names it."""


def round_facts(turn: RoundContext, reading: NextReading) -> RoundFacts:
    """The facts of a round, and where an exam of its target would be.

    Args:
        turn: Whose round it is.
        reading: That candidate, and what is expected of it.
    """
    insight, fitted, names = turn.insight, turn.insight.fitted, turn.campaign.channels
    assert fitted is not None, "a round begins with a fit"
    uncertainty = insight.posterior.at(reading.settings[None])[1][0]
    return RoundFacts(
        model=fitted.name or None,
        rows=len(fitted.settings) - fitted.translated,
        chosen=fitted.choice.reason or None,
        scores=fitted.choice.scores,
        held_out=fitted.choice.held_out,
        asked=fitted.asked,
        missed=tuple(fitted.missed.tolist()),
        skipped=fitted.skipped,
        target=turn.target.name,
        chance=reading.chance,
        uncertainty=dict(zip(names, uncertainty.tolist(), strict=True)),
        candidates=(_candidate_facts(turn, reading.settings),),
        family=several.family_number(turn, reading.settings),
        history=lesson_facts(fitted),
        rivals={name: rival.facts for name, rival in fitted.rivals.items()} or None,
        law=None if fitted.model is None else facts_of_law(fitted.model),
        parity=fitted.parity(names),
    )


def _candidate_facts(turn: RoundContext, candidate: Settings) -> CandidateFacts:
    """A candidate, and the part of the model's draws that are near to it."""
    space, draws = turn.insight.space, turn.insight.offers(turn.target)
    near = 0.0 if draws is None else float((np.abs(draws - candidate).max(axis=1) <= NEAR).mean())
    return CandidateFacts(settings=space.named_settings(space.from_unit(candidate).round(5)), share=near)


def lesson_facts(fitted: Fitted) -> LessonFacts | None:
    """The facts about earlier campaigns; None where none is learned from."""
    return None if fitted.transfer is None else fitted.transfer.facts


def noise_limited_sentence(insight: Assessment, target: ResolvedTarget, n: int) -> str:
    """Why a target is given up that even ``n`` readings at perfect settings would not verify."""
    pursuit = insight.pursuit(target)
    noise, tolerance = insight.posterior.noise_at(pursuit), pursuit.window.half
    passed_on = float(noise_correlation(insight.posterior, pursuit).max())
    worst = int(np.argmax(noise / tolerance))
    alike = f" and passes {passed_on:.0%} of that on to the next one" if passed_on > ALIKE else ""
    return (
        f"even {n} readings at perfect settings could not verify it: one reading scatters by {noise[worst]:.3g}{alike},"
        f" and the tolerance is {tolerance[worst]:.3g}; allow more requests or a wider tolerance"
    )
