"""Models of strangers compared with ours: their mistakes are sentences, and spoil nothing for the others."""

import numpy as np
import pytest
from comparisons import QUICK, WHITE, by_name
from problems import written

from flows.studies.compare import compare_models
from sdl.errors import InvalidInput
from strategies.models.linear.pls import PartialLeastSquares


class Narrower(PartialLeastSquares):
    """Forgets a knob."""

    def sample(self, target, n, rng):
        return super().sample(target, n, rng)[:, :1]


class Leaving(PartialLeastSquares):
    def fit(self, readings, settings):
        raise SystemExit(0)


def test_strangers_who_forget_a_knob_or_leave_have_no_answer(register, dark):
    register("narrower", Narrower)
    register("leaving", Leaving)
    result = by_name(compare_models(dark, WHITE, models=["narrower", "leaving", "pls"], draws=100))
    assert result["narrower"]["error"] == "its draws have the shape (100, 1), and (100, 3) was asked for"
    assert result["leaving"]["error"].startswith("the plug-in 'leaving' failed with SystemExit")
    assert result["pls"]["error"] is None


@pytest.mark.fault("M-09")
@pytest.mark.parametrize(
    ("method", "raised"),
    [
        ("fit", KeyError("x\x1b[31m")),
        ("sample", TypeError("no")),
        ("predict", IndexError(7)),
        ("simulate", RuntimeError("deep")),
        ("remoteness", AttributeError("x")),
    ],
)
def test_a_strangers_mistake_is_a_sentence_in_its_row(register, dark, method, raised):
    def fails(*_):
        raise raised

    register("stranger", type("Stranger", (PartialLeastSquares,), {method: fails}))
    result = compare_models(dark, WHITE, models=["stranger", "linear"], draws=20)
    row = by_name(result)["stranger"]
    said = row["error"] or row["unjudged"]
    assert said.startswith(f"the plug-in 'stranger' failed with {type(raised).__name__}: ")
    assert "\x1b" not in said
    assert result["best"] == "linear"


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (lambda self, target, n, rng: np.full((n, 3), np.nan), "its draws are not all finite"),
        (lambda self, target, n, rng: np.zeros(n), "its draws have the shape (20,), and (20, 3) was asked for"),
    ],
    ids=["NaN", "shape"],
)
def test_a_strangers_nonsense_is_refused(register, dark, sample, sentence):
    register("stranger", type("Stranger", (PartialLeastSquares,), {"sample": sample}))
    row = by_name(compare_models(dark, WHITE, models=["stranger", "linear"], draws=20))["stranger"]
    assert row["error"] == sentence


def test_a_stranger_cannot_spoil_the_rows_of_others(register, found, dark):
    class Vandal(PartialLeastSquares):
        def fit(self, readings, settings):
            super().fit(readings, settings)
            readings[:], settings[:] = 0, 0
            return self

        def sample(self, target, n, rng):
            draws = super().sample(target, n, rng)
            target[:] = 0
            return draws

        def simulate(self, settings, n, rng):
            draws = super().simulate(settings, n, rng)
            settings[:] = 0
            return draws

    register("a-vandal", Vandal)
    result = by_name(compare_models(dark, WHITE, models=["a-vandal", "pls"], draws=300, rows=[10]))
    assert result["pls"]["learning"] == result["a-vandal"]["learning"]
    assert result["pls"]["along"] == result["a-vandal"]["along"]
    assert result["pls"]["scores"] == by_name(found.result)["pls"]["scores"] == result["a-vandal"]["scores"]


def test_if_nobody_answers_it_says_why_for_each(rows, tmp_path):
    with pytest.raises(InvalidInput) as raised:
        compare_models(written(tmp_path / "a.jsonl", rows[0][:2], rows[1][:2]), WHITE, models=QUICK)
    assert len(raised.value.faults) == 3
    assert "linear has no answer: LinearProgram needs 3 rows, got 2: measure 1 more" in raised.value.faults
