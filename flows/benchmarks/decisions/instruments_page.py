"""The page of ``sdl benchmark instruments``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.benchmarks.decisions.instruments import COLUMNS, COSTS, NOTES, VERDICTS, write_figure
from sdl.reports.benchmarks.benchmark_page import BenchmarkPart, write_benchmark_page

TITLE = "A population of instruments"


def write_instruments_page(result: Mapping[str, Any], path: Path) -> Path:
    """Write the page of what ``suite.run_benchmarks`` returned and return where it lies.

    Raises:
        InvalidInput: if it cannot be written.
    """
    population = result["results"]["instruments"]
    scope = (
        f"{population['seeds']} campaigns a family, a budget of {population['budget']} requests, on the instruments "
        f"for {population['split']}. In brackets 95 % intervals: Wilson's for shares, by bootstrap for the others."
    )
    notes = [*NOTES, scope, *population["notes"]]
    families = [(name, [sentence]) for name, sentence in population["families"].items()]
    parts = [
        _part("Verdicts", population, VERDICTS),
        _part("Requests and time", population, COSTS),
        BenchmarkPart("Families", [], ["family", "what it is"], families),
    ]
    bars = [{**bar, "figure": f"{bar['family']}: {COLUMNS[bar['figure']]}"} for bar in population["bars"]]
    return write_benchmark_page(TITLE, result, notes, parts, bars, path)


def _part(title: str, population: Mapping[str, Any], columns: Mapping[str, str]) -> BenchmarkPart:
    """Some figures of every row, with their intervals."""
    rows = [
        (row["family"], [row["strategy"], *(write_figure(population, row, name, interval=True) for name in columns)])
        for row in population["rows"]
    ]
    return BenchmarkPart(title, ["! does not meet its bar"], ["family", "strategy", *columns.values()], rows)
