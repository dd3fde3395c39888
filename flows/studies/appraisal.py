"""All that a comparison says of one model: what it offers, how it does on rows not seen, and what its figures show.

It takes and gives what JSON knows too, so that one model may be appraised in another process.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sdl.interchange.export_import import read_data
from sdl.reports.comparison_figures import ModelEvidence
from sdl.space import Settings, Space
from strategies.contract import is_single_valued
from strategies.solving.model_answer import Answer, answer, sentence
from strategies.solving.model_scores import DRAWS, TEST, Array, Judged, Split, judge, split
from strategies.solving.problem import Problem, asked, pose
from strategies.solving.sensitivity import diagnosis

SHOWN = 500
"""Draws in a figure."""


@dataclass(frozen=True)
class Question:
    """What a person asks of every model; all in words and numbers."""

    path: str
    """Of the rows, as ``sdl.exchange.read_data`` takes them."""
    targets: Sequence[str]
    free: Sequence[str] = ()
    background: Sequence[str] = ()
    tolerance: str = "1 %"
    test: float = TEST
    """Share of the rows that judge."""
    seed: int = 0
    draws: int = 1000
    space: dict[str, Any] | None = None
    """Knobs and channels, if the file is not to tell."""

    def pose(self, faults: Sequence[str] = ()) -> Problem:
        """The problem.

        Args:
            faults: Found already, to be raised together with those found here.

        Raises:
            InvalidInput: with every fault of the file or of what was asked.
        """
        data = read_data(self.path, None if self.space is None else Space.model_validate(self.space))
        wrong = [*faults]
        if not 0 < self.test < 1:
            wrong.append(f"test needs a share between 0 and 1, got {self.test}")
        words = (self.targets, self.free, self.background, self.tolerance)
        return pose(data, *asked(data.space, *words, wrong))

    def split(self, problem: Problem) -> Split | None:
        """Rows to learn from and rows to be judged by, the same for every model."""
        return split(problem, self.seed, self.test)


@dataclass(frozen=True, eq=False)
class Appraisal:
    """What came of one model."""

    said: dict[str, Any]
    """Plain data, as ``flows.comparing.compare`` returns it for a model, rank aside."""
    energy: Array | None = None
    """Energy score of the settings of each row asked for, ``(m,)``, if it could be judged."""
    evidence: ModelEvidence | None = None
    """What its figures show, if it could be judged."""
    diagnosis: dict[str, Any] | None = None
    """Of the problem at its likeliest candidate, if it answered."""

    def plain(self) -> dict[str, Any]:
        """The same in what JSON knows."""
        shown = None if self.evidence is None else _listed(asdict(self.evidence))
        energy = None if self.energy is None else self.energy.tolist()
        return {"said": self.said, "energy": energy, "evidence": shown, "diagnosis": self.diagnosis}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Appraisal":
        """What ``plain`` was made from."""
        energy = None if plain["energy"] is None else np.array(plain["energy"])
        shown = None if plain["evidence"] is None else ModelEvidence(**_arrays(plain["evidence"]))
        return cls(plain["said"], energy, shown, plain["diagnosis"])


def appraise(name: str, question: Question, problem: Problem, rows: Split | None) -> Appraisal:
    """Ask one model and judge it; whatever a plug-in raises ends in a sentence."""
    given = answer(name, problem, question.seed, question.draws)
    if given.model is None:
        return Appraisal(given.said)
    said = {
        **given.said,
        "single_valued": is_single_valued(given.model),
        "distinct": len(given.said["candidates"]),
        "scores": None,
        "unjudged": "fewer than two rows differ",
    }
    seen = diagnosis(name, given.model, problem, _offered(said, problem))
    if rows is None:
        return Appraisal(said, diagnosis=seen)
    started = time.perf_counter()
    try:
        found = judge(name, problem, rows, question.seed)
        shown = _evidence(given, found, problem, rows, np.random.default_rng([question.seed, 3]))
    except Exception as error:
        return Appraisal({**said, "unjudged": sentence(name, error)}, diagnosis=seen)
    took = time.perf_counter() - started
    return Appraisal({**said, "scores": found.scores, "unjudged": None, "judge_s": took}, found.energy, shown, seen)


def appraise_plain(name: str, question: Mapping[str, Any]) -> dict[str, Any]:
    """The same where nothing is shared but the file: words and numbers in, words and numbers out.

    Raises:
        InvalidInput: with every fault of the file or of what was asked.
    """
    asked_for = Question(**question)
    problem = asked_for.pose()
    return appraise(name, asked_for, problem, asked_for.split(problem)).plain()


def _offered(row: Mapping[str, Any], problem: Problem) -> Settings:
    """The likeliest candidate of a model, or the nearest that it can reach, in the unit box, ``(d,)``."""
    offer = (row["candidates"] or [row["nearest"]])[0]["settings"]
    unit = problem.space.to_unit([offer[name] for name in problem.space.knob_names])
    return np.asarray(np.clip(unit, 0, 1))


def _evidence(given: Answer, judged: Judged, problem: Problem, rows: Split, rng: np.random.Generator) -> ModelEvidence:
    """What the figures show of a model."""
    assert given.model is not None
    assert given.draws is not None
    units, some = problem.space.from_unit, given.draws[:SHOWN]
    each = min(max(SHOWN // judged.draws.shape[1], 1), DRAWS)
    unseen = judged.draws[:each].reshape(-1, problem.space.d)
    settings = {part: (units(true), units(guess)) for part, (true, guess) in judged.settings.items()}
    again = problem.readings[rows.test[: judged.draws.shape[1]]] + problem.background
    return ModelEvidence(
        draws=units(some),
        draws_readings=given.model.simulate(some, 1, rng)[0] + problem.background,
        unseen=units(unseen),
        unseen_readings=np.tile(again, (each, 1)),
        readings=judged.readings,
        settings=settings,
    )


def _listed(value: Any) -> Any:
    """Arrays as lists, wherever they stand."""
    if isinstance(value, Mapping):
        return {key: _listed(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_listed(each) for each in value]
    return np.asarray(value).tolist()


def _arrays(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as arrays: of the evidence by its field, or pairs of them by part."""
    return {
        field: {part: (np.array(one), np.array(other)) for part, (one, other) in value.items()}
        if isinstance(value, Mapping)
        else np.array(value)
        for field, value in plain.items()
    }
