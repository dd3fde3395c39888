"""``sdl compare``: the same rows for every model, and honest scores."""

import json

import numpy as np
import pytest
from comparisons import QUICK, SECTIONS, WHITE, by_name, shown
from pages import check
from problems import CHANNELS, PAPER, twin_answer, two_branches, written

from flows.studies.compare import compare_models, study_models
from flows.studies.compare_summary import comparison_tables
from flows.studies.solve import solve, solve_tables
from flows.studies.words.target_words import read_target_words
from sdl.interchange.export_import import read_data
from sdl.reports.comparison_page import render_comparison_page
from strategies.models.linear.pls import PartialLeastSquares
from strategies.solving.problem import pose_problem
from strategies.solving.scores.model_scores import split_rows


class Narrow(PartialLeastSquares):
    """Far too certain of itself."""

    def sample(self, target, n, rng):
        draws = super().sample(target, n, rng)
        return draws.mean(axis=0) + 0.1 * (draws - draws.mean(axis=0))


class Clueless(PartialLeastSquares):
    """Draws from the whole box, whatever it is asked for."""

    def sample(self, target, n, rng):
        return rng.random((n, self.settings_.shape[1]))


class Memory(PartialLeastSquares):
    """Gives back each row that it has seen."""

    def fit(self, readings, settings):
        self.rows_ = readings.copy(), settings.copy()
        return super().fit(readings, settings)

    def sample(self, target, n, rng):
        draws, known = super().sample(target, n, rng), (self.rows_[0] == target).all(axis=1)
        return np.vstack((draws[1:], self.rows_[1][known][:1])) if known.any() else draws


def test_every_model_is_judged_by_the_same_rows(found):
    result = found.result
    assert {row["model"] for row in result["models"]} == set(QUICK)
    assert result["split"] == {"train": 48, "test": 12, "train_asked": 40, "test_asked": 12, "draws": 300}
    for row in result["models"]:
        scores = row["scores"]
        assert scores["readings"]["train"]["rows"] == 48
        assert scores["settings"]["test"]["rows"] == 12
        assert min(scores["settings"]["test"]["r2"].values()) > 0.999
        assert max(scores["settings"]["test"]["rmse"].values()) < 0.006
        assert 0 < scores["energy"]["settings"] < 0.01
        assert set(scores["coverage"]["readings"]["90%"]) == {"445nm", "515nm", "630nm"}
        assert row["reachable"]
        assert row["distinct"] == 1
        assert row["remoteness"]["warning"] is None
        answer = list(row["candidates"][0]["settings"].values())
        assert answer == pytest.approx(twin_answer(PAPER), abs=0.01)


def test_it_is_plain_data_and_the_seed_decides(found, dark):
    result = found.result
    assert json.loads(json.dumps(result, allow_nan=False)) == result

    def timeless(rows):
        return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]

    again = compare_models(dark, WHITE, models=QUICK[::-1], draws=300)
    assert timeless(again["models"]) == timeless(result["models"])
    alone = compare_models(dark, WHITE, models=["pls"], draws=300)["models"][0]
    together = by_name(result)["pls"]
    assert alone["scores"] == together["scores"]
    assert alone["candidates"] == together["candidates"]


def test_settings_are_those_of_solve(found, dark):
    solved = by_name(solve(dark, WHITE, models=QUICK, draws=300))
    for name, row in by_name(found.result).items():
        assert row["candidates"] == solved[name]["candidates"]
        assert row["scores"]["readings"]["test"] == solved[name]["scores"]["test"]


def test_the_best_comes_first_and_chance_is_allowed_for(register, dark):
    register("clueless", Clueless)
    register("twice", PartialLeastSquares)
    result = compare_models(dark, WHITE, models=["clueless", "pls", "twice"], draws=100)
    first, second, last = result["models"]
    assert [row["rank"] for row in result["models"]] == [1, 2, 3]
    assert result["best"] == first["model"] == "pls"
    assert second["no_worse"]
    assert second["behind"] == {"difference": 0, "standard_error": 0, "chance": 0}
    assert (last["model"], last["no_worse"]) == ("clueless", False)
    assert last["behind"]["difference"] > 10 * last["behind"]["standard_error"]
    assert "twice is no worse, as far as 12 rows can tell." in result["summary"]


def test_too_few_rows_to_rank_are_said_to_be_so_and_how_many_would_do(found):
    (said,) = (line for line in found.result["summary"] if "too few to rank" in line)
    assert said.startswith("12 rows are too few to rank these models: ")
    assert " no worse than chance explains (95 % certain of all together); some " in said
    assert all(row["behind"]["difference"] <= row["behind"]["chance"] for row in found.result["models"][1:])


@pytest.mark.fault("M-10")
def test_intervals_that_do_not_hold_are_named(register, dark):
    register("narrow", Narrow)
    result = compare_models(dark, WHITE, models=["narrow", "pls"], draws=100)
    off = by_name(result)["narrow"]["scores"]["off"]
    assert off["settings"] == ["R", "G", "B"]
    assert off["readings"] == []
    assert any(line.startswith("The 90 % intervals of narrow are too narrow: they cover") for line in result["summary"])
    assert (
        "The 90 % intervals of pls hold for settings and for readings, as far as 12 rows can tell." in result["summary"]
    )


def test_a_model_that_gives_away_its_rows_is_named(register, dark):
    register("memory", Memory)
    study = study_models(dark, WHITE, models=["memory", "pls"], draws=100, test=0.5)
    leak = by_name(study.result)["memory"]["scores"]["membership"]
    assert leak["low"] > 0.5
    said = [line for line in study.result["summary"] if "learned from" in line]
    assert said[0].startswith("What a model says of rows tells those it learned from, by an advantage of ")
    assert said[0].endswith(" for memory.")
    assert said[1] == "No attack tells which rows pls learned from, as far as these rows can tell."
    page = render_comparison_page(study.result, study.rows, study.evidence)
    assert f"{leak['advantage']:.2f} ({leak['low']:.2f} to {leak['high']:.2f})" in page
    assert "members" in shown(comparison_tables(study.result))


def test_two_solutions_are_counted_and_their_mean_is_no_reproach(tmp_path):
    rng = np.random.default_rng(0)
    settings = rng.random((200, 2))
    readings = two_branches(settings) + rng.normal(0, 0.002, (200, 2))
    path = written(tmp_path / "a.jsonl", settings, readings, ["a", "b"])
    result = compare_models(path, ["a=0.5", "b=0.5"], models=["mixture", "pls"], draws=300)
    assert result["best"] == "mixture"
    assert by_name(result)["mixture"]["distinct"] == 2
    assert not by_name(result)["pls"]["no_worse"]
    assert any("More than one solution is offered by mixture (2)" in line for line in result["summary"])


def test_a_remote_target_warns_at_the_top_and_in_solve(dark):
    target = ["445nm=60000"]
    found = study_models(dark, target, models=["pls"], draws=50)
    (row,) = found.result["models"]
    assert row["remoteness"]["score"] > 1
    assert row["remoteness"]["channels"] == ["445nm"]
    sentence = "OUT OF DOMAIN of pls: the target lies beyond all readings at 445nm"
    text = check(render_comparison_page(found.result, found.rows, found.evidence), SECTIONS).text
    assert text.index("NOT REACHABLE by pls") < text.index(sentence) < text.index("Settings offered")
    assert sentence in shown(comparison_tables(found.result))
    assert sentence in shown(solve_tables(solve(dark, target, models=["pls"])))


# ---------------------------------------------------------------------- rows


def posed(path, targets=WHITE):
    data = read_data(path)
    return pose_problem(data, *read_target_words(data.space, targets, [], [], "1 %"))


def test_rows_that_repeat_each_other_are_never_on_both_sides(rows, tmp_path):
    settings, readings = (np.tile(each[:20], (3, 1)) for each in rows)
    problem = posed(written(tmp_path / "a.jsonl", settings, readings))
    parts = split_rows(problem, 0)
    assert len(parts.train) + len(parts.test) == 60
    assert len(parts.test) == 12
    train, test = ({tuple(row) for row in problem.settings[part].tolist()} for part in (parts.train, parts.test))
    assert not train & test
    assert problem.notes[-1] == "40 of 60 rows repeat another one to the last digit"


def test_a_model_that_learns_from_gaps_gets_rows_that_others_do_not(register, rows, tmp_path):
    seen = []

    class Patient(PartialLeastSquares):
        learns_from_gaps = True

        def fit(self, readings, settings):
            seen.append(readings)
            whole = np.isfinite(readings).all(axis=1)
            return super().fit(readings[whole], settings[whole])

    settings, readings = rows[0], rows[1].copy()
    readings[:10, CHANNELS.index("445nm")] = np.nan
    readings[10:12, CHANNELS.index("445nm")] = 65535
    register("patient", Patient)
    result = compare_models(
        written(tmp_path / "a.jsonl", settings, readings), WHITE, models=["patient", "pls"], draws=50
    )
    assert result["rows"] == 48
    assert (by_name(result)["patient"]["rows"], by_name(result)["pls"]["rows"]) == (58, 48)
    assert [len(each) for each in seen] == [58, 38 + 10]
    assert np.isnan(seen[0]).sum() == 10
    assert result["notes"][-1] == "rows in which some channel was not read taught these models too: patient (10)"


def test_too_few_rows_to_judge_still_answers(rows, tmp_path):
    found = study_models(written(tmp_path / "a.jsonl", rows[0][:5], rows[1][:5]), WHITE, models=["mixture"])
    (row,) = found.result["models"]
    assert row["candidates"]
    assert row["scores"] is None
    assert "mixture could not be judged: Mixture needs 5 rows, got 4: measure 1 more." in found.result["summary"]
    assert (
        "could not be judged" in check(render_comparison_page(found.result, found.rows, found.evidence), SECTIONS).text
    )
    assert "16384" in shown(comparison_tables(found.result))


def test_a_knob_that_never_moved_is_a_note(rows, tmp_path):
    settings, readings = rows[0].copy(), rows[1]
    settings[:, 0] = 0.5
    result = compare_models(
        written(tmp_path / "a.jsonl", settings, readings), ["515nm=16384"], models=["pls"], draws=20
    )
    assert "R never moved, so nothing is known of what it does" in result["notes"]
    assert by_name(result)["pls"]["scores"]["settings"]["test"]["r2"]["R"] is None


def test_what_would_determine_a_knob_that_is_open_is_named(dark):
    """And it does, once it is fixed as well."""
    open_, fixed = (
        compare_models(dark, targets, models=["linear"], draws=100, free=free)["diagnosis"]
        for targets, free in ((WHITE[:2], ["630nm", "nir"]), (WHITE, []))
    )
    assert "R is not determined by this target." in open_["sentences"]
    assert list(open_["remedies"]) == ["R"]
    assert open_["remedies"]["R"]["channels"] == ["630nm"]
    assert open_["remedies"]["R"]["deviation"] == pytest.approx(fixed["deviation"]["R"], rel=0.5)
    assert open_["sentences"][-1].startswith("Fix 630nm as well: R within 0.00")
    assert fixed["remedies"] == {}


def test_where_no_channel_would_determine_it_that_is_said(dark):
    seen = compare_models(dark, WHITE[:1], models=["linear"], draws=100, free=["515nm"])["diagnosis"]
    assert (seen["remedies"]["G"]["channels"], seen["remedies"]["R"]) == (["515nm"], None)
    assert (
        "No channel left free would determine R, nor would two: it takes another kind of reading." in seen["sentences"]
    )


def test_two_channels_are_named_where_it_takes_both(tmp_path):
    settings = np.random.default_rng(0).random((40, 3))
    readings = settings @ np.array([[100.0, 100.0, 0.0], [100.0, 200.0, 100.0], [100.0, 0.0, 300.0]])
    rows = np.hstack((settings, readings + np.random.default_rng(1).normal(0, 0.3, (40, 3))))
    file = tmp_path / "a.csv"
    np.savetxt(file, rows, delimiter=",", header="in.x,in.y,in.z,out.a,out.b,out.c", comments="")
    seen = compare_models(file, ["a=150"], models=["linear"], draws=50)["diagnosis"]
    assert [each["channels"] for each in seen["remedies"].values()] == [["b", "c"]] * 3
    assert any(line.startswith("Fix b and c as well: x within 0.00") for line in seen["sentences"])


def test_each_model_is_asked_four_questions_and_what_they_ask_is_said(found, register, dark):
    result = found.result
    for row in result["models"]:
        tests = row["scores"]["diagnostics"]
        assert list(tests) == list(result["questions"])[:4] == ["calibration", "coverage", "local", "readings"]
        assert tests["local"]["says"] == "too few rows"  # twelve
        assert all(0 < tests[name]["chance"] <= 1 for name in ("calibration", "coverage", "readings"))
    assert any(line.startswith("No test finds the posterior of ") for line in result["summary"])
    said = shown(comparison_tables(result))
    assert all(" ".join(question.split()) in said for question in result["questions"].values())
    register("narrow", Narrow)
    wrong = compare_models(dark, WHITE, models=["narrow", "pls"], draws=100)
    assert any(line.startswith("The posterior of narrow is too narrow in ") for line in wrong["summary"])
