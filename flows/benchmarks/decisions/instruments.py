"""The loop on a population of instruments: families drawn at random, each a row, each verdict held against the truth.

Nobody tunes on what is published: unless it is for a release, instruments are those of the seeds for tuning.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.benchmarks.bars import Bar, hold_bar
from flows.benchmarks.cells import Progress
from flows.benchmarks.kept_cells import run_kept_cells
from flows.terminal import figure_table
from sdl.errors import InvalidInput
from strategies.evaluation.backtest import OURS, why_lacking
from strategies.evaluation.families.drawing import Split, draw, family_names, family_sentence
from strategies.evaluation.population import PopulationRun, TargetOutcome, run_on_family, why_beyond
from strategies.evaluation.population_statistics import family_row

VERDICTS = {
    "verified": "VERIFIED",
    "right": "ended rightly",
    "false_verified": "false VERIFIED",
    "false_refuted": "false REFUTED",
    "false_not_reachable": "false NOT REACHABLE",
    "silent": "no exam, no reason",
}
COSTS = {
    "median": "median",
    "mean": "mean",
    "p95": "95 %",
    "reached": "truly there, median",
    "references": "references",
    "decision_ms": "ms a request",
    "slowest_ms": "slowest decision, ms",
}
COLUMNS = VERDICTS | COSTS
"""What each figure of a row is, in words."""
SHARES = ("verified", "right", "false_verified", "false_refuted", "false_not_reachable", "silent", "references")
AT_LEAST = ("verified", "right")

FEW_FALSE = {"false_verified": 0.05, "silent": 0.0}
RIGHT = {"verified": 0.95, **FEW_FALSE, "false_refuted": 0.05}
BARS: dict[str, dict[str, float]] = {
    **dict.fromkeys(("edge-1.02", "edge-1.1"), FEW_FALSE),
    **dict.fromkeys(("edge-noise-stated-too-small", "edge-noise-unknown", "edge-noise-correlated"), FEW_FALSE),
    "noise-correlated": FEW_FALSE,
    "photometer": {"verified": 0.98, "references": 0.1, **FEW_FALSE},
    "low-ceiling": RIGHT,
    "gain-drift": {"verified": 0.8, **FEW_FALSE},
    "background-switched": {"verified": 0.85, **FEW_FALSE},
    "background-fast": {"verified": 0.85, **FEW_FALSE},
    "discrete-grid": {"right": 0.95, "median": 25.0, **FEW_FALSE},
    "bent-six-knobs": {"mean": 18.0, **RIGHT},
    "far-out": {"right": 0.95, **FEW_FALSE},
    "several-targets": {"right": 0.9, **FEW_FALSE},
}
"""The least share VERIFIED or right, and the most of everything else; of a family that is not named ``RIGHT``."""

NOTES = (
    "Every campaign is on an instrument of its own, with the campaign file that a newcomer would write for it. "
    "VERIFIED is the share of the targets that settings can give; false VERIFIED and false NOT REACHABLE are the share "
    "of campaigns with such a verdict, false REFUTED the share of these verdicts, all judged by noise-free readings.",
    "A campaign that did not end rightly counts as its whole budget: each target that can be reached truly VERIFIED, "
    "each that cannot be reached without that, and with a reason.",
)


@dataclass(frozen=True)
class PopulationRequest:
    """What is to be run."""

    families: Sequence[str] = ()
    """Names; by default all that there are."""
    strategies: Sequence[str] = (OURS,)
    seeds: int = 12
    """Campaigns of each strategy on each family."""
    budget: int = 100
    processes: int | None = None
    """At work at once; as many as there are processors if it is None, 0 to work in this process."""
    release: bool = False
    """Whether it is for figures that are published, on instruments that nobody tuned on."""

    @property
    def split(self) -> Split:
        """Which instruments."""
        return Split.RELEASE if self.release else Split.TUNING

    def faults(self) -> list[str]:
        """Every name that there is not."""
        found = list[str]()
        checks: list[tuple[Callable[[str], object], Iterable[str]]] = [
            (family_sentence, self.families),
            (lambda family: ":" not in family or draw(family, 0), self.families),  # which table it has to find
            (why_lacking, self.strategies),
        ]
        for check, names in checks:
            for name in names:
                try:
                    check(name)
                except InvalidInput as error:
                    found += error.faults
        return list(dict.fromkeys(found))

    def cells(self) -> tuple[list[dict[str, Any]], list[str]]:
        """The cells, and what is left out, in sentences."""
        families, left_out = list(self.families) or family_names(), list[str]()
        able = dict[str, list[str]]()
        for strategy in dict.fromkeys(self.strategies):
            if reason := why_lacking(strategy):
                left_out.append(reason)
                continue
            takes = {name: why_beyond(strategy, draw(name, 0, self.split)) for name in families}
            able[strategy] = [name for name, why in takes.items() if not why]
            for why in dict.fromkeys(filter(None, takes.values())):
                others = [name for name in families if takes[name] == why]
                left_out.append(f"{strategy} takes {why}, so it has no row in {', '.join(others)}")
        common = {"budget": self.budget, "split": self.split.value}
        cells = [
            {"family": family, "strategy": strategy, "seed": seed, **common}
            for seed in range(self.seeds)
            for family in families
            for strategy, names in able.items()
            if family in names
        ]
        return cells, left_out


def run_instruments_benchmark(
    request: PopulationRequest, folder: Path, progress: Progress = lambda done, of: None
) -> dict[str, Any]:
    """Run the population, or what is left of it.

    Args:
        request: What is to be run.
        folder: Where each campaign is kept as it ends, for as long as the program is the same.
        progress: Told how many campaigns are done, and of how many.

    Returns:
        Plain data: ``split``, ``seeds``, ``budget``, ``notes`` (what was left out or crashed, in sentences),
        ``families`` (name to what it is), ``rows`` as ``family_row`` has them, ``bars``, and ``runs``.

    Raises:
        InvalidInput: with every name that there is not.
    """
    if faults := request.faults():
        raise InvalidInput(faults)
    cells, notes = request.cells()
    outcomes = run_kept_cells(run_population_cell, cells, folder / "cells.jsonl", request.processes, progress)
    ended = list(zip(cells, outcomes, strict=True))
    runs = [{**cell, "run": outcome.value} for cell, outcome in ended if outcome.value is not None]
    rows = _rows(runs, request.budget)
    return {
        "split": request.split.value,
        "seeds": request.seeds,
        "budget": request.budget,
        "notes": [*notes, *(_crash(cell, outcome.error) for cell, outcome in ended if outcome.error)],
        "families": {name: family_sentence(name) for name in dict.fromkeys(row["family"] for row in rows)},
        "rows": rows,
        "bars": [bar for row in rows if row["strategy"] == OURS for bar in hold_bars(row)],
        "runs": runs,
    }


def run_population_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Run one campaign; a cell is what ``run_on_family`` takes, as plain data, and so is what comes of it."""
    options = {**cell, "split": Split(cell["split"])}
    return asdict(run_on_family(**options, clock=time.perf_counter))


def hold_bars(row: Mapping[str, Any]) -> list[Bar]:
    """The bars of a family, each with what its row has; of what the row has no figure for, none."""
    family, bars = row["family"], BARS.get(row["family"], RIGHT)
    values = {figure: row[figure]["value"] for figure in bars}
    return [
        hold_bar(figure, value, bars[figure], at_least=figure in AT_LEAST, family=family)
        for figure, value in values.items()
        if value is not None
    ]


def instrument_table(result: Mapping[str, Any]) -> Table:
    """The rows for people, a figure that does not meet its bar marked with an exclamation mark."""
    title = f"{result['seeds']} campaigns a family, budget {result['budget']}, instruments for {result['split']}"
    caption = ["95 % intervals are in the page and in the data; ! does not meet its bar", *result["notes"]]
    table = figure_table(title, ["family", "strategy"], COLUMNS.values(), caption=escape("\n".join(caption)))
    for row in result["rows"]:
        table.add_row(row["family"], row["strategy"], *(write_figure(result, row, name) for name in COLUMNS))
    return table


def write_figure(result: Mapping[str, Any], row: Mapping[str, Any], name: str, *, interval: bool = False) -> str:
    """A figure of a row in words, with its interval on request, and marked where it does not meet its bar."""
    figure = row[name]
    if figure["value"] is None:
        return ""
    missed = row["strategy"] == OURS and any(
        not bar["met"] for bar in result["bars"] if (bar["family"], bar["figure"]) == (row["family"], name)
    )
    words = _number(name, figure["value"]) + ("!" if missed else "")
    if not interval or figure["low"] is None:
        return words
    return f"{words} ({_number(name, figure['low'])} to {_number(name, figure['high'])})"


def _crash(cell: Mapping[str, Any], error: str) -> str:
    return f"{cell['strategy']} on {cell['family']}, seed {cell['seed']}, crashed: {error}"


def _rows(cells: Sequence[Mapping[str, Any]], budget: int) -> list[dict[str, Any]]:
    """A row for each family and strategy, in the order of the cells."""
    runs = dict[tuple[str, str], list[PopulationRun]]()
    for cell in cells:
        targets = [TargetOutcome(**target) for target in cell["run"]["targets"]]
        run = PopulationRun(**{**cell["run"], "targets": targets})
        runs.setdefault((cell["family"], cell["strategy"]), []).append(run)
    return [family_row(family, strategy, some, budget) for (family, strategy), some in runs.items()]


def _number(name: str, value: float) -> str:
    return f"{value:.0%}" if name in SHARES else f"{value:.3g}"
