"""Cells of a back-test: each is run once, in a process that may die, and written down as it ends."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from sdl import __version__
from sdl.errors import InvalidInput
from strategies.evaluation import backtest
from strategies.evaluation.backtest import Run
from strategies.evaluation.backtest_problems import Problem
from strategies.evaluation.peer_campaign import BENEFIT

DIED = "the process that ran it died: too little memory, or a fault of a library"


@dataclass(frozen=True)
class Cell:
    """One strategy on one problem with one seed."""

    problem: Problem
    strategy: str
    seed: int
    budget: int
    tolerance: float | str | None = None
    """Instead of the problem's own."""

    @property
    def key(self) -> str:
        """What was asked; the same for the same question to the same program."""
        asked = {**asdict(self), "benefit": BENEFIT, "version": __version__}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Ended:
    """A cell and what became of it."""

    cell: Cell
    run: Run | None
    error: str
    """Why there is no run, in a sentence; empty if there is one."""
    seconds: float

    def line(self) -> str:
        """As it is written down."""
        run = None if self.run is None else asdict(self.run)
        names = {"problem": self.cell.problem.name, "strategy": self.cell.strategy, "seed": self.cell.seed}
        said = {"key": self.cell.key, **names, "run": run, "error": self.error, "seconds": round(self.seconds, 3)}
        return json.dumps(said, allow_nan=False) + "\n"


def run(cells: Iterable[Cell], file: Path, processes: int, tell: Callable[[Ended], object]) -> list[Ended]:
    """Run all cells that the file has no run of yet, and return how every one ended.

    Args:
        cells: In the order of running.
        file: Where each is written down as it ends, a line of JSON each. Cells that crashed are run again.
        processes: That run at once, each apart from this one.
        tell: Called with each that ends now.

    Raises:
        InvalidInput: if the file cannot be read or written.
    """
    asked = list(cells)
    done = known(asked, file)
    todo = iter(cell for cell in asked if cell.key not in done)
    try:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(_line_end(file))
            for each in _each(todo, processes):
                done[each.cell.key] = each
                lines.write(each.line())
                lines.flush()
                tell(each)
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror}") from error
    return [done[cell.key] for cell in asked]


def attempt(cell: Cell) -> Ended:
    """Run one cell; whatever it raises ends in a sentence."""
    started = time.perf_counter()
    run, error = None, ""
    try:
        run = backtest.run(cell.problem, cell.strategy, cell.seed, cell.budget, cell.tolerance)
    except Exception as raised:  # a strategy is anybody's code
        error = f"{type(raised).__name__}: {' '.join(str(raised).split())[:300]}"
    return Ended(cell, run, error, time.perf_counter() - started)


def _each(todo: Iterable[Cell], processes: int) -> Iterable[Ended]:
    cells, under_way, pool = iter(todo), dict[Future[Ended], Cell](), _pool(processes)
    try:
        while True:
            for cell in islice(cells, processes - len(under_way)):
                under_way[pool.submit(attempt, cell)] = cell
            if not under_way:
                return
            finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
            broken = False
            for future in finished:
                cell = under_way.pop(future)
                broken = broken or isinstance(future.exception(), BrokenProcessPool)
                yield Ended(cell, None, DIED, 0.0) if future.exception() else future.result()
            if broken:  # it takes all that are under way with it
                yield from (Ended(cell, None, DIED, 0.0) for cell in under_way.values())
                under_way.clear()
                pool.shutdown(wait=False)
                pool = _pool(processes)
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(processes: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork of a process with threads may hang.
    return ProcessPoolExecutor(processes, get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Let a process of the pool end when this one is killed: it would wait for ever for more to do."""
    if (parent := parent_process()) is not None:
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def known(cells: Iterable[Cell], file: Path) -> dict[str, Ended]:
    """What the file says of these cells, by their key; a line that a kill cut off says nothing."""
    if not file.exists():
        return {}
    asked, found = {cell.key: cell for cell in cells}, dict[str, Ended]()
    for line in file.read_text("utf-8").splitlines():
        said = _read(line)
        if said is not None and said.get("run") is not None and (cell := asked.get(said["key"])) is not None:
            found[cell.key] = Ended(cell, Run(**said["run"]), "", said["seconds"])
    return found


def _line_end(file: Path) -> str:
    """What ends the last line, which a kill may have cut off."""
    return "" if file.read_bytes()[-1:] in (b"", b"\n") else "\n"


def _read(line: str) -> Mapping[str, Any] | None:
    try:
        said: Mapping[str, Any] = json.loads(line)
    except ValueError:
        return None
    return said
