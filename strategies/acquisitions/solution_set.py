"""A reading is worth what it tells about the set of settings that answer the target."""

from dataclasses import dataclass

import numpy as np

from strategies.acquisitions.candidate_pool import Places, Prospect
from strategies.acquisitions.ensemble_beliefs import Array
from strategies.acquisitions.sequential_batch import Sequential

OF_EACH = 8
"""Settings that stand for the solution set of a member."""


@dataclass(frozen=True)
class SolutionSet(Sequential):
    """The information that a reading and the solution set of a target have in common (Bayesian algorithm execution).

    Each member of the ensemble is a sample of the truth, and what it offers for a target is what the algorithm of
    inversion would find were it true. A reading is worth by how much it would be surer, were the readings at that set
    known, in nats, averaged over members and targets.

    References:
        Neiswanger, Wang, Ermon (2021), arXiv:2104.09460, for information about the output of an algorithm;
        Chitturi et al. (2024), doi:10.1038/s41524-024-01326-2, for subsets of a design space as its output
    """

    def worth(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """How much a reading at each place of the pool would tell of the settings that may answer, ``(m,)``."""
        sets = [places[_evenly(len(places))] for members in prospect.offered for places in members if len(places)]
        information = [
            _information(prospect, places) for places in sets or [prospect.around[_evenly(len(prospect.around))]]
        ]
        return np.asarray(np.mean(information, axis=0))


def _evenly(n: int) -> Places:
    return np.linspace(0, n - 1, min(n, OF_EACH)).astype(np.intp)


def _information(prospect: Prospect, places: Places) -> Array:
    """What a reading at each place tells of the readings at some places, nats, ``(m,)``."""
    beliefs = prospect.beliefs
    variance, noise = beliefs.variance, beliefs.noise**2
    left = np.empty_like(variance)
    for channel, covariance in enumerate(beliefs.covariance):
        among, cross = covariance[np.ix_(places, places)], covariance[places]
        among = among + (_JITTER * np.trace(among) / len(places) + _TINY) * np.eye(len(places))
        left[:, channel] = variance[:, channel] - np.einsum("sm,sm->m", cross, np.linalg.solve(among, cross))
    nats = 0.5 * np.log((np.maximum(variance, 0.0) + noise) / (np.clip(left, 0.0, None) + noise))
    return np.asarray((beliefs.telling * np.maximum(nats, 0.0)).sum(axis=1))


_TINY = 1e-12
_JITTER = 1e-6
