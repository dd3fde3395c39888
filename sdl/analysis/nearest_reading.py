"""How near any reading came to a target that nobody got to examine a candidate for."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import Target
from sdl.campaign.validation import resolve_target
from sdl.formatting import format_against_target
from sdl.history import Observation
from sdl.space import Space


def nearest_reading(target: Target, observations: Sequence[Observation], space: Space) -> str:
    """Say how near the reading came whose worst channel is the fewest tolerances off; empty if nothing was read."""
    columns, resolved = space.columns(target.readings), resolve_target(space, target)
    want, allowed = resolved.readings[columns], resolved.tolerance[columns]
    rows = [observation.readings[columns] for observation in observations if observation.purpose.teaches]
    whole = [row for row in rows if np.isfinite(row).all()]
    if not whole:
        return ""
    best = min(whole, key=lambda row: float((np.abs(row - want) / allowed).max()))
    return f"the nearest of {len(whole)} readings was " + ", ".join(
        map(format_against_target, target.readings, best, want, allowed)
    )
