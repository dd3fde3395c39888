"""One reading where the target is likeliest to be met: it teaches most where the answer lies, and may be one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdl.space import Settings
from strategies.posterior.choice import choose
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import Pursuit


@dataclass(frozen=True)
class Likeliest:
    """The settings where all channels of the target are likeliest to be inside their tolerances; one at a time."""

    def propose_by(
        self, posterior: Posterior, pursuits: Sequence[Pursuit], n: int, rng: np.random.Generator
    ) -> Settings:
        """These settings, ``(1, d)``; none if ``n`` is 0."""
        reading = choose(posterior, pursuits[0], rng)
        return np.empty((0, posterior.rows.settings.shape[1])) if reading is None or n < 1 else reading.settings[None]
