"""Solving in one go: from rows that were measured and the readings somebody wants to settings, by several models.

Nothing is measured here, so nothing is verified: what comes out are candidates.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from rich.markup import escape
from rich.table import Table

from flows.studies.all_answers import all_answers_table, count_wanted_answers, find_all_answers, find_answer_faults
from flows.studies.branches import branch_tables
from flows.studies.free_channels import foretold_tables
from flows.studies.laws import law_tables
from flows.studies.take_this_one import take_this_one
from flows.studies.words.anchor_words import read_anchors
from flows.studies.words.prior_words import read_prior, read_start
from flows.studies.words.target_words import read_given, read_rows, read_target_words
from flows.terminal import figure_table
from flows.versions import own_version
from sdl.errors import InvalidInput
from sdl.formatting import escape_invisible
from sdl.space import Settings, Space
from strategies.contract import InverseModel
from strategies.solving.extreme_bound import with_bound
from strategies.solving.gaps import WidenedModel
from strategies.solving.model_answer import (
    ModelAnswer,
    build_model,
    choose_models,
    collect_warnings,
    describe_answer,
    describe_data,
    describe_nearest_row,
    describe_target,
    draw_settings,
    find_option_faults,
    no_answer,
    note_gaps,
    plugin_error_sentence,
)
from strategies.solving.problem import InverseProblem, pose_problem
from strategies.solving.scores.model_scores import (
    RowSplit,
    cover_readings,
    error_figures,
    explains_nothing,
    fit_on_part,
    off_intervals,
    predict_rows,
    split_rows,
)
from strategies.solving.sensitivity import follow_path
from strategies.solving.sensitivity import regularise as regularise_answer
from strategies.solving.tied_knobs import TiedKnobs

Way: TypeAlias = Callable[[InverseModel, InverseProblem], dict[str, Any]]


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
    knobs: Sequence[str] = (),
    anchors: Sequence[str] = (),
    prior: Sequence[str] = (),
    start: str | None = None,
    regularise: bool = False,
    quantities: Sequence[str] = (),
    given: Sequence[str] = (),
    progress: Callable[[int, int, str], Any] = lambda *_: None,
) -> dict[str, Any]:
    """Settings that give a target, by models fitted on the rows of a file.

    Args:
        path: Rows, as ``sdl.interchange.export_import.read_data`` takes them.
        targets: Readings wanted, each ``CHANNEL=READING``, ``CHANNEL=READING±TOLERANCE``, ``CHANNEL>=READING``,
            ``CHANNEL<=READING``, ``CHANNEL=LOW:HIGH`` or ``CHANNEL=maximum±ALLOWANCE`` (or ``minimum``); other channels
            are free.
        free: Of the channels left free, those to be foretold; by default all that were read.
        models: Names of registered inverse models; by default all but those that are a mixture with so few rows.
        background: What each channel of the target reads with all knobs off, ``CHANNEL=READING``; by default that of an
            instrument that has one is read off rows with all knobs off, and extrapolated where there are none.
        tolerance: Largest allowed error where a target has none of its own: a number, or a percentage of the reading.
        seed: Of every random choice.
        draws: From each model.
        answers: ``all`` or a number, for every distinct answer of each model too, or so many of them.
        space: Knobs and channels, if they are not to be read off the file.
        knobs: The range of a knob, each ``KNOB=LOW:HIGH``; by default that of the instrument, else that of the rows. Of
            a category the name whose rows count, ``KNOB=NAME``.
        anchors: Readings of today, each ``KNOB=SETTING,...:CHANNEL=READING,...`` or a file of such rows: every run of
            the rows is taken in its own light then, and the answers are for that of the anchors.
        prior: What is known of knobs beforehand, each ``KNOB=SETTING±DEVIATION``; draws that disagree are left out.
        start: Settings of a known pair, ``KNOB=SETTING,...``, from which each model follows a path to the target.
        regularise: Whether each model says which settings keep to the prior, or to the middle of the rows, as far as
            noise allows.
        quantities: Computed from channels, each ``NAME=FORMULA``, and wanted by name as these are.
        given: Conditions in which the settings are to be used, each ``CONDITION=VALUE``; by default the middle of what
            the rows had.
        progress: Called with how many models are done, of how many, and which is next.

    Returns:
        Plain data: ``data``, ``version``, ``rows``, ``domain``, ``ranges``, ``conditions`` and ``warnings`` of these
        (see ``describe_data``), ``target`` and
        ``tolerance`` (by channel; the bound and None where there is one), ``wanted`` (the same in words),
        ``background``, ``notes`` (what was done to the rows), ``row`` (the measured row that reads nearest to the
        target: ``line`` of the file, ``settings``, ``readings`` in the light of the answers, ``misses``, ``free``,
        ``chance``), ``seed``, ``draws``, ``first`` (the model whose first offer is likeliest to work; None if none
        hits), ``advice`` (which offer to take, and why), and ``models``. Each of these has its ``model`` name and
        ``error``; if that is None also ``rows`` that it learned from, ``reachable`` and the same as a ``verdict`` in
        words, ``candidates`` (the likeliest first, each with the ``chance`` that the rows give it, and for each channel
        left ``free`` the ``low`` and ``high`` end of the 90 % interval of a reading; ``remote`` is above 1 in a gap of
        the rows; its ``settings`` are a draw, and ``mean`` of the draws of its branch and its ``most_probable``
        settings stand beside it), ``nearest`` (where there is no candidate), ``refused`` (share of draws outside the
        bounds), ``agreeing`` (share of draws that the prior keeps), ``law`` (its parameters, as
        ``sdl.history.LawFacts`` has them in JSON, None of a model that is no law), ``remoteness`` (how far the target
        lies from its data: ``score``, ``reason``, ``channels`` and, from 1 on, a ``warning``), ``scores`` (of
        ``train`` and ``test``, what share of the latter nominal 90 % intervals ``covered``, and the channels in which
        that is ``off``; None for too few rows), ``idle`` (channels of which it explains nothing on rows not seen),
        ``fit_s`` and ``draw_s``; and
        where they were asked for ``answers``, see ``find_all_answers``, None where the target cannot be reached,
        ``path`` and ``regularised`` (as ``strategies.solving.sensitivity`` has them, each with its ``error``).

    Raises:
        InvalidInput: with every fault of the file, or of what was asked.
    """
    data = read_rows(path, space, knobs, quantities)
    faults = [*find_option_faults(models, seed, draws), *find_answer_faults(answers)]
    ties = TiedKnobs.find(data.space, data.settings)
    known, origin = read_prior(ties, prior, faults), read_start(ties, start, faults)
    held = read_given(data.space, given, faults)
    asked = read_target_words(data.space, targets, free, background, tolerance, faults)
    if answers and (sided := [each.name for each in asked[0] if each.interval.one_sided]):
        raise InvalidInput(f"answers: whole regions meet {', '.join(sided)} with one bound: give it two, as LOW:HIGH")
    today = read_anchors(data.space.measured, anchors)
    problem = with_bound(pose_problem(data, *asked, today, free, known, held))
    parts, most = split_rows(problem, seed), count_wanted_answers(answers)
    names = choose_models(models, len(problem.settings))
    ways, answers_of, answered = _further_ways(origin, regularise), list[ModelAnswer](), list[dict[str, Any]]()
    for done, name in enumerate(names):
        progress(done, len(names), name)
        answer = _with_ways(_answer_in_full(name, problem, seed, draws, most), problem, ways)
        answers_of.append(answer)
        answered.append(_with_scores(answer, problem, parts, seed))
    first = next(iter(sorted(filter(solved, answered), key=_promise)), None)
    rest = {"seed": seed, "draws": draws, "first": first and first["model"], "models": answered}
    result = _describe_question(path, problem, answers_of) | rest
    return {**result, "advice": take_this_one(result, first)}


def solved(row: Mapping[str, Any]) -> bool:
    """Whether a model has an offer that hits by its own word, and explains something."""
    found = row["error"] is None and row["reachable"] and row["candidates"]
    return bool(found and not row["candidates"][0]["misses"] and not row.get("idle"))


def _promise(row: Mapping[str, Any]) -> tuple[bool, bool, float, float]:
    """The less the better: whether a model answers and hits, the chance of its first offer, and what it explains."""
    if row["error"] is not None:
        return True, True, 0.0, 0.0
    chance = row["candidates"][0]["chance"] if row["candidates"] else 0.0
    r2 = [value or 0.0 for value in row["scores"]["test"]["r2"].values()] if row["scores"] else [0.0]
    return False, not solved(row), round(-chance, 1), -min(r2)


def _describe_question(path: str | Path, problem: InverseProblem, asked: Sequence[ModelAnswer]) -> dict[str, Any]:
    """The problem as plain data, with what was done to its rows."""
    return {
        "data": str(path),
        "version": own_version(),
        **describe_data(problem),
        **describe_target(problem),
        "background": problem.named(problem.background),
        "warnings": [*map(dict, problem.conditions.warnings)],
        "notes": [*problem.notes, *note_gaps((answer.row for answer in asked), len(problem.settings))],
        "row": describe_nearest_row(problem),
    }


def ask_model(name: str, problem: InverseProblem, seed: int, draws: int) -> ModelAnswer:
    """What one model says to a problem and the seconds that it takes, or why it says nothing.

    Whatever a plug-in raises ends in a sentence: a stranger's mistake must not keep the others from answering.
    """
    try:
        model = build_model(name, problem)
        readings, settings = problem.rows(model)
        widened = WidenedModel(model, problem.gaps)  # which are learned once, and no model's time
        started = time.perf_counter()
        model.fit(readings, settings)
        fitted = time.perf_counter()
        drawn, agreeing = draw_settings(widened, problem, seed, draws)
        took = {"fit_s": fitted - started, "draw_s": time.perf_counter() - fitted}
        answer = describe_answer(name, model, problem, len(settings), drawn, agreeing)
        return replace(answer, row=answer.row | took)
    except (Exception, SystemExit) as error:
        return no_answer(name, error)


def _answer_in_full(name: str, problem: InverseProblem, seed: int, draws: int, most: int | None) -> ModelAnswer:
    """What one model says to a problem, with so many of the answers that it knows where these are asked for."""
    answer = ask_model(name, problem, seed, draws)
    if most is None or answer.model is None or answer.draws is None:
        return answer
    try:
        reachable = answer.row["reachable"]
        every = find_all_answers(answer.model, problem, answer.draws, most) if reachable else None
    except Exception as error:  # a model is anybody's code
        return no_answer(name, error)
    return replace(answer, row={**answer.row, "answers": every})


def _further_ways(start: Settings | None, keep: bool) -> dict[str, Way]:
    """What else is asked of every model, by its name in the data."""
    ways = dict[str, Way]()
    if start is not None:
        ways["path"] = partial(follow_path, start=start)
    if keep:
        ways["regularised"] = regularise_answer
    return ways


def _with_ways(answer: ModelAnswer, problem: InverseProblem, ways: Mapping[str, Way]) -> ModelAnswer:
    """An answer with what else was asked; a model that has none keeps its others."""
    if answer.model is None:
        return answer
    more = dict[str, Any]()
    for name, way in ways.items():
        try:
            more[name] = {"error": None, **way(answer.model, problem)}
        except Exception as error:  # a model is anybody's code
            more[name] = {"error": plugin_error_sentence(answer.row["model"], error)}
    return replace(answer, row={**answer.row, **more})


def _with_scores(answer: ModelAnswer, problem: InverseProblem, rows: RowSplit | None, seed: int) -> dict[str, Any]:
    """An answer, and how well the model predicts readings when it is fitted on a part of the rows."""
    if answer.model is None:
        return answer.row
    unjudged = {**answer.row, "scores": None, "idle": []}
    if rows is None:
        return unjudged
    try:
        model = fit_on_part(answer.row["model"], rows)
        parts, names = {"train": rows.train, "test": rows.test}, tuple(problem.names)
        scores: dict[str, Any] = {
            name: error_figures(*predict_rows(model, problem, part), names) for name, part in parts.items()
        }
        covered = cover_readings(model, problem, rows, seed)
    except Exception:  # too few rows to spare some, as a rule
        return unjudged
    held = {"covered": covered, "off": off_intervals(covered, len(rows.test))}
    return {**answer.row, "scores": scores | held, "idle": explains_nothing(scores["test"])}


# ---------------------------------------------------------------------- for people


def solve_tables(result: Mapping[str, Any]) -> list[Table]:
    """The result of ``solve`` for people: the answers, and how well the models predict."""
    every = all_answers_table(result)
    more = [*branch_tables(result), *law_tables(result), *foretold_tables(result), *([] if every is None else [every])]
    return [_answer_table(result), *more, _score_table(result)]


def _answer_table(result: Mapping[str, Any]) -> Table:
    target = ", ".join(f"{name} {wanted}" for name, wanted in result["wanted"].items())
    table = figure_table(f"Settings for {target}", ["model", "draws"], [*_knobs(result), *result["target"], "refused"])
    notes = [*(warning["text"] for warning in collect_warnings(result["models"], result["warnings"])), *result["notes"]]
    table.caption = escape("\n".join(map(escape_invisible, notes)))
    for row in sorted(result["models"], key=_promise):
        for cells in _lines(row):
            table.add_row(*(escape(escape_invisible(cell)) for cell in cells))
    table.add_section()
    row = result["row"]
    table.add_row(escape(f"row in line {row['line']}"), "measured", *map(escape, _figures(row)), "")
    return table


def _score_table(result: Mapping[str, Any]) -> Table:
    title = f"Readings of rows not seen, {', '.join(result['target'])}"
    table = figure_table(title, ["model"], ["rows", "R2", "MAE", "RMSE", "in 90 %", "fit, ms", "draws, ms"])
    for row in result["models"]:
        if row["error"] is None:
            took = [f"{1e3 * row[name]:.1f}" for name in ("fit_s", "draw_s")]
            table.add_row(escape(escape_invisible(row["model"])), *_scores(row["scores"]), *took)
    return table


def _knobs(result: Mapping[str, Any]) -> list[str]:
    return list(result["row"]["settings"])


def _lines(row: Mapping[str, Any]) -> list[list[str]]:
    """The lines of one model in the table of answers, one an answer."""
    if row["error"] is not None:
        return []
    answers = [(f"{each['share']:.0%}", each) for each in row["candidates"]]
    if row["nearest"]:
        answers.append(("nearest", row["nearest"]))
    return [[row["model"], share, *_figures(answer), f"{row['refused']:.0%}"] for share, answer in answers]


def _figures(answer: Mapping[str, Any]) -> list[str]:
    spread = answer.get("spread", {})
    settings = [
        f"{value:.4f}" + (f"\n±{spread[knob]:.4f}" if spread else "") for knob, value in answer["settings"].items()
    ]
    return settings + [f"{value:.5g}" for value in answer["readings"].values()]


def _scores(scores: Mapping[str, Any] | None) -> list[str]:
    if scores is None:
        return ["too few", "", "", "", ""]
    test, off = scores["test"], scores["off"]
    r2 = ", ".join("-" if value is None else f"{value:.4f}" for value in test["r2"].values())
    errors = (", ".join(f"{v:.4g}" for v in test[error].values()) for error in ("mae", "rmse"))
    covered = ", ".join(f"{share:.0%}{' OFF' if name in off else ''}" for name, share in scores["covered"].items())
    return [str(test["rows"]), r2, *errors, covered]
