"""A reading is worth how much the models part there, in units of its noise: it tells rivals from each other."""

from dataclasses import dataclass

import numpy as np

from strategies.acquisitions.candidate_pool import Places, Prospect
from strategies.acquisitions.ensemble_beliefs import Array
from strategies.acquisitions.sequential_batch import Sequential


@dataclass(frozen=True)
class Disagreement(Sequential):
    """The variance between the models where they part, over that of the noise.

    Give it rivals, fitted models of different kinds, to find out which of them is right; given an ensemble of one kind,
    it asks where its members know least.

    References:
        Atkinson, Fedorov (1975), doi:10.1093/biomet/62.1.57, for telling two models apart;
        Seung, Opper, Sompolinsky (1992), doi:10.1145/130385.130417, for a committee
    """

    def worth(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """By how much a reading at each place of the pool would settle the disagreement of the ensemble, ``(m,)``."""
        beliefs = prospect.beliefs
        return np.asarray((beliefs.telling * beliefs.variance / beliefs.noise**2).sum(axis=1))

    def matters(self, prospect: Prospect) -> Places:
        """Places at which the disagreement counts: all of the pool."""
        return prospect.pool
