"""Ax on the distance to the target as one number: its interface takes no objective made of several readings."""

from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Settings
from strategies.evaluation.peers.library_guard import contained, knobs, must_be_installed, spread
from strategies.evaluation.peers.protocol import Seen


@dataclass(frozen=True)
class Ax:
    """Ax's own strategy of Bayesian optimisation for the sum of the squared errors in tolerances.

    Its root, its logarithm, and the square with every channel as a constraint came no nearer to a target on the twin.

    Args:
        n: Sobol points before the first fit.

    References:
        Olson et al. (2025), Ax: a platform for adaptive experimentation, https://ax.dev
    """

    n: int = 5

    def __post_init__(self) -> None:
        must_be_installed("ax")
        if self.n < 2:
            raise InvalidInput(f"needs n >= 2, got {self.n}")

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return spread(self.n, d, rng)

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        with contained(rng) as seed:
            from ax.api.client import Client
            from ax.api.configs import RangeParameterConfig
            from ax.utils.common.logger import set_ax_logger_levels

            set_ax_logger_levels(40)  # errors only
            names = knobs(seen.settings.shape[1])
            client = Client(random_seed=seed)
            client.configure_experiment(
                [RangeParameterConfig(name=name, parameter_type="float", bounds=(0.0, 1.0)) for name in names]
            )
            client.configure_optimization("-distance")
            # It would count as its beginning only what it proposed itself.
            client.configure_generation_strategy(initialization_budget=0, initialize_with_center=False)
            for row, distance in zip(seen.settings.tolist(), (seen.off**2).sum(axis=1).tolist(), strict=True):
                index = client.attach_trial(dict(zip(names, row, strict=True)))
                client.complete_trial(index, {"distance": distance})
            (found,) = client.get_next_trials(1).values()
            return np.array([float(found[name]) for name in names])
