"""What earlier campaigns taught: their readings without the background, as a later campaign starts from them.

A lesson is frozen into the campaign that starts from it, so that nothing that happens to the earlier one afterwards
changes what this one does, and whoever recomputes it needs no other ledger.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from pydantic import Field

from sdl.campaign.section import Section
from sdl.space import Readings, Settings, Space

Row: TypeAlias = tuple[float | None, ...]


class Lesson(Section):
    """What one earlier campaign taught: the mean reading at each of its settings, and how sure that is."""

    campaign: str = Field(min_length=1)
    """Its name."""
    instrument: str
    """What it was measured with."""
    same: bool
    """Whether that is the instrument of the campaign that starts from it."""
    lit: bool = False
    """Whether the background is still part of the readings, because none was read."""
    knobs: tuple[str, ...]
    channels: tuple[str, ...]
    settings: tuple[tuple[float, ...], ...]
    """In the units of the knobs, ``(m, d)``."""
    readings: tuple[Row, ...]
    """Background subtracted, ``(m, p)``; None where a channel was not read."""
    errors: tuple[Row, ...]
    """Standard errors of these, ``(m, p)``."""

    def arrays(self, space: Space, channels: Sequence[str]) -> tuple[Settings, Readings, Readings]:
        """Return settings ``(m, d)`` in a space's unit box, readings and their errors ``(m, p)``; NaN if not read."""
        order = [self.knobs.index(name) for name in space.knob_names]
        settings = space.to_unit(np.array(self.settings, float)[:, order])
        at = [self.channels.index(name) if name in self.channels else -1 for name in channels]
        blank = np.full((len(settings), 1), np.nan)
        readings, errors = (np.hstack((np.array(rows, float), blank))[:, at] for rows in (self.readings, self.errors))
        return settings, readings, errors
