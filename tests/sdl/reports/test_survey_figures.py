"""The report of a survey: every channel against every knob, whatever their number, and what is left out is said."""

import math

import numpy as np
import pytest
from pages import SECTIONS, check, svg
from problems import wide_rows
from stages import survey_page

from sdl.history import Purpose
from sdl.reports.survey_figures import SurveyRows, correlate


def words_drawn(page):
    return [{"".join(element.itertext()) for element in svg(picture).iter()} for picture in page.pictures]


@pytest.mark.parametrize(("knobs", "channels", "grids"), [(1, 1, 1), (3, 10, 3), (8, 12, 9)])
def test_each_channel_is_drawn_against_each_knob(ledger, tmp_path, knobs, channels, grids):
    page = check(survey_page(ledger, wide_rows(tmp_path / "rows.csv", knobs, channels), "wide"), SECTIONS)
    *drawn, spread = words_drawn(page)
    assert len(drawn) == grids
    pairs = [(f"knob {k + 1}", f"channel {c + 1}") for k in range(knobs) for c in range(channels)]
    assert all(sum({*pair} <= words for words in drawn) == 1 for pair in pairs)
    assert {name for pair in pairs for name in pair} <= spread
    assert "not drawn" not in page.text


def test_what_there_is_no_room_for_is_named(ledger, tmp_path):
    page = check(survey_page(ledger, wide_rows(tmp_path / "rows.csv", 13, 14), "wider"))
    assert "Read too, and neither drawn nor listed here, since there are too many: channel 13, channel 14." in page.text
    assert "Read too, and not drawn, since there are too many: knob 13." in page.text


def test_a_survey_with_a_category_and_few_rows_has_a_page():
    rows = SurveyRows(
        ["acid", "solvent"],
        ["yield", "still"],
        np.array([[0.1, 0], [0.5, 1], [0.9, 2], [0.0, 0]]),
        np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [99.0, 5.0]]),
        [*[Purpose.BY_HAND] * 3, Purpose.REFERENCE],
        {1: ["water", "ethanol", "toluene"]},
    )
    (_, (acid, solvent)), (_, still) = correlate(rows)
    assert acid == pytest.approx(1.0), "the reference does not count"
    assert math.isnan(solvent)
    assert np.isnan(still).all()
