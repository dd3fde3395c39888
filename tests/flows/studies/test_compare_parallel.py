"""Models fitted side by side: the same comparison as one after another."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from comparisons import QUICK, WHITE

from flows.server import task_runners as runners
from flows.studies.appraisal import Appraisal, Question, appraise_model, appraise_plainly
from flows.studies.compare import compare_models
from sdl.errors import InvalidInput


def timeless(value):
    """The same without what a clock said."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if not key.endswith("_s")}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def arrays(evidence):
    parts = asdict(evidence)
    return [*(parts.pop(name) for name in ("draws", "draws_readings", "unseen", "unseen_readings", "rows")),
            *(each for pairs in parts.values() for pair in pairs.values() for each in pair)]  # fmt: skip


def test_an_appraisal_survives_the_way_as_words_and_numbers(dark):
    question = Question(str(dark), WHITE, draws=300)
    problem = question.pose()
    here = appraise_model("mixture", question, problem, question.split(problem))
    there = Appraisal.of(json.loads(json.dumps(appraise_plainly("mixture", asdict(question)))))
    assert timeless(there.row) == timeless(here.row)
    assert timeless(there.diagnosis) == timeless(here.diagnosis)
    np.testing.assert_array_equal(there.energy, here.energy)
    for one, other in zip(arrays(there.evidence), arrays(here.evidence), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["threads", "dask"])
def test_side_by_side_finds_the_same_as_one_after_another(runner, prefect, found, dark, sdl, tmp_path):
    words = [word for model in QUICK for word in ("--model", model)] + [
        word for each in WHITE for word in ("--target", each)
    ]
    outcome = sdl(
        "compare", dark, *words, "--draws", 300, "--runner", runner, "--page", tmp_path / "page.html", "--json"
    )
    assert outcome.code == 0, outcome.said
    assert timeless(outcome.json) | {"page": ""} == timeless(json.loads(json.dumps(found.result))) | {"page": ""}


def test_a_runner_that_is_not_there_is_refused_with_what_to_install(dark, monkeypatch):
    with pytest.raises(InvalidInput, match="unknown runner 'desk'; did you mean 'dask'"):
        compare_models(dark, WHITE, runner="desk")
    monkeypatch.setattr(runners, "find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match="pip install prefect-ray"):
        compare_models(dark, WHITE, runner="ray")
