"""Cells of a benchmark, each worked out in a process that may die: one that does costs no other cell.

Cells and what comes of them are plain data. A process takes one cell after another as a line of JSON on its standard
input and answers with another line; it ends when that input does, as it also does when its parent is killed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from pkgutil import resolve_name
from queue import Empty, SimpleQueue
from tempfile import TemporaryFile
from threading import Event, Thread, Timer
from typing import Any

from sdl.errors import SdlError

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Processes at work beside each other leave the linear algebra one thread each."""

Data = Mapping[str, Any]
Work = Callable[[Data], Data]
"""From a cell to what comes of it; a function at the top of its module."""
Progress = Callable[[int, int], object]
"""Called with the number of cells that are done, and of all."""


@dataclass(frozen=True)
class CellOutcome:
    """What came of a cell."""

    value: dict[str, Any] | None
    error: str
    """Why there is no value, in a sentence; empty if there is one."""
    seconds: float


def run_cells(
    work: Work, cells: Sequence[Data], processes: int, *, limit_s: float | None = None
) -> Iterator[tuple[int, CellOutcome]]:
    """Work out every cell and yield its place with what came of it, as they end.

    Args:
        work: What is done to each.
        cells: In the order in which they are begun.
        processes: At work at once; 0 to work in this process, one cell after another.
        limit_s: Seconds after which the process of a cell is killed.
    """
    if not processes:
        yield from ((place, attempt_cell(work, cell)) for place, cell in enumerate(cells))
        return
    name, workers, idle = f"{work.__module__}:{work.__qualname__}", list[_Worker](), SimpleQueue[_Worker]()

    def attempt(cell: Data) -> CellOutcome:
        try:
            worker = idle.get_nowait()
        except Empty:  # no more cells are tried at once than there are to be processes
            workers.append(worker := _Worker(name))
        outcome = worker.attempt(cell, limit_s)
        if worker.alive:
            idle.put(worker)
        return outcome

    pool = ThreadPoolExecutor(processes)
    try:
        places = {pool.submit(attempt, cell): place for place, cell in enumerate(cells)}
        for future in as_completed(places):
            yield places[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.end()


def work_out_all(
    work: Work, cells: Sequence[Data], processes: int | None, progress: Progress = lambda done, of: None
) -> list[dict[str, Any]]:
    """What comes of every cell, in the order of the cells.

    Args:
        work: What is done to each.
        cells: Of the benchmark.
        processes: At work at once; as many as there are processors if it is None, 0 to work in this process.
        progress: Told of each cell that ends.

    Raises:
        SdlError: for cells that came to nothing, naming each of them, when all others are done.
    """
    outcomes = dict[int, CellOutcome]()
    processes = min(os.cpu_count() or 1, len(cells)) if processes is None else processes
    for place, outcome in run_cells(work, cells, processes):
        outcomes[place] = outcome
        progress(len(outcomes), len(cells))
    if lost := [f"{cells[place]}: {each.error}" for place, each in sorted(outcomes.items()) if each.error]:
        raise SdlError(f"{len(lost)} of {len(cells)} cells came to nothing: {'; '.join(lost)[:2000]}")
    return [each.value for _, each in sorted(outcomes.items()) if each.value is not None]


def attempt_cell(work: Work, cell: Data) -> CellOutcome:
    """Work one cell out here; whatever it raises ends in a sentence, since models and strategies are anybody's code."""
    started, value, error = time.perf_counter(), None, ""
    try:
        value = dict(work(cell))
    except SdlError as raised:
        error = str(raised)
    except (Exception, SystemExit) as raised:
        error = f"{type(raised).__name__}: {' '.join(str(raised).split())[:300]}"
    return CellOutcome(value, error, time.perf_counter() - started)


class _Worker:
    """A process that works out one cell after another, as long as it lives."""

    def __init__(self, work: str) -> None:
        self.words = TemporaryFile()  # noqa: SIM115  open as long as the process lives
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            env={**os.environ, **ONE_THREAD},
        )

    @property
    def alive(self) -> bool:
        """Whether it can take another cell."""
        return self.process.poll() is None

    def attempt(self, cell: Data, limit_s: float | None) -> CellOutcome:
        """What it makes of a cell, or how it ended over it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        started, late = time.perf_counter(), Event()

        def end_late() -> None:
            late.set()
            self.process.kill()

        timer = Timer(limit_s or 0.0, end_late)
        if limit_s is not None:
            timer.start()
        with suppress(BrokenPipeError):  # it may have ended already; its code says how
            self.process.stdin.write(json.dumps(cell).encode() + b"\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        timer.cancel()
        if line and not late.is_set():
            return CellOutcome(**json.loads(line))
        self.process.wait()
        why = f"ended after its {limit_s:g} s" if late.is_set() else self._why()
        return CellOutcome(None, why, time.perf_counter() - started)

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        with suppress(BrokenPipeError), self.process:
            self.words.close()

    def _why(self) -> str:
        """How it ended, with the last that it said."""
        code = self.process.returncode
        how = f"ended with code {code}" if code > 0 else f"was killed by signal {-code}"
        self.words.seek(0)
        said = self.words.read().decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        return f"{how}: {said}" if said else how


def _serve(work: str) -> None:
    """Work out the cells of standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a model prints is no answer
    lines = SimpleQueue[str]()
    Thread(target=_listen, args=(lines,), daemon=True).start()
    step: Work = resolve_name(work)
    while True:
        print(json.dumps(asdict(attempt_cell(step, json.loads(lines.get())))), file=answers, flush=True)


def _listen(lines: "SimpleQueue[str]") -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(1)  # nobody wants an answer any more


if __name__ == "__main__":
    _serve(sys.argv[1])
