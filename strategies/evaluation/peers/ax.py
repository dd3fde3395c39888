"""Ax on one number, its maximum or the distance to the target: its interface takes no objective made of readings."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Knob, Settings, Space, Window
from strategies.evaluation.peers import shares
from strategies.evaluation.peers.library_guard import channels, contained, must_be_installed, spread
from strategies.evaluation.peers.protocol import Aim, Seen


@dataclass(frozen=True)
class Ax:
    """Ax's own strategy of Bayesian optimisation, with its own kinds of parameters and constraints.

    It takes no equality: of amounts that add up it is given all but the last one.
    A maximum is its objective, with sides beside it as constraints. For a target it is given the sum of the squared
    errors in tolerances: its root, its logarithm, and the square with every channel as a constraint came no nearer to
    a target on the twin. For sides alone it is given by how much the worst of them is inside.

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

    def lacks(self, space: Space, window: Window) -> str:
        whole = any(line.equal for line in shares.lines(space)) and len(shares.lines(space)) > 1
        beyond = shares.sums_steps(space) or whole or shares.bent(space)
        return "one sum, or bounds of several, of continuous knobs" if beyond else ""

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return spread(self.n, d, rng)

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        with contained(rng) as seed:
            from ax.api.client import Client
            from ax.utils.common.logger import set_ax_logger_levels

            set_ax_logger_levels(40)  # errors only
            objective, constraints, values = _wanted(seen)
            client = Client(random_seed=seed)
            sums = shares.lines(seen.space)
            whole = next((line for line in sums if line.equal), None)
            left_over = list(whole.slopes)[-1] if whole else ""
            parameters = [_parameter(knob) for knob in seen.space.knobs if knob.name != left_over]
            client.configure_experiment(parameters, _sums(sums, whole, left_over))
            client.configure_optimization(objective, constraints)
            # It would count as its beginning only what it proposed itself.
            client.configure_generation_strategy(initialization_budget=0, initialize_with_center=False)
            inputs = shares.columns(seen.space, seen.settings)
            for place in range(len(seen.settings)):
                trial = {name: column[place] for name, column in inputs.items() if name != left_over}
                index = client.attach_trial(trial)
                client.complete_trial(index, {name: column[place] for name, column in values.items()})
            (found,) = client.get_next_trials(1).values()
            if whole:
                others = sum(slope * found[name] for name, slope in whole.slopes.items() if name != left_over)
                found = found | {left_over: (whole.bound - others) / whole.slopes[left_over]}
            return shares.point(seen.space, found)


def _parameter(knob: Knob) -> Any:
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    if knob.names:
        return ChoiceParameterConfig(knob.name, list(knob.names), "str", is_ordered=False)
    if values := shares.levels(knob):
        return ChoiceParameterConfig(knob.name, values, "float", is_ordered=True)
    return RangeParameterConfig(knob.name, (0.0, 1.0), "float")


def _sums(lines: list[shares.Line], whole: shares.Line | None, left_over: str) -> list[str]:
    """Bounds of sums as Ax reads them; what is left over of a whole by all others is from 0 to 1 as well."""
    found = [line for line in lines if line is not whole]
    if whole is not None:
        size = whole.slopes[left_over]
        others = {name: slope / size for name, slope in whole.slopes.items() if name != left_over}
        found.append(shares.Line(others, whole.bound / size, equal=False))
        found.append(shares.Line({name: -slope for name, slope in others.items()}, 1 - whole.bound / size, equal=False))
    return [
        f"{' + '.join(f'{slope!r} * {name}' for name, slope in line.slopes.items())} <= {line.bound!r}"
        for line in found
    ]


def _wanted(seen: Seen) -> tuple[str, list[str], dict[str, list[float]]]:
    """Objective, constraints on what is measured, and the measured values of each name in them."""
    names = channels(len(seen.window))
    values = dict(zip(names, seen.scores.T.tolist(), strict=True))
    if Aim.MOST in seen.aims:
        sides = [f"{name} >= 0" for name, aim in zip(names, seen.aims, strict=True) if aim is Aim.SIDE]
        return names[seen.aims.index(Aim.MOST)], sides, values
    if Aim.MATCH in seen.aims:
        off = np.where([aim is Aim.MATCH for aim in seen.aims], seen.scores, np.minimum(seen.scores, 0.0))
        return "-distance", [], {"distance": (off**2).sum(axis=1).tolist()}
    return "room", [], {"room": seen.scores.min(axis=1).tolist()}
