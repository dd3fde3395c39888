"""BayBE with matched targets, one a channel, in one desirability."""

from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Settings
from strategies.evaluation.peers.library_guard import channels, contained, knobs, must_be_installed, spread
from strategies.evaluation.peers.protocol import Seen


@dataclass(frozen=True)
class BayBE:
    """Its recommender of Bayesian optimisation for the mean of quadratically matched targets, in tolerances.

    Of the ways to match that it offers, bells under a geometric mean and absolute errors did no better on the twin.

    Args:
        n: Sobol points before the first fit.

    References:
        Fitzner et al. (2025), doi:10.1039/D5DD00050E
    """

    n: int = 5

    def __post_init__(self) -> None:
        must_be_installed("baybe")
        if self.n < 2:
            raise InvalidInput(f"needs n >= 2, got {self.n}")

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return spread(self.n, d, rng)

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        with contained(rng):
            from baybe import Campaign
            from baybe.objectives import DesirabilityObjective, SingleTargetObjective
            from baybe.parameters import NumericalContinuousParameter
            from baybe.recommenders import BotorchRecommender
            from baybe.searchspace import SearchSpace
            from baybe.targets import NumericalTarget
            from pandas import DataFrame

            inputs, outputs = knobs(seen.settings.shape[1]), channels(len(seen.target))
            space = SearchSpace.from_product([NumericalContinuousParameter(name, (0, 1)) for name in inputs])
            targets = [NumericalTarget.match_quadratic(name, 0.0) for name in outputs]
            objective = (
                DesirabilityObjective(targets, scalarizer="MEAN", require_normalization=False)
                if len(targets) > 1
                else SingleTargetObjective(targets[0])
            )
            campaign = Campaign(space, objective, BotorchRecommender())
            rows = DataFrame(np.column_stack((seen.settings, seen.off)), columns=[*inputs, *outputs])
            campaign.add_measurements(rows)
            return np.asarray(campaign.recommend(1)[inputs].to_numpy(float)[0])
