"""ForestDiffusion as it is here beside the library at its defaults: time of a fit, and error of the settings."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from flows.benchmarks.bars import hold_bar
from flows.benchmarks.decisions.twin_rows import twin_rows
from flows.terminal import figure_table
from sdl.space import Readings, Settings

Array = NDArray[np.float64]
CHANNELS = ("445nm", "515nm", "630nm")
ROWS = 80
HELD_OUT = 100
DRAWS = 100
"""For each row held out; their median is the answer."""
FASTER = 20.0
"""Times that our fit must be faster than the library's."""


def run_forest_benchmark(seed: int = 0, repeats: int = 3) -> dict[str, Any]:
    """Run the benchmark on one core, about a minute, nearly all of it the library's fit.

    Args:
        seed: Of the twin, the designs and the draws.
        repeats: Fits of ours, of which the median time counts; the library is fitted once.

    Returns:
        Plain data: ``figures`` of ``forest`` and ``library``, each with its ``fit_s``, ``draw_s`` for all rows held
        out and ``error``, the mean absolute error of settings in the unit box; their ``ratio`` of fit times; ``bars``.
    """
    rows, fresh = twin_rows(CHANNELS, ROWS, seed), twin_rows(CHANNELS, HELD_OUT, seed + 1)
    figures = {"forest": _ours(rows, fresh, seed, repeats), "library": _library(rows, fresh, seed)}
    ratio = figures["library"]["fit_s"] / figures["forest"]["fit_s"]
    error, limit = figures["forest"]["error"], figures["library"]["error"]
    bars = [hold_bar("times faster", ratio, FASTER, at_least=True), hold_bar("error", error, limit)]
    return {"rows": ROWS, "held_out": HELD_OUT, "figures": figures, "ratio": ratio, "bars": bars}


def forest_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    met = all(bar["met"] for bar in result["bars"])
    title = f"ForestDiffusion, {result['rows']} rows, one core: {result['ratio']:.0f} times faster"
    table = figure_table(
        title,
        ["what"],
        ("fit, s", "draws, s", "error of settings"),
        caption=f"bars: {FASTER:g} times faster, error no larger: {'met' if met else 'missed'}",
    )
    for name, label in (("forest", "forest"), ("library", "the library at its defaults")):
        figures = result["figures"][name]
        table.add_row(label, f"{figures['fit_s']:.2f}", f"{figures['draw_s']:.2f}", f"{figures['error']:.4f}")
    return table


def _ours(
    rows: tuple[Readings, Settings], fresh: tuple[Readings, Settings], seed: int, repeats: int
) -> dict[str, float]:
    from strategies.models.mixtures.forest import Forest

    spent = list[float]()
    for _ in range(repeats):
        started = time.perf_counter()
        model = Forest(seed=seed).fit(*rows)
        model.sample(rows[0][0], 1, np.random.default_rng(seed))  # makes the forests of these channels
        spent.append(time.perf_counter() - started)
    started, rng = time.perf_counter(), np.random.default_rng(seed)
    draws = np.array([model.sample(reading, DRAWS, rng) for reading in fresh[0]])
    return _figures(statistics.median(spent), time.perf_counter() - started, draws, fresh[1])


def _library(rows: tuple[Readings, Settings], fresh: tuple[Readings, Settings], seed: int) -> dict[str, float]:
    """The library at its defaults, with its own draws; only the cores are limited, and chance by its seed."""
    from strategies.models.mixtures.forest import contained, library_forest

    centre, width = rows[0].mean(axis=0), rows[0].std(axis=0)
    with contained():
        started = time.perf_counter()
        model = library_forest(rows[1], (rows[0] - centre) / width, seed=seed)
        spent, started = time.perf_counter() - started, time.perf_counter()
        asked = np.repeat((fresh[0] - centre) / width, DRAWS, axis=0)
        draws = model.generate(batch_size=len(asked), X_covs=asked).reshape(len(fresh[0]), DRAWS, -1)
    return _figures(spent, time.perf_counter() - started, draws, fresh[1])


def _figures(fit_s: float, draw_s: float, draws: Array, truth: Settings) -> dict[str, float]:
    error = float(np.abs(np.median(draws, axis=1) - truth).mean())
    return {"fit_s": fit_s, "draw_s": draw_s, "error": error}
