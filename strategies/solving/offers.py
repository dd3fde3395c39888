"""What is offered of a model's draws: of each answer the draw that the rows hold likeliest to work.

The most central draw of an answer was made for a reading with its noise, and often lies where the model itself expects
another reading. So of the draws at which the model's own prediction is within the tolerance, the central one is offered
where the rows have nothing against it, else the one that they hold likeliest to be within.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings
from strategies.answers.clustering import DrawCluster, cluster_draws
from strategies.contract import Predicts
from strategies.solving.problem import InverseProblem

AS_GOOD = 0.02
"""Part by which the chance of the central draw may be less than the best, for it to be offered all the same."""
FAIR = 0.5
"""Part of the best chance that a draw needs, for the model's own prediction to decide."""
ALIKE = 0.05
"""Chances that differ by less are alike: of such answers the one with more draws is first."""


@dataclass(frozen=True, eq=False)
class Offer:
    """Settings that are offered, and what is expected of them."""

    answer: DrawCluster
    """With these settings in place of the central ones."""
    readings: Readings
    """That the model expects there, background included, ``(c,)``."""
    chance: float
    """That they are within the tolerance, as the rows have it."""
    mean: Settings
    """Of the draws of this answer, ``(d,)``: no answer itself where these lie on a curve."""


def choose_offers(model: Predicts, problem: InverseProblem, draws: Settings) -> list[Offer]:
    """Offers among draws ``(n, d)``, the likeliest to work first; none where every draw is outside the bounds."""
    inside = draws[problem.allowed(draws)]
    if not len(inside):
        return []
    chances, readings = problem.chance(inside), model.predict(inside) + problem.background
    within = problem.window.holds(readings)
    offers = list[Offer]()
    for answer in cluster_draws(inside):
        some = answer.members
        at = some[_choose(chances[some], within[some], answer.settings, inside[some])]
        offers.append(
            Offer(replace(answer, settings=inside[at]), readings[at], float(chances[at]), inside[some].mean(axis=0))
        )
    best = max(offer.chance for offer in offers)
    return sorted(offers, key=lambda offer: (round((best - offer.chance) / ALIKE), -offer.answer.share))


def _choose(chances: NDArray[np.float64], within: NDArray[np.bool_], central: Settings, draws: Settings) -> int:
    """Place of the draw that is offered for an answer."""
    own = within if within.any() and chances[within].max() >= FAIR * chances.max() else np.ones(len(draws), bool)
    good = own & (chances >= chances[own].max() - AS_GOOD)
    apart = ((draws - central) ** 2).sum(axis=1)
    return int(np.where(good, apart, np.inf).argmin())
