"""What ``sdl solve`` offers first on the rows of real laboratories, against the measured row that reads nearest.

A fifth of the settings of each table is held out; a target is what an emulator of the whole table reads at one of them,
with a tolerance of 5 % of the span or 1.5 standard deviations of a reading, whichever is more. The emulator, which
nobody who answers has seen, says whether an offer works.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from flows.benchmarks.bars import hold_bar
from flows.benchmarks.cells import Progress
from flows.studies.solve import solve
from flows.terminal import figure_table
from sdl.errors import InvalidInput
from sdl.space import Settings
from strategies.evaluation.families.drawing import LABORATORIES, family_names
from strategies.evaluation.families.laboratories import Emulator, emulate

MODELS = ("linear", "bayesian-linear", "pls", "nearest", "mixture", "gaussian-process")
HELD_OUT = 0.2
TARGETS = 12
"""Of each table."""
SEED = 41
"""Of the figures that are published; whoever changes what is offered looks at others."""
HAND, FIRST = "nearest row by hand", "first offer"


def run_offers_benchmark(
    tables: Sequence[str] = (), models: Sequence[str] = (), seed: int = SEED, progress: Progress = lambda done, of: None
) -> dict[str, Any]:
    """Run the benchmark, about a minute a table.

    Args:
        tables: Names of tables, or CSV files; by default all of the folder of laboratories.
        models: That are asked; some that take seconds by default.
        seed: Of what is held out.
        progress: Told how many targets are done, and of how many.

    Returns:
        Plain data: ``tables``, each with its ``table``, ``targets``, the shares of them that truly work (``works``, of
        the row by hand, the first offer of all, and the first offer of each model that was not marked), how often a
        model was ``marked``, and ``bars``.

    Raises:
        InvalidInput: if there is no table.
    """
    names = list(tables) or [
        name.partition(":")[2] for name in family_names() if name.startswith(f"{LABORATORIES[0]}:")
    ]
    if not names:
        raise InvalidInput("the tables of laboratories are not part of the project: name a CSV file")
    found = list[dict[str, Any]]()
    for at, name in enumerate(names):
        found.append(_judge_table(name, models or MODELS, seed))
        progress(at + 1, len(names))
    bars = [
        hold_bar(f"{each['table']}: {FIRST}", each["works"][FIRST], each["works"][HAND], at_least=True)
        for each in found
    ]
    return {"tables": found, "seed": seed, "bars": bars}


def offers_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    models = list(dict.fromkeys(name for each in result["tables"] for name in each["works"]))
    title = "First offers that truly work, on settings held out"
    caption = "of a model where it was not marked to miss or to explain nothing; in brackets how often it was"
    table = figure_table(title, ["table"], ["targets", *models], caption=caption)
    for each in result["tables"]:
        cells = [_share(each["works"].get(name), each["marked"].get(name, 0)) for name in models]
        table.add_row(Path(each["table"]).stem, str(each["targets"]), *cells)
    return table


def _share(works: float | None, marked: int) -> str:
    said = "-" if works is None else f"{works:.0%}"
    return f"{said} ({marked})" if marked else said


def _judge_table(name: str, models: Sequence[str], seed: int) -> dict[str, Any]:
    """What works on the targets of one table."""
    emulator, rng = emulate(name), np.random.default_rng([seed, 77])
    places, of = np.unique(emulator.table.settings, axis=0, return_inverse=True)
    held = rng.permutation(len(places))[: max(round(HELD_OUT * len(places)), 1)]
    works, marked = dict[str, list[bool]](), dict[str, int]()
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.csv"
        _write(rows, emulator, ~np.isin(of.ravel(), held))
        for place in places[held[:TARGETS]]:
            for who, hit in _judge_target(emulator, rows, place, models, seed).items():
                if hit is None:
                    marked[who] = marked.get(who, 0) + 1
                else:
                    works.setdefault(who, []).append(hit)
    shares = {who: float(np.mean(hits)) for who, hits in works.items()}
    return {"table": name, "targets": len(held[:TARGETS]), "works": shares, "marked": marked}


def _write(path: Path, emulator: Emulator, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
    """Rows of a table as a person has them."""
    table = emulator.table
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow([*(f"in.{knob}" for knob in table.knobs), *(f"out.{channel}" for channel in table.channels)])
        out.writerows(np.column_stack((table.settings, table.readings))[kept].tolist())


def _judge_target(
    emulator: Emulator, rows: Path, place: Settings, models: Sequence[str], seed: int
) -> dict[str, bool | None]:
    """Whether what was offered for the reading at a place truly gives it; None for an offer that was marked."""
    wanted = _truth(emulator, place)
    allowed = np.maximum(0.05 * np.ptp(emulator.table.readings, axis=0), 1.5 * emulator.noise)
    target = [
        f"{n}={w!r}±{a!r}" for n, w, a in zip(emulator.table.channels, wanted.tolist(), allowed.tolist(), strict=True)
    ]
    result = solve(rows, target, models=models, seed=seed)

    def hits(settings: Mapping[str, float]) -> bool:
        there = np.array([settings[knob] for knob in emulator.table.knobs])
        return bool((np.abs(_truth(emulator, there) - wanted) <= allowed).all())

    found: dict[str, bool | None] = {HAND: hits(result["row"]["settings"]), FIRST: False}
    for row in result["models"]:
        first = row["candidates"][0] if row["error"] is None and row["candidates"] else None
        found[row["model"]] = None if first is None or first["misses"] or row["idle"] else hits(first["settings"])
        if row["model"] == result["first"] and first is not None:
            found[FIRST] = hits(first["settings"])
    return found


def _truth(emulator: Emulator, settings: Settings) -> Settings:
    """What the emulator reads without noise at settings ``(d,)``, ``(p,)``."""
    low, width = emulator.table.settings.min(axis=0), np.ptp(emulator.table.settings, axis=0)
    return np.asarray(emulator.response(((settings - low) / width)[None])[0])
