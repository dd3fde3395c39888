"""The real records with half of the cells removed: what the any-conditional model still knows of the settings.

As in ``records``: each long run is left out in turn, its first row is the anchor, and the settings of its other rows
are estimated from three channels. Of the rows that train, the first of each run stays whole, as the anchor of its run;
the others lose half of their readings at random. Backgrounds are taken off before the model sees the rows: either those
of the complete rows, or those that the readings which are left tell, by a regression for each channel on the settings
and on which run it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from flows.benchmarks.bars import hold_bar
from flows.benchmarks.decisions import real_records as records
from flows.benchmarks.decisions.real_records import CHANNELS, COLUMNS
from flows.terminal import figure_table
from sdl import plugins
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.recordings import FILE, Runs
from sdl.space import Readings, Settings
from strategies.contract import InverseModel
from strategies.evaluation.anchored_runs import Anchored

MODEL = "any-conditional"
REMOVED = 0.5
"""Chance of a reading to be removed."""
FIT = 500
"""Rows whose fit is timed."""
FIT_S = 60.0
BARS = {"complete": 1.3, "half of the cells, own background": 2.0}
"""How much larger than that of the mixture with all cells the error may be."""
Mask = NDArray[np.bool_]


def run_missing_cells_benchmark(path: Path, progress: Callable[[str], object] = lambda method: None) -> dict[str, Any]:
    """Run the benchmark, some minutes.

    Args:
        path: The records, or the folder that they are in.
        progress: Told each method before it begins.

    Returns:
        Plain data: ``records``, ``bars``, ``fit_s`` (for ``FIT`` rows), and ``errors`` (one entry a method, with the
        median over runs and the quartiles of R, G, B).

    Raises:
        InvalidInput: if the records are missing or are not records.
    """
    file = path / FILE if path.is_dir() else path
    rows = Runs.read(file, CHANNELS)
    methods: dict[str, records.Estimate] = {
        "mixture": records.anchored_estimate("mixture", list(range(len(CHANNELS)))),
        "complete": records.anchored_estimate(MODEL, list(range(len(CHANNELS)))),
        "half of the cells, background of complete rows": _gapped(complete=True),
        "half of the cells, own background": _gapped(complete=False),
    }
    errors = []
    for name, estimate in methods.items():
        progress(name)
        errors.append({"method": name, **records.judge_estimate(rows, estimate)})
    reached = {each["method"]: each["median"] for each in errors}
    bars = [
        hold_bar(f"{knob}, {name}", value, factor * known)
        for name, factor in BARS.items()
        for knob, value, known in zip("RGB", reached[name], reached["mixture"], strict=True)
    ]
    fit_s = _timed(rows)
    bars.append(hold_bar(f"fit of {FIT} rows, s", fit_s, FIT_S))
    return {
        "fit_s": fit_s,
        "records": {"file": file.name, "rows": len(rows.run), "runs": len(rows.long)},
        "bars": bars,
        "errors": errors,
    }


def _timed(rows: Runs) -> float:
    """Seconds that a fit takes, all channels of rows drawn at random from those without a clipped one."""
    some = np.random.default_rng(0).permutation(np.flatnonzero(rows.unclipped.all(axis=1)))[:FIT]
    model: InverseModel = plugins.build("sdl.inverse_models", MODEL)
    started = perf_counter()
    model.fit(rows.readings[some], rows.settings[some])
    return perf_counter() - started


def missing_cells_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    made = figure_table(
        f"Mean absolute error of R, G, B over {result['records']['runs']} runs, {MODEL}",
        ["method"],
        SPACE.knob_names,
        caption=f"median, and quartiles in brackets; a fit of {FIT} rows takes {result['fit_s']:.1f} s",
    )
    for each in result["errors"]:
        cells = zip(each["median"], each["lower"], each["upper"], strict=True)
        made.add_row(each["method"], *(f"{middle:.4f} ({low:.4f} to {high:.4f})" for middle, low, high in cells))
    return made


@dataclass(frozen=True, eq=False)
class _Gapped:
    """A model that does not see some cells of its rows."""

    model: InverseModel
    removed: Mask
    """``(n, p)``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def fit(self, readings: Readings, settings: Settings) -> InverseModel:
        return self.model.fit(np.where(self.removed, np.nan, readings), settings)


def _gapped(complete: bool) -> records.Estimate:
    """Settings of the asked rows, from rows of which half of the readings are gone."""

    def estimate(rows: Runs, left_out: int) -> Settings:
        seen = (rows.run != left_out) & rows.unclipped.all(axis=1)
        readings, settings, run = rows.readings[seen], rows.settings[seen], rows.run[seen]
        rng = np.random.default_rng([1, left_out])
        removed = (rng.random(readings.shape) < REMOVED) & (np.diff(run, prepend=-1) == 0)[:, None]
        if not complete:
            readings = _guessed(np.where(removed, np.nan, readings), settings, run, rng)
        model: Any = _Gapped(plugins.build("sdl.inverse_models", MODEL), removed[:, COLUMNS])
        learned = Anchored(lambda: model, COLUMNS).fit(readings, settings, run)
        return records.answer_run(learned, rows, left_out, list(range(len(CHANNELS))))

    return estimate


def _guessed(readings: Readings, settings: Settings, run: NDArray[np.int_], rng: np.random.Generator) -> Readings:
    """Readings ``(n, p)`` with a draw for each gap: linear in the settings, with the background of the run.

    Only the backgrounds and the noise about them are learned from these draws.
    """
    inputs = np.column_stack((settings, run[:, None] == np.unique(run)))
    whole = readings.copy()
    for column in whole.T:
        gap = np.isnan(column)
        slopes = np.linalg.lstsq(inputs[~gap], column[~gap])[0]
        left = column[~gap] - inputs[~gap] @ slopes
        column[gap] = inputs[gap] @ slopes + rng.choice(left, int(gap.sum()))
    return whole
