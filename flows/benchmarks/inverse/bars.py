"""What ``sdl benchmark inverse`` holds its figures against."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
LOCALISED = "gauss-newton"
LOOK_UP = "one of 20 rows"
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


def bars(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every bar that the rows have a figure for."""
    found = list[dict[str, Any]]()
    for row in rows:
        if row["failed"]:
            found.append(_bar(row, "failed", len(row["failed"]), 0))
        if row["post"] != LOCALISED:
            continue
        if row["published"] and row["problem"] != "crystal":  # that of the paper is another one
            found.append(_bar(row, "mean error, published", row["mean"], row["published"][0]))
        if row["model"] == "ours":
            found += [_bar(row, name, row[name], bar) for name, bar in OURS[row["problem"]].items()]
            found += [_bar(row, name, row[name], bar, -1) for name, bar in LEAST.get(row["problem"], {}).items()]
            few, often = ALL_MODES
            found.append(_bar(row, f"all modes in {few} draws", row["all_modes"].get(few), often, -1))
            found.append(_bar(row, "a new target, s", row["answer_s"], ANSWER_S))
            found += _against_the_look_up(row, rows)
    return [bar for bar in found if bar["value"] is not None and bar["bar"] is not None]


def _bar(row: Row, name: str, value: float | None, bar: float | None, sign: int = 1) -> dict[str, Any]:
    """A figure that may be as high as its bar; as low, with a sign of -1."""
    met = value is not None and bar is not None and sign * value <= sign * bar
    return {"figure": f"{row['problem']}, {row['model']}: {name}", "value": value, "bar": bar, "met": met}


def _against_the_look_up(ours: Row, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Whether our best has no more error than the look-up that is localised too, and is nearer to the posterior."""
    names = {"problem": ours["problem"], "model": LOOK_UP, "post": LOCALISED}
    others = [row for row in rows if names.items() <= row.items()]
    found = [
        _bar(ours, f"{name}, that of the look-up", ours[name], other[name])
        for other in others
        for name in ("mean", "distance")
    ]
    if ours["distance"] is None:  # no posterior to be near to: its draws have to be as wide, at least
        found += [_bar(ours, "spread, that of the look-up", ours["spread"], other["spread"], -1) for other in others]
    return found
