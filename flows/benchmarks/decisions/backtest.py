"""The back-test: strategies on problems, seed by seed, under the same rules, as data and as a page."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from rich.table import Table

from flows import environment
from flows.benchmarks.decisions.backtest_cells import BacktestCell, EndedCell, read_kept_cells, run_backtest_cells
from flows.terminal import plain_table
from flows.versions import describe_machine
from sdl.campaign.definition import Target
from sdl.campaign.toml import validate_input
from sdl.errors import InvalidInput
from sdl.reports.benchmarks import backtest_page
from sdl.system.atomic_files import write_atomically
from strategies.evaluation.backtest import OURS, BacktestRun, list_strategies, why_lacking
from strategies.evaluation.backtest_statistics import rank_standings, say_ranking, sum_up_strategy
from strategies.evaluation.peer_campaign import BENEFIT
from strategies.evaluation.scenarios import Scenario, scenarios_named

RULES = (
    "Every request counts: design, references, readings, replicates. A strategy that is not VERIFIED within the budget "
    "counts as the whole budget.",
    "All strategies meet the same instruments in the same light, seed by seed, and are examined by the same rule: the "
    "number of replicates, when an exam is broken off, and the verdict are those of our own loop.",
    "Peers are told readings less the background and how sure that is. It is read for them by the same rule as for our "
    "own loop: as often, and before an exam where ours would.",
    f"A peer's setting is examined when its mean reading lies within the tolerance, give or take {BENEFIT:g} standard "
    "deviation of that mean, nearest first. One that was examined has to be proposed again before.",
)


def run_backtest_study(
    folder: Path,
    *,
    problems: Sequence[str] = (),
    strategies: Sequence[str] = (),
    seeds: int = 20,
    budget: int = 60,
    tolerance: str | None = None,
    processes: int = 1,
    show: bool = False,
    tell: Callable[[EndedCell, int, int], object] = lambda *_: None,
) -> dict[str, Any]:
    """Run the back-test, or what is left of it, and write ``result.json``, ``index.html`` and ``requests.svg``.

    Args:
        folder: Where its cells are written as they end, and the result.
        problems: Names; all that can be posed here by default.
        strategies: Names; all that can be run here by default.
        seeds: Runs of each strategy on each problem, each with at most ``budget`` requests.
        budget: Requests that a run may send.
        tolerance: Instead of each problem's own.
        processes: That run at once; 0 to run in this one.
        show: Show what was run before and run nothing; strategies may then have runs of different seeds.
        tell: Called with each cell that ends, and how many have ended of how many that were left.

    Returns:
        Plain data: ``at``, ``machine``, ``versions``, ``seeds``, ``budget``, ``rules``, ``notes`` (what was left out or
        crashed, in sentences), ``problems`` (each with ``name``, ``says``, ``tolerance``, ``strategies``, the best
        first, each as ``sum_up_strategy`` has it, and ``sentences``), and ``runs``, every one of them.

    Raises:
        InvalidInput: with every name that there is not, or a tolerance that is none.
    """
    scenarios, names, left_out = _choose(problems, strategies)
    if tolerance is not None:
        validate_input(Target, {"readings": {"any": 1.0}, "tolerance": tolerance}, "target")
    places = product(range(seeds), scenarios, names)
    cells = [BacktestCell(scenario, name, seed, budget, tolerance) for seed, scenario, name in places]
    kept = environment.folder(folder) / "cells.jsonl"
    ended = list(read_kept_cells(cells, kept).values()) if show else run_backtest_cells(cells, kept, processes, tell)
    summaries = [_sum_up(scenario, names, ended, budget, tolerance) for scenario in scenarios]
    result = {**describe_machine(), "seeds": seeds, "budget": budget, "rules": list(RULES)}
    result |= {"notes": [*left_out, *_crashes(ended)], "problems": summaries, "runs": list(map(_plain_run, ended))}
    with write_atomically(folder / "result.json", force=True) as file:
        file.write(json.dumps(result, indent=1, allow_nan=False).encode())
    backtest_page.write_backtest_page(result, folder)
    return result


def backtest_tables(result: Mapping[str, Any]) -> list[Table | str]:
    """The result for people: a table for each problem, and sentences."""
    parts: list[Table | str] = []
    words = ("strategy", "VERIFIED", "median", "95 %", "more than sdl")
    columns = (*words, "exams", "learning", "falsely VERIFIED", "runs")
    for problem in result["problems"]:
        rows = [
            (
                row["strategy"],
                _figure(row["verified"], ".0%"),
                *(_figure(row[name]) for name in ("median", "p95", "more")),
                f"{row['exams']:.2g}",
                f"{row['learned']:.2g}",
                _figure(row["falsely verified"], ".0%"),
                row["runs"],
            )
            for row in problem["strategies"]
        ]
        title = f"{problem['name']}: requests until VERIFIED, {problem['says']}, {problem['tolerance']}"
        parts += [plain_table(columns, rows, title), *problem["sentences"]]
    return [*parts, *result["notes"]]


def _choose(problems: Sequence[str], strategies: Sequence[str]) -> tuple[list[Scenario], list[str], list[str]]:
    """Scenarios and strategies that can be had here, and why the others cannot.

    Raises:
        InvalidInput: with every name that there is not, or where none is left.
    """
    faults, scenarios, lacking = list[str](), list[Scenario](), dict[str, str]()
    try:
        scenarios = scenarios_named(problems)
    except InvalidInput as error:
        faults += error.faults
    for name in dict.fromkeys(strategies or list_strategies()):
        try:
            lacking[name] = why_lacking(name)
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(faults)
    left_out = [*(each.lacking for each in scenarios if each.lacking), *filter(None, lacking.values())]
    scenarios = [each for each in scenarios if not each.lacking]
    names = [name for name, why in lacking.items() if not why]
    if not (scenarios and names):
        raise InvalidInput(left_out)
    return scenarios, names, left_out


def _sum_up(
    scenario: Scenario, names: Sequence[str], ended: Sequence[EndedCell], budget: int, tolerance: str | None
) -> dict[str, Any]:
    """How the strategies stand on one scenario."""
    runs = {name: dict[int, BacktestRun]() for name in names}
    for each in ended:
        if each.cell.problem == scenario and each.run is not None:
            runs[each.cell.strategy][each.cell.seed] = each.run
    ours = runs.get(OURS)
    order = rank_standings([sum_up_strategy(n, runs[n], budget, None if n == OURS else ours) for n in names])
    return {
        "name": scenario.name,
        "says": scenario.says,
        "tolerance": tolerance or scenario.tolerance,
        "strategies": order,
        "sentences": say_ranking(order, budget) if order else ["No run has ended."],
    }


def _crashes(ended: Sequence[EndedCell]) -> list[str]:
    return [
        f"{each.cell.strategy} on {each.cell.problem.name}, seed {each.cell.seed}, crashed: {each.error}"
        for each in ended
        if each.error
    ]


def _plain_run(each: EndedCell) -> dict[str, Any]:
    outcome = {"error": each.error} if each.run is None else asdict(each.run)
    return {**each.cell.names, **outcome, "seconds": each.seconds}


def _figure(figure: dict[str, float | None], form: str = ".3g") -> str:
    """A value with its interval, as far as there are any."""
    value, low, high = (None if figure[key] is None else f"{figure[key]:{form}}" for key in ("value", "low", "high"))
    return (value or "") if low is None or high is None else f"{value} ({low} to {high})"
