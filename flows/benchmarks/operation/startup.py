"""How soon the laboratory is there: 'sdl up' to a page that answers, and a run asked for in the UI to its beginning."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from rich.table import Table

from flows.benchmarks.bars import hold_bar, say_met
from flows.server.api_client import open_client
from flows.terminal import figure_table
from sdl.errors import SdlError

BARS = {"first": 15.0, "later": 8.0, "start": 3.0}
"""Seconds that are accepted."""
SHOWN = {
    "first": "sdl up to its page, in an empty data directory",
    "later": "sdl up to its page, at every later start",
    "start": "a reading asked for in the UI, until its run has begun",
}
SOON_S = 60.0
LOOK_S = 0.02


def run_startup_benchmark(repeats: int = 3) -> dict[str, Any]:
    """Run the benchmark, two minutes on an idle machine.

    Args:
        repeats: Of each; the best counts, since others use the machine too.

    Returns:
        Plain data: ``seconds`` of each try by figure, ``load`` of the machine before, and ``bars``.
    """
    load = os.getloadavg()[0]
    seconds: dict[str, list[float]] = {name: [] for name in BARS}
    for _ in range(repeats):
        with TemporaryDirectory() as directory:
            for figure in ("first", "later"):
                _life(Path(directory), figure, seconds)
    bars = [hold_bar(name, min(seconds[name]), bar) for name, bar in BARS.items()]
    return {"unit": "s", "load": load, "seconds": seconds, "bars": bars}


def startup_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    title = f"The service (load of the machine before: {result['load']:.1f})"
    table = figure_table(title, ["what"], ("best, s", "all, s", "bar", "met"))
    for bar in result["bars"]:
        tries = ", ".join(f"{each:.1f}" for each in result["seconds"][bar["figure"]])
        table.add_row(SHOWN[bar["figure"]], f"{bar['value']:.1f}", tries, f"{bar['bar']:g}", say_met(bar))
    return table


def _life(home: Path, figure: str, seconds: dict[str, list[float]]) -> None:
    """One service from its start to its end, and a run in it."""
    started = time.perf_counter()
    service = json.loads(_sdl(home, "up", "--port", "0", "--detach", "--json", "--twin", "--twin-port", "0"))
    try:
        requests.get(service["ui"], timeout=SOON_S).raise_for_status()
        seconds[figure].append(time.perf_counter() - started)
        seconds["start"].append(_beginning(service["api"]))
    finally:
        _sdl(home, "down")


def _beginning(api: str) -> float:
    """Seconds from asking for a reading to the run that takes it."""
    with open_client(api) as client:
        deployment = client.read_deployment_by_name("measure/twin").id
        started = time.perf_counter()
        number = client.create_flow_run_from_deployment(deployment).id
        begun = None
        while (state := client.read_flow_run(number).state) is None or not state.is_completed():
            took = time.perf_counter() - started
            if state is not None and state.is_running() and begun is None:
                begun = took
            if (state is not None and state.is_final()) or took > SOON_S:
                raise SdlError(f"the run that was to be timed is {state} after {took:.0f} s; see 'sdl doctor'")
            time.sleep(LOOK_S)
    return begun if begun is not None else time.perf_counter() - started


def _sdl(home: Path, *words: str) -> str:
    """What a command says, with nothing of the environment that would send it to another server."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
    command = [sys.executable, "-P", "-m", "flows.cli.app", *words]
    done = subprocess.run(command, env={**clean, "SDL_HOME": str(home)}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SdlError(f"'sdl {' '.join(words)}' ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
