"""In which conditions a campaign's readings were taken, beside those in which its targets are wanted, in words."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import AS_MEASURED, Campaign
from sdl.formatting import format_number
from sdl.history import Observation
from sdl.space import SAME, Space

WIDE = 0.5
"""Part of the range of a condition: a longer stretch in which nothing was read is a gap ..."""
NEAR = 0.1
"""... unless what is wanted lies so near to one of its sides."""


def find_gap(known: np.ndarray, value: float) -> tuple[float, float] | None:
    """Return between which two of known values ``(n,)`` of a condition a value lies, if they are far apart.

    >>> find_gap(np.array([15.0, 16.0, 35.0]), 25.0), find_gap(np.array([15.0, 20.0, 25.0]), 22.0)
    ((16.0, 35.0), None)
    """
    below, above = known[known <= value], known[known >= value]
    if not (len(below) and len(above)):
        return None
    low, high, span = float(below.max()), float(above.min()), float(np.ptp(known))
    wide = high - low > WIDE * (1 + SAME) * span
    return (low, high) if wide and min(value - low, high - value) > NEAR * span else None


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
    guess = "" if low <= value <= high else ", so this lies beyond what was seen, and it is a guess there"
    if gap := find_gap(said, value):
        guess = f", never between {format_number(gap[0])} and {format_number(gap[1])}, so this is a guess"
    return f"for {name} = {format_number(value)} (it was {seen}{more}){guess}"
