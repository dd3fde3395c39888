"""What ``sdl benchmark inverse`` holds its figures against, and how it shows them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from flows.console import table as plain_table

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
    return [
        _bar(ours, f"{name}, that of the look-up", ours[name], other[name])
        for other in others
        for name in ("mean", "distance")
    ]


def tables(result: Mapping[str, Any]) -> list[Table]:
    """What the benchmark found, for people, a table for each problem."""
    cores = result["cores"]
    said = f"{cores['cells_at_a_time']} at a time on {cores['of_the_machine']} cores; medians over seeds"
    return [_table(f"{problem} ({said})", rows) for problem, rows in by_problem(result["rows"]).items()]


def by_problem(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each problem."""
    return {name: [row for row in rows if row["problem"] == name] for name in dict.fromkeys(r["problem"] for r in rows)}


def columns(rows: Sequence[Row]) -> list[str]:
    """Columns in which some row has something."""
    return [column for column, write in COLUMNS.items() if any(write(row) for row in rows)]


def _table(title: str, rows: Sequence[Row]) -> Table:
    shown = [column for column in columns(rows) if column in BRIEF]
    cells = [[row["model"], row["post"], *(COLUMNS[column](row) for column in shown)] for row in rows]
    return plain_table(["model", "then", *shown], cells, title=title)


def _number(name: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(name) is None else f"{row[name]:.2g}"


def _share(name: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(name) is None else f"{row[name]:.1%}"


COLUMNS: dict[str, Callable[[Row], str]] = {
    "mean error": _number("mean"),
    "median": _number("median"),
    "95 %": _number("q95"),
    "one target": _number("one"),
    "published": lambda row: " / ".join(f"{each:g}" for each in row["published"] or ()),
    "relative": _number("relative"),
    "on target": _share("on_target"),
    "out of box": _share("out_of_box"),
    "modes in 10, 20, 50": lambda row: ", ".join(f"{share:.2f}" for share in row.get("modes", {}).values()),
    "all modes": lambda row: "" if not row.get("all_modes") else f"{row['all_modes'][ALL_MODES[0]]:.0%}",
    "distance": _number("distance"),
    "uneven": _number("uneven"),
    "spread": _number("spread"),
    "training, s": _number("train_s"),
    "of a processor": _number("train_cpu_s"),
    "answer, s": _number("answer_s"),
    "numbers": lambda row: "" if row.get("numbers") is None else f"{row['numbers']:.0f}",
    "failed": lambda row: "; ".join(row["failed"]),
}
"""Of the page; ``uneven`` is the largest departure of the ranks of the truth among the draws from even ones, and all
modes are looked for in 50 draws."""
BRIEF = ("mean error", "published", "relative", "on target", "all modes", "distance", "uneven", "answer, s", "failed")
"""Of the tables in a terminal."""
