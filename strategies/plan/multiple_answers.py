"""A target of which several answers are wanted: which are verified, and what comes next."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sdl.analysis.answer_count import count_answers, passed_findings
from sdl.campaign.definition import Target
from sdl.history import Finding, History, Round, Verdict
from sdl.space import Space
from strategies.answers.answers import FamilyCandidate
from strategies.answers.candidates import Candidate
from strategies.answers.distinct import KnownAnswers
from strategies.plan.round_context import RoundContext


def is_settled(target: Target, history: History) -> bool:
    """Whether nothing more is done about a target."""
    ended = [each for each in history.findings if each.target == target.name and each.settles]
    if any(each.verdict is not Verdict.VERIFIED for each in ended):
        return True
    return target.answers != "all" and len(ended) >= target.answers


def known_answers(target: Target, history: History, space: Space) -> KnownAnswers:
    """The settings of a target that were verified, with the families that they were examined as."""
    families = {each.number: each.facts.family or 0 for each in history.rounds}
    answers = passed_findings(target, history.findings)
    settings = [each.settings for each in answers if each.settings is not None]
    unit = space.to_unit(np.array(settings).reshape(-1, space.d))
    return KnownAnswers(unit, [families.get(each.round, 0) for each in answers])


def answer_candidates(turn: RoundContext) -> Sequence[Candidate]:
    """Candidates, the next one to be examined first; of several answers none if no other one is left."""
    target, rng = turn.target, turn.rng(3)
    if turn.written.answers == 1:
        return turn.insight.offers(target, rng)
    verified = known_answers(turn.written, turn.history, turn.insight.space)
    others = turn.insight.others(target, verified, rng)
    return others or ([] if verified.families else turn.insight.offers(target, rng))


def meant_candidate(round_: Round, offers: Sequence[Candidate], space: Space) -> Candidate:
    """The candidate that the round of an exam was begun for, as a reference has moved it."""
    candidates = round_.facts.candidates
    if round_.facts.family is None or not candidates or candidates[0].settings is None:
        return offers[0]
    first = space.to_unit(space.settings(candidates[0].settings))
    return min(offers, key=lambda each: float(np.linalg.norm(each.settings - first)))


def family_number(turn: RoundContext, offer: Candidate) -> int | None:
    """Number of the family of an answer, the next one if none of it was verified; None where one answer is wanted."""
    if turn.written.answers == 1 or not isinstance(offer, FamilyCandidate):
        return None
    families = known_answers(turn.written, turn.history, turn.insight.space).families
    return offer.family if offer.family in families else 1 + max(families, default=-1)


def with_family(round_: Round, finding: Finding) -> Finding:
    """A finding that says of which family its candidate is, where several answers are wanted."""
    if (number := round_.facts.family) is None:
        return finding
    sentence = f"{finding.sentence}; of family {number + 1}"
    return replace(finding, sentence=sentence, facts=replace(finding.facts, family=number))


def failed_exams(target: str, findings: Sequence[Finding]) -> list[Finding]:
    """The exams of a target that failed since the last one that was passed, if one was."""
    mine = [each for each in findings if each.target == target and each.verdict is not Verdict.NOT_REACHABLE]
    last = max((place for place, each in enumerate(mine) if each.verdict is Verdict.VERIFIED), default=-1)
    return mine[last + 1 :]


def answers_have_ended(target: Target, history: History, why: str) -> str:
    """Why a target is given up, in words, with what was found of it."""
    return (
        f"given up: {why}" if target.answers == 1 else f"{count_answers(target, history.findings)}; no more, as {why}"
    )
