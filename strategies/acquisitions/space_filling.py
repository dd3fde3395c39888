"""Points far from all others."""

from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Settings
from strategies.acquisitions.greedy import greedy
from strategies.acquisitions.model_free import Blind
from strategies.numerics.unit_box import spread_points


@dataclass(frozen=True)
class SpaceFilling(Blind):
    """The points of a pool that are farthest from all that were measured and from each other.

    Args:
        pool: How many settings to choose from.

    References:
        Johnson, Moore, Ylvisaker (1990), doi:10.1016/0378-3758(90)90122-B
    """

    pool: int = 1024

    def __post_init__(self) -> None:
        if self.pool < 1:
            raise InvalidInput(f"needs pool >= 1, got {self}")

    def fill(self, measured: Settings, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)``, each as far as can be from those measured ``(k, d)`` and those chosen before it."""
        return greedy(spread_points(self.pool, measured.shape[1], rng), measured, n, lambda distance, _: distance)
