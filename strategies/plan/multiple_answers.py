"""A target of which several answers are wanted: which are verified, and what comes next."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sdl.analysis.answer_count import count_answers, passed_findings
from sdl.campaign.definition import Target
from sdl.history import Finding, History, Round, Verdict
from sdl.space import Readings, Settings
from strategies.answers.families import families
from strategies.plan.round_context import RoundContext
from strategies.posterior.verdict import FEWEST

WAY = 1.0
"""Distance in the unit box up to which a way between two answers is looked for."""


def is_settled(target: Target, history: History) -> bool:
    """Whether nothing more is done about a target."""
    ended = [finding for finding in history.findings if finding.target == target.name and finding.settles]
    if any(finding.verdict is not Verdict.VERIFIED for finding in ended):
        return True
    return target.answers != "all" and len(ended) >= target.answers


def answers_passed(turn: RoundContext) -> int:
    """How many answers of the target of a turn are verified."""
    return len(passed_findings(turn.written, turn.history.findings))


def no_other_left(turn: RoundContext) -> bool:
    """Whether no settings apart from the answers are likely to be another one: nowhere is the target met, surely."""
    finding = next((each for each in reversed(turn.history.findings) if each.target == turn.target.name), None)
    refuted = finding is not None and finding.verdict is Verdict.REFUTED
    return refuted or turn.insight.nearest(turn.target).out_of_reach


def family_number(turn: RoundContext, settings: Settings) -> int | None:
    """Number of the family that settings ``(d,)`` are of, the next one if none of it was verified.

    Two answers are of one family if a way between them stays on the target. None where one answer is wanted.
    """
    if turn.written.answers == 1:
        return None
    known, pursuit = turn.insight.answers(turn.target), turn.insight.pursuit(turn.target)
    noise = turn.insight.posterior.noise_at(pursuit)

    def missed(places: Settings) -> Readings:
        return pursuit.window.missed(turn.insight.posterior.at(places, pursuit.fixed)[0]) / noise

    numbers = [finding.facts.family or 0 for finding in passed_findings(turn.written, turn.history.findings)]
    space = turn.insight.space
    named = [bool(knob.names) for knob in space.knobs]
    alike = (space.from_unit(known)[:, named] == space.from_unit(settings)[named]).all(axis=1)  # no way between names
    *labels, mine = families(np.vstack((known[alike], settings)), missed, WAY).tolist()
    own = [number for number, same in zip(numbers, alike, strict=True) if same]
    return int(dict(zip(labels, own, strict=True)).get(mine, 1 + max(numbers, default=-1)))


def with_family(round_: Round, finding: Finding) -> Finding:
    """A finding that says of which family its candidate is, where several answers are wanted."""
    if (number := round_.facts.family) is None:
        return finding
    sentence = f"{finding.sentence}; of family {number + 1}"
    return replace(finding, sentence=sentence, facts=replace(finding.facts, family=number))


def failed_exams(target: str, findings: Sequence[Finding]) -> int:
    """How many exams of a target failed since the last one that was passed; one that was left at once is none."""
    mine = [finding for finding in findings if finding.target == target]
    last = max((place for place, finding in enumerate(mine) if finding.verdict is Verdict.VERIFIED), default=-1)
    return sum(finding.facts.replicates is None or finding.facts.replicates >= FEWEST for finding in mine[last + 1 :])


def answers_have_ended(target: Target, history: History, why: str) -> str:
    """Why a target is given up, in words, with what was found of it."""
    return (
        f"given up: {why}" if target.answers == 1 else f"{count_answers(target, history.findings)}; no more, as {why}"
    )
