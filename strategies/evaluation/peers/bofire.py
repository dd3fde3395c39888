"""BoFire with an objective close to a target for each channel, added up."""

from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Settings
from strategies.evaluation.peers.library_guard import channels, contained, knobs, must_be_installed, spread
from strategies.evaluation.peers.protocol import Seen


@dataclass(frozen=True)
class BoFire:
    """Its strategy for several objectives in one, for the sum of the squared errors in tolerances.

    Args:
        n: Sobol points before the first fit.

    References:
        Duerholt et al. (2024), arXiv:2408.05040
    """

    n: int = 5

    def __post_init__(self) -> None:
        must_be_installed("bofire", "cvxpy")
        if self.n < 2:
            raise InvalidInput(f"needs n >= 2, got {self.n}")

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return spread(self.n, d, rng)

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        with contained(rng) as seed:
            from bofire.data_models.domain.api import Domain, Inputs, Outputs
            from bofire.data_models.features.api import ContinuousInput, ContinuousOutput
            from bofire.data_models.objectives.api import CloseToTargetObjective
            from bofire.data_models.strategies.api import AdditiveSoboStrategy, SoboStrategy
            from bofire.strategies.api import map as strategy
            from pandas import DataFrame

            inputs, outputs = knobs(seen.settings.shape[1]), channels(len(seen.target))
            objective = CloseToTargetObjective(w=1.0, target_value=0.0, exponent=2.0)
            domain = Domain(
                inputs=Inputs(features=[ContinuousInput(key=name, bounds=(0, 1)) for name in inputs]),
                outputs=Outputs(features=[ContinuousOutput(key=name, objective=objective) for name in outputs]),
            )
            kind = AdditiveSoboStrategy if len(outputs) > 1 else SoboStrategy
            optimiser = strategy(kind(domain=domain, seed=seed))
            valid = np.ones_like(seen.off)
            names = [*inputs, *outputs, *(f"valid_{name}" for name in outputs)]
            optimiser.tell(DataFrame(np.column_stack((seen.settings, seen.off, valid)), columns=names))
            return np.asarray(optimiser.ask(1)[inputs].to_numpy(float)[0])
