"""What ``sdl benchmark inverse`` holds its figures against."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.benchmarks.bars import Bar, hold_bar

Row = Mapping[str, Any]
LOCALISED = "gauss-newton"
LOOK_UP = "one of 20 rows"
BEST = ("rejection-localised", "ours")
"""Our best model, by its name and by its former one."""
OURS: dict[str, dict[str, float]] = {
    "sinewave": {"mean": 1e-5, "distance": 0.08},
    "robotic-arm": {"mean": 3e-7, "distance": 0.06},
    "ballistics": {"mean": 1e-5, "distance": 0.07},
    "crystal": {"mean": 0.0016, "one": 0.0016},
    "material": {"relative": 0.02},
}
"""Highest figures of our best, localised."""
LEAST = {"sinewave": {"on_target": 0.995}}
ALL_MODES = ("50", 0.99)
"""Draws of the sinewave, and how often all modes are among them."""
ANSWER_S = 0.2


def hold_inverse_bars(rows: Sequence[Row]) -> list[Bar]:
    """Every bar that the rows of the table have a figure for."""
    bars = list[Bar]()
    for row in rows:
        if row["failed"]:
            bars += _bar(row, "failed", len(row["failed"]), 0)
        if row["post"] != LOCALISED:
            continue
        if row["published"] and row["problem"] != "crystal":  # that of the paper is another one
            bars += _bar(row, "mean error, published", row["mean"], row["published"][0])
        if row["model"] in BEST:
            for name, bar in OURS[row["problem"]].items():
                bars += _bar(row, name, row[name], bar)
            for name, bar in LEAST.get(row["problem"], {}).items():
                bars += _bar(row, name, row[name], bar, at_least=True)
            few, often = ALL_MODES
            bars += _bar(row, f"all modes in {few} draws", row["all_modes"].get(few), often, at_least=True)
            bars += _bar(row, "a new target, s", row["answer_s"], ANSWER_S)
            bars += _against_the_look_up(row, rows)
    return bars


def _bar(row: Row, name: str, value: float | None, bar: float | None, *, at_least: bool = False) -> list[Bar]:
    """A figure of a row held against its bar; nothing where there is no figure or no bar."""
    if value is None or bar is None:
        return []
    return [hold_bar(f"{row['problem']}, {row['model']}: {name}", value, bar, at_least=at_least)]


def _against_the_look_up(ours: Row, rows: Sequence[Row]) -> list[Bar]:
    """Whether our best has no more error than the look-up that is localised too, and is nearer to the posterior."""
    names = {"problem": ours["problem"], "model": LOOK_UP, "post": LOCALISED}
    bars = list[Bar]()
    others = [row for row in rows if names.items() <= row.items()]
    for other in others:
        for name in ("mean", "distance"):
            bars += _bar(ours, f"{name}, that of the look-up", ours[name], other[name])
    if ours["distance"] is None:  # no posterior to be near to: its draws have to be as wide, at least
        for other in others:
            bars += _bar(ours, "spread, that of the look-up", ours["spread"], other["spread"], at_least=True)
    return bars
