"""How a ledger with a million observations answers: status, what the next proposal is made from, the report.

Two ledgers: one of many campaigns of which one is large, as a laboratory has after years; and the worst case, all
observations in one campaign, which is the largest that the budget of a campaign allows.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table
from sqlalchemy import insert, text, update

from flows.benchmarks.bars import hold_bar, say_met
from flows.terminal import figure_table
from sdl.campaign.definition import Campaign
from sdl.errors import SdlError
from sdl.history import Finding, Parity, ParityRows, Round, RoundFacts, RoundKind, State, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger import row_mapping as rows
from sdl.ledger.ledger import Ledger
from sdl.ledger.tables import campaigns, findings, rounds
from sdl.reports.campaign_page import write_campaign_page

OBSERVATIONS = 1_000_000
LARGE = 100_000
"""Observations of the large campaign among small ones."""
SMALL = 1_000
ROUNDS = 50
CAMPAIGN = {
    "name": "large",
    "budget": OBSERVATIONS,
    "instrument": "twin",
    "targets": [{"name": "white", "readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}}],
}
BARS = {"status": 1.0, "history": 2.0, "report": 20.0}
"""Seconds that are accepted."""
HELD = {"many": ("status", "history", "report"), "one": ("status", "report")}
"""What is held against its bar, by ledger."""
SHOWN = {
    "status": "sdl status, the whole command",
    "history": "data read for the next proposal",
    "report": "report",
    "many": "{of} observations in {campaigns} campaigns, the largest {largest}",
    "one": "{of} observations in one campaign",
}


def run_ledger_benchmark(
    observations: int = OBSERVATIONS, large: int = LARGE, small: int = SMALL, repeats: int = 3
) -> dict[str, Any]:
    """Run the benchmark, some minutes and about two gigabytes of disk with a million observations.

    Args:
        observations: In each of the two ledgers.
        large: Of the large campaign among small ones.
        small: Of each of the small ones.
        repeats: Of each measurement, each in a process of its own; the best counts, since others use the machine too.

    Returns:
        Plain data: ``ledgers``, each with ``figures`` in seconds (``cpu_s`` of the processor, start included) and peak
        memory in MB, and ``bars``.
    """
    sizes = {"many": [large, *[small] * ((observations - large) // small)], "one": [observations]}
    ledgers, bars = dict[str, Any](), list[dict[str, Any]]()
    for kind, of in sizes.items():
        with TemporaryDirectory() as directory:
            path = Path(directory) / "ledger.sqlite"
            fill_ledger(path, of)
            figures = {what: _best(what, path, repeats) for what in BARS}
            about = {"of": sum(of), "campaigns": len(of), "largest": max(of)}
            ledgers[kind] = {**about, "megabytes": path.stat().st_size / 1e6, "figures": figures}
        for what in HELD[kind]:
            value = figures[what]["seconds"]
            bars.append(hold_bar(what, value, BARS[what], ledger=kind))
    return {"unit": "s", "ledgers": ledgers, "bars": bars}


def ledger_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    table = figure_table(
        "A large ledger", ["ledger", "what"], ("seconds", "bar", "met", "processor, s", "peak memory, MB")
    )
    bars = {(bar["ledger"], bar["figure"]): bar for bar in result["bars"]}
    for kind, ledger in result["ledgers"].items():
        for what, figure in ledger["figures"].items():
            bar = bars.get((kind, what))
            held = [f"{bar['bar']:g}", say_met(bar)] if bar else ["", ""]
            name = SHOWN[kind].format(**ledger) if what == "status" else ""
            table.add_row(
                name,
                SHOWN[what],
                f"{figure['seconds']:.2f}",
                *held,
                f"{figure['cpu_s']:.2f}",
                f"{figure['peak_mb']:.0f}",
            )
    return table


# ---------------------------------------------------------------------- filling


def fill_ledger(path: Path, sizes: Sequence[int]) -> None:
    """Make a ledger of campaigns with so many observations each; the first has the targets of ``CAMPAIGN``."""
    space = Twin().space
    with Ledger(path) as ledger:
        for number, size in enumerate(sizes):
            name = "large" if number == 0 else f"small-{number}"
            config = Campaign.parse(CAMPAIGN | {"name": name}).model_dump(mode="json")
            entry = ledger.register(name, "twin", space, config, {})
            finding = Finding(ROUNDS - 1, "white", Verdict.VERIFIED, "as wanted", np.full(space.d, 0.5))
            with ledger.engine.execution_options(writes=True).begin() as connection:
                made = [Round(each, RoundKind.LEARNING, facts=_facts(size)) for each in range(ROUNDS)]
                connection.execute(insert(rounds), [rows.of_round(entry.id, each) for each in made])
                connection.execute(insert(findings).values(**rows.of_finding(entry.id, finding)))
                connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(state=State.FINISHED))
                for statement in _statements(space.knob_names, space.channel_names):
                    connection.execute(text(statement), {"campaign": entry.id, "size": size, "rounds": ROUNDS})


def _facts(size: int) -> RoundFacts:
    """As large as those of a real round: its parity plot alone has 200 rows of three channels, twice."""
    values = np.full((min(size // ROUNDS, 200), 3), 16384.125)
    channels, rows = ("445nm", "515nm", "630nm"), ParityRows(measured=values, predicted=values)
    return RoundFacts(
        model="mixture",
        uncertainty=dict.fromkeys(channels, 12.5),
        chance=0.5,
        parity=Parity(channels, {"train": rows, "test": rows}),
    )


def _statements(knobs: Sequence[str], channels: Sequence[str]) -> list[str]:
    """SQL that makes requests and their replies, as they look when a twin was asked."""
    place = "WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n + 1 < :size) "
    setting = "(random() / 18446744073709551616.0 + 0.5)"
    settings = f"printf('[{', '.join(['%.17g'] * len(knobs))}]', {', '.join([setting] * len(knobs))})"
    planned = (
        "INSERT INTO requests (campaign, round, idx, replicate, purpose, settings) "
        f"{place} SELECT :campaign, n * :rounds / :size, n, 0, CASE WHEN n % 11 THEN 'learning' ELSE 'reference' END, "
        f"CASE WHEN n % 11 THEN {settings} ELSE '{json.dumps([0.0] * len(knobs))}' END FROM place"
    )
    counts = ", ".join(f"abs(random() % 60000) AS c{i}" for i in range(len(channels)))
    values = ", ".join(f"c{i}" for i in range(len(channels)))
    out = _quoted("{" + ", ".join(f'"{name}": %d' for name in channels) + "}")
    readings = _quoted("[" + ", ".join(["%d.0"] * len(channels)) + "]")
    censored, applied = _quoted(json.dumps([False] * len(channels))), _quoted(json.dumps(dict.fromkeys(knobs, 0.5)))
    raw = _quoted('{"in": ') + " || settings || " + f"', \"out\": ' || printf({out}, {values}) || '}}'"
    # Materialized, or SQLite draws a count anew in each column that it stands in.
    replies = (
        "INSERT INTO attempts (campaign, request, attempt, token, state, verdict, reason, applied, out, readings, "
        "censored, raw, sent_at, done_at, seconds) "
        f"WITH drawn AS MATERIALIZED (SELECT *, {counts} FROM requests WHERE campaign = :campaign) "
        f"SELECT :campaign, id, 1, 1, 'DONE', 'OK', '', {applied}, printf({out}, {values}), "
        f"printf({readings}, {values}), {censored}, {raw}, 1.7e9 + idx, 1.7e9 + idx + 0.8, 0.8 "
        "FROM drawn"
    )
    return [planned, replies]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''").replace(":", r"\:") + "'"


# ---------------------------------------------------------------------- measuring, in a process of its own


def _best(what: str, path: Path, repeats: int) -> dict[str, float]:
    return min((_measure(what, path) for _ in range(repeats)), key=lambda figure: figure["seconds"])


def _measure(what: str, path: Path) -> dict[str, float]:
    """Seconds, of the whole command or of the thing itself, processor seconds and most memory of its process, in MB."""
    status = ["-m", "flows.cli.app", "status", "--ledger", str(path)]
    arguments = status if what == "status" else ["-m", __name__, what, str(path)]
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-P", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, process.returncode, used = os.wait4(process.pid, 0)  # it alone tells what one process used
    if process.returncode:
        raise SdlError(f"{' '.join(arguments)} ended with {process.returncode}")
    seconds = time.perf_counter() - started if what == "status" else float(said)
    return {"seconds": seconds, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1e3}


def time_reading(what: str, path: Path) -> float:
    """Seconds that one thing takes."""
    started = time.perf_counter()
    with Ledger(path) as ledger:
        if what == "history":
            ledger.history(ledger.entry("large").id)
        else:
            write_campaign_page(ledger, "large", path.with_suffix(".html"))
    return time.perf_counter() - started


if __name__ == "__main__":
    print(time_reading(sys.argv[1], Path(sys.argv[2])))
