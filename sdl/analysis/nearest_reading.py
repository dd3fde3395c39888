"""How near any reading came to a target that nobody got to examine a candidate for."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import Target
from sdl.campaign.validation import resolve_target
from sdl.formatting import against
from sdl.history import Observation
from sdl.space import Space


def nearest_reading(target: Target, observations: Sequence[Observation], space: Space) -> str:
    """The one whose worst channel is the fewest tolerances off, as a sentence; empty if there is none."""
    columns, asked = space.columns(target.readings), resolve_target(space, target)
    want, allowed = asked.readings[columns], asked.tolerance[columns]
    read = [each.readings[columns] for each in observations if each.purpose.teaches]
    whole = [row for row in read if np.isfinite(row).all()]
    if not whole:
        return ""
    best = min(whole, key=lambda row: float((np.abs(row - want) / allowed).max()))
    return f"the nearest of {len(whole)} readings was " + ", ".join(map(against, target.readings, best, want, allowed))
