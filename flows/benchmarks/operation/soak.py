"""A long campaign on an instrument that answers at once and fails now and then: nothing lost, and no slower at its end.

The chart of a colour laboratory: a survey of the lamp, then one patch of colour after the other, each verified with
fifty replicates, until the requests are spent. A process of its own runs it as ``sdl run`` does, without Prefect's
server, which takes more time for a task than this instrument for a reading; another one holds the instrument.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from flows.benchmarks.bars import bar_table, hold_bar
from flows.benchmarks.operation.campaigns import patch_targets, run_module, served_instrument
from flows.engine.opening import open_session
from sdl.errors import CampaignSuspended
from sdl.history import USABLE
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from strategies.plan.steps import Stop

MEASUREMENTS = 20_000
FAULTS = ("500@0.5%", "reset@0.3%", "truncated@0.3%", "html@0.3%", "echo@0.2%", "nan@0.2%", "stuck@0.2%")
"""What goes wrong at a request, 2 % in all: no answer, half of one, another one, one that cannot be believed."""
SURVEY = 100
"""Settings measured before the first patch."""
REPLICATES = 50
WARM = 0.1
"""Part of the measurements: after the first one memory may not grow any more, nor the last one take longer than it."""
LEDGER = "ledger.sqlite"
EVERY = 100
"""Requests between two looks at time and memory."""
BARS = {"lost": 0, "doubled": 0, "growth": 50.0, "slowdown": 1.2}
SHOWN = {
    "lost": "requests that arrived and are not in the ledger",
    "doubled": "measurements that count twice, or were sent unseen",
    "growth": f"memory that is gained after the first {WARM:.0%}, MB",
    "slowdown": f"time of a measurement, the last {WARM:.0%} against the first",
}


def run_soak_benchmark(measurements: int = MEASUREMENTS) -> dict[str, Any]:
    """Run the benchmark, about six minutes with 20,000 measurements.

    Returns:
        Plain data: ``figures``, among them what became of the attempts and the ``course`` of time (seconds, those of
        the processor too) and memory (MB) over the requests sent; and ``bars``.
    """
    twin = Twin(seed=1, daylight=100.0)
    with TemporaryDirectory() as folder, InstrumentServer(twin, faults=Faults.parse(FAULTS)) as server:
        outcome = run_module(__name__, server.url, folder, measurements)
        kept = judge_ledger(Path(folder) / LEDGER, server.requests)
    figures = {**outcome, **kept, **judge_course(outcome["course"], measurements)}
    return {"figures": figures, "bars": [hold_bar(name, figures[name], bar) for name, bar in BARS.items()]}


def soak_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    figures = result["figures"]
    title = f"A campaign of {figures['attempts']} requests, {figures['rounds']} rounds"
    table = bar_table(title, result["bars"], SHOWN)
    first, last = figures["ms"]
    table.add_row("a measurement in the first and the last part, ms", f"{first:.1f}, {last:.1f}", "", "")
    table.add_row("requests without a usable reply", f"{figures['failed']}", "", "")
    table.add_row("times that it was suspended and begun again", f"{figures['suspended']}", "", "")
    return table


# ---------------------------------------------------------------------- what is judged


def judge_ledger(ledger: Path, arrived: int) -> dict[str, Any]:
    """What a ledger holds of the requests that arrived at the instrument."""
    with Ledger(ledger) as book:
        entry = book.entry("soak")
        history, attempts = book.history(entry.id), book.trail(entry.id)
    usable = Counter((row["round"], row["index"], row["replicate"]) for row in attempts if row["verdict"] in USABLE)
    silent = [row for row in attempts if row["state"] == "DONE" and not row["raw"]]
    return {
        "attempts": len(attempts),
        "rounds": len(history.rounds),
        "findings": dict(Counter(finding.verdict.value for finding in history.findings)),
        "failed": sum(row["verdict"] not in USABLE for row in attempts),
        "lost": max(arrived - len(attempts), 0) + len(silent) + abs(len(usable) - len(history.observations)),
        "doubled": sum(usable.values()) - len(usable) + max(len(attempts) - arrived, 0),
    }


def judge_course(course: list[dict[str, float]], measurements: int) -> dict[str, Any]:
    """Time and memory of a campaign's course."""
    sent = np.array([each["sent"] for each in course])
    seconds, memory = (np.array([each[name] for each in course]) for name in ("seconds", "memory"))
    early, late = np.interp([WARM * measurements, (1 - WARM) * measurements], sent, seconds)
    begin, end = early / (WARM * measurements), (seconds[-1] - late) / (sent[-1] - (1 - WARM) * measurements)
    warm = memory[sent >= WARM * measurements]
    figures = {"slowdown": float(end / begin), "growth": float(warm.max() - warm[0])}
    return {"ms": [float(1e3 * begin), float(1e3 * end)], **figures}


# ---------------------------------------------------------------------- the campaign, in a process of its own


def soak_campaign(url: str, measurements: int) -> dict[str, Any]:
    """The campaign as a person would write it, with more patches than its budget is good for."""
    return {
        "name": "soak",
        "budget": measurements,
        "instrument": served_instrument(url, first_wait_s=0.01),
        "targets": patch_targets(1 + measurements // REPLICATES, "2 %", 0),
        "design": {"plugin": "maximin-latin-hypercube", "n": min(SURVEY, measurements // 5)},
        "verification": {"replicates": REPLICATES},
        "stop": {"rounds": measurements},
    }


def endure_campaign(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The campaign to its end, begun again where it is suspended; its course, and how often that was."""
    course, suspended, started = list[dict[str, float]](), 0, time.perf_counter()
    while True:
        try:
            with open_session(config, folder, str(folder / LEDGER)) as session:
                while not isinstance(step := session.propose(), Stop):
                    session.execute(step)
                    sent = session.ledger.sent(session.entry.id)
                    if not course or sent >= course[-1]["sent"] + EVERY:
                        course.append(_moment(sent, started))
                course.append(_moment(session.ledger.sent(session.entry.id), started))
            return {"course": course, "suspended": suspended}
        except CampaignSuspended:
            suspended += 1


def _moment(sent: int, started: float) -> dict[str, float]:
    """Where the campaign stands: requests sent, seconds since it began, and MB that this process has in memory."""
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return {"sent": sent, "seconds": time.perf_counter() - started, "memory": memory}


if __name__ == "__main__":
    print(json.dumps(endure_campaign(soak_campaign(sys.argv[1], int(sys.argv[3])), Path(sys.argv[2]))))
