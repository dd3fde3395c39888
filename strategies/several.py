"""A target of which several answers are wanted: which are verified, and what comes next."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign import Target
from sdl.history import Finding, History, Verdict
from sdl.several import counted, passed
from sdl.space import Space
from strategies.answers import Answer
from strategies.distinct import Known
from strategies.offers import Offer


def settled(target: Target, history: History) -> bool:
    """Whether nothing more is done about a target."""
    if any(each.target == target.name and each.settles and each.settings is None for each in history.findings):
        return True
    if any(each.target == target.name and each.verdict is Verdict.NOT_REACHABLE for each in history.findings):
        return True
    return target.answers != "all" and len(passed(target, history.findings)) >= target.answers


def known(target: Target, history: History, space: Space) -> Known:
    """The settings of a target that were verified, with the families that they were examined as."""
    families = {each.number: int(each.facts.get("family", 0)) for each in history.rounds}
    answers = passed(target, history.findings)
    settings = [each.settings for each in answers if each.settings is not None]
    unit = space.to_unit(np.array(settings).reshape(-1, space.d))
    return Known(unit, [families.get(each.round, 0) for each in answers])


def family(offer: Offer, known: Known) -> dict[str, int]:
    """The fact of which family an answer is: the next number for one of which no answer was verified."""
    if not isinstance(offer, Answer):
        return {}
    new = 1 + max(known.families, default=-1)
    return {"family": offer.family if offer.family in known.families else new}


def failed(target: str, findings: Sequence[Finding]) -> list[Finding]:
    """The exams of a target that failed since the last one that was passed, if one was."""
    mine = [each for each in findings if each.target == target and each.verdict is not Verdict.NOT_REACHABLE]
    last = max((place for place, each in enumerate(mine) if each.verdict is Verdict.VERIFIED), default=-1)
    return mine[last + 1 :]


def ended(target: Target, history: History, why: str) -> str:
    """Why a target is given up, in words, with what was found of it."""
    return f"given up: {why}" if target.answers == 1 else f"{counted(target, history.findings)}; no more, as {why}"
