"""The page of ``sdl benchmark inverse``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flows.benchmarks.inverse.bars import BEST, LOCALISED, Row
from flows.benchmarks.inverse.problems import PROBLEMS, REFERENCE, make_instrument
from flows.benchmarks.inverse.table import COLUMNS, filled_columns, group_by_problem
from flows.benchmarks.inverse.worker import MANY, POSTS, SOME
from sdl.reports.benchmarks import benchmark_page as benchmark
from sdl.reports.benchmarks.benchmark_page import BenchmarkPart, draw_level_curves, draw_scatter

FINE = 201
NEARNESS = "Distance from the true posterior against the mean squared error; low and left is best"
CURVES = "Where the response is what is wanted, and draws for it:"
TITLE = "Inverse models on problems with many answers"


def write_inverse_page(result: Mapping[str, Any], path: Path) -> Path:
    """Write the page of a result of ``run_benchmarks`` that has ``inverse``, and return where it lies.

    Raises:
        InvalidInput: if it cannot be written.
    """
    found = result["results"]["inverse"]
    cells = {name: [each for each in found["cells"] if each["problem"] == name] for name in PROBLEMS}
    parts = [_part(problem, rows, cells[problem]) for problem, rows in group_by_problem(found["rows"]).items()]
    described = {**result, "versions": result["versions"] | found["libraries"]}
    return benchmark.write_benchmark_page(TITLE, described, _notes(found), parts, found["bars"], path)


def _part(problem: str, rows: Sequence[Row], cells: Sequence[Mapping[str, Any]]) -> BenchmarkPart:
    shown = filled_columns(rows)
    lines = [(row["model"], [row["post"], *(COLUMNS[column](row) for column in shown)]) for row in rows]
    series = {
        f"then {post}": [
            (row["model"], row["mean"], row["distance"])
            for row in rows
            if row["post"] == post and row.get("distance") and row.get("mean")
        ]
        for post in POSTS
    }
    figures = {}
    if any(series.values()):
        figures[NEARNESS] = draw_scatter(series, "mean squared error", "distance from the posterior")
    if drawn := {cell["label"]: cell["shown"][LOCALISED] for cell in reversed(cells) if cell.get("shown")}:
        figures[f"{CURVES} {PROBLEMS[problem].one[0]:g}, localised by Gauss-Newton"] = _curves(problem, drawn)
    notes = [f"Failed: {row['model']}, {why}" for row in rows if row["post"] in ("", "none") for why in row["failed"]]
    return BenchmarkPart(problem, notes, ["model", "then", *shown], lines, figures)


def _curves(problem: str, drawn: Mapping[str, Any]) -> str:
    made = make_instrument(problem, "")
    (low, other_low), (high, other_high) = made.space.low.tolist(), made.space.high.tolist()
    places = np.meshgrid(np.linspace(low, high, FINE), np.linspace(other_low, other_high, FINE), indexing="ij")
    grid = made.truth(np.stack(places, axis=-1).reshape(-1, 2)).reshape(FINE, FINE)
    best_last = dict(sorted(drawn.items(), key=lambda each: each[0] in BEST))
    return draw_level_curves(grid, PROBLEMS[problem].one[0], (low, high, other_low, other_high), best_last)


def _notes(found: Mapping[str, Any]) -> list[str]:
    asked, cores = found["asked"], found["cores"]
    return [
        f"Targets: {asked['targets']}; medians over seeds: {asked['seeds']}; seconds of training a model at most: "
        f"{asked['seconds']:g}; of the forward model that localises, where a model has none of its own: "
        f"{asked['forward']:g}; models at a time: {cores['cells_at_a_time']}, one thread each, on "
        f"{cores['of_the_machine']} cores.",
        "Errors are squared, a mean over channels, of draws within the box when they are simulated again. Error alone "
        "proves nothing: a look-up of the nearest row has little and knows one answer.",
        "Published: mean error over 1,000 targets / at one target (Zhang, Bi, Fung, AAAI 2023, tables 2 and 3). Their "
        "crystal is another one.",
        f"Distance: sliced Wasserstein distance of {MANY} draws from the {REFERENCE} nearest of two million draws of "
        f"the prior, in standard deviations of that, mean over {SOME} targets; about 0.06 between two such samples.",
        "Uneven: largest departure from even shares of the rank of the truth among the draws, over knobs; by chance up "
        f"to {1.36 / asked['targets'] ** 0.5:.2f}. Spread: standard deviation of the draws of a target, in those of "
        "the prior. Answer: 100 draws of a new target, localised, and the distinct ones of them.",
    ]
