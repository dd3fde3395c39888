"""The problems of ``sdl benchmark inverse``: which rows teach, which targets ask, and what was published."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.instruments.simulated.base import Simulated
from sdl.space import Readings, Settings
from strategies.metrics.posterior import rejected

REFERENCE = 2000
"""Settings of the true posterior that draws are held against."""
RECORDS = 10_430
"""Of the crystal, all distinct."""
AT_ONCE = 250_000
"""Draws of the prior that are simulated at once."""


@dataclass(frozen=True)
class BenchmarkProblem:
    """An instrument, and how its answers are judged."""

    name: str
    one: tuple[float, ...]
    """The target of the questions about a single one, and of the modes."""
    tolerance: tuple[float, ...]
    """Up to where a reading is on target."""
    rows: int = 8000
    """To learn from, by default."""
    draws: int = 20
    """Of each target."""
    alone: int = 1000
    """Draws of ``one``."""
    prior: int = 2_000_000
    """Draws of the prior that the rejection sample is chosen from; 0 for no such sample."""
    open: bool = False
    """Whether only targets above 0 are asked."""
    families: int = 0
    """Separate families that answer ``one``, if they are known."""
    published: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Mean squared error over 1,000 targets and at one, by model."""


_MODELS = ("mixture-density", "inn", "cinn", "cvae", "neural-adjoint", "ipage")


def _published(many: tuple[float, ...], one: tuple[float, ...]) -> dict[str, tuple[float, float]]:
    return dict(zip(_MODELS, zip(many, one, strict=True), strict=True))


PROBLEMS = {
    each.name: each
    for each in (
        BenchmarkProblem(
            "sinewave",
            (1.2,),
            (0.1,),
            families=9,
            published=_published((0.17, 0.12, 0.11, 0.13, 0.006, 0.002), (0.22, 0.19, 0.16, 0.25, 0.011, 0.004)),
        ),
        BenchmarkProblem(
            "robotic-arm",
            (1.5, 0.5),
            (0.05, 0.05),
            published=_published(
                (0.018, 0.014, 0.009, 0.021, 0.008, 0.006), (0.023, 0.015, 0.032, 0.021, 0.012, 0.008)
            ),
        ),
        BenchmarkProblem(
            "ballistics",
            (5.0,),
            (0.1,),
            published=_published(
                (0.024, 0.019, 0.421, 0.798, 0.016, 0.011), (0.041, 0.024, 0.652, 0.912, 0.031, 0.023)
            ),
        ),
        BenchmarkProblem(
            "crystal",
            (0.5,),
            (0.05,),
            prior=0,
            open=True,
            published=_published((0.81, 0.49, 0.35, 0.64, 0.12, 0.11), (0.84, 0.57, 0.42, 0.70, 0.15, 0.14)),
        ),
        BenchmarkProblem("material", (0.3,), (0.006,), rows=20_000, draws=4, alone=100, prior=0),
    )
}
"""Published: Zhang, Bi, Fung (AAAI 2023), tables 2 and 3; their crystal is another one."""


@dataclass(frozen=True, eq=False)
class PosedProblem:
    """A problem with rows and targets, settings in the unit box."""

    instrument: Simulated
    readings: Readings
    """To learn from, ``(n, p)``."""
    settings: Settings
    """Of the same rows, ``(n, d)``."""
    targets: Readings
    """Readings of other rows, ``(m, p)``."""
    truths: Settings
    """Where they were taken, ``(m, d)``."""


@cache
def make_instrument(name: str, crystal: str) -> Simulated:
    """The instrument of a problem, one for a process, since it may have to learn; ``crystal`` has the records."""
    options: dict[str, Any] = {"path": crystal} if name == "crystal" else {}
    made: Simulated = plugins.build("sdl.instruments", name, options)
    return made


def pose_problem(problem: BenchmarkProblem, crystal: str, rows: int, targets: int, seed: int) -> PosedProblem:
    """Rows and targets by a seed.

    Raises:
        InvalidInput: if there are not so many, or without the records of the crystal.
    """
    made = make_instrument(problem.name, crystal)
    many = rows + targets if not problem.open else RECORDS
    readings, settings = made.rows(many, np.random.default_rng([seed, 0]))
    fit_to_ask = (readings > 0).all(axis=1) if problem.open else np.ones(many, bool)
    posed = np.flatnonzero(fit_to_ask)[:targets]
    others = np.setdiff1d(np.arange(many), posed)[:rows]
    if len(posed) < targets or len(others) < rows:
        raise InvalidInput(
            f"{problem.name} has {len(others)} rows and {len(posed)} targets, "
            f"and was asked for {rows} and {targets}: ask for less"
        )
    unit = made.space.to_unit(settings)
    return PosedProblem(made, readings[others], unit[others], readings[posed], unit[posed])


def sample_posterior(problem: BenchmarkProblem, crystal: str, targets: Readings, seed: int) -> list[Settings]:
    """A rejection sample of the true posterior for each target ``(m, p)``, in the unit box, where there can be one."""
    made, rng = make_instrument(problem.name, crystal), np.random.default_rng([seed, 1])
    if not problem.prior:
        return []
    settings = np.concatenate(
        [made.prior(min(AT_ONCE, problem.prior - first), rng) for first in range(0, problem.prior, AT_ONCE)]
    )
    readings = made.truth(settings)
    return [made.space.to_unit(rejected(settings, readings, target, REFERENCE)) for target in targets]
