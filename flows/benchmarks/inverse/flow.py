"""The cells of ``sdl benchmark inverse`` side by side, as tasks of a Prefect flow; what is finished is on the disk.

A cell has a process of its own, so that threads are enough to keep the cores busy; Dask and Ray take it to others.
"""

import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner

from flows.benchmarks.inverse.cell import Cell, run
from flows.benchmarks.inverse.scoring import judge, shown
from flows.server import server
from flows.server.task_runners import RUNNERS
from sdl.system.atomic_files import whole

ONE_JUDGE = Lock()
"""The true posterior takes memory, and the truth of the crystal has to be learned: once is enough."""


def finish(cell: Cell, folder: Path) -> dict[str, Any]:
    """What is known of a cell: from the disk if it was finished before, else run, judged and kept.

    One that crashed or took too long is kept too, with the reason, and tried again when it is asked for again.
    """
    kept = folder / f"{cell.key}.json"
    if (known := _read(kept)) is not None and not known["error"]:
        return known
    found: dict[str, Any] = {"problem": cell.problem, "label": cell.label, "model": cell.model, "seed": cell.seed}
    with TemporaryDirectory() as place:
        draws = Path(place) / "draws.npz"
        found |= {"error": None, "posts": {}, "shown": {}} | run(cell, draws)
        if not found["error"]:
            with ONE_JUDGE:
                found |= {"posts": judge(cell, draws), "shown": shown(cell, draws)}
    with whole(kept, force=True) as file:
        file.write(json.dumps(found).encode())
    return found


@task(name="cell", task_run_name="{cell[problem]}-{cell[label]}-{cell[seed]}", cache_policy=NO_CACHE)
def one_cell(cell: dict[str, Any], folder: str) -> dict[str, Any]:
    """Run one cell unless it is finished."""
    return finish(Cell(**cell), Path(folder))


@flow(name="benchmark-inverse")
async def every_cell(cells: Sequence[dict[str, Any]], folder: str) -> list[dict[str, Any]]:
    """Run every cell as a task of its own.

    Args:
        cells: As ``Cell`` has them.
        folder: Where finished cells are kept.
    """
    return list(one_cell.map(list(cells), [folder] * len(cells)).result())


def fan_out(cells: Sequence[dict[str, Any]], folder: Path, runner: str, cores: int) -> list[dict[str, Any]]:
    """What is known of each cell, in their order.

    Args:
        cells: As ``Cell`` has them.
        folder: Where finished cells are kept.
        runner: One of ``flows.runners.RUNNERS``.
        cores: Cells at a time, for threads.
    """
    module, kind = RUNNERS[runner]
    options = {"max_workers": min(cores, os.cpu_count() or 1)} if runner == "threads" else {}
    made: TaskRunner[Any] = getattr(import_module(module), kind)(**options)
    return server.run_with_server(every_cell.with_options(task_runner=made)(cells, str(folder)))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found
