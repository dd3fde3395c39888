"""How long our own work takes: solving, a measurement less the instrument's time, and the import of ``sdl``."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from flows import environment
from flows.benchmarks.bars import hold_bar, say_met
from flows.benchmarks.operation.campaigns import run_module
from flows.engine.opening import open_session
from flows.engine.session import Session
from flows.server import server
from flows.studies.solve import solve
from flows.terminal import figure_table
from sdl.history import Purpose, Request, Round, RoundKind
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Reply
from strategies.designs import LatinHypercube
from strategies.plan.steps import Measure

TARGETS = ("445nm=16384", "515nm=16384", "630nm=16384")
ROWS = 100
DRAWS = 1000
BATCH = 20
CAMPAIGN = {
    "name": "speed",
    "budget": 1_000_000,
    "instrument": "twin",
    "targets": [{"readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}}],
}
IMPORT = "import time; start = time.perf_counter(); import sdl; print(time.perf_counter() - start)"
BARS = {"solve": 100.0, "ledger": 3.0, "prefect": 3.0, "import": 300.0}
"""Milliseconds that are accepted."""
SHOWN = {
    "solve": f"mixture on {ROWS} rows: fit and {DRAWS} draws",
    "whole": "the same with reading, candidates, reachability and scores",
    "ledger": f"our own work a measurement, batches of {BATCH}",
    "prefect": "the same as tasks of a Prefect flow",
    "twin": "the twin's own work a measurement, which is not in these",
    "import": "import of sdl",
}

Take = Callable[[Measure], Awaitable[object]]


class TimedTwin(Twin):
    """A twin that answers at once and counts how long it takes to make an answer up."""

    spent_s = 0.0

    def measure(self, settings: Mapping[str, float]) -> Reply:
        started = time.perf_counter()
        reply = super().measure(settings)
        self.spent_s += time.perf_counter() - started
        return reply


def run_speed_benchmark(repeats: int = 20, batches: int = 25, prefect: bool = True) -> dict[str, Any]:
    """Run the benchmark, about half a minute, most of it the start of a Prefect server.

    Args:
        repeats: Of solving.
        batches: Of measurements.
        prefect: Whether to measure through a Prefect flow as well.

    Returns:
        Plain data: ``figures``, each with its ``best`` and ``median`` in milliseconds, and ``bars``, which medians
        are held against (for the import the best).
    """
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        figures = {**time_solving(folder, repeats), **time_measuring(folder, batches), "import": time_import()}
        if prefect:
            figures["prefect"] = run_module(__name__, directory, batches)["ledger"]
    held = {name: figures[name]["best" if name == "import" else "median"] for name in BARS if name in figures}
    bars = [hold_bar(name, value, BARS[name]) for name, value in held.items()]
    return {"unit": "ms", "figures": figures, "bars": bars}


def speed_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    table = figure_table("Time of our own work, ms", ["what"], ("best", "median", "bar", "met"))
    bars = {bar["figure"]: bar for bar in result["bars"]}
    for name, label in SHOWN.items():
        if name in result["figures"]:
            times = [f"{result['figures'][name][key]:.2f}" for key in ("best", "median")]
            held = [f"{bars[name]['bar']:g}", say_met(bars[name])] if name in bars else ["", ""]
            table.add_row(label, *times, *held)
    return table


def time_solving(directory: Path, repeats: int) -> dict[str, Any]:
    """The paper's problem: fit and draws, and the whole of ``solve``."""
    file, twin, core, whole = directory / "rows.jsonl", Twin(), list[float](), list[float]()
    settings = LatinHypercube().propose(twin.space, ROWS, np.random.default_rng(0))
    replies = [twin.measure(twin.space.named_settings(row)) for row in settings]
    file.write_text("".join(f"{reply.raw}\n" for reply in replies), "utf-8")
    for _ in range(repeats):
        started = time.perf_counter()
        answer = solve(file, TARGETS, models=["mixture"], draws=DRAWS)["models"][0]
        whole.append(time.perf_counter() - started)
        core.append(answer["fit_s"] + answer["draw_s"])
    return {"solve": _times(core), "whole": _times(whole)}


def time_measuring(directory: Path, batches: int) -> dict[str, Any]:
    """Our own work on one measurement, through ledger and bench."""

    async def take(session: Session, step: Measure) -> None:
        session.execute(step)

    with open_session(CAMPAIGN, directory, str(directory / "ledger.sqlite")) as session:
        return asyncio.run(time_own_work(partial(take, session), _timed(session), batches))


def time_through_prefect(directory: Path, batches: int) -> dict[str, Any]:
    """The same through the task of the campaign's flow, on a Prefect server; only before Prefect was imported."""
    environment.set_up_prefect(directory)
    environment.set_up_prefect(directory, server.api(directory))
    from prefect import flow

    from flows.campaign import tasks

    with open_session(CAMPAIGN | {"name": "prefect"}, directory, str(directory / "prefect.sqlite")) as session:
        work = flow(name="speed", validate_parameters=False)(time_own_work)
        return asyncio.run(work(partial(tasks.execute_step, session), _timed(session), batches))


async def time_own_work(take: Take, twin: TimedTwin, batches: int) -> dict[str, Any]:
    """Milliseconds a measurement over batches, without those of the twin; and those of the twin.

    Args:
        take: Writes a round down and takes its measurements, on that twin.
        twin: The instrument at work.
        batches: After one that is not counted.
    """
    own, spent, rng = list[float](), list[float](), np.random.default_rng(0)
    for number in range(1 + batches):
        requests = [
            Request(number, i, 0, Purpose.BY_HAND, settings) for i, settings in enumerate(rng.random((BATCH, 3)))
        ]
        before, started = twin.spent_s, time.perf_counter()
        await take(Measure(Round(number, RoundKind.BY_HAND), requests))
        spent.append((twin.spent_s - before) / BATCH)
        own.append((time.perf_counter() - started) / BATCH - spent[-1])
    return {"ledger": _times(own[1:]), "twin": _times(spent[1:])}


def time_import(repeats: int = 7) -> dict[str, float]:
    """The import of ``sdl`` in a fresh interpreter."""
    return _times([_time_of_one_import() for _ in range(repeats)])


def _timed(session: Session) -> TimedTwin:
    """Put a twin whose time is counted in the place of the session's instrument."""
    twin = TimedTwin()
    session.bench.instrument = twin
    return twin


def _times(seconds: list[float]) -> dict[str, float]:
    return {"best": 1e3 * min(seconds), "median": 1e3 * statistics.median(seconds)}


def _time_of_one_import() -> float:
    command = [sys.executable, "-P", "-c", IMPORT]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    os.environ.pop("PREFECT_API_URL", None)  # a server that nobody else works on
    print(json.dumps(time_through_prefect(Path(sys.argv[1]), int(sys.argv[2]))))
