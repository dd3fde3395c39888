"""The paper's way: a Latin hypercube, then partial least squares from readings to settings."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc
from sklearn.cross_decomposition import PLSRegression

from sdl.errors import InvalidInput
from sdl.space import Settings, Space, Window
from strategies.evaluation.peers.protocol import Aim, Seen, aims


@dataclass(frozen=True)
class HypercubePLS:
    """The regression's answer for the target, measured and learned from again and again.

    Args:
        n: Points of the hypercube. The paper takes 100; few are better here, because they are requests and because
            the light moves while they are taken.
        components: Latent directions.

    References:
        Kitchin (2025), doi:10.1039/d5dd00137d
    """

    n: int = 8
    components: int = 3

    def __post_init__(self) -> None:
        if self.components < 1 or self.n < self.components + 1:
            raise InvalidInput(f"needs components >= 1 and n > components, got {self.components} and {self.n}")

    def lacks(self, space: Space, window: Window) -> str:
        return "" if set(aims(window)) == {Aim.MATCH} else "readings that are given"

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return np.asarray(qmc.LatinHypercube(d, rng=rng).random(self.n))

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        fitted = PLSRegression(min(self.components, len(seen.window))).fit(seen.readings, seen.settings)
        return np.asarray(np.clip(fitted.predict(seen.window.wanted[None])[0], 0, 1))
