"""How long each acquisition takes for a batch late in a campaign, the fits of its ensemble included."""

import statistics
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from rich.table import Table

from flows.benchmarks.bars import Bar, hold_bar
from flows.benchmarks.decisions.twin_rows import twin_rows
from flows.terminal import figure_table
from sdl import plugins
from sdl.instruments.claude_light.channels import SPACE
from strategies.contract import Acquisition
from strategies.fitting.bootstrap import refit_on_resamples
from strategies.fitting.fitting import MEMBERS
from strategies.numerics.blas_threads import one_thread

CHANNELS = ("445nm", "515nm", "630nm")
WANTED = 16384.0
ROWS = 500
BATCH = 8
QUIET = 1000.0
"""By what the noise is divided, so that something is left to learn from so many rows and a batch has to be chosen."""
MODELS = ("linear", "mixture")
BAR_S = 1.0


def run_acquisitions_benchmark(rows: int = ROWS, repeats: int = 3) -> dict[str, Any]:
    """Run the benchmark on one core, about half a minute.

    Args:
        rows: In the ledger.
        repeats: Of each proposal, of which the median time counts.

    Returns:
        Plain data: ``rows``, ``batch``, ``figures`` (each with ``acquisition``, ``model``, ``fit_s`` of the ensemble,
        ``propose_s`` and ``proposed``, the settings in the batch) and ``bars``.
    """
    (readings, settings), noise = twin_rows(CHANNELS, rows, 0), SPACE.noise[SPACE.columns(CHANNELS)]
    figures = list[dict[str, Any]]()
    with one_thread():
        for model in MODELS:
            rng, started = np.random.default_rng(0), time.perf_counter()
            make = partial(plugins.build, "sdl.inverse_models", model)
            members = refit_on_resamples(make, readings, settings, MEMBERS, rng)
            fit_s = time.perf_counter() - started
            for name in plugins.names("sdl.acquisitions"):
                acquisition, target, spent = plugins.build("sdl.acquisitions", name), np.full(3, WANTED), list[float]()
                if not isinstance(acquisition, Acquisition):  # it asks the posterior, whose time is another figure
                    continue
                for _ in range(repeats):
                    started = time.perf_counter()
                    batch = acquisition.propose(
                        members, [target], settings, noise / QUIET, BATCH, np.random.default_rng(0)
                    )
                    spent.append(time.perf_counter() - started)
                took = {"fit_s": fit_s, "propose_s": statistics.median(spent), "proposed": len(batch)}
                figures.append({"acquisition": name, "model": model, **took})
    return {"rows": rows, "batch": BATCH, "figures": figures, "bars": list(map(_bar, figures))}


def acquisitions_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    met = all(bar["met"] for bar in result["bars"])
    title = f"A batch of {result['batch']} with {result['rows']} rows in the ledger, one core"
    table = figure_table(
        title,
        ["acquisition", "model"],
        ("fits, s", "proposal, s", "proposed"),
        caption=f"bar: fits and proposal within {BAR_S:g} s: {'met' if met else 'missed'}",
    )
    for each in result["figures"]:
        spent = (f"{each['fit_s']:.2f}", f"{each['propose_s']:.2f}", str(each["proposed"]))
        table.add_row(each["acquisition"], each["model"], *spent)
    return table


def _bar(figures: Mapping[str, Any]) -> Bar:
    name = f"{figures['acquisition']} with {figures['model']}, s"
    return hold_bar(name, figures["fit_s"] + figures["propose_s"], BAR_S)
