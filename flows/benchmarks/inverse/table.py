"""The table of ``sdl benchmark inverse``: its lines, its columns, and how a terminal shows them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.benchmarks.inverse.bars import ALL_MODES, Row
from flows.benchmarks.inverse.problems import PROBLEMS
from flows.benchmarks.inverse.worker import POSTS
from flows.terminal import figure_table

PER_SEED = ("mean", "median", "q95", "on_target", "out_of_box", "distance", "uneven", "spread", "relative")


def make_table_rows(problem: str, cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one problem: each model and what was done to its draws, medians over seeds."""
    mine = [cell for cell in cells if cell["problem"] == problem]
    rows = list[dict[str, Any]]()
    for label in dict.fromkeys(cell["label"] for cell in mine):
        group = [cell for cell in mine if cell["label"] == label]
        sound = [cell for cell in group if not cell["error"]]
        failed = [f"seed {cell['seed']}: {cell['error']}" for cell in group if cell["error"]]
        head = {"problem": problem, "model": label, "seeds": len(sound), "failed": failed}
        if not sound:
            rows.append({**head, "post": "", "published": None})
        rows += [_line(head, problem, post, sound) for post in POSTS if sound]
    return rows


def _line(head: dict[str, Any], problem: str, post: str, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median over seeds of every figure."""
    posts = [cell["posts"][post] for cell in cells]
    published = PROBLEMS[problem].published.get(cells[0]["model"])
    return {
        **head,
        "post": post,
        **{name: _median(each[name] for each in posts) for name in PER_SEED},
        "one": _median(each["one"]["mean"] for each in posts),
        "modes": {n: _median(each["modes"][n]["share"] for each in posts) for n in posts[0]["modes"] or ()},
        "all_modes": {n: _median(each["modes"][n]["all"] for each in posts) for n in posts[0]["modes"] or ()},
        "arrived": _median(cell["arrived"][post] for cell in cells),
        "uneven_by_chance": posts[0]["uneven_by_chance"],
        "train_s": _median(cell["train_s"] for cell in cells),
        "train_cpu_s": _median(cell["train_cpu_s"] for cell in cells),
        "forward_s": _median(cell["forward_s"] for cell in cells),
        "spent_s": _median(cell["spent_s"][post] for cell in cells),
        "answer_s": _median(cell["answer_s"] for cell in cells),
        "numbers": _median(cell["numbers"] for cell in cells),
        "cut": any(cell["cut"] for cell in cells),
        "published": list(published) if published else None,
    }


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def inverse_tables(result: Mapping[str, Any]) -> list[Table]:
    """The benchmark's result for people, a table for each problem."""
    cores = result["cores"]
    how = f"{cores['cells_at_a_time']} at a time on {cores['of_the_machine']} cores; medians over seeds"
    return [_table(f"{problem} ({how})", rows) for problem, rows in group_by_problem(result["rows"]).items()]


def group_by_problem(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each problem."""
    return {name: [row for row in rows if row["problem"] == name] for name in dict.fromkeys(r["problem"] for r in rows)}


def filled_columns(rows: Sequence[Row]) -> list[str]:
    """Columns in which some row has something."""
    return [column for column, write in COLUMNS.items() if any(write(row) for row in rows)]


def _table(title: str, rows: Sequence[Row]) -> Table:
    shown = [column for column in filled_columns(rows) if column in BRIEF]
    made = figure_table(title, ("model", "then"), shown)
    for row in rows:
        made.add_row(row["model"], row["post"], *(escape(COLUMNS[column](row)) for column in shown))
    return made


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
