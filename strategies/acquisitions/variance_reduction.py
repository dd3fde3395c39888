"""A reading is worth the uncertainty that it takes away: of the settings for the targets, of readings, or of both."""

from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from strategies.acquisitions.candidate_pool import Places, Prospect
from strategies.acquisitions.ensemble_beliefs import Array
from strategies.acquisitions.sequential_batch import Sequential


@dataclass(frozen=True)
class InverseUncertainty(Sequential):
    """The expected fall of the variance of the settings for the targets, as they differ from member to member.

    References:
        Kirsch, Gal (2022), arXiv:2208.00549, for what such measures have in common
    """

    def worth(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """By how much a reading at each place of the pool would narrow the settings offered, ``(m,)``."""
        return inverse(prospect) if prospect.spread.size else forward(prospect)


@dataclass(frozen=True)
class ForwardUncertainty(Sequential):
    """The expected fall of the variance of the readings all over the box, in units of noise.

    References:
        Cohn, Ghahramani, Jordan (1996), doi:10.1613/jair.295
    """

    def worth(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """By how much a reading at each place of the pool would narrow the readings expected, ``(m,)``."""
        return forward(prospect)

    def matters(self, prospect: Prospect) -> Places:
        """Places at which the uncertainty counts: all of the pool."""
        return prospect.pool


@dataclass(frozen=True)
class BothUncertainties(Sequential):
    """Both, each as a share of what is uncertain now.

    Args:
        weight: Of the settings against the readings, 0 to 1.

    References:
        Kirsch, Gal (2022), arXiv:2208.00549
    """

    weight: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.weight <= 1:
            raise InvalidInput(f"needs a weight from 0 to 1, got {self.weight}")

    def worth(self, prospect: Prospect, rng: np.random.Generator) -> Array:
        """A weighted mean of what a reading at each place of the pool would narrow, settings and readings, ``(m,)``."""
        if not prospect.spread.size:
            return forward(prospect)
        return self.weight * inverse(prospect) + (1 - self.weight) * forward(prospect)


def inverse(prospect: Prospect) -> Array:
    """Expected fall of the variance of the answers by a reading at each place, as a share of what it was, ``(m,)``."""
    total = float(prospect.share @ prospect.spread)
    fall = np.minimum(prospect.beliefs.fall(prospect.answers), prospect.spread)
    return np.asarray(fall @ prospect.share / max(total, _TINY))


def forward(prospect: Prospect) -> Array:
    """The same of the variance of the readings over the box, each in units of its noise, ``(m,)``."""
    beliefs, box = prospect.beliefs, prospect.around
    scale = beliefs.noise[box]
    cross = beliefs.covariance[:, :, box] / scale.T[:, None, :]
    before = prospect.known.setdefault("forward", float((beliefs.variance[box] / scale**2).sum()))
    return np.asarray(beliefs.fall(cross).sum(axis=1) / max(before, _TINY))


_TINY = 1e-12
