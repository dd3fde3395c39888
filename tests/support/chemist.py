"""A scripted person who measures by hand: fills sheets in part and in any order, mistypes, spills, comes back later."""

import csv
import io
import json
import multiprocessing
from pathlib import Path

import numpy as np

from flows.engine.ask_and_tell import AskAndTell
from sdl.campaign.definition import Campaign
from sdl.errors import InstrumentUnavailable
from sdl.instruments.protocol import Patience, Reply
from sdl.measurement.sheets import read_sheet
from sdl.system import failpoints

CHANNELS = ("450nm", "650nm")
WRITTEN = {
    "name": "dyes",
    "seed": 1,
    "budget": 40,
    "background": {"every": 0},
    "models": ["linear"],
    "instrument": {
        "plugin": "by-hand",
        "knobs": [{"name": name, "high": 5, "unit": "ml/min"} for name in ("red", "blue")],
        "channels": [{"name": name, "unit": "mV", "floor": 0, "ceiling": 5000} for name in CHANNELS],
    },
    "targets": [{"name": "mix", "readings": {"450nm": 2000, "650nm": 3000}, "tolerance": "3 %"}],
}


def flow_cell(seed, sample, settings):
    """What one sample reads, whoever reads it and when."""
    rng = np.random.default_rng([seed, *sample.request.key, sample.number])
    bend, drift = rng_of(seed).uniform(0.8, 1.2, (2, 2)), 8.0
    light = 120 + 4000 * np.exp(-(bend * [[0.30, 0.05], [0.04, 0.25]]) @ settings)
    return dict(zip(CHANNELS, np.round(light + drift * rng.standard_normal(2), 1).tolist(), strict=True))


def rng_of(seed):
    return np.random.default_rng([seed, 9])


def spilled(seed, sample):
    """Whether a sample fails; the next of the same settings does not."""
    return sample.number == 1 and np.random.default_rng([seed, *sample.request.key, 7]).random() < 0.05


class Chemist:
    """Works through what a campaign asks for.

    Args:
        seed: Of what they do, and of what the samples read.
        folder: Where the sheets lie.
        name: Whose work it is.
        typos, missing: Shares of the cells.
    """

    def __init__(self, seed, folder, name="Ada", typos=0.05, missing=0.1):
        self.seed, self.folder, self.name, self.typos, self.missing = seed, folder, name, typos, missing
        self.rng, self.sheets, self.sentences = np.random.default_rng([seed, *name.encode()]), 0, []

    def sheet(self, samples, space):
        """Write a sheet with some of the samples filled in, in any order; return it and what was mistyped plausibly."""
        kind, wrong = self.rng.choice(["commas.csv", "points.csv", "book.xlsx", "entries.json"]), {}
        comma = kind == "commas.csv"
        rows = []
        for sample in self.rng.permutation(np.array(samples, object)):
            readings = flow_cell(self.seed, sample, sample.request.settings)
            cells = {}
            for channel, value in readings.items():
                if self.rng.random() < self.missing:
                    continue
                typed = f"{value:g}".replace(".", ",") if comma else f"{value:g}" if "." in f"{value:g}" else value
                typed = f"{typed} mV" if self.rng.random() < 0.2 else typed
                if self.rng.random() < self.typos:
                    slips = [
                        f"{value:g}O",
                        f"{value:g} K",
                        100 * value,
                        f"{value:g}..5",
                        -value,
                        float(f"{value:g}") + 90,
                    ]
                    typed = slips[self.rng.integers(len(slips))]
                    if typed == slips[-1]:
                        wrong[sample.name] = {**wrong.get(sample.name, {}), channel: value}
                cells[channel] = typed
            rows.append((sample, {} if spilled(self.seed, sample) else cells, spilled(self.seed, sample)))
        rows = rows[: self.rng.integers(1, len(rows) + 1)]  # the rest another day
        self.sheets += 1
        path = Path(self.folder) / f"{self.name}-{self.sheets}-{kind}"
        write(path, rows, space, comma)
        return path, {name: cells for name, cells in wrong.items() if any(row[0].name == name for row in rows)}


def write(path, rows, space, comma):
    if path.suffix == ".json":
        entries = [{"sample": s.name, "readings": cells, "failed": failed} for s, cells, failed in rows]
        path.write_text(json.dumps(entries))
        return
    head = ["Sample", *(q.heading for q in space.quantities), "failed", "note", "weather"]
    table = [head]
    for sample, cells, failed in rows:
        knobs = [f"{value:.10g}" for value in sample.request.settings.tolist()]
        knobs = [text.replace(".", ",") for text in knobs] if comma else [float(text) for text in knobs]
        end = ["yes" if failed else "", "spilt" if failed else "", "rain"]
        table.append([sample.name, *knobs, *(cells.get(name, "") for name in space.channel_names), *end])
    if path.suffix == ".csv":
        text = io.StringIO()
        csv.writer(text, delimiter=";" if comma else ",").writerows(table)
        path.write_text(text.getvalue(), encoding="cp1252")
        return
    from openpyxl import Workbook

    book = Workbook()
    for row in table:
        book.active.append(row)
    book.save(path)


def conversation(written, home, name="Ada"):
    return AskAndTell(Campaign.parse(written), home, by=name)


# ---------------------------------------------------------------------- in processes that may die


def asked(written, home, kill=""):
    """One 'sdl propose'."""
    failpoints.arm_failpoint(kill)
    conversation(written, home).ask()


def result(written, home, path, correct=False, kill="", name="Ada"):
    """One 'sdl tell'."""
    failpoints.arm_failpoint(kill)
    here = conversation(written, home, name)
    here.tell(read_sheet(path, here.entry().space), correct=correct)


def in_process(call, *arguments, **options):
    """Run it in a process of its own, and return how that ended."""
    process = multiprocessing.get_context("forkserver").Process(target=call, args=arguments, kwargs=options)
    process.start()
    process.join(120)
    return process.exitcode


# ---------------------------------------------------------------------- the same readings from an instrument


class Answering:
    """An instrument that gives the replies of a ledger, each to the settings that it was a reply to."""

    identity = "the same flow cell"

    def __init__(self, space, rows):
        self.space, self.left = space, iter(rows)
        self.patience = Patience(attempts=9, first_wait=0.0)

    def measure(self, settings):
        row = next(self.left)
        assert list(settings.values()) == row["settings"], row
        if row["state"] == "FAILED":
            raise InstrumentUnavailable(row["reason"])
        return Reply(settings, row["out"], row["raw"])

    def close(self):
        assert next(self.left, None) is None, "it was asked for less"
