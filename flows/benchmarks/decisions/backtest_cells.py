"""Cells of a back-test: each is run once and kept as a line of JSON as it ends."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.benchmarks.cells import run_cells
from sdl import __version__
from sdl.errors import InvalidInput
from strategies.evaluation.backtest import BacktestRun, run_backtest
from strategies.evaluation.peer_campaign import BENEFIT
from strategies.evaluation.scenarios import Scenario


@dataclass(frozen=True)
class BacktestCell:
    """One strategy on one scenario with one seed."""

    problem: Scenario
    strategy: str
    seed: int
    budget: int
    tolerance: float | str | None = None
    """Instead of the scenario's own."""

    @property
    def key(self) -> str:
        """A digest of the question; the same for the same question to the same program."""
        question = {**asdict(self), "benefit": BENEFIT, "version": __version__}
        return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def names(self) -> dict[str, Any]:
        """What tells it from the other cells of a back-test."""
        return {"problem": self.problem.name, "strategy": self.strategy, "seed": self.seed}


@dataclass(frozen=True)
class EndedCell:
    """A cell and what became of it."""

    cell: BacktestCell
    run: BacktestRun | None
    error: str
    """Why there is no run, in a sentence; empty if there is one."""
    seconds: float

    def to_line(self) -> str:
        """The line of JSON in which it is kept."""
        run = None if self.run is None else asdict(self.run)
        kept = {"key": self.cell.key, **self.cell.names, "run": run, "error": self.error}
        return json.dumps({**kept, "seconds": round(self.seconds, 3)}, allow_nan=False) + "\n"


def run_backtest_cells(
    cells: Iterable[BacktestCell], file: Path, processes: int, tell: Callable[[EndedCell, int, int], object]
) -> list[EndedCell]:
    """Run all cells that the file has no run of yet, and return how every one ended.

    Args:
        cells: In the order of running.
        file: Where each is kept as it ends, a line of JSON each. Cells that crashed are run again.
        processes: That run at once, each apart from this one; 0 to run in this one.
        tell: Called with each that ends now, and how many have ended of how many that were left.

    Raises:
        InvalidInput: if the file cannot be read or written.
    """
    wanted = list(cells)
    ended = read_kept_cells(wanted, file)
    left = [cell for cell in wanted if cell.key not in ended]
    try:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(_line_end(file))
            outcomes = run_cells(run_backtest_cell, [asdict(cell) for cell in left], processes)
            for done, (place, outcome) in enumerate(outcomes, start=1):
                run = None if outcome.value is None else BacktestRun(**outcome.value)
                cell = EndedCell(left[place], run, outcome.error, outcome.seconds)
                ended[cell.cell.key] = cell
                lines.write(cell.to_line())
                lines.flush()
                tell(cell, done, len(left))
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror}") from error
    return [ended[cell.key] for cell in wanted]


def run_backtest_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Run one cell, a ``BacktestCell`` as plain data; what became of it is plain data too."""
    question = {name: value for name, value in cell.items() if name != "problem"}
    return asdict(run_backtest(Scenario(**cell["problem"]), **question))


def read_kept_cells(cells: Iterable[BacktestCell], file: Path) -> dict[str, EndedCell]:
    """Those of the cells that the file has a run of, by their key; a line that a kill cut off is passed over."""
    if not file.exists():
        return {}
    wanted, kept = {cell.key: cell for cell in cells}, dict[str, EndedCell]()
    for text in file.read_text("utf-8").splitlines():
        line = _read_line(text)
        if line is not None and line.get("run") is not None and (cell := wanted.get(line["key"])) is not None:
            kept[cell.key] = EndedCell(cell, BacktestRun(**line["run"]), "", line["seconds"])
    return kept


def _line_end(file: Path) -> str:
    """What ends the last line, which a kill may have cut off."""
    return "" if file.read_bytes()[-1:] in (b"", b"\n") else "\n"


def _read_line(text: str) -> Mapping[str, Any] | None:
    try:
        line: Mapping[str, Any] = json.loads(text)
    except ValueError:
        return None
    return line
