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
from flows.benchmarks.bars import hold_bar, say_met
from flows.benchmarks.operation.campaigns import GREYS, run_module, served_instrument
from flows.server import server
from flows.terminal import figure_table
from sdl.campaign.definition import Campaign
from sdl.errors import SdlError
from sdl.history import Control, State
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls

TRIES = 200
TOGETHER = 10
"""Campaigns at work at once."""
SPEED = 40.0
"""Times that the twins are faster than the instrument."""
CAMPAIGN = {
    "budget": 10_000,
    "targets": GREYS,
    "models": ["linear"],
    "verification": {"replicates": 1000},  # so that none ends before somebody speaks
}
BEGUN = 3
"""Requests of each campaign before anybody is asked anything."""
WITHIN_S = 600.0
"""For that."""
LOOK_S = 8.0
"""How long each is watched for further requests, unless it says before that it obeyed."""
OBEYED = {Control.PAUSE: State.PAUSED, Control.STOP: State.STOPPED}
KINDS = {"up": "Prefect's server up", "down": "killed under the campaign"}


def run_control_latency_benchmark(
    tries: int = TRIES, together: int = TOGETHER, seed: int = 0, look_s: float = LOOK_S
) -> dict[str, Any]:
    """Run the benchmark, some minutes, in a process of its own that Prefect's settings are made for.

    Args:
        tries: How often somebody is asked to pause or stop, half of them with the server killed.
        together: Campaigns at work at once.
        seed: Of who is asked when.
        look_s: Seconds for which each is watched for further requests, unless it says before that it obeyed.

    Returns:
        Plain data: ``kinds`` with the tries, the requests that were sent after the word, how long it took until the
        campaign said that it obeyed, in seconds, and how many did not say so while they were watched, because Prefect's
        client kept them waiting; and ``bars``.
    """
    with TemporaryDirectory() as directory:
        api = server.address(server.free_port())
        prefect = {**environment.SETTINGS, "PREFECT_API_URL": api, "PREFECT_HOME": f"{directory}/prefect"}
        kinds = run_module(__name__, directory, tries, together, seed, look_s, **prefect)
    bars = [hold_bar(kind, figures["late requests"], 0) for kind, figures in kinds.items()]
    return {"kinds": kinds, "bars": bars}


def control_latency_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    table = figure_table(
        "Requests after a pause or a stop was asked for",
        ["server"],
        ("tries", "requests after it", "bar", "met", "obeyed within, s: median", "longest", "not said"),
    )
    for bar in result["bars"]:
        of = result["kinds"][bar["figure"]]
        cells = [KINDS[bar["figure"]], of["tries"], bar["value"], bar["bar"], say_met(bar)]
        times = ["-" if of[name] is None else f"{of[name]:.2f}" for name in ("median_s", "longest_s")]
        table.add_row(*map(str, cells), *times, str(of["silent"]))
    return table


# ---------------------------------------------------------------------- one half after the other


@dataclass(frozen=True)
class SteeringTry:
    """What came of one request to pause or to stop."""

    late: int
    """Requests that were sent after it."""
    seconds: float | None
    """Until the campaign said that it obeyed; None if it did not while it was watched."""


def time_obedience(directory: Path, tries: int, together: int, seed: int, look_s: float) -> dict[str, dict[str, Any]]:
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
    own = server.OwnServer(directory, port)
    try:
        for kind in KINDS:
            found = list[SteeringTry]()
            while len(found) < tries // 2:
                own.restart()
                own.wait()
                batch, folder = min(together, tries // 2 - len(found)), directory / f"{kind}-{len(found)}"
                found += _batch(folder, batch, rng, look_s, own.child if kind == "down" else None)
            figures[kind] = _figures(found)
    finally:
        own.child.kill()
        own.child.wait()
    return figures


def _figures(found: Sequence[SteeringTry]) -> dict[str, Any]:
    times = [each.seconds for each in found if each.seconds is not None]
    return {
        "tries": len(found),
        "late requests": sum(each.late for each in found),
        "median_s": float(np.median(times)) if times else None,
        "longest_s": max(times, default=None),
        "silent": len(found) - len(times),
    }


def _batch(
    directory: Path,
    together: int,
    rng: np.random.Generator,
    look_s: float,
    child: "subprocess.Popen[bytes] | None",
) -> list[SteeringTry]:
    """Some campaigns at once, each of which is told to pause or to stop; the server is killed first if it is given."""
    with ExitStack() as stack:
        campaigns = [stack.enter_context(_at_work(directory / str(number), number)) for number in range(together)]
        for campaign in campaigns:
            campaign.wait_until_begun()
        if child is not None:
            child.kill()
            child.wait()
        orders = [campaign.ask(rng) for campaign in campaigns]
        until = time.monotonic() + look_s
        times = [each.wait_until_obeyed(order, until) for each, order in zip(campaigns, orders, strict=True)]
        late = [each.sent() - order.sent for each, order in zip(campaigns, orders, strict=True)]
        return list(map(SteeringTry, late, times))


@dataclass(frozen=True)
class Order:
    """A pause or a stop that was asked for."""

    control: Control
    sent: int
    """Requests until then."""
    at: float
    """When, by the monotonic clock."""


@dataclass
class SteeredCampaign:
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

    def ask(self, rng: np.random.Generator) -> Order:
        """Ask for a pause or a stop at a random moment."""
        time.sleep(float(rng.uniform(0, 0.2)))
        control = Control.PAUSE if rng.random() < 0.5 else Control.STOP
        Controls(self.book, "benchmark").ask("steered", control)
        return Order(control, self.sent(), time.monotonic())

    def wait_until_obeyed(self, order: Order, until: float) -> float | None:
        """Seconds from the order until the campaign said that it obeyed; None if it did not until then."""
        while self.book.entry("steered").state is not OBEYED[order.control]:
            if time.monotonic() > until:
                return None
            time.sleep(0.01)
        return time.monotonic() - order.at

    def sent(self) -> int:
        """Requests so far, by the ledger or by the instrument, whichever knows of more."""
        return max(self.book.sent(self.book.entry("steered").id), self.instrument.requests)


@contextmanager
def _at_work(directory: Path, seed: int) -> Iterator[SteeredCampaign]:
    directory.mkdir(parents=True)
    with InstrumentServer(Twin(seed=seed, speed=SPEED)) as instrument:
        config = CAMPAIGN | {"name": "steered", "seed": seed, "instrument": served_instrument(instrument.url)}
        process = multiprocessing.get_context("forkserver").Process(target=_flow, args=(config, directory), daemon=True)
        process.start()
        try:
            with Ledger(directory / "ledger.sqlite") as book:
                yield SteeredCampaign(book, instrument, process)
        finally:
            process.kill()
            process.join()


def _flow(config: Mapping[str, Any], directory: Path) -> None:
    from flows.campaign import flow as campaign

    with (directory / "words.log").open("ab") as words:  # what Prefect says of a server that is gone
        os.dup2(words.fileno(), sys.stderr.fileno())
    with suppress(SdlError, TimeoutError):
        campaign.run_campaign(
            Campaign.parse(config), directory, str(directory / "ledger.sqlite"), again=False, wait=False
        )


def _main(directory: str, tries: str, together: str, seed: str, look_s: str) -> None:
    from flows.benchmarks.operation import control_latency  # under the name that other processes know it by

    figures = control_latency.time_obedience(Path(directory), int(tries), int(together), int(seed), float(look_s))
    print(json.dumps(figures))


if __name__ == "__main__":
    _main(*sys.argv[1:])
