"""The back-test: strategies on problems, seed by seed, under the same rules, as data and as a page."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from flows import environment
from flows.studies.backtest_cells import Cell, Ended, known, run
from flows.terminal import plain_table
from flows.versions import versions
from sdl.campaign.definition import Target
from sdl.campaign.toml import checked
from sdl.errors import InvalidInput
from sdl.reports import backtest_page
from sdl.system.atomic_files import whole
from strategies.evaluation import backtest
from strategies.evaluation.backtest import OURS, Run
from strategies.evaluation.backtest_problems import Problem, posed
from strategies.evaluation.backtest_statistics import ranked, sentences, standing
from strategies.evaluation.peer_campaign import BENEFIT

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


def study(
    folder: Path,
    *,
    problems: Sequence[str] = (),
    strategies: Sequence[str] = (),
    seeds: int = 20,
    budget: int = 60,
    tolerance: str | None = None,
    processes: int = 1,
    show: bool = False,
    tell: Callable[[Ended], object] = lambda _: None,
) -> dict[str, Any]:
    """Run the back-test, or what is left of it, and write ``result.json``, ``index.html`` and ``requests.svg``.

    Args:
        folder: Where its cells are written as they end, and the result.
        problems: Names; all that can be posed here unless told.
        strategies: Names; all that can be run here unless told.
        seeds: Runs of each strategy on each problem.
        budget: Requests that a run may send.
        tolerance: Instead of each problem's own.
        processes: That run at once.
        show: Whether to show what was run before and run nothing; strategies may then have runs of different seeds.
        tell: Called with each cell that ends.

    Returns:
        Plain data: ``at``, ``machine``, ``versions``, ``seeds``, ``budget``, ``rules``, ``notes`` (what was left out or
        crashed, in sentences), ``problems`` (each with ``name``, ``says``, ``tolerance``, ``strategies`` as
        ``strategies.standings.standing`` has them, the best first, and ``sentences``), and ``runs``, every one of them.

    Raises:
        InvalidInput: with every name that there is not, or a tolerance that is none.
    """
    chosen, left_out = _chosen(problems, strategies)
    if tolerance is not None:
        checked(Target, {"readings": {"any": 1.0}, "tolerance": tolerance}, "target")
    cells = [
        Cell(problem, strategy, seed, budget, tolerance)
        for seed in range(seeds)
        for problem in chosen[0]
        for strategy in chosen[1]
    ]
    lines = environment.folder(folder) / "cells.jsonl"
    ended = list(known(cells, lines).values()) if show else run(cells, lines, processes, tell)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": versions(),
        "seeds": seeds,
        "budget": budget,
        "rules": list(RULES),
        "notes": [*left_out, *_crashes(ended)],
        "problems": [_problem(problem, chosen[1], ended, budget, tolerance) for problem in chosen[0]],
        "runs": [_run(each) for each in ended],
    }
    with whole(folder / "result.json", force=True) as file:
        file.write(json.dumps(result, indent=1, allow_nan=False).encode())
    backtest_page.write(result, folder)
    return result


def tables(result: dict[str, Any]) -> list[Table | str]:
    """What ``study`` returned, for people."""
    shown: list[Table | str] = []
    for problem in result["problems"]:
        columns = ("strategy", "VERIFIED", "median", "95 %", "more than sdl", "exams", "falsely VERIFIED", "runs")
        rows = [
            (
                row["strategy"],
                _percent(row["verified"]),
                _figure(row["median"]),
                _figure(row["p95"]),
                _figure(row["more"]),
                f"{row['exams']:.2g}",
                _percent(row["falsely verified"]),
                row["runs"],
            )
            for row in problem["strategies"]
        ]
        title = f"{problem['name']}: requests until VERIFIED, {problem['says']}, {problem['tolerance']}"
        shown += [plain_table(columns, rows, title)]
        shown += problem["sentences"]
    return [*shown, *result["notes"]]


def _chosen(problems: Sequence[str], names: Sequence[str]) -> tuple[tuple[list[Problem], list[str]], list[str]]:
    """Problems and strategies that can be had here, and why the others cannot."""
    faults, found = list[str](), list[Problem]()
    try:
        found = posed(list(problems))
    except InvalidInput as error:
        faults += error.faults
    why = dict[str, str]()
    for name in dict.fromkeys(names or backtest.strategies()):
        try:
            why[name] = backtest.lacking(name)
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(faults)
    left_out = [*(each.lacking for each in found if each.lacking), *(words for words in why.values() if words)]
    chosen = [each for each in found if not each.lacking], [name for name, words in why.items() if not words]
    if not all(chosen):
        raise InvalidInput(left_out)
    return chosen, left_out


def _problem(
    problem: Problem, names: Sequence[str], ended: Sequence[Ended], budget: int, tolerance: str | None
) -> dict[str, Any]:
    runs = {name: dict[int, Run]() for name in names}
    for each in ended:
        if each.cell.problem == problem and each.run is not None:
            runs[each.cell.strategy][each.cell.seed] = each.run
    ours = runs.get(OURS)
    standings = [standing(name, runs[name], budget, None if name == OURS else ours) for name in names]
    order = ranked(standings)
    said = sentences(order, budget) if order else ["No run has ended."]
    asked = tolerance or problem.tolerance
    return {"name": problem.name, "says": problem.says, "tolerance": asked, "strategies": order, "sentences": said}


def _crashes(ended: Sequence[Ended]) -> list[str]:
    where = (f"{each.cell.strategy} on {each.cell.problem.name}, seed {each.cell.seed}" for each in ended)
    return [f"{place}, crashed: {each.error}" for place, each in zip(where, ended, strict=True) if each.error]


def _run(each: Ended) -> dict[str, Any]:
    names = {"problem": each.cell.problem.name, "strategy": each.cell.strategy, "seed": each.cell.seed}
    return {**names, **({"error": each.error} if each.run is None else asdict(each.run)), "seconds": each.seconds}


def _figure(figure: dict[str, float | None]) -> str:
    if figure["value"] is None:
        return ""
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:.3g}"
    return f"{figure['value']:.3g} ({figure['low']:.3g} to {figure['high']:.3g})"


def _percent(figure: dict[str, float | None]) -> str:
    if figure["value"] is None or figure["low"] is None or figure["high"] is None:
        return ""
    return f"{figure['value']:.0%} ({figure['low']:.0%} to {figure['high']:.0%})"
