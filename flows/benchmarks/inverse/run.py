"""Inverse models on problems with many answers: how near, how many of the answers, how evenly, and how long it takes.

Error alone proves nothing: a look-up of the nearest row has less than any published model and knows one answer. So the
look-ups are always in the table, and beside the error stand the modes found, the distance from the true posterior, the
calibration of the draws and the times.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event, Thread
from typing import Any

from flows.benchmarks.cells import Progress
from flows.benchmarks.inverse.bars import hold_inverse_bars
from flows.benchmarks.inverse.cell import InverseCell
from flows.benchmarks.inverse.problems import PROBLEMS
from flows.benchmarks.inverse.table import make_table_rows
from flows.benchmarks.inverse.worker import GROUP
from flows.server import task_runners as runners
from sdl import plugins
from sdl.errors import InvalidInput, suggest_nearest
from sdl.instruments.simulated.crystal import SOURCE
from strategies.solving.model_answer import find_model_faults

LOOK_UPS = {"nearest row": 1, "one of 20 rows": 20}
"""Number of neighbours of each, as they stand."""
MODELS = (
    *("mixture-density", "cvae", "inn", "inn-likelihood", "cinn", "conditional-spline", "neural-adjoint", "ipage"),
    *("any-conditional", "rejection-localised"),
)
"""Those that learn from thousands of rows, as far as they are registered."""
LIBRARIES = ("torch", "zuko", "ForestDiffusion", "botorch")


@dataclass(frozen=True)
class InverseRequest:
    """What a person asks of the benchmark; a field that is left out has the value given here."""

    problems: Sequence[str] = ()
    """All that can be posed by default."""
    models: Sequence[str] = ()
    """Inverse models beside the look-ups, each with its options if need be, as ``ipage:latent=sobol``; by default those
    of ``MODELS`` that are registered."""
    seeds: int = 3
    rows: int | None = None
    """To learn from; by default each problem's own number."""
    targets: int = 1000
    seconds: float = 180.0
    """Of training a model."""
    forward: float = 45.0
    """Of training the forward model that localises, where a model has none."""
    runner: str = "threads"
    cores: int = 1
    """Cells at a time."""
    crystal: Path = Path("../shared/data/mos2_band_gap")
    """Folder of the records; the problem is left out where it is not, unless it is asked for."""

    def faults(self) -> list[str]:
        """What is wrong with it: problems, models or a runner that there are not, numbers and records."""
        faults = [
            f"unknown problem {name!r}{suggest_nearest(name, PROBLEMS)}"
            for name in self.problems
            if name not in PROBLEMS
        ]
        faults += find_model_faults(self.models)
        faults += runners.faults(self.runner)
        for name in ("seeds", "rows", "targets", "seconds", "forward", "cores"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                faults.append(f"{name}: needs a finite number above 0, got {value:g}")
        if "crystal" in self.problems and not self.crystal.is_dir():
            faults.append(f"crystal: there is no folder {str(self.crystal)!r}; get the records from {SOURCE}")
        return faults

    def cells(self) -> list[InverseCell]:
        """Every cell of the table, those of a problem together.

        Raises:
            InvalidInput: with every one of its faults.
        """
        if faults := self.faults():
            raise InvalidInput(faults)
        there = [each for each in PROBLEMS if each != "crystal" or self.crystal.is_dir()]
        return [
            self._cell(problem, label, model, options, seed)
            for problem in self.problems or there
            for label, model, options in self._models()
            for seed in range(self.seeds)
        ]

    def _models(self) -> list[tuple[str, str, dict[str, Any]]]:
        registered = plugins.names(GROUP)
        look_ups = [(name, "nearest", {"neighbours": n, "corrected": False}) for name, n in LOOK_UPS.items()]
        asked = self.models or [name for name in MODELS if name in registered]
        return [*look_ups, *((words, *plugins.read_named(GROUP, words)) for words in asked)]

    def _cell(self, problem: str, label: str, model: str, options: dict[str, Any], seed: int) -> InverseCell:
        return InverseCell(
            problem=problem,
            label=label,
            model=model,
            seed=seed,
            options=options,
            rows=self.rows or PROBLEMS[problem].rows,
            targets=self.targets,
            seconds=self.seconds,
            forward=self.forward,
            limit=300 + 4 * (self.seconds + self.forward),
            crystal=str(self.crystal.absolute()) if problem == "crystal" else "",
        )


def run_inverse_benchmark(
    request: InverseRequest, folder: Path, progress: Progress = lambda done, of: None
) -> dict[str, Any]:
    """Run the benchmark, or go on with it: cells that are finished in the folder are not run again.

    Args:
        request: Problems, models and sizes.
        folder: Where finished cells are kept.
        progress: Told how many cells are finished, and of how many.

    Returns:
        Plain data: ``asked``, ``cores`` (cells at a time, and of the machine), ``libraries`` (versions of those that
        models stand on), ``cells`` (what is known of each), ``rows`` (a line of the table for each problem, model and
        treatment, medians over seeds) and ``bars``.

    Raises:
        InvalidInput: with every fault of what was asked.
    """
    from flows.benchmarks.inverse.flow import run_in_flow  # Prefect takes seconds to load

    cells = request.cells()
    folder.mkdir(parents=True, exist_ok=True)
    with _watched([folder / f"{cell.key}.json" for cell in cells], progress):
        results = run_in_flow(cells, folder, request.runner, request.cores)
    rows = [
        row for problem in dict.fromkeys(cell.problem for cell in cells) for row in make_table_rows(problem, results)
    ]
    return {
        "asked": {**asdict(request), "crystal": request.crystal.name},
        "cores": {"cells_at_a_time": request.cores, "of_the_machine": os.cpu_count()},
        "libraries": dict(_libraries()),
        "cells": results,
        "rows": rows,
        "bars": hold_inverse_bars(rows),
    }


def _libraries() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


@contextmanager
def _watched(files: Sequence[Path], progress: Progress) -> Iterator[None]:
    """Tell every second how many of the files are there, and at the end."""
    over = Event()

    def look() -> None:
        while not over.wait(1.0):
            tell()

    def tell() -> None:
        progress(sum(file.exists() for file in files), len(files))

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        tell()
