"""A reading is worth how much nearer to a target it may come: expected improvement of the distance."""

from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from strategies.acquisitions.candidate_pool import Prospect
from strategies.acquisitions.ensemble_beliefs import Array
from strategies.acquisitions.sequential_batch import Sequential


@dataclass(frozen=True)
class ExpectedImprovement(Sequential):
    """The expected fall of the least distance to a target, made of the beliefs about each channel (composite).

    Distances are in units of the usual noise, over the channels that the target fixes. What they fall from is not the
    best reading but what is believed of the settings that were measured, or chosen before: noise does not pass for
    luck. It counts by the part of what is uncertain there that a reading settles.

    Args:
        draws: From the beliefs, for the expectation.

    References:
        Astudillo, Frazier (2019), arXiv:1906.01537; Letham et al. (2019), doi:10.1214/18-BA1110, for the noise
    """

    draws: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws < 1:
            raise InvalidInput(f"needs draws >= 1, got {self.draws}")

    def worth(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """How much nearer to the targets than any before a reading at each place of the pool should come, ``(m,)``."""
        if "distance" not in prospect.known:
            prospect.known["distance"] = self._distance(prospect, rng)
        distance: Array = prospect.known["distance"]
        read = [*prospect.measured, *prospect.chosen]
        best = distance[:, :, read].min(axis=2) if read else distance.max(axis=2)
        beliefs = prospect.beliefs
        settled = (beliefs.weight * beliefs.variance).mean(axis=1)
        return np.asarray(settled * np.maximum(best[:, :, None] - distance, 0.0).mean(axis=(0, 1)))

    def _distance(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """Of each place from each target, as it may be, ``(targets, draws, m)``."""
        noise = np.median(prospect.beliefs.noise, axis=0)
        readings = prospect.beliefs.draws(self.draws, rng)
        off = (((readings - target) / noise) ** 2 for target in prospect.targets)
        return np.array([np.sqrt(np.nanmean(misses, axis=2)) for misses in off])
