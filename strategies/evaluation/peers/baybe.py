"""BayBE with a target a channel, in one desirability."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Knob, Settings, Space, Window
from strategies.evaluation.peers import shares
from strategies.evaluation.peers.library_guard import channels, contained, must_be_installed, spread
from strategies.evaluation.peers.protocol import Aim, Seen

LEVELS = 21
"""Of each number where a constraint is no sum, which BayBE keeps in a list of settings, or where there are ..."""
FEW = 12
"""... more combinations of names and steps: it would search through all other numbers for each of them."""
BEYOND = 10.0
"""Weight of a bound that is passed, beside a maximum, for want of constraints on what is measured."""


@dataclass(frozen=True)
class BayBE:
    """Its recommender of Bayesian optimisation, with its own kinds of parameters and constraints.

    Targets to be matched are matched quadratically, in tolerances: of the ways to match that it offers, bells under a
    geometric mean and absolute errors did no better on the twin. It has no logarithmic scale: it is given logarithms.

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

    def lacks(self, space: Space, window: Window) -> str:
        return "sums of continuous knobs alone" if shares.sums_steps(space) else ""

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return spread(self.n, d, rng)

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        with contained(rng):
            from baybe import Campaign
            from baybe.recommenders import BotorchRecommender
            from pandas import DataFrame

            inputs = shares.columns(seen.space, seen.settings)
            outputs = dict(zip(channels(len(seen.window)), seen.scores.T.tolist(), strict=True))
            campaign = Campaign(
                _search_space(seen.space),
                _objective(seen.aims, list(outputs)),
                BotorchRecommender(),
                allow_recommending_already_measured=True,
                allow_recommending_already_recommended=True,
            )
            rows = DataFrame(inputs | outputs)  # few of which are in a list of settings
            campaign.add_measurements(rows, numerical_measurements_must_be_within_tolerance=False)
            return shares.point(seen.space, campaign.recommend(1).iloc[0].to_dict())


def _search_space(space: Space) -> Any:
    from baybe.constraints import ContinuousLinearConstraint
    from baybe.searchspace import SearchSpace
    from pandas import DataFrame

    listed = [knob.names or shares.levels(knob) or [] for knob in space.knobs]
    parameters = [_parameter(knob, listed=shares.bent(space) or _many(listed)) for knob in space.knobs]
    if shares.bent(space):
        rows = [dict(zip(space.knob_names, row, strict=True)) for row in product(*(each.values for each in parameters))]
        points = np.array([shares.point(space, row) for row in rows])
        allowed = space.contains(space.settings_at(points))
        kept = DataFrame(rows)[allowed.tolist()]
        return SearchSpace.from_dataframe(kept, parameters)
    constraints = [
        ContinuousLinearConstraint(
            list(line.slopes),
            "=" if line.equal else "<=",
            list(line.slopes.values()),
            line.bound,
        )
        for line in shares.lines(space)
    ]
    return SearchSpace.from_product(parameters, constraints)


def _many(listed: list[Any]) -> bool:
    return math.prod(len(each) or 1 for each in listed) > FEW


def _parameter(knob: Knob, *, listed: bool) -> Any:
    from baybe.parameters import (
        CategoricalParameter,
        CustomDiscreteParameter,
        NumericalContinuousParameter,
        NumericalDiscreteParameter,
    )
    from pandas import DataFrame

    if knob.descriptors:
        return CustomDiscreteParameter(knob.name, DataFrame(dict(knob.descriptors), index=list(knob.names)))
    if knob.names:
        return CategoricalParameter(knob.name, knob.names)
    values = shares.levels(knob) or (np.linspace(0, 1, LEVELS).tolist() if listed else None)
    return NumericalDiscreteParameter(knob.name, values) if values else NumericalContinuousParameter(knob.name, (0, 1))


def _objective(aims: list[Aim], names: list[str]) -> Any:
    from baybe.objectives import DesirabilityObjective, SingleTargetObjective
    from baybe.targets import NumericalTarget

    wanted = {Aim.MATCH: lambda name: NumericalTarget.match_quadratic(name, 0.0), Aim.MOST: NumericalTarget}
    if Aim.MOST in aims or Aim.MATCH in aims:
        wanted[Aim.SIDE] = lambda name: NumericalTarget(name).clamp(max=0.0)
    else:
        wanted[Aim.SIDE] = lambda name: NumericalTarget(name).clamp(max=0.25)  # as deep as a quarter of what varied
    targets = [wanted[aim](name) for aim, name in zip(aims, names, strict=True)]
    if len(targets) == 1:
        return SingleTargetObjective(targets[0])
    weights = [BEYOND if aim is Aim.SIDE and Aim.MOST in aims else 1.0 for aim in aims]
    return DesirabilityObjective(targets, weights, scalarizer="MEAN", require_normalization=False)
