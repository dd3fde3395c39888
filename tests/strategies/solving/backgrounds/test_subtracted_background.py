"""The background of rows of somebody else: only where the instrument has one, and a wrong row does not make it."""

import numpy as np
import pytest

from sdl.space import SAME, Channel, Knob, Space
from strategies.solving.backgrounds.subtracted_background import subtract_background

LAMP = Space(knobs=tuple(Knob(name=name) for name in "ab"), channels=(Channel(name="y"),))


def subtracted(settings, readings, off=(0.0, 0.0), given=(), floor=0.0):
    n = len(settings)
    off = None if off is None else np.array(off)
    lines = np.arange(11, 11 + n)
    return subtract_background(LAMP, off, settings, readings[:, None], lines, np.array(given), np.array([floor]))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    settings = rng.uniform(0.1, 1, (30, 2))
    return settings, 500 + settings @ [3000, 1000] + rng.normal(0, 5, 30)


def test_an_instrument_without_a_background_has_all_its_rows_learned_from(rows):
    settings = np.vstack(([[0, 0]], rows[0]))
    found = subtracted(settings, np.append(7.0, rows[1]), off=None)
    assert found.lit.all()
    assert not found.levels.any()
    assert (found.note, list(found.oddities)) == ("", [])


def test_settings_a_thousandth_off_are_lit(rows):
    settings = np.vstack(([[0, 0], [0.001, 0], [SAME / 2, 0]], rows[0]))
    found = subtracted(settings, np.concatenate(([500.0, 503, 500], rows[1])))
    assert found.lit[:3].tolist() == [False, True, False]
    assert (
        found.note
        == "the background was read off the 2 rows with all knobs off, and the answers are for the last of them"
    )


def test_the_background_is_extrapolated_where_no_row_has_all_knobs_off(rows):
    found = subtracted(*rows)
    assert found.levels[:, 0] == pytest.approx(500, abs=10)
    assert list(found.oddities) == []


@pytest.mark.parametrize("wrong", [90_000.0, -90_000.0, 38.0])
def test_one_wrong_row_is_named_and_does_not_make_the_background(rows, wrong):
    settings, readings = rows[0], rows[1].copy()
    readings[4] = wrong
    found = subtracted(settings, readings, floor=-np.inf)
    assert found.levels[:, 0] == pytest.approx(500, abs=10)
    (result,) = found.oddities
    assert result == "line 15 read far from what the others say, and the background was extrapolated without"


def test_a_background_below_what_a_sensor_returns_is_said(rows):
    bent = 500 - 4000 * rows[0][:, 0] + 9000 * rows[0][:, 0] ** 2 - 2000
    found = subtracted(rows[0], bent)
    assert (found.levels == 0).all()
    assert found.oddities[0].startswith("the background came out below the least that the sensor returns")


def test_a_row_that_reads_less_than_with_all_knobs_off_is_named(rows):
    settings = np.vstack(([[0, 0]], rows[0]))
    readings = np.append(500.0, rows[1])
    readings[3] = 20
    assert list(subtracted(settings, readings).oddities) == [
        "line 14 read less than with all knobs off; look at what was written there"
    ]


def test_what_a_person_says_is_subtracted_and_every_row_learned_from(rows):
    found = subtracted(*rows, given=[480.0])
    assert found.lit.all()
    assert (found.levels == 480).all()
