"""A long campaign on an instrument that answers at once and fails now and then: nothing lost, and no slower at its end.

The chart of a colour laboratory: a survey of the lamp, then one patch of colour after the other, each verified with
fifty replicates, until the requests are spent. A process of its own runs it as ``sdl run`` does, without Prefect's
server, which takes more time for a task than this instrument for a reading; another one holds the instrument.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table
from scipy.stats import qmc

from flows.cli.options import ruled
from flows.engine.opening import open_session
from sdl.errors import CampaignSuspended, SdlError
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.ledger.row_mapping import USABLE
from strategies.plan.steps import Stop

MEASUREMENTS = 20_000
FAULTS = ("500@0.5%", "reset@0.3%", "truncated@0.3%", "html@0.3%", "echo@0.2%", "nan@0.2%", "stuck@0.2%")
"""What goes wrong at a request, 2 % in all: no answer, half of one, another one, one that cannot be believed."""
SURVEY = 100
"""Settings measured before the first patch."""
REPLICATES = 50
CHANNELS = ("445nm", "515nm", "630nm")
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


def run(measurements: int = MEASUREMENTS) -> dict[str, Any]:
    """Run the benchmark, about six minutes with 20,000 measurements.

    Returns:
        Plain data: ``figures``, among them what became of the attempts and the ``course`` of time (seconds, those of
        the processor too) and memory (MB) over the requests sent; and ``bars``.
    """
    twin = Twin(seed=1, daylight=100.0)
    with TemporaryDirectory() as folder, InstrumentServer(twin, faults=Faults.parse(FAULTS)) as server:
        told = _in_a_process_of_its_own(server.url, folder, measurements)
        found = kept(Path(folder) / LEDGER, server.requests)
    figures = {**told, **found, **pace(told["course"], measurements)}
    held = {name: (figures[name], bar) for name, bar in BARS.items()}
    bars = [{"figure": name, "value": value, "bar": bar, "met": value <= bar} for name, (value, bar) in held.items()]
    return {"figures": figures, "bars": bars}


def table(result: dict[str, Any]) -> Table:
    """What ``run`` returned, for people."""
    figures = result["figures"]
    shown = ruled(
        f"A campaign of {figures['attempts']} requests, {figures['rounds']} rounds", ["what"], ("value", "bar", "met")
    )
    for bar in result["bars"]:
        value = bar["value"]
        text = str(value) if isinstance(value, int) else f"{value:.2f}"
        shown.add_row(SHOWN[bar["figure"]], text, f"{bar['bar']:g}", "yes" if bar["met"] else "no")
    first, last = figures["ms"]
    shown.add_row("a measurement in the first and the last part, ms", f"{first:.1f}, {last:.1f}", "", "")
    shown.add_row("requests without a usable reply", f"{figures['failed']}", "", "")
    shown.add_row("times that it was suspended and begun again", f"{figures['suspended']}", "", "")
    return shown


# ---------------------------------------------------------------------- what is judged


def kept(ledger: Path, arrived: int) -> dict[str, Any]:
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


def pace(course: list[dict[str, float]], measurements: int) -> dict[str, Any]:
    """Time and memory of a campaign's course."""
    sent = np.array([each["sent"] for each in course])
    seconds, memory = (np.array([each[name] for each in course]) for name in ("seconds", "memory"))
    early, late = np.interp([WARM * measurements, (1 - WARM) * measurements], sent, seconds)
    begin, end = early / (WARM * measurements), (seconds[-1] - late) / (sent[-1] - (1 - WARM) * measurements)
    warm = memory[sent >= WARM * measurements]
    figures = {"slowdown": float(end / begin), "growth": float(warm.max() - warm[0])}
    return {"ms": [float(1e3 * begin), float(1e3 * end)], **figures}


# ---------------------------------------------------------------------- the campaign, in a process of its own


def campaign(url: str, measurements: int) -> dict[str, Any]:
    """The campaign as a person would write it, with more patches than its budget is good for."""
    twin, patches = Twin(), 1 + measurements // REPLICATES
    settings = 0.15 + 0.7 * qmc.Sobol(len(twin.space.knobs), seed=0).random(patches)
    wanted = [dict(zip(twin.space.channel_names, row.round().tolist(), strict=True)) for row in twin.truth(settings)]
    targets = [
        {"name": f"patch {number}", "readings": {name: each[name] for name in CHANNELS}, "tolerance": "2 %"}
        for number, each in enumerate(wanted)
    ]
    instrument = {"plugin": "claude-light", "url": url, "allow_private": True, "first_wait_s": 0.01}
    return {
        "name": "soak",
        "budget": measurements,
        "instrument": instrument,
        "targets": targets,
        "design": {"plugin": "maximin-latin-hypercube", "n": min(SURVEY, measurements // 5)},
        "verification": {"replicates": REPLICATES},
        "stop": {"rounds": measurements},
    }


def endure(written: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The campaign to its end, begun again where it is suspended; its course, and how often that was."""
    course, suspended, started = list[dict[str, float]](), 0, time.perf_counter()
    while True:
        try:
            with open_session(written, folder, str(folder / LEDGER)) as session:
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


def _in_a_process_of_its_own(url: str, folder: str, measurements: int) -> dict[str, Any]:
    words = [sys.executable, "-P", "-m", __name__, url, folder, str(measurements)]
    process = subprocess.run(words, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SdlError(f"the campaign ended with {process.returncode}: {process.stderr[-500:]}")
    told: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return told


if __name__ == "__main__":
    print(json.dumps(endure(campaign(sys.argv[1], int(sys.argv[3])), Path(sys.argv[2]))))
