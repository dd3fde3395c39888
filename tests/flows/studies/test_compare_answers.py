"""What the page of a comparison shows of answers: rows drawn without a target, and how answers follow their target."""

import numpy as np
import pytest
from comparisons import SECTIONS, by_name
from pages import check
from problems import twin_rows, two_branches, written

from flows.studies.compare import study_models
from sdl import plugins
from sdl.reports.comparison_page import render_comparison_page
from strategies.contract import SamplesRows
from strategies.numerics.unit_box import in_unit_box
from strategies.solving.scores.target_line import roughness

ABLE = ("mixture", "any-conditional")


@pytest.mark.parametrize("name", ABLE)
def test_rows_drawn_without_a_target_are_spread_as_the_data(name):
    readings, settings = twin_rows(80)
    readings = readings[:, [1, 3, 7]]
    model = plugins.build("sdl.inverse_models", name).fit(readings, settings)
    assert isinstance(model, SamplesRows)
    places, read = model.sample_rows(2000, np.random.default_rng(0))
    assert places.shape == (2000, 3)
    assert in_unit_box(places).mean() > 0.5
    drawn, data = np.column_stack((places, read)), np.column_stack((settings, readings))
    scale = data.std(axis=0)
    assert np.abs(drawn.mean(axis=0) - data.mean(axis=0)).max() < 0.2 * scale.max()
    assert np.abs((drawn - data.mean(axis=0)).std(axis=0) / scale - 1).max() < 0.25
    assert np.abs(np.corrcoef(drawn.T) - np.corrcoef(data.T)).max() < 0.2


def test_a_model_that_only_answers_targets_says_so(found):
    page = check(render_comparison_page(found.result, found.rows, found.evidence), SECTIONS)
    assert "Rows that mixture draws when nothing is wanted" in page.text
    assert "is how uncertain one answer is, and no density of all that there are" in page.text
    only = page.text[page.text.index("Only for a target:") :]
    assert only.startswith(("Only for a target: linear, pls, which are", "Only for a target: pls, linear, which are"))
    assert [len(each.rows) > 0 for name, each in found.evidence.items() if name == "mixture"] == [True]


def test_the_answers_of_a_straight_response_are_straight_with_its_derivative(tmp_path):
    rng = np.random.default_rng(0)
    settings = rng.random((60, 2))
    readings = settings @ np.array([[100.0, 0.0], [0.0, 50.0]]) + rng.normal(0, 0.05, (60, 2))
    path = written(tmp_path / "line.jsonl", settings, readings, ["a", "b"])
    row = study_models(path, ["a=60", "b=35"], models=["pls"], draws=100, knobs=["x1=0:1", "x2=0:1"]).result["models"][
        0
    ]
    away = [0.6, 0.7] - settings.mean(axis=0)
    assert list(row["along"]["derivative"].values()) == pytest.approx(away, rel=0.1)
    assert max(row["along"]["roughness"].values()) < 0.1
    assert row["along"]["settings"]["x1"][10] == pytest.approx(0.6, abs=0.01)


def test_a_branch_is_followed_and_not_left_for_the_other(tmp_path):
    rng = np.random.default_rng(1)
    settings = rng.random((150, 2))
    readings = two_branches(settings) + rng.normal(0, 0.002, (150, 2))
    path = written(tmp_path / "branches.jsonl", settings, readings, ["u", "v"])
    result = study_models(path, ["u=0.6", "v=0.5"], models=["mixture"], draws=100).result
    first = [value for value in by_name(result)["mixture"]["along"]["settings"]["x1"][4:] if value is not None]
    assert np.all(np.array(first) < 0.5) or np.all(np.array(first) > 0.5)
    assert result["along"]["shares"][10] == 1.0


def test_roughness_tells_a_line_from_noise():
    assert roughness(np.linspace(0, 3, 9)) == pytest.approx(0, abs=1e-12)
    assert roughness(np.random.default_rng(0).random(2000)) == pytest.approx(3**0.5, abs=0.05)
    assert np.isnan(roughness(np.array([1.0, np.nan, 2.0, np.nan])))
