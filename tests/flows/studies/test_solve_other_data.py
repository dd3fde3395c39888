"""``sdl solve`` on rows of other laboratories: their ranges and amounts, no background, and a word for what misses."""

import json

import numpy as np
import pytest

from flows.studies.compare import compare_models
from flows.studies.compare_summary import comparison_tables
from flows.studies.solve import solve, solved
from sdl.errors import InvalidInput

SOME = ["linear", "nearest", "mixture"]


def table(path, settings, readings, knobs):
    lines = [",".join([*(f"in.{name}" for name in knobs), "out.y"])]
    lines += [",".join(map(repr, [*row, float(y)])) for row, y in zip(settings.tolist(), readings, strict=True)]
    path.write_text("\n".join(lines))
    return path


def offers(result):
    found = (row["candidates"] or [row["nearest"]] for row in result["models"] if row["error"] is None)
    return np.array([list(each["settings"].values()) for answers in found for each in answers])


@pytest.mark.parametrize("width", [1e-6, 0.08, 0.9])
def test_no_offer_leaves_the_range_of_the_rows(tmp_path, width):
    settings = width * np.random.default_rng(0).random((40, 2))
    path = table(tmp_path / "a.csv", settings, 1 + settings.sum(axis=1) / width, "ab")
    result = solve(path, ["y=1.7±0.05"], models=SOME)
    found = offers(result)
    assert ((found >= settings.min(axis=0)) & (found <= settings.max(axis=0))).all()
    assert all(map(solved, result["models"]))


def test_a_stated_range_gives_room_and_limits(tmp_path):
    settings = np.random.default_rng(0).uniform(0.2, 0.6, (40, 2))
    path = table(tmp_path / "a.csv", settings, settings.sum(axis=1), "ab")
    beyond = solve(path, ["y=1.5±0.02"], models=["linear"])
    assert not beyond["models"][0]["reachable"]
    wider = solve(path, ["y=1.5±0.02"], models=["linear"], knobs=["a=0:1", "b=0:1"])
    assert offers(wider)[0].sum() == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["a"], "'a' needs the form KNOB=LOW:HIGH, as in temperature=20:90"),
        (["a=1"], "the range of a needs LOW .. HIGH, as in 3000 .. 4000, got '1'"),
        (["=0:1"], "'=0:1' needs the form KNOB=LOW:HIGH, as in temperature=20:90"),
        (["a=0:x"], "the range of a needs LOW .. HIGH, as in 3000 .. 4000, got '0:x'"),
        (["a=0:1", "a=0:2"], "the range of a is given twice"),
        (["c=0:1"], "unknown knob 'c'; known are 'a', 'b'"),
        (["a=1:0"], "the range of a needs the least before the most, got '1:0'"),
    ],
)
def test_a_range_that_makes_no_sense_is_a_fault(tmp_path, words, fault):
    settings = np.random.default_rng(0).random((9, 2))
    path = table(tmp_path / "a.csv", settings, settings.sum(axis=1), "ab")
    with pytest.raises(InvalidInput) as raised:
        solve(path, ["y=1"], knobs=words)
    assert raised.value.faults == (fault,)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_rows_without_any_noise_are_rows_like_others(tmp_path):
    steps = np.arange(10.0)
    path = table(tmp_path / "a.csv", np.column_stack((steps / 10, 10 + steps)), 100 + 3 * steps, "ab")
    result = solve(path, ["y=110"])
    assert {row["error"] for row in result["models"]} == {None}
    assert all(row["candidates"] for row in result["models"])


@pytest.mark.parametrize(("total", "digits"), [(1.0, 6), (100.0, 1), (100.0, 0)])
def test_amounts_that_add_up_do_so_in_every_offer(tmp_path, total, digits):
    amounts = np.round(np.random.default_rng(0).dirichlet(np.ones(4), 80) * total, digits)
    path = table(tmp_path / "a.csv", amounts, (amounts @ [1, 5, 2, 9]) / total, "abcd")
    for target in ("y=4±0.2", "y=8.5±0.2", "y=40±0.2"):
        result = solve(path, [target], models=SOME, answers="all")
        found = offers(result)
        np.testing.assert_allclose(found.sum(axis=1), total, rtol=2e-3)
        assert ((found >= 0) & (found <= total)).all()
        every = [each for row in result["models"] if row.get("answers") for each in row["answers"]["found"]]
        assert all(sum(each["settings"].values()) == pytest.approx(total, rel=2e-3) for each in every)
        assert f"a, b, c, d add up to {total:g} in every row, so they do in every answer" in result["notes"]
    assert not any(row["reachable"] for row in result["models"])


def test_a_comparison_shows_knobs_that_follow_and_judges_them(tmp_path):
    amounts = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    path = table(tmp_path / "a.csv", amounts, amounts @ [1, 5, 2], "abc")
    result = compare_models(path, ["y=3±0.2"], models=["linear", "mixture"], draws=100)
    assert list(result["units"]) == ["a", "b", "c"]
    assert set(result["models"][0]["scores"]["settings"]["test"]["mae"]) == {"a", "b", "c"}
    assert len(comparison_tables(result)[0].columns) == 2 + 3 + 1 + 1


def test_a_corner_of_the_box_is_a_row_like_others(tmp_path):
    rng = np.random.default_rng(0)
    settings = np.vstack((np.zeros((3, 2)), rng.random((40, 2)), np.ones((1, 2))))
    path = table(tmp_path / "a.csv", settings, 0.5 + settings @ [0.3, 0.1], "ab")
    result = solve(path, ["y=0.7±0.01"], models=["linear"])
    assert result["rows"] == 44
    assert result["background"] == {"y": 0}
    assert not any("background" in note or "knobs off" in note for note in result["notes"])
    assert result["models"][0]["scores"]["test"]["r2"]["y"] > 0.99, "it has an intercept where readings have no zero"


def test_a_narrow_band_about_a_wavelength_is_not_all_knobs_off(tmp_path):
    band = 532 + np.linspace(-0.003, 0.003, 30)
    path = table(tmp_path / "a.csv", band[:, None], 5 + 1000 * (band - 532), ["nm"])
    result = solve(path, ["y=6±0.1"], models=["linear"])
    assert result["rows"] == 30
    assert offers(result)[0, 0] == pytest.approx(532.001, abs=1.5e-4)


def test_a_model_that_explains_nothing_is_marked_and_solves_nothing(tmp_path):
    rng = np.random.default_rng(0)
    settings = rng.random((120, 2))
    path = table(tmp_path / "a.csv", settings, np.cos(12 * settings[:, 0]) + rng.normal(0, 0.02, 120), "ab")
    result = solve(path, ["y=0.5±0.1"], models=["linear", "nearest"])
    linear, nearest = result["models"]
    assert (linear["idle"], nearest["idle"], result["first"]) == (["y"], [], "nearest")
    assert not solved(linear)
    assert solved(nearest)


def test_the_nearest_measured_row_stands_beside_the_offers(tmp_path):
    settings = np.random.default_rng(0).random((30, 2))
    readings = settings.sum(axis=1)
    result = solve(table(tmp_path / "a.csv", settings, readings, "ab"), ["y=1±0.05"], models=["linear"])
    at = int(np.abs(readings - 1).argmin())
    assert result["row"]["line"] == at + 2, "the header is line 1"
    assert list(result["row"]["settings"].values()) == settings[at].tolist()
    assert result["row"]["misses"] == []


@pytest.mark.parametrize(
    ("target", "code"), [("y=1±0.05", 0), ("y=9±0.05", 3)], ids=["an offer that hits", "nothing reaches it"]
)
def test_the_exit_status_says_whether_an_offer_hits(sdl, tmp_path, target, code):
    settings = np.random.default_rng(0).random((30, 2))
    path = table(tmp_path / "a.csv", settings, settings.sum(axis=1), "ab")
    outcome = sdl("solve", path, "--target", target, "--model", "linear", "--knob", "a=0:1")
    assert outcome.code == code
    assert "row in line" in outcome.said


def test_an_offer_that_misses_by_its_models_own_word_is_no_success(sdl, tmp_path):
    """Draws for a narrow target of a ring lie all around it, and by a model of one line none of them gives it."""
    some = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    path = tmp_path / "ring.jsonl"
    path.write_text("\n".join(json.dumps({"in": row, "out": {"y": float(np.hypot(*row))}}) for row in some.tolist()))
    outcome = sdl("solve", path, "--target", "y=0.9±0.0001", "--model", "mixture", "--draws", "20", "--json")
    assert outcome.json["models"][0]["candidates"][0]["misses"] == ["y"]
    assert outcome.code == 3


def test_import_says_which_rows_do_not_count(sdl, tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [{"in": [0.1, 0, 0], "out": {"515nm": 5}}, {"in": [0.2, 0, 0], "out": {"515nm": 5.5}}]
    path.write_text("\n".join(map(json.dumps, lines)))
    outcome = sdl("import", path)
    assert "1 of 2 rows of the file does not count (line 2): 515nm is not a whole count: 5.5" in outcome.said
