"""Every distinct answer to a target, by a model and what the rows say that it misses."""

import numpy as np
import pytest
from problems import Line, two_branches

from strategies.answers.answers import family_candidates
from strategies.correction.corrected_model import CorrectedModel
from strategies.correction.rows import PresentBackground, TrainingRows, unshared
from strategies.numerics.jacobian import tangent

TARGET, TOLERANCE = np.array([0.25, 0.5]), np.full(2, 0.02)
NOISE = np.full(2, 0.005)


def rows(n=60, present=None):
    rng = np.random.default_rng(0)
    settings = rng.random((n, 2))
    readings = two_branches(settings) + NOISE * rng.standard_normal((n, 2))
    return TrainingRows(settings, readings, NOISE, np.zeros(2), unshared, present)


def blind():
    """A model that knows nothing of a fold: its answers are anywhere."""
    return Line(slope=[0.0, 1.0], offers=np.random.default_rng(1).random((50, 2)))


def starts(n=100):
    return np.random.default_rng(2).random((n, 2))


def test_slopes_are_those_of_what_is_expected():
    forward = CorrectedModel.of(blind(), rows(), TARGET)
    readings, slopes = forward.tangent(starts(20))
    expected, differences = tangent(forward.predict, starts(20), 1e-4)
    np.testing.assert_allclose(readings, expected, atol=1e-9)
    np.testing.assert_allclose(slopes, differences, atol=1e-5)


def test_the_light_of_this_moment_is_part_of_what_is_expected():
    result = PresentBackground(np.full(2, 1e-4), np.full((60, 2), 1e-5))
    forward = CorrectedModel.of(blind(), rows(present=result), TARGET)
    mean, _ = forward.missed.at(starts(5))
    np.testing.assert_allclose(forward.predict(starts(5)), blind().predict(starts(5)) + mean, atol=1e-9)


def test_a_model_that_misses_much_is_set_right_by_the_rows():
    found = family_candidates(blind(), TARGET, TOLERANCE, np.zeros(2), rows(), starts())
    assert {each.family for each in found.found} == {0, 1}
    truth = two_branches(np.array([each.settings for each in found.found]))
    assert np.abs(truth - TARGET).max() < 0.03
    assert sum(each.share for each in found.found) == pytest.approx(1)
    assert found.arrived > 0.8


def test_a_background_is_part_of_the_readings():
    light = np.array([3.0, 1.0])
    lit, dark = (
        family_candidates(blind(), TARGET + each, TOLERANCE, each, rows(), starts()).found
        for each in (light, 0 * light)
    )
    for one, other in zip(lit, dark, strict=True):
        np.testing.assert_allclose(one.settings, other.settings, atol=1e-6)
        np.testing.assert_allclose(one.readings, TARGET + light, atol=0.01)


def test_starts_that_end_away_from_the_rows_are_counted_and_left_out():
    every = rows(200)
    half = every.settings[:, 0] < 0.5
    known = TrainingRows(every.settings[half], every.readings[half], NOISE, np.zeros(2), unshared)
    far = np.column_stack((np.full(20, 0.95), np.linspace(0.3, 0.7, 20)))
    found = family_candidates(blind(), np.array([np.nan, 0.5]), TOLERANCE, np.zeros(2), known, far)
    assert found.strayed == 1
    assert found.arrived == 0
    assert not found.found
