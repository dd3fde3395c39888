"""Bars: what a figure of a benchmark has to reach, and how the two stand side by side in a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from flows.terminal import figure_table

Bar = dict[str, Any]
"""A ``figure`` by name, its ``value``, the ``bar`` that it is held against, and whether it is ``met``."""


def hold_bar(figure: str, value: float, bar: float, *, at_least: bool = False, **about: Any) -> Bar:
    """Hold a figure against its bar: it may be as large, or has to be ``at_least`` as large; ``about`` joins it."""
    met = bool(value >= bar if at_least else value <= bar)
    return {**about, "figure": figure, "value": value, "bar": bar, "met": met}


def say_met(bar: Mapping[str, Any]) -> str:
    """``yes`` or ``no``."""
    return "yes" if bar["met"] else "no"


def bar_table(title: str, bars: Sequence[Bar], labels: Mapping[str, str], digits: str = ".2f", **look: Any) -> Table:
    """A table with a line for each bar; ``digits`` is the format of a value that is not a whole number."""
    table = figure_table(title, ["what"], ("value", "bar", "met"), **look)
    for bar in bars:
        value = bar["value"]
        words = str(value) if isinstance(value, int) else f"{value:{digits}}"
        table.add_row(labels[bar["figure"]], words, f"{bar['bar']:g}", say_met(bar))
    return table
