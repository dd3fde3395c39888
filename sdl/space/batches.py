"""Settings that are measured at once: which of them may be, where knobs are constant within a batch."""

import numpy as np

from sdl.errors import InvalidInput
from sdl.space.knob import SAME
from sdl.space.space import Settings, Space


def split_into_batches(space: Space, settings: Settings) -> list[list[int]]:
    """Return which of some settings ``(n, d)`` may be measured at once, plate by plate, each as full as can be.

    Args:
        space: That has a plate.
        settings: In the units of the knobs.
    """
    assert space.plate is not None, "what is measured one by one has no batches"
    groups = list[list[int]]()
    for place, row in enumerate(settings):
        group = next((group for group in groups if not are_apart(space, settings[group[0]], row)), None)
        if group is None:
            groups.append(group := [])
        group.append(place)
    most = space.plate.capacity
    return [group[first : first + most] for group in groups for first in range(0, len(group), most)]


def refuse_batch(space: Space, settings: Settings) -> None:
    """Refuse settings ``(n, d)`` that must not be measured at once.

    Raises:
        InvalidInput: for each knob that is to be constant within a batch and is not.
    """
    faults = list[str]()
    for k in sorted({k for row in settings for k in _apart(space, settings[0], row)}):
        values = ", ".join(str(space.knobs[k].shown(value)) for value in np.unique(settings[:, k]).tolist())
        faults.append(f"knob {space.knobs[k].name!r} is constant within a batch, and this one has {values}")
    if faults:
        raise InvalidInput(faults)


def are_apart(space: Space, one: Settings, other: Settings) -> bool:
    """Return whether two rows of settings ``(d,)`` cannot be of one batch."""
    return bool(_apart(space, one, other))


def _apart(space: Space, one: Settings, other: Settings) -> list[int]:
    """Columns in which two rows ``(d,)`` cannot be of one batch."""
    return [k for k in space.shared if abs(one[k] - other[k]) > SAME * (space.knobs[k].high - space.knobs[k].low)]
