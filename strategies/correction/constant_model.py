"""The simplest of forward models: the mean of all readings wherever it is asked. What it leaves the rows tell."""

from dataclasses import dataclass

import numpy as np

from sdl.space import Readings, Settings


@dataclass(frozen=True, eq=False)
class ConstantModel:
    """Readings that no setting changes.

    >>> ConstantModel(np.array([2.0])).predict(np.zeros((3, 1))).tolist()
    [[2.0], [2.0], [2.0]]
    """

    readings: Readings
    """Shape ``(p,)``."""

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` at settings ``(n, d)``."""
        return np.tile(self.readings, (len(settings), 1))
