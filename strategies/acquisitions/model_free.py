"""Batches that ask nobody: neither the models nor the targets, only where was measured already."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from sdl.space import Readings, Settings
from strategies.contract import InverseModel, Noise, Target


class Blind(ABC):
    """An acquisition that fills the box, and for which there is always something left to learn."""

    @abstractmethod
    def fill(self, measured: Settings, n: int, rng: np.random.Generator) -> Settings:
        """``n`` further settings ``(n, d)`` in the unit box, given those that were measured, ``(k, d)``."""

    def propose(
        self,
        models: Sequence[InverseModel],
        targets: Sequence[Target],
        measured: Settings,
        noise: Noise,
        n: int,
        rng: np.random.Generator,
        ceiling: Readings | None = None,
    ) -> Settings:
        """Settings ``(n, d)`` that fill the box about those measured; neither models nor targets are looked at."""
        return self.fill(measured, n, rng)
