"""Solving in one go: from rows that were measured and the readings somebody wants to settings, by several models.

Nothing is measured here, so nothing is verified: what comes out are candidates.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from flows.problem import Problem, asked, pose
from sdl import plugins
from sdl.errors import SdlError, nearest
from sdl.exchange import read_data
from sdl.history import Verdict
from sdl.space import Settings, Space
from strategies.candidates import Candidate, candidates, refused
from strategies.contract import InverseModel
from strategies.offers import expected
from strategies.reachability import reach
from strategies.residuals import Rows

GROUP: plugins.Group = "sdl.inverse_models"
TEST = 0.2
"""Share of the rows that judge a model fitted on the others; the answers come from one fitted on all of them."""
MOST_DRAWS = 5000
"""All distances between draws are kept at once."""
FAILURES = (SdlError, ValueError, ArithmeticError, ImportError)
"""What keeps one model from an answer, and not the others."""


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
    space: Space | None = None,
) -> dict[str, Any]:
    """Settings that give a target, by models fitted on the rows of a file.

    Args:
        path: Rows, as ``sdl.exchange.read_data`` takes them.
        targets: Readings wanted, each ``CHANNEL=READING`` or ``CHANNEL=READING±TOLERANCE``; other channels are free.
        free: Channels that are free, said for clarity.
        models: Names of registered inverse models; all of them unless told.
        background: What each channel of the target reads with all knobs off, ``CHANNEL=READING``. Unless told it is
            read off rows with all knobs off, and extrapolated where there are none.
        tolerance: Largest allowed error where a target has none of its own: a number, or a percentage of the reading.
        seed: Of every random choice.
        draws: From each model.
        space: Knobs and channels, if the file is not to tell.

    Returns:
        Plain data: ``data``, ``rows``, ``target``, ``tolerance``, ``background``, ``notes`` (what was done to the
        rows), ``seed``, ``draws``, and ``models``. Each of these has its ``model`` name and ``error``; if that is None
        also ``reachable`` and the same as a ``verdict`` in words, ``candidates`` (the likeliest first), ``nearest``
        (where there is no candidate), ``refused`` (share of draws outside the bounds), ``scores`` (None for too few
        rows), ``fit_s`` and ``draw_s``.

    Raises:
        InvalidInput: with every fault of the file, or of what was asked.
    """
    data = read_data(path, space)
    problem = pose(data, *asked(data.space, targets, free, background, tolerance, _faults(models, seed, draws)))
    return {
        "data": str(path),
        "rows": len(problem.settings),
        "target": problem.named(problem.target),
        "tolerance": problem.named(problem.tolerance),
        "background": problem.named(problem.background),
        "notes": list(problem.notes),
        "seed": seed,
        "draws": draws,
        "models": [answer(name, problem, seed, draws) for name in dict.fromkeys(models or plugins.names(GROUP))],
    }


def answer(name: str, problem: Problem, seed: int, draws: int) -> dict[str, Any]:
    """What one model says to a problem, or why it says nothing; plain data as ``solve`` returns it."""
    try:
        model: InverseModel = plugins.build(GROUP, name)
        started = time.perf_counter()
        model.fit(problem.readings, problem.settings)
        fitted = time.perf_counter()
        drawn = model.sample(problem.target - problem.background, draws, np.random.default_rng([seed, 1]))
        took = {"fit_s": fitted - started, "draw_s": time.perf_counter() - fitted}
        said = _said(model, problem, drawn)
        return {"model": name, "error": None, **said, "scores": _scores(name, problem, seed), **took}
    except FAILURES as error:
        return {"model": name, "error": str(error)}


def _faults(models: Sequence[str], seed: int, draws: int) -> list[str]:
    known = plugins.names(GROUP)
    faults = [f"unknown inverse model {name!r}{nearest(name, known)}" for name in models if name not in known]
    if seed < 0:
        faults.append(f"seed needs a whole number from 0, got {seed}")
    if not 1 <= draws <= MOST_DRAWS:
        faults.append(f"draws needs a whole number from 1 to {MOST_DRAWS}, got {draws}")
    return faults


def _said(model: InverseModel, problem: Problem, drawn: Settings) -> dict[str, Any]:
    """Candidates if the model can reach the target, else the nearest that it can reach."""
    near, reachable = _nearest(model, problem)
    found = [_candidate(model, problem, each) for each in candidates(drawn)] if reachable else []
    verdict = "REACHABLE" if reachable else Verdict.NOT_REACHABLE.value
    offer = {"candidates": found, "nearest": None if found else near, "refused": refused(drawn)}
    return {"reachable": reachable, "verdict": verdict, **offer}


def _nearest(model: InverseModel, problem: Problem) -> tuple[dict[str, Any], bool]:
    """Where the model comes nearest to the target, and whether that may be near enough.

    A "no" has to hold out against what the model misses nearby, and how uncertain that is.
    """
    d, level = problem.space.d, problem.background
    found = reach(model, problem.target - level, problem.tolerance, np.zeros(len(level)), d)
    if not found.reachable:
        readings, uncertainty = expected(model, found.settings, level, _rows(model, problem))
        level = readings - found.readings
        found = reach(model, problem.target - level, problem.tolerance, uncertainty, d)
    settings, named = problem.named_settings(found.settings), problem.named(found.readings + level)
    return {"settings": settings, "readings": named}, found.reachable


def _rows(model: InverseModel, problem: Problem) -> Rows:
    n, c = problem.readings.shape
    stated = problem.space.noise[problem.space.columns(problem.names)]
    left = np.std(problem.readings - model.predict(problem.settings), axis=0)
    independent = np.broadcast_to(0.0, (n, n))  # one number in memory, however many rows there are
    return Rows(problem.settings, problem.readings, np.where(np.isnan(stated), left, stated), np.zeros(c), independent)


def _candidate(model: InverseModel, problem: Problem, candidate: Candidate) -> dict[str, Any]:
    width = problem.space.high - problem.space.low
    return {
        "settings": problem.named_settings(candidate.settings),
        "spread": problem.space.named_settings(candidate.spread * width),
        "share": candidate.share,
        "readings": problem.named(model.predict(candidate.settings[None])[0] + problem.background),
    }


def _scores(name: str, problem: Problem, seed: int) -> dict[str, Any] | None:
    """How well a model fitted on a part of the rows predicts the readings of that part and of the rest."""
    n = len(problem.settings)
    test, train = np.split(np.random.default_rng([seed, 0]).permutation(n), [max(round(TEST * n), 1)])
    try:
        model: InverseModel = plugins.build(GROUP, name).fit(problem.readings[train], problem.settings[train])
    except FAILURES:
        return None
    return {part: _score(model, problem, rows) for part, rows in (("train", train), ("test", test))}


def _score(model: InverseModel, problem: Problem, rows: NDArray[np.intp]) -> dict[str, Any]:
    readings = problem.readings[rows]
    squares = (model.predict(problem.settings[rows]) - readings) ** 2
    spread = ((readings - readings.mean(axis=0)) ** 2).sum(axis=0)
    explained = 1 - squares.sum(axis=0) / np.where(spread > 0, spread, np.nan)
    r2 = {channel: value if np.isfinite(value) else None for channel, value in problem.named(explained).items()}
    mae, rmse = np.sqrt(squares).mean(axis=0), np.sqrt(squares.mean(axis=0))
    return {"rows": len(rows), "r2": r2, "mae": problem.named(mae), "rmse": problem.named(rmse)}


# ---------------------------------------------------------------------- for people


def tables(result: Mapping[str, Any]) -> list[Table]:
    """What ``solve`` returned, for people: the answers, and how well the models predict."""
    return [_answers(result), _quality(result)]


def _answers(result: Mapping[str, Any]) -> Table:
    allowed = result["tolerance"]
    wanted = ", ".join(f"{name} {value:.6g} ± {allowed[name]:.3g}" for name, value in result["target"].items())
    table = _table(f"Settings for {wanted}", ["model", "draws"], [*_knobs(result), *result["target"], "refused"])
    table.caption = escape("\n".join([*_sentences(result), *result["notes"]]))
    for row in result["models"]:
        for cells in _lines(row):
            table.add_row(*map(escape, cells))
    return table


def _quality(result: Mapping[str, Any]) -> Table:
    table = _table(
        f"Readings of rows not seen, {', '.join(result['target'])}",
        ["model"],
        ["rows", "R2", "MAE", "RMSE", "fit, ms", "draws, ms"],
    )
    for row in result["models"]:
        if row["error"] is None:
            took = [f"{1e3 * row[each]:.1f}" for each in ("fit_s", "draw_s")]
            table.add_row(escape(row["model"]), *_scored(row["scores"]), *took)
    return table


def _table(title: str, words: Sequence[str], figures: Sequence[str]) -> Table:
    table = Table(title=escape(title), caption_justify="left")
    for column in words:
        table.add_column(escape(column))
    for column in figures:
        table.add_column(escape(column), justify="right")
    return table


def _knobs(result: Mapping[str, Any]) -> list[str]:
    solved = [row for row in result["models"] if row["error"] is None]
    return [knob for row in solved[:1] for knob in (row["nearest"] or row["candidates"][0])["settings"]]


def _sentences(result: Mapping[str, Any]) -> list[str]:
    """What the table cannot say: models without an answer, targets that cannot be reached."""
    said = [f"{row['model']} has no answer: {row['error']}" for row in result["models"] if row["error"] is not None]
    if far := [row["model"] for row in result["models"] if row.get("nearest")]:
        said.append(
            f"NOT REACHABLE by {', '.join(far)}: no setting of the knobs gives these readings together; the nearest "
            "that can be had stands in the table"
        )
    return said


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
