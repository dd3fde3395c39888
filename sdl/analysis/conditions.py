"""In which conditions a campaign's readings were taken, beside those in which its targets are wanted, in words."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import AS_MEASURED, Campaign
from sdl.formatting import format_number
from sdl.history import Observation
from sdl.space import Space


def describe_conditions(campaign: Campaign, space: Space, observations: Sequence[Observation]) -> list[str]:
    """One sentence a condition of the space: for what an answer is, what the readings had, and whether it was seen."""
    if not observations:
        return []
    known = np.array([space.known_conditions(observation.conditions) for observation in observations])
    return [
        _sentence(name, campaign.conditions.get(name, AS_MEASURED), column)
        for name, column in zip(space.condition_names, known.T, strict=True)
    ]


def _sentence(name: str, wanted: float | str, known: np.ndarray) -> str:
    """What is to be said of one condition of readings ``(n,)``, NaN where one does not say it."""
    said = known[np.isfinite(known)]
    if not len(said):
        return f"no reading says its {name}, so nothing is known of what that does"
    value, low, high = (wanted if isinstance(wanted, float) else float(said[-1])), float(said.min()), float(said.max())
    seen = f"{format_number(low)} to {format_number(high)}" if high > low else f"always {format_number(low)}"
    lacking = len(known) - len(said)
    more = f"; {lacking} of {len(known)} readings do not say it" if lacking else ""
    beyond = "" if low <= value <= high else ", so this lies beyond what was seen, and it is a guess there"
    return f"for {name} = {format_number(value)} (it was {seen}{more}){beyond}"
