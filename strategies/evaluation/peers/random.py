"""Settings at random: what any method has to beat."""

from dataclasses import dataclass

import numpy as np

from sdl.space import Settings, Space, Window
from strategies.evaluation.peers.protocol import Seen


@dataclass(frozen=True)
class AtRandom:
    """Uniform in the box."""

    def lacks(self, space: Space, window: Window) -> str:
        return ""

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return np.zeros((0, d))

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        return np.asarray(rng.random(seen.settings.shape[1]))
