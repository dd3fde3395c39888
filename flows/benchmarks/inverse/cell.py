"""One cell of ``sdl benchmark inverse``: what is to be done, and a process of its own that does it.

A model is anybody's code and may take all time and memory: the process has a limit of time, and what becomes of it
is a sentence.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32


@dataclass(frozen=True)
class Cell:
    """One model on one problem."""

    problem: str
    label: str
    """Of the model in the table."""
    model: str
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    """Of the model."""
    rows: int = 8000
    targets: int = 1000
    seconds: float = 180.0
    """Of training."""
    forward: float = 45.0
    """Seconds of training the forward model that localises, where the model has none of its own."""
    limit: float = 900.0
    """Seconds after which the process is ended."""
    crystal: str = ""
    """Folder of the records."""

    @property
    def key(self) -> str:
        """A name for files; other options have another one."""
        words = json.dumps([self.options, self.rows, self.targets, self.seconds, self.forward], sort_keys=True)
        return f"{self.problem}-{self.label}-{self.seed}-{crc32(words.encode()):08x}".replace(" ", "-")


def run(cell: Cell, draws: Path) -> dict[str, Any]:
    """Run a cell in a process of its own, which writes its draws to a file.

    Returns:
        What it says of times and size, or ``error``: why there is nothing.
    """
    words = json.dumps({"cell": asdict(cell), "draws": str(draws)})
    said, failed = draws.with_suffix(".said"), draws.with_suffix(".failed")
    with said.open("wb") as out, failed.open("wb") as err:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.benchmarks.inverse.worker"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    assert child.stdin is not None
    with suppress(BrokenPipeError), child:  # it may have ended already; its code tells
        child.stdin.write(f"{words}\n".encode())
        child.stdin.flush()  # and not closed: the process ends when we do
        try:
            child.wait(cell.limit)
        except subprocess.TimeoutExpired:
            child.kill()
            return {"error": f"ended after its {cell.limit:g} s"}
    if code := child.returncode:
        how = f"ended with code {code}" if code > 0 else f"was killed by signal {-code}"
        why = failed.read_text("utf-8", "replace").strip().rpartition("\n")[2][:300]
        return {"error": f"{how}: {why}" if why else how}
    found: dict[str, Any] = json.loads(said.read_text("utf-8").strip().rpartition("\n")[2])  # a model may print too
    return found
