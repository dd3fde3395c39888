"""How much of the time an instrument is at work, and what eight of them do together: campaigns by the real flow.

A Prefect server, instruments over HTTP that take 0.8 s for a reading, and for each campaign a process of its own, all
of them on one ledger. The times are those of the ledger: from the intent of a request to its answer.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from flows import environment
from flows.benchmarks.bars import bar_table, hold_bar
from flows.benchmarks.operation.campaigns import patch_targets, run_module, served_instrument
from flows.server import server
from sdl.errors import SdlError
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.protocol import Reply
from sdl.ledger.ledger import Ledger

MODULE = "flows.benchmarks.operation.utilisation"
READING_S = 0.8
REQUESTS = 200
MANY = 8
FEW = 50
"""Requests of each instrument where there are many, and of one alone."""
PATCHES = 50
KINDS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "ahead": {"fitting": {"ahead": True}},
    "slow": {"fitting": {"ahead": True}, "models": ["gaussian-process"]},
}
"""What campaigns ask for beyond what is so by default."""
BARS = {"default": 0.95, "ahead": 0.95, "slow": 0.95, "many": 7.5}
"""Least that is accepted."""
SHOWN = {
    "default": "share of the time in which a request is in flight, as a campaign is by default",
    "ahead": "the same where each round is prepared while the one before is measured",
    "slow": "the same with a model that is slow to fit, prepared ahead",
    "many": f"readings a minute of {MANY} instruments, as a multiple of one",
}


class Unhurried(Twin):
    """A twin that takes as long for a reading as the instrument does."""

    def measure(self, settings: Mapping[str, float]) -> Reply:
        until = time.monotonic() + READING_S
        reply = super().measure(settings)
        time.sleep(max(0.0, until - time.monotonic()))
        return reply


def run_utilisation_benchmark(requests: int = REQUESTS, few: int = FEW, many: int = MANY) -> dict[str, Any]:
    """Run the benchmark, about eleven minutes.

    Args:
        requests: Of the campaigns whose share of the time is taken.
        few: Of the campaigns that are many at a time.
        many: How many instruments.

    Returns:
        Plain data: ``figures`` and ``bars``.
    """
    figures = run_module(MODULE, "laboratory", requests, few, many)
    bars = [hold_bar(name, figures[name], bar, at_least=True) for name, bar in BARS.items()]
    return {"figures": figures, "bars": bars}


def utilisation_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    return bar_table(f"Instruments that take {READING_S} s for a reading", result["bars"], SHOWN, digits=".3f")


# ---------------------------------------------------------------------- what the ledger says


def busy_share(sent: Sequence[float], done: Sequence[float]) -> float:
    """Part of the time from the first request to the last answer in which a request was in flight."""
    return sum(b - a for a, b in zip(sent, done, strict=True)) / (done[-1] - sent[0])


def common_rate(answered: Sequence[Sequence[float]]) -> float:
    """Readings a minute of some instruments together, while all of them are at work.

    Args:
        answered: When each of them answered, in order, seconds.

    Raises:
        SdlError: if they never were.
    """
    begin, end = max(each[0] for each in answered), min(each[-1] for each in answered)
    if end <= begin:
        raise SdlError(
            "one instrument was done before another had begun: give them more requests, on a quieter machine"
        )
    return 60 * sum(begin < at <= end for each in answered for at in each) / (end - begin)


# ---------------------------------------------------------------------- a laboratory, in a process of its own


def run_laboratory(directory: Path, requests: int, few: int, many: int) -> dict[str, Any]:
    """Run all campaigns on a Prefect server and a ledger of their own, and return the figures."""
    environment.set_up_prefect(directory)
    environment.set_up_prefect(directory, server.api(directory))
    ledger = directory / "ledger.sqlite"
    with ExitStack() as stack, Ledger(ledger) as book:
        urls = [stack.enter_context(InstrumentServer(Unhurried(seed=1 + i))).url for i in range(many)]
        for kind, beyond in KINDS.items():
            run_campaigns(directory, [patches_campaign(kind, urls[0], requests, beyond)])
        figures = {kind: busy_share(*_times(book, kind)) for kind in KINDS}
        run_campaigns(directory, [patches_campaign("one", urls[0], few, {})])
        run_campaigns(directory, [patches_campaign(f"of-many-{i}", url, few, {}) for i, url in enumerate(urls)])
        one = common_rate([_times(book, "one")[1]])
        together = common_rate([_times(book, f"of-many-{i}")[1] for i in range(many)])
    return {**figures, "one a minute": one, "all a minute": together, "many": together / one}


def patches_campaign(name: str, url: str, requests: int, beyond: Mapping[str, Any]) -> dict[str, Any]:
    """One patch of colour after the other, until the requests are spent; ``beyond`` has further parts."""
    config = {"name": name, "budget": requests, "instrument": served_instrument(url), "stop": {"rounds": requests}}
    return {**config, "targets": patch_targets(PATCHES), **beyond}


def run_campaigns(directory: Path, campaigns: Sequence[Mapping[str, Any]]) -> None:
    """Run campaigns at once, each in a process of its own; none begins before all of them are ready."""
    words, pipe = [sys.executable, "-P", "-m", MODULE, "campaign", str(directory)], subprocess.PIPE
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, bufsize=1))
            for _ in campaigns
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process, written in zip(processes, campaigns, strict=True):
            assert process.stdin is not None
            process.stdin.write(f"{json.dumps(written)}\n")
    if wrong := [process.returncode for process in processes if process.returncode]:
        raise SdlError(f"a campaign ended with {wrong[0]}")


def _times(book: Ledger, name: str) -> tuple[list[float], list[float]]:
    rows = book.trail(book.entry(name).id)
    return [row["sent_at"] for row in rows], [row["done_at"] for row in rows]


def _run_campaign(directory: Path) -> None:
    """The campaign that is written on standard input, as soon as it is there."""
    from flows.campaign import flow as campaign
    from flows.engine import session  # noqa: F401  what the flow loads when it is under way
    from sdl.campaign.definition import Campaign

    print("ready", flush=True)
    campaign.run_campaign(Campaign.parse(json.loads(sys.stdin.readline())), directory, None, again=False, wait=False)


if __name__ == "__main__":
    if sys.argv[1] == "campaign":
        _run_campaign(Path(sys.argv[2]))
    else:
        os.environ.pop("PREFECT_API_URL", None)  # a server that nobody else works on
        with TemporaryDirectory() as folder:
            requests_, few_, many_ = map(int, sys.argv[2:])
            print(json.dumps(run_laboratory(Path(folder), requests_, few_, many_)))
