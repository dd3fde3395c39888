"""Figures of many campaigns by scenario: each with its interval over seeds, its bar, and its place in a table."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from flows.benchmarks.bars import Bar, hold_bar
from flows.terminal import figure_table

RESAMPLES = 2000
Array = NDArray[np.float64]
Summary = Callable[[dict[str, Array]], dict[str, Array]]
"""From what became of campaigns, each name ``(..., n)`` over seeds, to figures ``(...)``."""


def summarise_scenarios(
    outcomes: Sequence[Mapping[str, Any]], bars: Mapping[str, Mapping[str, float]], summary: Summary, at_least: str
) -> dict[str, Any]:
    """The figures of every scenario and their bars, as plain data.

    Args:
        outcomes: What became of each campaign: its ``condition``, which is the name of its scenario, and numbers,
            among them ``verdicts`` and ``false``.
        bars: Of the figures of each scenario, by its name.
        summary: How figures follow from the numbers.
        at_least: The figure that has to be at least as large as its bar; others may be as large.

    Returns:
        ``conditions``, each figure with its ``value`` and its 95 % interval (``low``, ``high``), and ``bars``.
    """
    scenarios, held = list[dict[str, Any]](), list[Bar]()
    for name, of in bars.items():
        figures = _summarise(name, [each for each in outcomes if each["condition"] == name], summary)
        scenarios.append(figures)
        for figure, bar in of.items():
            value = figures[figure]["value"]
            held.append(hold_bar(figure, value, bar, at_least=figure == at_least, condition=name))
    return {"conditions": scenarios, "bars": held}


def _summarise(name: str, outcomes: Sequence[Mapping[str, Any]], summary: Summary) -> dict[str, Any]:
    """The figures of one scenario; intervals are by bootstrap over its campaigns."""
    numbers = {key: np.array([each[key] for each in outcomes], float) for key in outcomes[0] if key != "condition"}
    again = np.random.default_rng(0).integers(len(outcomes), size=(RESAMPLES, len(outcomes)))
    values, drawn = summary(numbers), summary({key: row[again] for key, row in numbers.items()})
    figures = {}
    for key, value in values.items():
        low, high = np.percentile(drawn[key], (2.5, 97.5)).tolist()
        figures[key] = {"value": float(value), "low": low, "high": high}
    counts = {"verdicts": int(numbers["verdicts"].sum()), "false verdicts": int(numbers["false"].sum())}
    return {"condition": name, "campaigns": len(outcomes), **counts, **figures}


def scenario_table(
    title: str,
    caption: str,
    scenarios: Sequence[Mapping[str, Any]],
    bars: Sequence[Bar],
    labels: Mapping[str, str],
    shares: Collection[str],
    at_least: str,
) -> Table:
    """A column for each scenario, a line for each figure that ``labels`` names, with interval and bar.

    Figures among ``shares`` are written in percent; that of ``at_least`` has to be at least as large as its bar.
    """

    def written(name: str, value: float) -> str:
        return f"{value:.1%}" if name in shares else f"{value:.3g}"

    def cell(name: str, scenario: Mapping[str, Any]) -> str:
        value, low, high = (written(name, scenario[name][key]) for key in ("value", "low", "high"))
        text, bar = f"{value} ({low} to {high})", held.get((scenario["condition"], name))
        if bar is None:
            return text
        sign, met = ">=" if name == at_least else "<=", "met" if bar["met"] else "not met"
        return f"{text}\n{sign} {written(name, bar['bar'])}: {met}"

    held = {(bar["condition"], bar["figure"]): bar for bar in bars}
    table = figure_table(title, [""], [each["condition"] for each in scenarios], caption=caption)
    for name, label in labels.items():
        table.add_row(label, *(cell(name, each) for each in scenarios))
    return table
