"""All that a comparison says of one model: what it offers, how it does on rows not seen, and what its figures show.

It takes and gives what JSON knows too, so that one model may be appraised in another process.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flows.studies.solve import ask_model
from flows.studies.words.anchor_words import read_anchors
from flows.studies.words.target_words import read_given, read_rows, read_target_words
from sdl.formatting import array_from_json
from sdl.reports.comparison_figures import ModelEvidence
from sdl.space import Space
from strategies.contract import is_single_valued
from strategies.solving.extreme_bound import with_bound
from strategies.solving.gaps import WidenedModel
from strategies.solving.model_answer import first_offer, plugin_error_sentence
from strategies.solving.problem import InverseProblem, pose_problem
from strategies.solving.scores.learning_curve import LearningSplits, find_size_faults, learning_curve
from strategies.solving.scores.model_scores import (
    TEST,
    Array,
    RowSplit,
    arrays_to_lists,
    explains_nothing,
    judge_model,
    lists_to_figure_data,
    select_figure_data,
    split_rows,
)
from strategies.solving.scores.target_line import answers_along
from strategies.solving.sensitivity import diagnose_answer


@dataclass(frozen=True)
class Question:
    """What a person asks of every model; all in words and numbers."""

    path: str
    """Of the rows, as ``sdl.interchange.export_import.read_data`` takes them."""
    targets: Sequence[str]
    free: Sequence[str] = ()
    background: Sequence[str] = ()
    tolerance: str = "1 %"
    test: float = TEST
    """Share of the rows that judge."""
    seed: int = 0
    draws: int = 1000
    space: dict[str, Any] | None = None
    """Knobs and channels, if they are not to be read off the file."""
    knobs: Sequence[str] = ()
    """The range of a knob, each ``KNOB=LOW:HIGH``."""
    anchors: Sequence[str] = ()
    """Readings of today, as ``flows.studies.solve.solve`` takes them."""
    quantities: Sequence[str] = ()
    """Computed from channels, each ``NAME=FORMULA``."""
    given: Sequence[str] = ()
    """Conditions in which the settings are to be used, each ``CONDITION=VALUE``."""
    rows: Sequence[int] = ()
    """Numbers of rows to learn from, of a learning curve."""

    def pose(self, faults: Sequence[str] = ()) -> InverseProblem:
        """The problem.

        Args:
            faults: That the caller knows of already, to be raised together with those found here.

        Raises:
            InvalidInput: with every fault of the file or of what was asked.
        """
        space = None if self.space is None else Space.model_validate(self.space)
        data = read_rows(self.path, space, self.knobs, self.quantities)
        wrong = [*faults, *find_size_faults(self.rows)]
        if not 0 < self.test < 1:
            wrong.append(f"test needs a share between 0 and 1, got {self.test}")
        words, given = (
            (self.targets, self.free, self.background, self.tolerance),
            read_given(data.space, self.given, wrong),
        )
        asked = read_target_words(data.space, *words, wrong)
        anchors = read_anchors(data.space.measured, self.anchors)
        return with_bound(pose_problem(data, *asked, anchors, self.free, given=given))

    def split(self, problem: InverseProblem) -> RowSplit | None:
        """Rows to learn from and rows to be judged by, the same for every model."""
        return split_rows(problem, self.seed, self.test)

    def learning_splits(self, problem: InverseProblem) -> LearningSplits | None:
        """Rows parted several times for a learning curve, the same for every model; None where none is asked for."""
        return LearningSplits.of(problem, self.rows, self.seed, self.test)


@dataclass(frozen=True, eq=False)
class Appraisal:
    """What came of one model."""

    row: dict[str, Any]
    """Plain data, as ``flows.studies.compare.compare`` returns it for a model, rank aside."""
    energy: Array | None = None
    """Energy score of the settings of each row asked for, ``(m,)``, if it could be judged."""
    evidence: ModelEvidence | None = None
    """What its figures show, if it could be judged."""
    diagnosis: dict[str, Any] | None = None
    """Of the problem at its likeliest candidate, if it answered."""

    def plain(self) -> dict[str, Any]:
        """The same in what JSON knows."""
        evidence = None if self.evidence is None else arrays_to_lists(asdict(self.evidence))
        energy = None if self.energy is None else self.energy.tolist()
        return {"row": self.row, "energy": energy, "evidence": evidence, "diagnosis": self.diagnosis}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Appraisal":
        """What ``plain`` was made from."""
        energy = None if plain["energy"] is None else array_from_json(plain["energy"])
        evidence = None if plain["evidence"] is None else ModelEvidence(**lists_to_figure_data(plain["evidence"]))
        return cls(plain["row"], energy, evidence, plain["diagnosis"])


def appraise_model(name: str, question: Question, problem: InverseProblem, rows: RowSplit | None) -> Appraisal:
    """Ask one model and judge it; whatever a plug-in raises ends in a sentence."""
    answer = ask_model(name, problem, question.seed, question.draws)
    if answer.model is None or answer.draws is None:
        return Appraisal(answer.row)
    row = {
        **answer.row,
        "single_valued": is_single_valued(answer.model),
        "distinct": len(answer.row["candidates"]),
        "scores": None,
        "idle": [],
        "unjudged": "fewer than two rows differ",
        "learning": [],
        "along": None,
    }
    diagnosis = diagnose_answer(name, answer.model, problem, first_offer(row, problem))
    if rows is None:
        return Appraisal(row, diagnosis=diagnosis)
    started = time.perf_counter()
    try:
        judged = judge_model(name, problem, rows, question.seed)
        data = select_figure_data(answer.model, answer.draws, judged, problem, rows, question.seed)
        along = answers_along(WidenedModel(answer.model, problem.gaps), problem, question.seed)
    except Exception as error:
        return Appraisal({**row, "unjudged": plugin_error_sentence(name, error)}, diagnosis=diagnosis)
    row |= {"scores": judged.scores, "unjudged": None, "judge_s": time.perf_counter() - started, "along": along}
    row |= {"idle": explains_nothing(judged.scores["readings"]["test"])}
    if (splits := question.learning_splits(problem)) is not None:
        row |= {"learning": learning_curve(name, problem, splits, question.seed)}
    return Appraisal(row, judged.energy, ModelEvidence(**data), diagnosis)


def appraise_plainly(name: str, question: Mapping[str, Any]) -> dict[str, Any]:
    """The same where nothing is shared but the file: words and numbers in, words and numbers out.

    Raises:
        InvalidInput: with every fault of the file or of what was asked.
    """
    posed = Question(**question)
    problem = posed.pose()
    return appraise_model(name, posed, problem, posed.split(problem)).plain()
