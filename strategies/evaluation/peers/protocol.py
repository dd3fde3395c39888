"""What a peer promises: one setting at a time, from all rows so far."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings
from strategies.contract import Target


@dataclass(frozen=True, eq=False)
class Seen:
    """All rows so far, and what is wanted; settings in the unit box, readings less the background of their moment."""

    settings: Settings
    """In the order of asking, ``(n, d)``."""
    readings: Readings
    """Over the channels that the target fixes, ``(n, c)``; one at its ceiling stands there."""
    target: Target
    """Less the present background, ``(c,)``."""
    tolerance: Readings
    """Largest allowed error, ``(c,)``."""
    noise: Readings
    """Standard deviation of each reading, that of its background included, ``(n, c)``; NaN where the instrument states
    none."""

    @property
    def off(self) -> Readings:
        """Readings less the target in tolerances, ``(n, c)``."""
        return np.asarray((self.readings - self.target) / self.tolerance)

    @property
    def distance(self) -> NDArray[np.float64]:
        """Of each row from the target: the error of its worst channel in tolerances, ``(n,)``."""
        return np.asarray(np.abs(self.off).max(axis=1, initial=0.0))


@runtime_checkable
class Peer(Protocol):
    """Somebody else's way to a target.

    It keeps nothing between two questions: all that it knows is in the rows, all chance in the generator. When it is
    examined, and how, is decided by the back-test, for all peers alike.
    """

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        """Settings to begin with in the unit box, ``(m, d)``; none if it begins without."""

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        """What to measure next, in the unit box, ``(d,)``."""
