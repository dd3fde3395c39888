"""From the word of a person to the last request: campaigns are paused or stopped at random moments.

Each campaign is a real flow in a process of its own, on a twin of its own, asked over HTTP. Prefect's server is up for
one half of the tries, and is killed under the campaigns at work for the other half.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from flows import environment
from flows.server import server
from flows.terminal import figure_table
from sdl.campaign.definition import Campaign
from sdl.errors import SdlError
from sdl.history import Control, State
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.controls import Steering
from sdl.ledger.ledger import Ledger

TRIES = 200
TOGETHER = 10
"""Campaigns at work at once."""
SPEED = 40.0
"""Times that the twins are faster than the instrument."""
LEVELS = (16384, 14000, 12000, 18000, 10000)
CAMPAIGN = {
    "budget": 10_000,
    "targets": [
        {"name": f"{level}", "readings": {"445nm": level, "515nm": level, "630nm": level}, "tolerance": "1 %"}
        for level in LEVELS
    ],
    "models": ["linear"],
    "verification": {"replicates": 1000},  # so that none ends before somebody speaks
}
BEGUN = 3
"""Requests of each campaign before anybody is asked anything."""
WITHIN_S = 180.0
"""For that."""
LOOK_S = 8.0
"""How long it is watched for further requests, unless it says before that it obeyed."""
OBEYED = {Control.PAUSE: State.PAUSED, Control.STOP: State.STOPPED}
KINDS = {"up": "Prefect's server up", "down": "killed under the campaign"}


def run(tries: int = TRIES, together: int = TOGETHER, seed: int = 0) -> dict[str, Any]:
    """Run the benchmark, some minutes, in a process of its own that Prefect's settings are made for.

    Args:
        tries: How often somebody is asked to pause or stop, half of them with the server killed.
        together: Campaigns at work at once.
        seed: Of who is asked when.

    Returns:
        Plain data: ``kinds`` with the tries, the requests that were sent after the word, how long it took until the
        campaign said that it obeyed, in seconds, and how many did not say so while they were watched, because Prefect's
        client kept them waiting; and ``bars``.
    """
    with TemporaryDirectory() as directory:
        api = server.address(server.free_port())
        surroundings = {
            **os.environ,
            **environment.SETTINGS,
            "PREFECT_API_URL": api,
            "PREFECT_HOME": f"{directory}/prefect",
        }
        words = [sys.executable, "-m", __name__, directory, *map(str, (tries, together, seed))]
        said = subprocess.run(words, env=surroundings, check=True, stdout=subprocess.PIPE, text=True).stdout
    kinds: dict[str, dict[str, Any]] = json.loads(said.splitlines()[-1])
    bars = [
        {"figure": kind, "value": figures["late requests"], "bar": 0, "met": figures["late requests"] == 0}
        for kind, figures in kinds.items()
    ]
    return {"kinds": kinds, "bars": bars}


def table(result: dict[str, Any]) -> Table:
    """What ``run`` returned, for people."""
    shown = figure_table(
        "Requests after a pause or a stop was asked for",
        ["server"],
        ("tries", "requests after it", "bar", "met", "obeyed within, s: median", "longest", "not said"),
    )
    for bar in result["bars"]:
        of = result["kinds"][bar["figure"]]
        cells = [KINDS[bar["figure"]], of["tries"], bar["value"], bar["bar"], "yes" if bar["met"] else "no"]
        times = ["-" if of[name] is None else f"{of[name]:.2f}" for name in ("median_s", "longest_s")]
        shown.add_row(*map(str, cells), *times, str(of["silent"]))
    return shown


# ---------------------------------------------------------------------- one half after the other


@dataclass(frozen=True)
class Try:
    """What came of one word."""

    late: int
    """Requests that were sent after it."""
    seconds: float | None
    """Until the campaign said that it obeyed; None if it did not while it was watched."""


def measured(directory: Path, tries: int, together: int, seed: int) -> dict[str, dict[str, Any]]:
    """The figures of each half; only where Prefect's settings are in the environment."""
    rng, port = np.random.default_rng(seed), int(os.environ["PREFECT_API_URL"].split(":")[2].split("/")[0])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "flows.campaign.flow",
            "flows.campaign.tasks",
            "flows.campaign.waiting",
            "strategies.models.linear.linear_program",
        ]
    )
    figures = dict[str, dict[str, Any]]()
    child = server.launch(directory, port)
    try:
        for kind in KINDS:
            found = list[Try]()
            while len(found) < tries // 2:
                if child.poll() is not None:
                    child = server.launch(directory, port)
                server.wait(child, port, directory)
                batch, folder = min(together, tries // 2 - len(found)), directory / f"{kind}-{len(found)}"
                found += _batch(folder, batch, rng, child if kind == "down" else None)
            figures[kind] = _figures(found)
    finally:
        child.kill()
        child.wait()
    return figures


def _figures(found: Sequence[Try]) -> dict[str, Any]:
    times = [each.seconds for each in found if each.seconds is not None]
    return {
        "tries": len(found),
        "late requests": sum(each.late for each in found),
        "median_s": float(np.median(times)) if times else None,
        "longest_s": max(times, default=None),
        "silent": len(found) - len(times),
    }


def _batch(
    directory: Path, together: int, rng: np.random.Generator, child: "subprocess.Popen[bytes] | None"
) -> list[Try]:
    """Some campaigns at once, each of which is told to pause or to stop; the server is killed first if it is given."""
    with ExitStack() as stack:
        lines = [stack.enter_context(_at_work(directory / str(number), number)) for number in range(together)]
        for line in lines:
            line.wait_until_begun()
        if child is not None:
            child.kill()
            child.wait()
        asked = [(line, *line.ask(rng)) for line in lines]
        until = time.monotonic() + LOOK_S
        obeyed = [line.obeyed(control, begun, until) for line, control, _, begun in asked]
        return [Try(line.sent() - sent, took) for (line, _, sent, _), took in zip(asked, obeyed, strict=True)]


@dataclass
class Line:
    """A campaign at work, its ledger and its instrument."""

    book: Ledger
    instrument: InstrumentServer
    process: ForkServerProcess

    def wait_until_begun(self) -> None:
        """Wait until it has measured something.

        Raises:
            SdlError: if it does not.
        """
        until = time.monotonic() + WITHIN_S
        while self.instrument.requests < BEGUN:
            if time.monotonic() > until or not self.process.is_alive():
                why = (
                    "ended before it measured" if self.process.exitcode is not None else f"took {WITHIN_S:g} s to begin"
                )
                raise SdlError(f"a campaign that was to be steered {why}")
            time.sleep(0.01)

    def ask(self, rng: np.random.Generator) -> tuple[Control, int, float]:
        """Ask for a pause or a stop at a random moment: which, the requests sent until then, and when it was."""
        time.sleep(float(rng.uniform(0, 0.2)))
        control = Control.PAUSE if rng.random() < 0.5 else Control.STOP
        Steering(self.book, "benchmark").ask("steered", control)
        return control, self.sent(), time.monotonic()

    def obeyed(self, control: Control, begun: float, until: float) -> float | None:
        """Seconds from the word until the campaign said that it obeyed; None if it did not until then."""
        while self.book.entry("steered").state is not OBEYED[control]:
            if time.monotonic() > until:
                return None
            time.sleep(0.01)
        return time.monotonic() - begun

    def sent(self) -> int:
        """Requests so far, by the ledger or by the instrument, whichever knows of more."""
        return max(self.book.sent(self.book.entry("steered").id), self.instrument.requests)


@contextmanager
def _at_work(directory: Path, seed: int) -> Iterator[Line]:
    directory.mkdir(parents=True)
    with InstrumentServer(Twin(seed=seed, speed=SPEED)) as instrument:
        part = {"plugin": "claude-light", "url": instrument.url, "allow_private": True}
        written = CAMPAIGN | {"name": "steered", "seed": seed, "instrument": part}
        process = multiprocessing.get_context("forkserver").Process(
            target=_flow, args=(written, directory), daemon=True
        )
        process.start()
        try:
            with Ledger(directory / "ledger.sqlite") as book:
                yield Line(book, instrument, process)
        finally:
            process.kill()
            process.join()


def _flow(written: Mapping[str, Any], directory: Path) -> None:
    from flows.campaign import flow as campaign

    with (directory / "words.log").open("ab") as words:  # what Prefect says of a server that is gone
        os.dup2(words.fileno(), sys.stderr.fileno())
    with suppress(SdlError, TimeoutError):
        campaign.run(Campaign.parse(written), directory, str(directory / "ledger.sqlite"), again=False, wait=False)


def _main(words: Sequence[str]) -> None:
    from flows.benchmarks.operation import control_latency as steering  # under the name that other processes know it by

    directory, *numbers = words
    print(json.dumps(steering.measured(Path(directory), *map(int, numbers))))


if __name__ == "__main__":
    _main(sys.argv[1:])
