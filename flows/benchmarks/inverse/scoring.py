"""The draws of one cell of ``sdl benchmark inverse``, judged by the truth."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from flows.benchmarks.inverse.cell import InverseCell
from flows.benchmarks.inverse.problems import (
    PROBLEMS,
    BenchmarkProblem,
    PosedProblem,
    make_instrument,
    pose_problem,
    sample_posterior,
)
from flows.benchmarks.inverse.worker import FEW, POSTS, SOME
from sdl.instruments.simulated.sinewave import Sinewave
from sdl.space import Readings, Settings
from strategies.metrics.calibration import ranks, unevenness
from strategies.metrics.modes import ModesFound, modes_found
from strategies.metrics.posterior import sliced_wasserstein
from strategies.metrics.resimulation import Resimulation, resimulation
from strategies.numerics.unit_box import in_unit_box

Figures = dict[str, Any]
SHOWN = 300
"""Draws in a figure."""


def score_draws(cell: InverseCell, draws: Path) -> dict[str, Figures]:
    """Figures of the draws, by what was done to them."""
    problem = PROBLEMS[cell.problem]
    posed = _posed(cell.problem, cell.crystal, cell.rows, cell.targets, cell.seed)
    with np.load(draws, allow_pickle=False) as found:
        return {
            post: _figures(problem, posed, cell, {name.partition("/")[0]: found[name] for name in _of(post, found)})
            for post in POSTS
        }


def select_draws(cell: InverseCell, draws: Path) -> dict[str, list[list[float]]]:
    """Some draws of the one target of a problem of two knobs, in their units, by what was done to them."""
    made = make_instrument(cell.problem, cell.crystal)
    if made.space.d != 2:
        return {}
    with np.load(draws, allow_pickle=False) as found:
        return {post: made.space.from_unit(found[f"one/{post}"][0, :SHOWN]).round(5).tolist() for post in POSTS}


def knob_units(rows: Settings) -> Settings:
    """Standard deviation of each knob over rows ``(n, d)``; the side of the box for one that no row moves."""
    varied: Settings = rows.std(axis=0)
    return np.where(varied > 0, varied, 1.0)


def spread_of_draws(draws: Settings, unit: Settings) -> float:
    """How far apart the draws ``(targets, draws, d)`` for a target are: root mean square, in units of each knob."""
    return float(np.sqrt(((draws / unit).var(axis=1)).mean()))


def _of(post: str, found: Mapping[str, Settings]) -> list[str]:
    return [name for name in found if name.endswith(f"/{post}")]


def _figures(
    problem: BenchmarkProblem, posed: PosedProblem, cell: InverseCell, draws: Mapping[str, Settings]
) -> Figures:
    rng = np.random.default_rng([cell.seed, 4])
    one = np.array([problem.one])
    readings = _true(posed, draws["targets"])
    many = _resimulated(problem, draws["targets"], readings, posed.targets)
    relative = np.abs(readings / posed.targets[:, None] - 1) if (posed.targets > 0).all() else np.full(1, np.nan)
    unit = knob_units(posed.settings)
    ranked = ranks(draws["targets"].swapaxes(0, 1), posed.truths, rng)
    figures: Figures = {
        **_known(many),
        "one": _known(_resimulated(problem, draws["one"], _true(posed, draws["one"]), one)),
        "relative": float(np.nanmedian(relative)) if np.isfinite(relative).any() else None,
        "spread": spread_of_draws(draws["targets"], unit),
        "uneven": float(unevenness(ranked, draws["targets"].shape[1]).max()),
        "uneven_by_chance": 1.36 / np.sqrt(len(ranked)),
        "distance": None,
        "modes": None,
    }
    if problem.prior:
        truth = _posterior(cell.problem, cell.crystal, cell.rows, cell.targets, cell.seed)
        pairs = zip(draws["posterior"], truth, strict=True)
        figures["distance"] = float(np.mean([sliced_wasserstein(a / unit, b / unit, rng) for a, b in pairs]))
    if problem.families:
        figures["modes"] = {str(n): vars(count_modes(problem, posed, draws[f"modes-{n}"])) for n in FEW}
    return figures


def simulate_again(problem: BenchmarkProblem, posed: PosedProblem, draws: Settings) -> tuple[Resimulation, float]:
    """What draws ``(m, n, d)`` for the targets of a problem give, and the mean squared error of each one's best."""
    readings = _true(posed, draws)
    inside = in_unit_box(draws.reshape(-1, draws.shape[2])).reshape(draws.shape[:2])
    errors = np.where(inside, ((readings - posed.targets[:, None]) ** 2).mean(axis=2), np.inf).min(axis=1)
    best = float(errors[np.isfinite(errors)].mean()) if np.isfinite(errors).any() else np.inf
    return _resimulated(problem, draws, readings, posed.targets), best


def _resimulated(problem: BenchmarkProblem, draws: Settings, readings: Readings, targets: Readings) -> Resimulation:
    """Of draws ``(m, n, d)`` and their true readings ``(m, n, p)``."""
    inside = in_unit_box(draws.reshape(-1, draws.shape[2])).reshape(draws.shape[:2])
    return resimulation(readings.swapaxes(0, 1), targets, inside.T, np.array(problem.tolerance))


def count_modes(problem: BenchmarkProblem, posed: PosedProblem, draws: Settings) -> ModesFound:
    """Families among draws ``(r, n, d)`` of the sinewave, the one problem whose families are known."""
    assert isinstance(posed.instrument, Sinewave)
    near = (np.abs(_true(posed, draws) - problem.one) <= problem.tolerance).all(axis=2)
    flat = draws.reshape(-1, draws.shape[2])
    curve = posed.instrument.curve(posed.instrument.space.from_unit(flat)).reshape(draws.shape[:2])
    return modes_found(np.where(near & in_unit_box(flat).reshape(near.shape), curve, -1), problem.families)


def _true(posed: PosedProblem, draws: Settings) -> Readings:
    """Readings ``(m, n, p)`` at draws ``(m, n, d)`` of the unit box, or outside of it."""
    space = posed.instrument.space
    settings = space.low + draws.reshape(-1, space.d) * (space.high - space.low)
    return posed.instrument.truth(settings).reshape(*draws.shape[:2], -1)


def _known(found: Resimulation) -> dict[str, float | None]:
    """By name; None for what no draw in the box leaves unknown, as JSON has no infinity."""
    return {name: value if np.isfinite(value) else None for name, value in vars(found).items()}


@lru_cache(maxsize=4)
def _posed(name: str, crystal: str, rows: int, targets: int, seed: int) -> PosedProblem:
    return pose_problem(PROBLEMS[name], crystal, rows, targets, seed)


@lru_cache(maxsize=4)
def _posterior(name: str, crystal: str, rows: int, targets: int, seed: int) -> list[Settings]:
    posed = _posed(name, crystal, rows, targets, seed)
    return sample_posterior(PROBLEMS[name], crystal, posed.targets[:SOME], seed)
