"""What an acquisition promises that asks the posterior of all readings, and no ensemble of inverse models."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from sdl.space import Settings
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import Pursuit


@runtime_checkable
class AsksPosterior(Protocol):
    """Which settings to read next, by the posterior that decides about exams and verdicts too."""

    def propose_by(
        self, posterior: Posterior, pursuits: Sequence[Pursuit], n: int, rng: np.random.Generator
    ) -> Settings:
        """Return up to ``n`` settings ``(m, d)`` in the unit box.

        Args:
            posterior: Of everything that was read.
            pursuits: Of the open targets, at least one, that whose turn it is first.
            n: Size of the batch.
            rng: The only source of randomness.
        """
