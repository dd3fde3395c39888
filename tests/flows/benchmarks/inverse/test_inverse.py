"""``sdl benchmark inverse`` on tiny problems: what it counts, what it keeps, and what it says of a model that fails."""

import json
from dataclasses import asdict, replace
from math import inf
from pathlib import Path

import numpy as np
import pytest

from flows.benchmarks.inverse import bars as inverse_bars
from flows.benchmarks.inverse import flow as inverse_flow
from flows.benchmarks.inverse import page as inverse_page
from flows.benchmarks.inverse import problems as inverse_problems
from flows.benchmarks.inverse import scoring
from flows.benchmarks.inverse.cell import InverseCell
from flows.benchmarks.inverse.problems import PROBLEMS, pose_problem
from flows.benchmarks.inverse.run import InverseRequest
from flows.benchmarks.inverse.table import make_table_rows
from flows.benchmarks.inverse.worker import count_numbers
from sdl.errors import InvalidInput
from sdl.instruments.simulated.crystal import Crystal
from strategies.models.linear.nearest import Nearest

LOOK_UP = {"label": "one of 20 rows", "model": "nearest", "options": {"neighbours": 20, "corrected": False}}
TINY = InverseCell("sinewave", seed=0, rows=600, targets=30, seconds=2.0, forward=2.0, **LOOK_UP)


@pytest.fixture(autouse=True)
def few_draws_of_the_prior(monkeypatch):
    for name in ("sinewave", "robotic-arm"):
        monkeypatch.setitem(PROBLEMS, name, replace(PROBLEMS[name], prior=100_000))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One cell, as it is kept."""
    folder = tmp_path_factory.mktemp("cells")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROBLEMS, "sinewave", replace(PROBLEMS["sinewave"], prior=100_000))
        return folder, inverse_flow.finish_cell(TINY, folder)


# ---------------------------------------------------------------------- one cell


def test_a_look_up_is_near_and_knows_some_of_the_answers(done):
    _, found = done
    assert found["error"] is None
    as_it_stands, moved = found["posts"]["none"], found["posts"]["gauss-newton"]
    assert as_it_stands["mean"] < 0.02
    assert as_it_stands["on_target"] > 0.9
    assert 0.3 < as_it_stands["modes"]["50"]["share"] < 1
    assert 0.1 < as_it_stands["distance"] < 0.6
    assert as_it_stands["uneven"] < 3 * as_it_stands["uneven_by_chance"]
    assert moved["out_of_box"] == 0
    assert set(found["posts"]) == {"none", "gradient", "gauss-newton"}
    assert np.shape(found["shown"]["none"]) == (300, 2)
    assert found["train_s"] > 0
    assert found["forward_s"] > 0
    assert found["answer_s"] > 0
    assert found["numbers"] >= 600 * 3
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_finished_cell_is_not_run_again_and_another_one_is(done, monkeypatch):
    folder, found = done
    monkeypatch.setattr(inverse_flow, "run_inverse_cell", lambda *_: {"error": "run again"})
    assert inverse_flow.finish_cell(TINY, folder) == found
    for other in (replace(TINY, seed=1), replace(TINY, rows=601), replace(TINY, options={"neighbours": 3})):
        assert inverse_flow.finish_cell(other, folder)["error"] == "run again"


def test_a_cell_that_failed_says_why_and_is_tried_again(tmp_path, monkeypatch):
    slow = replace(TINY, limit=0.2)
    assert inverse_flow.finish_cell(slow, tmp_path)["error"] == "ended after its 0.2 s"
    assert json.loads((tmp_path / f"{slow.key}.json").read_text())["posts"] == {}
    monkeypatch.setattr(inverse_flow, "run_inverse_cell", lambda *_: {"error": "tried again"})
    assert inverse_flow.finish_cell(slow, tmp_path)["error"] == "tried again"
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_what_the_model_refuses_is_a_sentence(tmp_path):
    refused = inverse_flow.run_inverse_cell(replace(TINY, options={"neighbours": 0}), tmp_path / "draws.npz")
    assert "needs neighbours >= 1, got 0" in refused["error"]


def test_the_size_of_a_model_counts_each_array_once():
    readings, settings = np.zeros((50, 1)), np.random.default_rng(0).random((50, 2))
    model = Nearest(corrected=False).fit(readings, settings)
    model.again_ = model.readings_
    assert 150 <= count_numbers(model) < 600


# ---------------------------------------------------------------------- problems


def test_targets_are_none_of_the_rows():
    posed = pose_problem(PROBLEMS["robotic-arm"], "", 300, 40, seed=2)
    assert posed.settings.shape == (300, 4)
    assert posed.targets.shape == (40, 2)
    assert not {*map(tuple, posed.settings)} & {*map(tuple, posed.truths)}
    space = posed.instrument.space
    np.testing.assert_allclose(posed.instrument.truth(space.from_unit(posed.truths)), posed.targets)


def test_the_crystal_asks_for_open_gaps_only_and_says_how_many_there_are(tmp_path, monkeypatch):
    low, high = (np.array([getattr(knob, end) for knob in Crystal.KNOBS]) for end in ("low", "high"))
    unit = np.random.default_rng(0).random((500, 7))
    np.savetxt(tmp_path / "data_x.csv", low + unit * (high - low), delimiter=",")
    np.savetxt(tmp_path / "data_y.csv", np.maximum(unit[:, :1] - 0.5, 0))
    monkeypatch.setattr(inverse_problems, "RECORDS", 500)
    posed = pose_problem(PROBLEMS["crystal"], str(tmp_path), 300, 100, seed=0)
    assert (posed.targets > 0).all()
    assert (posed.readings == 0).any()
    with pytest.raises(InvalidInput, match="asked for 300 and 400: ask for less"):
        pose_problem(PROBLEMS["crystal"], str(tmp_path), 300, 400, seed=0)


# ---------------------------------------------------------------------- the whole


def test_every_fault_of_what_is_asked_comes_at_once():
    with pytest.raises(InvalidInput) as caught:
        InverseRequest(
            ["sinwave", "crystal"], ["mixtur"], rows=0, runner="thread", seconds=inf, crystal=Path("nowhere")
        ).cells()
    said = str(caught.value)
    for words in ("did you mean 'sinewave'", "did you mean 'mixture'", "did you mean 'threads'"):
        assert words in said
    for words in (
        "rows: needs a finite number above 0, got 0",
        "seconds: needs a finite number above 0, got inf",
        "no folder 'nowhere'; get the records",
    ):
        assert words in said


def test_the_command_refuses_what_would_be_ignored_or_lost(sdl, tmp_path):
    said = sdl("benchmark", "speed", "--rows", 3, "--page", "page.html", "--output", tmp_path / "nowhere" / "out.json")
    assert said.code == 2
    for words in (
        "--rows: only 'inverse' has this option, and 'speed'",
        "--page: only",
        "--output: there is no folder",
    ):
        assert words in said.err


def test_a_benchmark_that_there_is_not_is_refused_with_all_the_rest(sdl, tmp_path):
    said = sdl("benchmark", "invers", "--output", tmp_path / "nowhere" / "out.json")
    assert said.code == 2
    assert "unknown benchmark 'invers'; did you mean 'inverse'?" in said.err
    assert "--output: there is no folder" in said.err


def test_look_ups_are_always_in_the_table_and_the_crystal_only_with_its_records(tmp_path):
    cells = InverseRequest(models=["mixture"], seeds=2, crystal=tmp_path / "nowhere").cells()
    assert {cell.label for cell in cells} == {"nearest row", "one of 20 rows", "mixture"}
    assert {cell.problem for cell in cells} == set(PROBLEMS) - {"crystal"}
    assert len(cells) == 4 * 3 * 2
    assert len({cell.key for cell in cells}) == len(cells)
    assert {cell.rows for cell in cells if cell.problem == "material"} == {20_000}


def test_options_of_a_model_stand_behind_its_name_and_in_its_cells():
    request = InverseRequest(problems=["sinewave"], models=["ipage:latent=sobol", "ipage"], seeds=1)
    sobol, plain = request.cells()[2:]
    assert (sobol.model, sobol.label, sobol.options) == ("ipage", "ipage:latent=sobol", {"latent": "sobol"})
    assert (plain.label, plain.options) == ("ipage", {})
    assert ":" not in sobol.key
    assert "has no such option" in InverseRequest(models=["ipage:latnt=sobol"]).faults()[0]


def made_up(model, mean, distance, seed=0, error=None):
    figures = {
        **dict.fromkeys(("median", "q95", "on_target", "out_of_box", "uneven", "spread"), 0.5),
        **{"mean": mean, "distance": distance, "relative": None, "uneven_by_chance": 0.1, "one": {"mean": mean}},
        "modes": {
            "10": {"share": 0.5, "all": 0.0},
            "20": {"share": 0.7, "all": 0.1},
            "50": {"share": 1.0, "all": 0.99},
        },
    }
    posts = ("none", "gradient", "gauss-newton")
    head = {"problem": "sinewave", "label": model, "model": model, "seed": seed, "error": error, "posts": {}}
    if error:
        return head
    times = {"train_s": 1.0, "train_cpu_s": 0.9, "forward_s": None, "answer_s": 0.1, "numbers": 10, "cut": False}
    each = {"spent_s": dict.fromkeys(posts, 1.0), "arrived": dict.fromkeys(posts, 1.0)}
    head["shown"] = {post: [[0.5, 0.5], [-0.5, 0.5]] for post in posts}
    return {**head, **times, **each, "posts": dict.fromkeys(posts, figures)}


def test_lines_are_medians_over_seeds_and_bars_are_held():
    cells = [made_up("ours", mean, 0.07, seed) for seed, mean in enumerate((1e-6, 2e-6, 1.0))]
    cells += [made_up("cinn", 0.2, 0.1), made_up("inn", 0, 0, error="ended after its 9 s")]
    cells += [made_up("one of 20 rows", 1e-5, 0.05)]
    rows = make_table_rows("sinewave", cells)
    ours = next(row for row in rows if row["model"] == "ours" and row["post"] == "gauss-newton")
    assert (ours["mean"], ours["seeds"], ours["published"]) == (2e-6, 3, None)
    met = {bar["figure"].removeprefix("sinewave, "): bar["met"] for bar in inverse_bars.hold_inverse_bars(rows)}
    assert met == {
        "ours: mean": True,
        "ours: distance": True,
        "ours: on_target": False,
        "ours: all modes in 50 draws": True,
        "ours: a new target, s": True,
        "ours: mean, that of the look-up": True,
        "ours: distance, that of the look-up": False,
        "cinn: mean error, published": False,
        "inn: failed": False,
    }


def test_draws_of_the_material_are_held_against_its_bar():
    cell = made_up("ours", 1e-4, None) | {"problem": "material"}
    drawn, localised = ({**cell["posts"]["none"], "relative": off, "modes": None} for off in (0.03, 0.019))
    rows = make_table_rows(
        "material", [cell | {"posts": {"none": drawn, "gradient": drawn, "gauss-newton": localised}}]
    )
    met = {bar["figure"]: bar["met"] for bar in inverse_bars.hold_inverse_bars(rows) if "relative" in bar["figure"]}
    assert met == {"material, ours: relative": True}


def test_a_knob_that_no_row_moves_does_not_spoil_the_spread():
    rng = np.random.default_rng(0)
    rows, draws = rng.normal(size=(2000, 2)) * [3, 0], rng.normal(size=(50, 400, 2)) * [3, 0]
    assert scoring.spread_of_draws(draws, scoring.knob_units(rows)) == pytest.approx(np.sqrt(0.5), rel=0.05)


def test_the_page_shows_failures_and_loads_nothing(tmp_path):
    cells = [made_up("cinn", 0.2, 0.1), made_up("<b>inn</b>", 0, 0, error="ended after its 9 s")]
    rows = make_table_rows("sinewave", cells)
    asked = {**asdict(InverseRequest()), "crystal": "here"}
    found = {"asked": asked, "cores": {"cells_at_a_time": 1, "of_the_machine": 2}, "libraries": {"torch": "2"}}
    found |= {"cells": cells, "rows": rows, "bars": inverse_bars.hold_inverse_bars(rows)}
    machine = {"cores": 2, "processor": "x86_64", "system": "Linux"}
    result = {
        "at": "2026-11-30T12:00:00+00:00",
        "machine": machine,
        "versions": {"numpy": "2"},
        "results": {"inverse": found},
    }
    page = inverse_page.write_inverse_page(result, tmp_path / "page.html").read_text()
    for words in ("ended after its 9 s", "0.11 / 0.16", "&lt;b&gt;inn", "torch 2", "data:image/svg+xml"):
        assert words in page
    assert page.count("data:image/svg+xml") == 2  # error against distance, and the nine curves
    assert "http://" not in page
    assert "<script" not in page


@pytest.mark.slow
def test_the_command_runs_resumes_and_writes_a_page(sdl, prefect, home, tmp_path):
    words = ["benchmark", "inverse", "--problem", "robotic-arm", "--model", "mixture", "--seeds", 1, "--rows", 300]
    words += ["--targets", 20, "--forward", 2, "--page", tmp_path / "page.html", "--output", tmp_path / "out.json"]
    first = sdl(*words)
    assert "robotic-arm" in first.out
    result = json.loads((tmp_path / "out.json").read_text())["results"]["inverse"]
    assert [cell["error"] for cell in result["cells"]] == [None] * 3
    assert "one of 20 rows" in (tmp_path / "page.html").read_text()
    kept = {path: path.stat().st_mtime_ns for path in Path(home, "benchmarks", "inverse").glob("*.json")}
    assert len(kept) == 3
    assert sdl(*words).code == first.code
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert sdl("benchmark", "inverse", "--problem", "robotik-arm").code == 2
