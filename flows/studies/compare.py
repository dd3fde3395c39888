"""Every inverse model on the same rows: what each offers for a target, and how far it is to be believed.

Settings come from a model fitted on all rows, as ``sdl solve`` offers them; scores from one fitted on a part of the
rows, the same part for every model, and held against rows that it has not seen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flows.server import task_runners as runners
from flows.studies.appraisal import Appraisal, Question, appraise_model
from flows.studies.compare_summary import CERTAIN, summarise_comparison
from flows.studies.solve import solved
from flows.studies.take_this_one import take_this_one
from flows.versions import own_version
from sdl.errors import InvalidInput
from sdl.reports.comparison_figures import ModelEvidence, ScoredRows
from sdl.reports.comparison_page import write_comparison_page
from sdl.space import Space
from strategies.metrics.diagnostics import QUESTIONS, RATE
from strategies.metrics.scores import behind, behind_by_chance
from strategies.solving.model_answer import (
    choose_models,
    collect_warnings,
    describe_data,
    describe_nearest_row,
    describe_target,
    find_option_faults,
    note_gaps,
)
from strategies.solving.problem import InverseProblem
from strategies.solving.scores.learning_curve import ASKED
from strategies.solving.scores.learning_curve import DRAWS as LEARNING_DRAWS
from strategies.solving.scores.model_scores import DRAWS, MOST_ASKED, TEST, RowSplit
from strategies.solving.scores.target_line import describe_line

Progress = Callable[[int, int, str], Any]
"""Called with how many models are appraised, of how many, and which is next."""


@dataclass(frozen=True, eq=False)
class ComparisonStudy:
    """What came of comparing, with what its figures show."""

    result: dict[str, Any]
    """Plain data, as ``compare_models`` returns it."""
    rows: ScoredRows
    evidence: dict[str, ModelEvidence]
    """By model, of those that answered and could be judged."""

    def write(self, path: str | Path) -> Path:
        """Write the page and return where it lies.

        Raises:
            InvalidInput: if it cannot be written.
        """
        return write_comparison_page(self.result, self.rows, self.evidence, path)


def compare_models(path: str | Path, targets: Sequence[str], **options: Any) -> dict[str, Any]:
    """Compare inverse models on the rows of a file; ``study_models`` names the options.

    Returns:
        Plain data: ``data``, ``rows``, ``conditions`` (as ``describe_data`` has them), ``knobs`` (those that are free,
        their units by name), ``units`` (of all knobs, those that follow from the others included), ``channels`` (their
        units), ``free`` (the channels that are foretold, their units), ``row`` (nearest, as ``solve`` has it),
        ``target``, ``tolerance``, ``background``, ``notes``, ``seed``, ``draws``, ``split`` (numbers of rows),
        ``learning`` (the numbers of ``rows`` of a learning curve, its ``splits``, and the ``most`` rows that there are
        where more were asked for; None without one), ``along`` (a line of targets, as
        ``strategies.solving.scores.target_line`` has it), ``best`` (name of a model, or None), ``diagnosis`` (as
        ``strategies.solving.sensitivity`` has it, by the first model at its candidate), ``warnings`` (each with
        ``tone`` and ``text``), ``questions`` (what each of the
        ``diagnostics`` asks, in a sentence, and what p is), ``summary`` (sentences), ``advice`` (which offer
        to take, and why), and ``models``, the best first. Each of
        these has what ``flows.studies.solve.solve`` says of it, with other ``scores``, and

        - ``single_valued``: whether it knows one answer even where there are several; ``distinct``: solutions found;
        - ``scores``, None where too few rows are left to judge it, which ``unjudged`` says: ``readings`` and
          ``settings`` (``train`` and ``test`` each with ``rows``, ``r2``, ``mae``, ``rmse``), ``energy`` (mean energy
          score of ``settings`` and of ``readings``), ``coverage`` (of both, by level, then by name), ``diagnostics``
          (by the names of ``strategies.metrics.diagnostics.QUESTIONS``: ``chance``, ``holds``, ``says``), ``off``
          (of both, the names whose 90 % intervals are off by more than ``model_scores.ALLOWED`` and chance) and
          ``membership`` (as ``strategies.metrics.membership.Leak`` has it; None for too few rows);
        - ``learning``: its curve, as ``strategies.solving.scores.learning_curve`` has it; empty unless asked for;
        - ``along``: its answers on that line, their derivative and roughness; None where it could not be judged;
        - ``rank`` by the energy score of settings, ``behind`` (the best: ``difference`` and ``standard_error``, paired
          over rows, and the ``chance`` that equals may be behind by), ``no_worse``; ``judge_s``.
    """
    return study_models(path, targets, **options).result


def study_models(
    path: str | Path,
    targets: Sequence[str],
    *,
    models: Sequence[str] = (),
    free: Sequence[str] = (),
    background: Sequence[str] = (),
    tolerance: str = "1 %",
    test: float = TEST,
    seed: int = 0,
    draws: int = 1000,
    space: Space | None = None,
    knobs: Sequence[str] = (),
    anchors: Sequence[str] = (),
    quantities: Sequence[str] = (),
    given: Sequence[str] = (),
    rows: Sequence[int] = (),
    runner: str | None = None,
    progress: Progress = lambda *_: None,
) -> ComparisonStudy:
    """Compare inverse models on the rows of a file, with what the figures need.

    Args:
        path: Rows, as ``sdl.interchange.export_import.read_data`` takes them.
        targets: Readings wanted, as ``flows.studies.solve.solve`` takes them.
        models: Names of registered inverse models; all of them by default.
        free: Of the channels left free, those to be foretold; by default all that were read.
        background: What each channel of the target reads with all knobs off, ``CHANNEL=READING``.
        tolerance: Largest allowed error where a target has none of its own: a number, or a percentage of the reading.
        test: Share of the rows that judge, between 0 and 1; at most ``model_scores.MOST_TEST`` rows.
        seed: Of every random choice.
        draws: From each model for the target.
        space: Knobs and channels, if they are not to be read off the file.
        knobs: The range of a knob, each ``KNOB=LOW:HIGH``; by default that of the instrument, else that of the rows.
        anchors: Readings of today, as ``flows.studies.solve.solve`` takes them.
        quantities: Computed from channels, each ``NAME=FORMULA``.
        given: Conditions in which the settings are to be used, each ``CONDITION=VALUE``.
        rows: Numbers of rows to learn from, for a learning curve of each model; by default there is none.
        runner: One of ``flows.server.task_runners.RUNNERS``; by default the models are appraised here, one after
            another.
        progress: Called before each model begins.

    Raises:
        InvalidInput: with every fault of the file or of what was asked, or if no model has an answer.
    """
    plain_space = None if space is None else space.model_dump(mode="json")
    words = (targets, free, background, tolerance, test, seed, draws, plain_space, knobs, anchors, quantities)
    question = Question(str(path), *words, given=given, rows=rows)
    runner_faults = runners.faults(runner) if runner else []
    problem = question.pose([*find_option_faults(models, seed, draws), *runner_faults])
    parts, names = question.split(problem), choose_models(models, len(problem.settings))
    appraise_all = appraise_one_after_another if runner is None else partial(appraise_side_by_side, runner=runner)
    appraisals = appraise_all(names, question, problem, parts, progress)
    answers = [each.row for each in appraisals.values()]
    if all(row["error"] is not None for row in answers):
        raise InvalidInput([f"{row['model']} has no answer: {row['error']}" for row in answers])
    result = {"data": str(path), **_plain_problem(problem), "seed": seed, "draws": draws, "split": _row_counts(parts)}
    result |= {"learning": _learning_counts(question, problem), "along": describe_line(problem)}
    result |= _plain_comparison(problem, _rank(answers, appraisals), appraisals)
    shown = ScoredRows(
        problem.space.from_unit(problem.settings),
        problem.readings + problem.background,
        problem.lines[[] if parts is None else parts.test],
    )
    evidence = {name: each.evidence for name, each in appraisals.items() if each.evidence is not None}
    result |= {"summary": summarise_comparison(result)}
    result |= {"advice": take_this_one(result, next(filter(solved, result["models"]), None))}
    return ComparisonStudy(result, shown, evidence)


def appraise_one_after_another(
    names: Sequence[str], question: Question, problem: InverseProblem, rows: RowSplit | None, progress: Progress
) -> dict[str, Appraisal]:
    """Appraise the models here, in the order of their names as given."""
    appraisals = dict[str, Appraisal]()
    for done, name in enumerate(names):
        progress(done, len(names), name)
        appraisals[name] = appraise_model(name, question, problem, rows)
    return appraisals


def appraise_side_by_side(
    names: Sequence[str],
    question: Question,
    problem: InverseProblem,
    rows: RowSplit | None,
    progress: Progress,
    runner: str,
) -> dict[str, Appraisal]:
    """The same as tasks of a Prefect flow; each reads the rows again, since only words and numbers go there."""
    from flows.studies.compare_parallel import appraise_in_flow  # Prefect takes seconds to load

    progress(0, len(names), f"all side by side ({runner})")
    plain = appraise_in_flow(names, asdict(question) | {"path": str(Path(question.path).absolute())}, runner)
    return {name: Appraisal.of(each) for name, each in plain.items()}


def _plain_problem(problem: InverseProblem) -> dict[str, Any]:
    """The problem, as plain data."""
    columns, free = problem.space.columns(problem.names), problem.space.columns(problem.free.names)
    return {
        "version": own_version(),
        **describe_data(problem),
        "knobs": {knob.name: knob.unit for knob in problem.space.knobs},
        "units": {knob.name: knob.unit for knob in problem.ties.every.knobs},
        "row": describe_nearest_row(problem),
        "channels": {problem.space.channels[column].name: problem.space.channels[column].unit for column in columns},
        "free": {problem.space.channels[column].name: problem.space.channels[column].unit for column in free},
        **describe_target(problem),
        "background": problem.named(problem.background),
    }


def _plain_comparison(
    problem: InverseProblem, ranked: Sequence[dict[str, Any]], appraisals: Mapping[str, Appraisal]
) -> dict[str, Any]:
    """What the models say together; the first has an answer."""
    best = ranked[0]
    return {
        "notes": [*problem.notes, *note_gaps(ranked, len(problem.settings))],
        "best": best["model"] if best["rank"] else None,
        "diagnosis": appraisals[best["model"]].diagnosis,
        "warnings": collect_warnings(ranked, problem.conditions.warnings),
        "questions": {**QUESTIONS, "p": RATE},
        "models": list(ranked),
    }


def _rank(answers: Sequence[dict[str, Any]], appraisals: Mapping[str, Appraisal]) -> list[dict[str, Any]]:
    """The same, the best first, those without scores last."""
    energy = {name: each.energy for name, each in appraisals.items() if each.energy is not None}
    order = sorted(energy, key=lambda name: float(energy[name].mean()))
    rank = {name: place for place, name in enumerate(order, start=1)}
    ranked = []
    for row in sorted(answers, key=lambda row: (rank.get(row["model"], len(answers) + 1), row["error"] is not None)):
        if row["model"] in rank:
            more, error = behind(energy[row["model"]], energy[order[0]])
            known = error if math.isfinite(error) else None
            most = behind_by_chance(len(energy[order[0]]), len(order) - 1, CERTAIN)
            chance = known * most if known is not None and math.isfinite(most) else None
            gap = {"difference": more, "standard_error": known, "chance": chance}
            tied = row["model"] == order[0] or chance is None or more <= chance
            row = {**row, "rank": rank[row["model"]], "behind": gap, "no_worse": tied}
        elif row["error"] is None:
            row = {**row, "rank": None, "behind": None, "no_worse": False, "judge_s": None}
        ranked.append(row)
    return ranked


def _learning_counts(question: Question, problem: InverseProblem) -> dict[str, Any] | None:
    """Rows to learn from and splits of a learning curve; None where none is asked for."""
    if (splits := question.learning_splits(problem)) is None:
        return None
    counts = {"rows": list(splits.sizes), "splits": len(splits.splits), "asked": ASKED, "draws": LEARNING_DRAWS}
    most = min(len(each.train) for each in splits.splits)
    return {**counts, "most": most if max(question.rows) > most else None}


def _row_counts(rows: RowSplit | None) -> dict[str, int]:
    """How many rows served for what."""
    if rows is None:
        return {}
    asked_for = {f"{part}_asked": min(most, len(getattr(rows, part))) for part, most in MOST_ASKED.items()}
    return {"train": len(rows.train), "test": len(rows.test), **asked_for, "draws": DRAWS}
