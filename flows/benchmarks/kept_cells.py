"""Cells of a benchmark that are kept as they end, a line of JSON each, and not worked out again by the same program."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sdl
import strategies
from flows.benchmarks.cells import CellOutcome, Data, Progress, Work, run_cells
from sdl.errors import InvalidInput


def run_kept_cells(
    work: Work, cells: Sequence[Data], file: Path, processes: int | None, progress: Progress = lambda done, of: None
) -> list[CellOutcome]:
    """What comes of every cell, in the order of the cells.

    Args:
        work: What is done to each.
        cells: Of the benchmark, plain data.
        file: Where each that comes to something is kept; its folder is made. What another program kept stays there.
        processes: At work at once; as many as there are processors if it is None, 0 to work in this process.
        progress: Told how many cells are done, and of how many.

    Raises:
        InvalidInput: if the file cannot be read or written.
    """
    source = digest_source()
    keys = [_key(cell, source) for cell in cells]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        outcomes = {key: outcome for key, outcome in _kept(file) if key in set(keys)}
        left = [(key, cell) for key, cell in zip(keys, cells, strict=True) if key not in outcomes]
        processes = min(os.cpu_count() or 1, len(left)) if processes is None else processes
        with file.open("a", encoding="utf-8") as lines:
            lines.write(_line_end(file))
            for place, outcome in run_cells(work, [cell for _, cell in left], processes):
                key, cell = left[place]
                outcomes[key] = outcome
                if outcome.value is not None:
                    lines.write(_line(key, cell, outcome))
                    lines.flush()
                progress(len(outcomes), len(cells))
    except OSError as error:
        raise InvalidInput(f"cannot keep what is finished in {file}: {error.strerror}") from error
    return [outcomes[key] for key in keys]


def digest_source() -> str:
    """A digest of the source of all that measures and decides, so that what is kept is what this program would do."""
    digest = hashlib.sha256()
    for package in (sdl, strategies):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _key(cell: Data, source: str) -> str:
    """A digest of the question and of the program that it is put to."""
    return hashlib.sha256(json.dumps({**cell, "source": source}, sort_keys=True).encode()).hexdigest()[:16]


def _line(key: str, cell: Data, outcome: CellOutcome) -> str:
    kept = {"key": key, "cell": cell, "value": outcome.value, "seconds": round(outcome.seconds, 3)}
    return json.dumps(kept, allow_nan=False) + "\n"


def _kept(file: Path) -> Iterator[tuple[str, CellOutcome]]:
    """Outcomes that a file holds, by key; a line that a kill cut off is passed over."""
    for text in file.read_text("utf-8").splitlines() if file.exists() else ():
        if (line := _read(text)) is not None:
            yield line["key"], CellOutcome(line["value"], "", line["seconds"])


def _read(text: str) -> Mapping[str, Any] | None:
    try:
        line: Mapping[str, Any] = json.loads(text)
    except ValueError:
        return None
    return line


def _line_end(file: Path) -> str:
    """What ends the last line, which a kill may have cut off."""
    return "" if file.read_bytes()[-1:] in (b"", b"\n") else "\n"
