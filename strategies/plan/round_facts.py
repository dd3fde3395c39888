"""What a round says of itself: the facts that report, watchers and later rounds read."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from strategies.answers.candidates import Candidate
from strategies.fitting.fitting import Fitted
from strategies.plan import multiple_answers as several
from strategies.plan.exams import ExamForecast
from strategies.plan.round_context import RoundContext


def round_facts(turn: RoundContext, found: Sequence[Candidate], chance: float) -> dict[str, Any]:
    """The facts of a round.

    Args:
        turn: Whose round it is.
        found: Its candidates, at least one.
        chance: That the first of them passes an exam.
    """
    fitted, names, space = turn.insight.fitted, turn.campaign.channels, turn.insight.space
    facts = {
        "model": fitted.name,
        "chosen": fitted.choice.reason,
        "scores": fitted.choice.scores,
        "held out": fitted.choice.held_out,
        "asked": fitted.asked,
        "missed": [each if np.isfinite(each) else None for each in fitted.missed.tolist()],
        "skipped": fitted.skipped,
        "rows": len(fitted.settings) - fitted.translated,
        "target": turn.target.name,
        "chance of passing": chance,
        "uncertainty": dict(zip(names, found[0].uncertainty.tolist(), strict=True)),
        "refused draws": found[0].refused,
        "candidates": [
            {"settings": space.named_settings(space.from_unit(each.settings).round(5)), "share": each.share}
            for each in found
        ],
        **history_facts(fitted),
        **several.family_facts(turn, found[0]),
    }
    return facts | ({"parity": {"channels": names, **parity}} if (parity := fitted.parity()) else {})


def history_facts(fitted: Fitted) -> dict[str, Any]:
    """The facts about earlier campaigns; none where none is learned from."""
    return {"history": fitted.kinship.facts} if fitted.kinship else {}


def noise_limited_sentence(ideal: ExamForecast, n: int) -> str:
    """Why a target is given up that perfect settings would hardly pass an exam of ``n`` replicates for."""
    worst = int(np.argmax(ideal.noise / ideal.tolerance))
    return (
        f"even perfect settings could not pass an exam of {n} replicates: one reading scatters by "
        f"{ideal.noise[worst]:.3g} and the tolerance is {ideal.tolerance[worst]:.3g}; allow more replicates or "
        "a wider tolerance"
    )
