"""No reading for the sake of learning: an exam where the target is likeliest to be met teaches most where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdl.space import Settings
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import Pursuit


@dataclass(frozen=True)
class Likeliest:
    """Learning by exams alone, however unlikely they are to be passed: their readings count for the verdict as well."""

    def propose_by(
        self, posterior: Posterior, pursuits: Sequence[Pursuit], n: int, rng: np.random.Generator
    ) -> Settings:
        """No settings, ``(0, d)``, by which the turn is that of an exam at the likeliest ones."""
        return np.empty((0, posterior.rows.settings.shape[1]))
