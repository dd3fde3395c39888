"""Families by the kind of their knobs: whole, listed, logarithmic, categories, amounts of a whole, what is forbidden.

Noise is everywhere, and nothing is known of it, as where people mix things; no setting is dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.responses import Plane, Response, Sum, Waves
from sdl.space import UNCONSTRAINED, Constraints, Knob, Readings, Settings
from strategies.evaluation.families.blueprint import Blueprint, from_response, slopes
from strategies.evaluation.families.case import Case

BEND = (0.05, 0.25)
"""Standard deviation of the bend of a response, as a share of the span of its plane."""
PROPERTIES = 2
"""Descriptors of a name."""


@dataclass(frozen=True, eq=False)
class EachItsOwn:
    """A response of its own for each name of a category, which takes the first axes of the unit box."""

    parts: Sequence[Response]
    """Of the other knobs."""

    def __call__(self, unit: Settings) -> Readings:
        own, others = unit[:, : len(self.parts)].argmax(axis=1), unit[:, len(self.parts) :]
        return np.asarray(np.stack([part(others) for part in self.parts])[own, np.arange(len(unit))])


def whole_numbers(rng: np.random.Generator) -> Case:
    """Two or three knobs, one or two of them whole numbers up to 5 to 40."""
    knobs = [
        Knob(name=f"n{k}", low=1, high=int(rng.integers(5, 41)), whole=True) for k in range(int(rng.integers(1, 3)))
    ]
    return _case(rng, [*knobs, *_numbers(rng, 3 - len(knobs))])


def listed_values(rng: np.random.Generator) -> Case:
    """Two or three knobs, one or two of which have 4 to 12 listed values."""
    knobs = [
        Knob(name=f"v{k}", values=tuple(np.sort(10 ** rng.uniform(-1, 2, int(rng.integers(4, 13)))).tolist()))
        for k in range(int(rng.integers(1, 3)))
    ]
    return _case(rng, [*knobs, *_numbers(rng, 3 - len(knobs))])


def logarithmic(rng: np.random.Generator) -> Case:
    """Two or three knobs, some over two to six powers of ten, which count by their ratios."""
    logs = [
        Knob(name=f"c{k}", low=10.0 ** -float(rng.integers(2, 7)), high=1.0, scale="log")
        for k in range(int(rng.integers(1, 4)))
    ]
    return _case(rng, [*logs, *_numbers(rng, max(2 - len(logs), 0))])


def categories(rng: np.random.Generator) -> Case:
    """Three solvents, with slopes of their own, and two continuous knobs, seen by two channels."""
    return _named(rng, 3)


def five_categories(rng: np.random.Generator) -> Case:
    """Five solvents, with slopes of their own, and two continuous knobs, seen by two channels."""
    return _named(rng, 5)


def described_categories(rng: np.random.Generator) -> Case:
    """Six solvents that read as their two descriptors have it, and two continuous knobs, seen by two channels."""
    described = {f"property {k}": tuple(rng.random(6).tolist()) for k in range(PROPERTIES)}
    solvent = Knob(name="solvent", values=tuple("abcdef"), descriptors=described)
    return _case(rng, [solvent, *_numbers(rng, 2)], channels=2)


def fractions(rng: np.random.Generator) -> Case:
    """Three to five amounts that add up to 1, and one other knob or none."""
    amounts = [Knob(name=name) for name in "ABCDE"[: int(rng.integers(3, 6))]]
    whole = f"{' + '.join(knob.name for knob in amounts)} = 1"
    return _case(rng, [*amounts, *_numbers(rng, int(rng.integers(0, 2)))], Constraints(always=(whole,)), channels=2)


def linear_constraints(rng: np.random.Generator) -> Case:
    """Three knobs, of which a weighted sum or two have bounds."""
    first, second = rng.uniform(0.5, 2, (2, 3)).round(2).tolist()
    always = (
        f"{first[0]}*A + {first[1]}*B + {first[2]}*C <= {0.6 * sum(first):.3f}",
        f"{second[0]}*A - {second[1]}*B <= {0.3 * second[0]:.3f}",
    )
    knobs = [Knob(name=name) for name in "ABC"]
    return _case(rng, knobs, Constraints(always=always[: int(rng.integers(1, 3))]), channels=2)


def forbidden_regions(rng: np.random.Generator) -> Case:
    """Two or three knobs with a forbidden corner, and a product that must not be large."""
    low = rng.uniform(0.3, 0.7, 2).round(2)
    constraints = Constraints(always=("A*B <= 0.5",), never=(f"A >= {low[0]} and B <= {low[1]}",))
    return _case(rng, [Knob(name=name) for name in "ABC"[: int(rng.integers(2, 4))]], constraints, channels=2)


def _named(rng: np.random.Generator, n: int) -> Case:
    size = 10 ** rng.uniform(0.0, 4.0) * rng.uniform(0.3, 3, 2)
    parts = [_bent(rng, 2, size, level=rng.uniform(0, 1, 2)) for _ in range(n)]
    knobs = (Knob(name="solvent", values=tuple("abcdefgh"[:n])), *_numbers(rng, 2))
    return _goal(rng, _blueprint(rng, EachItsOwn(parts), knobs, UNCONSTRAINED))


def _case(
    rng: np.random.Generator, knobs: Sequence[Knob], constraints: Constraints = UNCONSTRAINED, channels: int = 0
) -> Case:
    p, u = channels or int(rng.integers(1, 4)), sum(knob.columns for knob in knobs)
    size = 10 ** rng.uniform(0.0, 4.0) * rng.uniform(0.3, 3, p)
    return _goal(rng, _blueprint(rng, _bent(rng, u, size), tuple(knobs), constraints))


def _bent(rng: np.random.Generator, d: int, size: Readings, level: Readings | float = 0.0) -> Response:
    """A plane with some bend, of ``d`` axes, which begins at a level in sizes."""
    plane = Plane(slopes(rng, d, len(size), (0.0, 0.6)) * rng.choice((-1.0, 1.0), (d, 1)) * size)
    bend = Waves.drawn(rng.uniform(*BEND) * size, d, rng.uniform(0.8, 1.5), rng)
    return Raised(Sum(plane, bend), level * size)


@dataclass(frozen=True, eq=False)
class Raised:
    """A response and what is added to it everywhere."""

    response: Response
    level: Readings | float

    def __call__(self, unit: Settings) -> Readings:
        return np.asarray(self.response(unit) + self.level)


def _blueprint(
    rng: np.random.Generator, response: Response, knobs: tuple[Knob, ...], constraints: Constraints
) -> Blueprint:
    drawn = from_response(response, sum(knob.columns for knob in knobs), rng)
    nothing, unknown = Steady(np.zeros(drawn.p)), np.full(drawn.p, np.nan)
    return replace(
        drawn, knobs=knobs, constraints=constraints, background=nothing, dark=1.0, stated=unknown, fixed=drawn.p
    )


def _goal(rng: np.random.Generator, blueprint: Blueprint) -> Case:
    """The instrument with a target that settings at random give, of those that are allowed."""
    (unit,) = blueprint.space.spread(rng.uniform(0.1, 0.9, (1, blueprint.space.u)))
    return blueprint.case(rng, blueprint.goal("target", blueprint.applied(unit)))


def _numbers(rng: np.random.Generator, n: int) -> list[Knob]:
    return [Knob(name=f"x{k}", low=0.0, high=float(10 ** rng.uniform(0, 2))) for k in range(n)]
