"""How near any reading came to a target that nobody got to examine a candidate for."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import Target
from sdl.campaign.validation import resolve_target
from sdl.history import Observation
from sdl.space import Space


def nearest_reading(target: Target, observations: Sequence[Observation], space: Space) -> str:
    """Say how near the reading came whose worst channel is the fewest tolerances off; empty if nothing was read."""
    columns = space.columns(target.readings)
    window = resolve_target(space, target).window.at(columns)
    rows = [observation.readings[columns] for observation in observations if observation.purpose.teaches]
    whole = [row for row in rows if np.isfinite(row).all()]
    if not whole:
        return ""
    best = min(whole, key=lambda row: float(window.off(row, window.unit(np.ptp(whole, axis=0))).max()))
    return f"the nearest of {len(whole)} readings was " + ", ".join(
        window[c].compare(name, float(best[c])) for c, name in enumerate(target.readings)
    )
