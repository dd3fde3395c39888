"""The forward half of a fitted model with what it misses by the rows: for many settings at once, and with slopes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings
from strategies.contract import Predicts, Target
from strategies.correction.kriging import Kriging
from strategies.correction.rows import TrainingRows
from strategies.numerics.localisation import slopes_of


@dataclass(frozen=True, eq=False)
class CorrectedModel:
    """Readings less their background, as far as a model and the rows that read most like a target can tell."""

    model: Predicts
    missed: Kriging

    @classmethod
    def of(cls, model: Predicts, rows: TrainingRows, target: Target) -> Self:
        """Learn what a fitted model misses near the answers to a target ``(p,)``, which is less its background."""
        near = rows.like(target)
        return cls(model, Kriging.of(near, near.missing(model.predict)))

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(m, p)`` at settings in the unit box ``(m, d)``."""
        return np.asarray(self.model.predict(settings) + self.missed.tangent(settings)[0])

    def tangent(self, settings: Settings) -> tuple[Readings, NDArray[np.float64]]:
        """The same with their slopes ``(m, p, d)``."""
        (readings, slopes), (missed, bends) = slopes_of(self.model)(settings), self.missed.tangent(settings)
        return readings + missed, slopes + bends
