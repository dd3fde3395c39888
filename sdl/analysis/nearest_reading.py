"""How near any reading came to a target that nobody got to examine a candidate for."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import Target
from sdl.campaign.validation import resolve_target
from sdl.history import Observation
from sdl.space import Readings, Space, Window


def nearest_reading(target: Target, observations: Sequence[Observation], space: Space) -> str:
    """Say how near the reading came whose worst channel is the fewest tolerances off; empty if nothing was read."""
    columns = space.columns(target.readings)
    window = resolve_target(space, target).window.at(columns)
    rows = [observation.readings[columns] for observation in observations if observation.purpose.teaches]
    whole = [row for row in rows if np.isfinite(row).all()]
    if not whole:
        return ""
    known = _as_read(window, np.array(whole))
    best = min(whole, key=lambda row: float(known.off(row, known.unit(np.ptp(whole, axis=0))).max()))
    return f"the nearest of {len(whole)} readings was " + ", ".join(
        window[c].compare(name, float(best[c])) for c, name in enumerate(target.readings)
    )


def _as_read(window: Window, readings: Readings) -> Window:
    """The window with the largest of some readings ``(n, p)`` in the place of a maximum, the smallest of a minimum."""
    most, least = (window.wanted == sign * np.inf for sign in (1, -1))
    wanted = np.where(most, readings.max(axis=0), np.where(least, readings.min(axis=0), window.wanted))
    return Window(wanted, np.where(most, 0.0, window.below), np.where(least, 0.0, window.above))
