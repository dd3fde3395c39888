"""Which settings to measure next, by default; ``strategies/acquisitions`` has others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.acquisitions.ensemble_beliefs import telling
from strategies.acquisitions.greedy import greedy
from strategies.contract import InverseModel, Noise, Target, noise_at
from strategies.numerics.unit_box import in_unit_box, spread_points

REFERENCES = 64  # offers that stand for all of them
CROWDED = 0.25  # of the repulsion: no two points come as close


@dataclass(frozen=True)
class Uncertainty:
    """Where a reading would settle most of what the ensemble disagrees about at the settings it offers.

    The pool is what every member offers for the targets, and points all over the box. A point is worth the expected
    fall, by one reading there, of the variance between the members' predictions at the offers, in units of the
    noise; less so with its distance from the offers, because what a model misses far away says little of what it
    misses here. An offer counts by the inverse uncertainty of its target, which is how far the offers for it scatter,
    within members and between them, and only in the channels that the target fixes.

    Args:
        pool: About how many settings to choose from.
        repulsion: Distance in the unit box within which points lose worth to those measured or chosen; none is
            proposed within a quarter of it.
        locality: Distance in the unit box over which a reading tells something of the offers.
        threshold: Disagreement, in standard deviations of a reading, below which there is nothing left to learn.

    References:
        Cohn, Ghahramani, Jordan (1996), doi:10.1613/jair.295, for the fall of the variance;
        Seung, Opper, Sompolinsky (1992), doi:10.1145/130385.130417, for disagreement;
        Kirsch, Gal (2022), arXiv:2208.00549, for what such measures have in common
    """

    pool: int = 512
    repulsion: float = 0.1
    locality: float = 0.1
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.pool < 1 or not self.repulsion > 0 or not self.threshold >= 0:
            raise InvalidInput(f"needs pool >= 1, repulsion > 0 and threshold >= 0, got {self}")

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
        """Up to ``n`` settings ``(m, d)`` at which the ensemble disagrees most; none if nothing is left to learn.

        Raises:
            InvalidInput: for fewer than two models, or no target.
        """
        if len(models) < 2 or not targets:
            raise InvalidInput(f"disagreement needs two models and a target, got {len(models)} and {len(targets)}")
        offers, weights = self._offers(models, targets, rng)
        around = spread_points(self.pool // 4, measured.shape[1], rng)
        if not len(offers):  # nothing in the box answers any target: then all of it may
            offers, weights = around, np.ones((len(around), len(targets[0])))
        pool = np.concatenate((offers, around))
        predictions = np.array([model.predict(pool) for model in models])
        scatter = np.maximum(noise_at(noise, pool), _TINY)
        deviation = _deviation(predictions, scatter)
        if ((deviation[:, : len(offers)] ** 2).sum(axis=0)[weights > 0] < self.threshold**2).all():
            return measured[:0]
        chosen = rng.permutation(len(offers))[:REFERENCES]
        near = np.exp(-0.5 * (cdist(pool, offers[chosen]).min(axis=1) / self.locality) ** 2)
        spread = scatter * np.sqrt(1 + (deviation**2).sum(axis=0))
        below = telling(predictions.mean(axis=0), spread, ceiling)
        gain = near * _gain(deviation, deviation[:, chosen], weights[chosen], below)
        return greedy(pool, measured, n, lambda distance, _: gain * self._room(distance))

    def _offers(
        self, models: Sequence[InverseModel], targets: Sequence[Target], rng: np.random.Generator
    ) -> tuple[Settings, Readings]:
        """Settings in the box that members offer, ``(m, d)``, and how much each counts in each channel, ``(m, p)``."""
        number = max(self.pool // (len(models) * len(targets)), 1)
        offers, weights = [], []
        for target in targets:
            draws = np.concatenate([model.sample(target, number, rng) for model in models])
            inside = draws[in_unit_box(draws)]
            offers.append(inside)
            weights.append(np.outer(np.full(len(inside), _scatter(inside)), ~np.isnan(target)))
        return np.concatenate(offers), np.concatenate(weights)

    def _room(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        relative = distance / self.repulsion
        return np.where(relative < CROWDED, 0.0, 1 - np.exp(-0.5 * relative**2))


def _scatter(offers: Settings) -> float:
    """Root mean square distance of offers ``(m, d)`` from their mean, never 0: offers that agree still count."""
    return max(float(np.sqrt(offers.var(axis=0).sum())), 1e-6) if len(offers) else 0.0


def _deviation(said: NDArray[np.float64], noise: Readings) -> NDArray[np.float64]:
    """What members say beside their mean, ``(members, m, p)``, in units of noise; its squares sum to the variance."""
    readings = said / noise
    return np.asarray((readings - readings.mean(axis=0)) / np.sqrt(len(said) - 1))


def _gain(
    pool: NDArray[np.float64], offers: NDArray[np.float64], weights: Readings, below: Readings
) -> NDArray[np.float64]:
    """Expected fall of the variance at the offers by a reading at each point of the pool, ``(m,)``.

    A reading of noise 1 at x takes cov(x, o)^2 / (var(x) + 1) from the variance at o, if it is below its ceiling, for
    which the chance is ``below``.
    """
    covariance = np.einsum("kmp,kop->mop", pool, offers, optimize=True)
    fall = covariance**2 * (below / (1 + (pool**2).sum(axis=0)))[:, None]
    return np.asarray(np.einsum("mop,op->m", fall, weights, optimize=True))


_TINY = 1e-12
"""Of a reading without noise, so that it may be divided by."""
