"""Solving in one go: from rows that were measured and the readings somebody wants to settings, by several models.

Nothing is measured here, so nothing is verified: what comes out are candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.studies import all_answers as every_answer
from flows.terminal import figure_table
from sdl.formatting import visible
from sdl.interchange.export_import import read_data
from sdl.space import Space
from strategies.solving.model_answer import Answer, answer, faults, gaps, named, sentence, warnings
from strategies.solving.model_scores import Split, error_figures, fitted, prediction, split
from strategies.solving.problem import Problem, asked, pose


def solve(
    path: str | Path,
    targets: Sequence[str],
    *,
    free: Sequence[str] = (),
    models: Sequence[str] = (),
    background: Sequence[str] = (),
    tolerance: str = "1 %",
    seed: int = 0,
    draws: int = 1000,
    answers: str | None = None,
    space: Space | None = None,
) -> dict[str, Any]:
    """Settings that give a target, by models fitted on the rows of a file.

    Args:
        path: Rows, as ``sdl.exchange.read_data`` takes them.
        targets: Readings wanted, each ``CHANNEL=READING`` or ``CHANNEL=READING±TOLERANCE``; other channels are free.
        free: Channels that are free, said for clarity.
        models: Names of registered inverse models; all of them unless told, but for those that are a mixture with so
            few rows.
        background: What each channel of the target reads with all knobs off, ``CHANNEL=READING``. Unless told it is
            read off rows with all knobs off, and extrapolated where there are none.
        tolerance: Largest allowed error where a target has none of its own: a number, or a percentage of the reading.
        seed: Of every random choice.
        draws: From each model.
        answers: ``all`` or a number, for every distinct answer of each model too, or so many of them.
        space: Knobs and channels, if the file is not to tell.

    Returns:
        Plain data: ``data``, ``rows``, ``target``, ``tolerance``, ``background``, ``notes`` (what was done to the
        rows), ``seed``, ``draws``, and ``models``. Each of these has its ``model`` name and ``error``; if that is None
        also ``rows`` that it learned from, ``reachable`` and the same as a ``verdict`` in words, ``candidates`` (the
        likeliest first), ``nearest`` (where there is no candidate), ``refused`` (share of draws outside the bounds),
        ``remoteness`` (how far the target lies from its data: ``score``, ``reason``, ``channels`` and, from 1 on, a
        ``warning``), ``scores`` (None for too few rows), ``fit_s`` and ``draw_s``; and where they were asked for
        ``answers``, see ``flows.every_answer``, None where the target cannot be reached.

    Raises:
        InvalidInput: with every fault of the file, or of what was asked.
    """
    data = read_data(path, space)
    wrong = [*faults(models, seed, draws), *every_answer.faults(answers)]
    problem = pose(data, *asked(data.space, targets, free, background, tolerance, wrong))
    rows, most = split(problem, seed), every_answer.wanted(answers)
    said = [_answered(name, problem, seed, draws, most) for name in named(models, len(problem.settings))]
    return {
        "data": str(path),
        "rows": len(problem.settings),
        "target": problem.named(problem.target),
        "tolerance": problem.named(problem.tolerance),
        "background": problem.named(problem.background),
        "notes": [*problem.notes, *gaps((each.said for each in said), len(problem.settings))],
        "seed": seed,
        "draws": draws,
        "models": [_scored_too(each, problem, rows) for each in said],
    }


def _answered(name: str, problem: Problem, seed: int, draws: int, most: int | None) -> Answer:
    """What one model says to a problem, with so many of the answers that it knows where these are asked for."""
    given = answer(name, problem, seed, draws)
    if most is None or given.model is None or given.draws is None:
        return given
    try:
        every = every_answer.every_answer(given.model, problem, given.draws, most) if given.said["reachable"] else None
    except Exception as error:  # a model is anybody's code
        return Answer({"model": name, "error": sentence(name, error)})
    return replace(given, said={**given.said, "answers": every})


def _scored_too(given: Answer, problem: Problem, rows: Split | None) -> dict[str, Any]:
    """An answer, and how well the model predicts readings when it is fitted on a part of the rows."""
    if given.model is None:
        return given.said
    if rows is None:
        return {**given.said, "scores": None}
    try:
        model = fitted(given.said["model"], problem, rows)
        parts = {"train": rows.train, "test": rows.test}
        found = {
            part: error_figures(*prediction(model, problem, of), tuple(problem.names)) for part, of in parts.items()
        }
    except Exception:  # too few rows to spare some, as a rule
        return {**given.said, "scores": None}
    return {**given.said, "scores": found}


# ---------------------------------------------------------------------- for people


def tables(result: Mapping[str, Any]) -> list[Table]:
    """What ``solve`` returned, for people: the answers, and how well the models predict."""
    every = every_answer.table(result)
    return [_answers(result), *([] if every is None else [every]), _quality(result)]


def _answers(result: Mapping[str, Any]) -> Table:
    allowed = result["tolerance"]
    wanted = ", ".join(f"{name} {value:.6g} ± {allowed[name]:.3g}" for name, value in result["target"].items())
    table = figure_table(f"Settings for {wanted}", ["model", "draws"], [*_knobs(result), *result["target"], "refused"])
    table.caption = escape(
        "\n".join(map(visible, [*(each["text"] for each in warnings(result["models"])), *result["notes"]]))
    )
    for row in result["models"]:
        for cells in _lines(row):
            table.add_row(*(escape(visible(cell)) for cell in cells))
    return table


def _quality(result: Mapping[str, Any]) -> Table:
    table = figure_table(
        f"Readings of rows not seen, {', '.join(result['target'])}",
        ["model"],
        ["rows", "R2", "MAE", "RMSE", "fit, ms", "draws, ms"],
    )
    for row in result["models"]:
        if row["error"] is None:
            took = [f"{1e3 * row[each]:.1f}" for each in ("fit_s", "draw_s")]
            table.add_row(escape(visible(row["model"])), *_scored(row["scores"]), *took)
    return table


def _knobs(result: Mapping[str, Any]) -> list[str]:
    solved = [row for row in result["models"] if row["error"] is None]
    return [knob for row in solved[:1] for knob in (row["nearest"] or row["candidates"][0])["settings"]]


def _lines(row: Mapping[str, Any]) -> list[list[str]]:
    """The lines of one model in the table of answers, one an answer."""
    if row["error"] is not None:
        return []
    found = [(f"{each['share']:.0%}", each) for each in row["candidates"]]
    if row["nearest"]:
        found.append(("nearest", row["nearest"]))
    return [[row["model"], said, *_figures(each), f"{row['refused']:.0%}"] for said, each in found]


def _figures(answer: Mapping[str, Any]) -> list[str]:
    spread = answer.get("spread", {})
    settings = [
        f"{value:.4f}" + (f"\n±{spread[knob]:.4f}" if spread else "") for knob, value in answer["settings"].items()
    ]
    return settings + [f"{value:.5g}" for value in answer["readings"].values()]


def _scored(scores: Mapping[str, Any] | None) -> list[str]:
    if scores is None:
        return ["too few", "", "", ""]
    test = scores["test"]
    r2 = ", ".join("-" if value is None else f"{value:.4f}" for value in test["r2"].values())
    return [str(test["rows"]), r2, *(", ".join(f"{v:.4g}" for v in test[error].values()) for error in ("mae", "rmse"))]
