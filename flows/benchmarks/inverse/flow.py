"""The cells of ``sdl benchmark inverse`` side by side, as tasks of a Prefect flow; what is finished is on the disk.

A cell has a process of its own, so that threads are enough to keep the cores busy; Dask and Ray take it to others.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.benchmarks.cells import run_cells
from flows.benchmarks.inverse.cell import InverseCell
from flows.benchmarks.inverse.scoring import score_draws, select_draws
from flows.benchmarks.inverse.worker import answer_questions
from flows.server import server
from flows.server.task_runners import make_task_runner
from sdl.system.atomic_files import write_atomically

ONE_JUDGE = Lock()
"""The true posterior takes memory, and the truth of the crystal has to be learned: once is enough."""


def finish_cell(cell: InverseCell, folder: Path) -> dict[str, Any]:
    """What is known of a cell: from the disk if it was finished before, else run, judged and kept.

    One that crashed or took too long is kept too, with the reason, and tried again when it is asked for again.
    """
    file = folder / f"{cell.key}.json"
    if (kept := _read_kept(file)) is not None and not kept["error"]:
        return kept
    result: dict[str, Any] = {"problem": cell.problem, "label": cell.label, "model": cell.model, "seed": cell.seed}
    result |= {"error": None, "posts": {}, "shown": {}}
    with TemporaryDirectory() as place:
        draws = Path(place) / "draws.npz"
        result |= run_inverse_cell(cell, draws)
        if not result["error"]:
            with ONE_JUDGE:
                result |= {"posts": score_draws(cell, draws), "shown": select_draws(cell, draws)}
    with write_atomically(file, force=True) as draft:
        draft.write(json.dumps(result).encode())
    return result


def run_inverse_cell(cell: InverseCell, draws: Path) -> dict[str, Any]:
    """Let a process of its own answer the questions of a cell, and write its draws to a file.

    Returns:
        What it says of times and sizes, or ``error``: why there is nothing.
    """
    question = {"cell": asdict(cell), "draws": str(draws)}
    ((_, outcome),) = run_cells(answer_questions, [question], 1, limit_s=cell.limit)
    return {"error": outcome.error} if outcome.value is None else outcome.value


@task(name="cell", task_run_name="{cell[problem]}-{cell[label]}-{cell[seed]}", cache_policy=NO_CACHE)
def finish_one_cell(cell: dict[str, Any], folder: str) -> dict[str, Any]:
    """Run one cell unless it is finished."""
    return finish_cell(InverseCell(**cell), Path(folder))


@flow(name="benchmark-inverse")
async def finish_every_cell(cells: Sequence[dict[str, Any]], folder: str) -> list[dict[str, Any]]:
    """Run every cell as a task of its own.

    Args:
        cells: As ``InverseCell`` has them.
        folder: Where finished cells are kept.
    """
    return list(finish_one_cell.map(list(cells), [folder] * len(cells)).result())


def run_in_flow(cells: Sequence[InverseCell], folder: Path, runner: str, cores: int) -> list[dict[str, Any]]:
    """What is known of each cell, in their order.

    Args:
        cells: Of the benchmark.
        folder: Where finished cells are kept.
        runner: One of ``flows.server.task_runners.RUNNERS``.
        cores: Cells at a time, for threads.
    """
    options = {"max_workers": min(cores, os.cpu_count() or 1)} if runner == "threads" else {}
    work = finish_every_cell.with_options(task_runner=make_task_runner(runner, **options))
    return server.run_with_server(work([asdict(cell) for cell in cells], str(folder)))


def _read_kept(path: Path) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return kept
