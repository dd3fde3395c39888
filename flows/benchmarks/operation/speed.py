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
from flows.cli.options import ruled
from flows.engine.opening import open_session
from flows.engine.session import Session
from flows.server import server
from flows.studies.solve import solve
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


def run(repeats: int = 20, batches: int = 25, prefect: bool = True) -> dict[str, Any]:
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
        figures = {**solving(Path(directory), repeats), **measuring(Path(directory), batches), "import": importing()}
        if prefect:
            figures["prefect"] = _in_a_process_of_its_own(directory, batches)
    held = {name: figures[name]["best" if name == "import" else "median"] for name in BARS if name in figures}
    bars = [
        {"figure": name, "value": value, "bar": BARS[name], "met": value <= BARS[name]} for name, value in held.items()
    ]
    return {"unit": "ms", "figures": figures, "bars": bars}


def table(result: dict[str, Any]) -> Table:
    """What ``run`` returned, for people."""
    shown = ruled("Time of our own work, ms", ["what"], ("best", "median", "bar", "met"))
    bars = {bar["figure"]: bar for bar in result["bars"]}
    for name, label in SHOWN.items():
        if name in result["figures"]:
            times = [f"{result['figures'][name][key]:.2f}" for key in ("best", "median")]
            bar = bars.get(name)
            shown.add_row(
                label, *times, f"{bar['bar']:g}" if bar else "", ("yes" if bar["met"] else "no") if bar else ""
            )
    return shown


def solving(directory: Path, repeats: int) -> dict[str, Any]:
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


def measuring(directory: Path, batches: int) -> dict[str, Any]:
    """Our own work on one measurement, through ledger and bench."""

    async def take(session: Session, step: Measure) -> None:
        session.execute(step)

    with open_session(CAMPAIGN, directory, str(directory / "ledger.sqlite")) as session:
        return asyncio.run(own_work(partial(take, session), _timed(session), batches))


def through_prefect(directory: Path, batches: int) -> dict[str, Any]:
    """The same through the task of the campaign's flow, on a Prefect server; only before Prefect was imported."""
    environment.set_up_prefect(directory)
    environment.set_up_prefect(directory, server.api(directory))
    from prefect import flow

    from flows.campaign import tasks

    with open_session(CAMPAIGN | {"name": "prefect"}, directory, str(directory / "prefect.sqlite")) as session:
        work = flow(name="speed", validate_parameters=False)(own_work)
        return asyncio.run(work(partial(tasks.execute_step, session), _timed(session), batches))


async def own_work(take: Take, twin: TimedTwin, batches: int) -> dict[str, Any]:
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


def importing(repeats: int = 7) -> dict[str, float]:
    """The import of ``sdl`` in a fresh interpreter."""
    return _times([float(_python("-c", IMPORT)) for _ in range(repeats)])


def _timed(session: Session) -> TimedTwin:
    """Put a twin whose time is counted in the place of the session's instrument."""
    twin = TimedTwin()
    session.bench.instrument = twin
    return twin


def _times(seconds: list[float]) -> dict[str, float]:
    return {"best": 1e3 * min(seconds), "median": 1e3 * statistics.median(seconds)}


def _in_a_process_of_its_own(directory: str, batches: int) -> dict[str, float]:
    figures: dict[str, dict[str, float]] = json.loads(_python("-m", __name__, directory, str(batches)).splitlines()[-1])
    return figures["ledger"]


def _python(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-P", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    os.environ.pop("PREFECT_API_URL", None)  # a server that nobody else works on
    print(json.dumps(through_prefect(Path(sys.argv[1]), int(sys.argv[2]))))
