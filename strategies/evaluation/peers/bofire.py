"""BoFire with an objective for each channel."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Knob, Settings, Space, Window
from strategies.evaluation.peers import shares
from strategies.evaluation.peers.library_guard import channels, contained, must_be_installed, spread
from strategies.evaluation.peers.protocol import Aim, Seen

STEEP = 20.0
"""Of the sigmoid of a side, in units of what readings have varied: from 0.1 to 0.9 within a fifth of that."""


@dataclass(frozen=True)
class BoFire:
    """Its strategies for one objective, or several added up, with its own kinds of features and constraints.

    What is to be matched counts by the squared error in tolerances, a side by a sigmoid. It has no logarithmic scale:
    it is given logarithms.

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

    def lacks(self, space: Space, window: Window) -> str:
        return "constraints that are sums" if shares.bent(space) else ""

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return spread(self.n, d, rng)

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        with contained(rng) as seed:
            from bofire.data_models.constraints.api import LinearEqualityConstraint, LinearInequalityConstraint
            from bofire.data_models.domain.api import Constraints, Domain, Inputs, Outputs
            from bofire.strategies.api import map as strategy
            from pandas import DataFrame

            inputs = shares.columns(seen.space, seen.settings)
            outputs = dict(zip(channels(len(seen.window)), seen.scores.T.tolist(), strict=True))
            kinds = {True: LinearEqualityConstraint, False: LinearInequalityConstraint}
            constraints = [
                kinds[line.equal](features=list(line.slopes), coefficients=list(line.slopes.values()), rhs=line.bound)
                for line in shares.lines(seen.space)
            ]
            domain = Domain(
                inputs=Inputs(features=[_feature(knob) for knob in seen.space.knobs]),
                outputs=Outputs(features=_wanted(seen.aims, list(outputs))),
                constraints=Constraints(constraints=constraints),
            )
            optimiser = strategy(_kind(seen.aims)(domain=domain, seed=seed))
            valid = {f"valid_{name}": np.ones(len(seen.settings)) for name in outputs}
            optimiser.tell(DataFrame(inputs | outputs | valid))
            return shares.point(seen.space, optimiser.ask(1).iloc[0].to_dict())


def _feature(knob: Knob) -> Any:
    from bofire.data_models.features.api import (
        CategoricalDescriptorInput,
        CategoricalInput,
        ContinuousInput,
        DiscreteInput,
    )

    if knob.descriptors:
        values = np.array(list(knob.descriptors.values())).T.tolist()
        return CategoricalDescriptorInput(
            key=knob.name, categories=list(knob.names), descriptors=list(knob.descriptors), values=values
        )
    if knob.names:
        return CategoricalInput(key=knob.name, categories=list(knob.names))
    values = shares.levels(knob)
    return DiscreteInput(key=knob.name, values=values) if values else ContinuousInput(key=knob.name, bounds=(0, 1))


def _wanted(aims: list[Aim], names: list[str]) -> list[Any]:
    from bofire.data_models.features.api import ContinuousOutput
    from bofire.data_models.objectives.api import CloseToTargetObjective, MaximizeObjective, MaximizeSigmoidObjective

    def objective(aim: Aim) -> Any:
        if aim is Aim.MATCH:
            return CloseToTargetObjective(w=1.0, target_value=0.0, exponent=2.0)
        if aim is Aim.MOST or len(aims) == 1:
            return MaximizeObjective(w=1.0)
        return MaximizeSigmoidObjective(w=1.0, steepness=STEEP, tp=0.0)

    return [ContinuousOutput(key=name, objective=objective(aim)) for aim, name in zip(aims, names, strict=True)]


def _kind(aims: list[Aim]) -> Any:
    from bofire.data_models.strategies.api import AdditiveSoboStrategy, MultiplicativeSoboStrategy, SoboStrategy

    if len(aims) == 1 or (Aim.MOST in aims and Aim.MATCH not in aims):
        return SoboStrategy  # whose sides are constraints
    return AdditiveSoboStrategy if Aim.MATCH in aims else MultiplicativeSoboStrategy
