"""From the worth of one reading to a batch without clumps: point after point, each as if those before were read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.acquisitions.candidate_pool import Places, Prospect, prospect
from strategies.acquisitions.ensemble_beliefs import Array
from strategies.acquisitions.greedy import greedy
from strategies.contract import InverseModel, Noise, Target

APART = 0.03
"""Distance in the unit box below which two points are one."""


@dataclass(frozen=True)
class Sequential(ABC):
    """An acquisition that says what one reading is worth, and leaves the batch to this class.

    The pool is what every member of the ensemble offers for the targets, and points all over the box. Each point is
    chosen as if those before it were read, which moves it away from them; none comes closer than ``APART`` to another
    one or to what was measured.

    Args:
        pool: Points all over the box.
        locality: Distance in the unit box over which a reading tells something of others.
        threshold: Disagreement, in standard deviations of a reading, below which there is nothing left to learn.
    """

    pool: int = 128
    locality: float = 0.3
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.pool < 1 or not self.locality > 0 or not self.threshold >= 0:
            raise InvalidInput(f"needs pool >= 1, locality > 0 and threshold >= 0, got {self}")

    @abstractmethod
    def worth(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """What a reading at each place of the pool is worth, ``(m,)``; nothing where it is not positive."""

    def matters(self, prospect: Prospect) -> Places:
        """Where the members have to agree until nothing is left to learn: at their offers, if there are any."""
        return prospect.offers if len(prospect.offers) else prospect.around

    def settled(self, prospect: Prospect) -> bool:
        """Whether nothing is left to learn: the members agree where it matters, within the noise."""
        places = self.matters(prospect)
        variance, noise = prospect.beliefs.variance[places], prospect.beliefs.noise[places]
        return bool((variance <= (self.threshold * noise) ** 2).all())

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
        """Up to ``n`` settings ``(m, d)``, each chosen as if those before it had been read; none if all is learned.

        Raises:
            InvalidInput: for fewer than two models, or no target.
        """
        if len(models) < 2 or not targets:
            raise InvalidInput(f"disagreement needs two models and a target, got {len(models)} and {len(targets)}")
        found = prospect(models, targets, noise, ceiling, measured, self.pool, self.locality, rng)
        settings = found.beliefs.settings
        if self.settled(found):
            return settings[:0]

        def worth(distance: Array, chosen: Sequence[int]) -> Array:
            nonlocal found
            if chosen:
                found = found.told(chosen[-1])
            return np.where(distance > APART, self.worth(found, rng), 0.0)

        return greedy(settings, measured, n, worth)
