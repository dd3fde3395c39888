"""Learning curves in ``sdl compare --rows``: errors on rows not seen against the number of rows learned from."""

import json

import numpy as np
import pytest
from comparisons import SECTIONS, WHITE, by_name, shown
from pages import check, svg
from problems import written

from flows.studies.compare import study_models
from flows.studies.compare_summary import comparison_tables
from sdl.errors import InvalidInput
from sdl.reports.comparison_page import render_comparison_page

WORDS = [word for target in WHITE for word in ("--target", target)]


@pytest.fixture(scope="module")
def bent(tmp_path_factory):
    """Rows of a response that bends, which a line learns at once and never, and others slowly and well."""
    rng = np.random.default_rng(0)
    settings = rng.random((80, 1))
    readings = np.exp(2 * settings) + rng.normal(0, 0.01, (80, 1))
    return written(tmp_path_factory.mktemp("bent") / "bent.jsonl", settings, readings, ["y"])


@pytest.fixture(scope="module")
def learned(bent):
    return study_models(bent, ["y=3"], models=["pls", "mixture"], rows=[3, 15, 40, 1000], draws=100)


def test_more_rows_err_less_and_a_line_stops_learning_where_it_is_wrong(learned):
    result, rows = learned.result, by_name(learned.result)
    assert result["learning"]["rows"] == [3, 15, 40, 64]
    assert result["learning"]["most"] == 64, "of 80 rows a fifth judges"
    curves = {name: row["learning"] for name, row in rows.items()}
    flexible = [point["readings"]["mean"] for point in curves["mixture"] if not point["error"]]
    stiff = [point["readings"]["mean"] for point in curves["pls"] if not point["error"]]
    assert flexible[-1] < 0.3 * stiff[-1]
    assert stiff[-1] > 0.8 * stiff[-2]
    for point in curves["pls"][1:]:
        assert point["readings"]["low"] <= point["readings"]["mean"] <= point["readings"]["high"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_page_and_the_tables_have_the_curves(learned):
    page = check(render_comparison_page(learned.result, learned.rows, learned.evidence), SECTIONS)
    assert "How many rows each needs" in page.text
    assert "No more than 64 rows are there to learn from." in page.text
    words = [" ".join(svg(picture).itertext()) for picture in page.pictures]
    assert any("rows learned from" in each for each in words)
    assert not any("mathdefault" in each for each in words), "no signs of mathematics, which nothing sets here"
    assert "64 rows are there to learn from" in shown(comparison_tables(learned.result))


def test_a_model_that_needs_more_rows_says_so_at_that_number(dark):
    result = study_models(dark, WHITE, models=["mixture"], rows=[3, 30], draws=50).result
    few, many = by_name(result)["mixture"]["learning"]
    assert "needs" in few["error"]
    assert many["error"] is None


def test_without_numbers_of_rows_there_is_no_curve(found):
    assert found.result["learning"] is None
    assert "How many rows each needs" not in render_comparison_page(found.result, found.rows, found.evidence)


def test_numbers_that_are_none_are_refused(sdl, dark):
    assert "--rows needs whole numbers with commas between" in sdl("compare", dark, *WORDS, "--rows", "5;10").said
    with pytest.raises(InvalidInput, match="rows needs whole numbers from 2, got 1"):
        study_models(dark, WHITE, models=["pls"], rows=[1])
