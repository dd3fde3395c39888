"""All benchmarks in one command, with the machine and the versions that they ran on."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from flows.benchmarks.decisions import acquisitions, forest, loop, models
from flows.benchmarks.decisions import many_targets as sweep
from flows.benchmarks.decisions import missing_cells as incomplete
from flows.benchmarks.decisions import real_records as records
from flows.benchmarks.inverse import run as inverse
from flows.benchmarks.inverse import table as inverse_table
from flows.benchmarks.operation import concurrency as interleavings
from flows.benchmarks.operation import control_latency as steering
from flows.benchmarks.operation import ledger, soak, speed
from flows.benchmarks.operation import startup as service
from flows.benchmarks.operation import utilisation as use
from flows.versions import versions
from sdl.errors import InvalidInput, nearest

Progress = Callable[[int, int], object]
KINDS = (
    "loop",
    "records",
    "models",
    "forest",
    "incomplete",
    "acquisitions",
    "speed",
    "ledger",
    "soak",
    "use",
    "service",
    "interleavings",
    "steering",
    "sweep",
    "inverse",
)
OF_RECORDS = ("records", "incomplete")
ALONE = ("ledger", "soak", "use", "service", "interleavings", "steering", "sweep", "inverse")
"""Not among all: they take minutes each, or hours, and the ledger two gigabytes of disk."""


def faults(what: str) -> list[str]:
    """That there is no such benchmark, and which is meant."""
    known = (*KINDS, "all")
    return [] if what in known else [f"unknown benchmark {what!r}{nearest(what, known)}"]


def run(
    what: str,
    seeds: int,
    names: Sequence[str],
    files: Path,
    progress: Progress,
    asked: inverse.Asked | None = None,
    home: Path | None = None,
) -> dict[str, Any]:
    """Run one kind of benchmark or all.

    Args:
        what: one of ``KINDS``, or ``all`` but those of ``ALONE``.
        seeds: Campaigns of each kind in the loop and the sweep.
        names: Inverse models of the loop instead of the campaign's own, and of ``models`` instead of all.
        files: Folder of the real records; ``all`` goes without them where they are not.
        progress: Told how many campaigns or models are done, and of how many.
        asked: What ``inverse`` is to do.
        home: Data directory, where ``inverse`` keeps what is finished.

    Returns:
        Plain data: machine, versions, the result of each kind, and whether every bar was met.
    """
    if wrong := faults(what):
        raise InvalidInput(wrong)
    every = [kind for kind in KINDS if kind not in ALONE and (kind not in OF_RECORDS or files.exists())]
    chosen = [what] if what != "all" else every
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "loop": lambda: loop.run(seeds, models=names, progress=progress),
        "records": lambda: records.run(files),
        "models": lambda: models.run(files, names, progress=progress),
        "forest": forest.run,
        "incomplete": lambda: incomplete.run(files),
        "acquisitions": acquisitions.run,
        "speed": speed.run,
        "service": service.run,
        "ledger": ledger.run,
        "soak": soak.run,
        "use": use.run,
        "interleavings": lambda: interleavings.run(progress=progress),
        "steering": steering.run,
        "sweep": lambda: sweep.run(seeds, progress=progress),
        "inverse": lambda: inverse.run(
            asked or inverse.Asked(), (home or Path("sdl-data")) / "benchmarks" / "inverse", progress=progress
        ),
    }
    results = {kind: runs[kind]() for kind in chosen}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": versions(),
        "results": results,
        "all_met": all(bar["met"] for result in results.values() for bar in result["bars"]),
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """What ``run`` returned, for people."""
    several: dict[str, Callable[[dict[str, Any]], Iterable[Table]]] = {
        "loop": loop.tables,
        "records": records.table,
        "inverse": inverse_table.tables,
    }
    makers: dict[str, Callable[[dict[str, Any]], Table]] = {
        "models": models.table,
        "forest": forest.table,
        "incomplete": incomplete.table,
        "acquisitions": acquisitions.table,
        "speed": speed.table,
        "service": service.table,
        "ledger": ledger.table,
        "soak": soak.table,
        "use": use.table,
        "interleavings": interleavings.table,
        "steering": steering.table,
        "sweep": sweep.table,
    }
    made = list[Table]()
    for kind, found in result["results"].items():
        made += several[kind](found) if kind in several else [makers[kind](found)]
    return made
