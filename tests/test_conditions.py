"""The background: known where a reference was read, uncertain between, and never a matter of clocks."""

import numpy as np
import pytest

from sdl.conditions import Conditions
from sdl.history import Observation, Purpose
from sdl.screening import Class


def conditions(seq, references):
    return Conditions(np.array(seq, int), np.array(references, float).reshape(len(seq), -1))


def observation(seq, purpose, readings):
    values = np.array(readings, float)
    return Observation(0, seq, 0, purpose, np.zeros(1), seq, Class.OK, values, np.zeros(values.size, bool))


def walks(n, steps, rng):
    """Random walks that start at 0 and gain a variance of 1 with each step, ``(n, steps + 1)``."""
    return np.cumsum(np.hstack((np.zeros((n, 1)), rng.standard_normal((n, steps)))), axis=1)


def test_only_references_tell_the_background():
    taken = [
        observation(0, Purpose.REFERENCE, [10, 100]),
        observation(1, Purpose.DESIGN, [5000, 6000]),
        observation(2, Purpose.VERIFICATION, [5000, 6000]),
        observation(3, Purpose.REFERENCE, [20, np.nan]),
    ]
    known = Conditions.of(taken, 2)
    assert known.seq.tolist() == [0, 3]
    np.testing.assert_equal(known.references, [[10, 100], [20, np.nan]])


@pytest.mark.fault("I-18")
def test_it_runs_straight_from_one_reference_to_the_next_and_stays_beyond():
    known = conditions([2, 6, 7], [[10, 0], [30, 8], [0, 8]])
    places = np.array([0, 2, 3, 4, 6, 7, 50])
    np.testing.assert_allclose(known.at(places), [[10, 0], [10, 0], [15, 2], [20, 4], [30, 8], [0, 8], [0, 8]])
    assert known.latest.tolist() == [0, 8]


def test_a_reference_that_lacks_a_channel_tells_of_the_others():
    known = conditions([0, 4, 8], [[10, 1], [np.nan, 2], [30, np.nan]])
    np.testing.assert_allclose(known.at(np.array([4, 8])), [[20, 2], [30, 2]])
    assert known.latest.tolist() == [30, 2]
    assert np.isfinite(known.drift).all()


def test_without_a_reference_there_is_no_background_and_no_drift():
    none = Conditions.of([], 3)
    assert none.latest.tolist() == none.drift.tolist() == [0, 0, 0]
    assert not none.at(np.arange(4)).any()
    assert not none.covariance(np.arange(4)).any()


def test_one_reference_tells_no_drift():
    assert conditions([5], [[10.0]]).drift.tolist() == [0]


@pytest.mark.fault("I-18")
def test_drift_is_the_variance_gained_with_each_request():
    rng = np.random.default_rng(0)
    places = np.cumsum(rng.integers(1, 9, 400))
    walk = 3.0 * walks(1, places[-1], rng)[0]
    assert conditions(places, walk[places]).drift == pytest.approx([9.0], rel=0.2)


def test_the_covariance_is_that_of_a_walk_which_is_known_at_the_references():
    rng, references, places = np.random.default_rng(1), np.array([4, 10, 13]), np.array([0, 2, 5, 7, 9, 10, 11, 15, 20])
    walk = walks(20_000, 20, rng)
    known = np.array([np.interp(places, references, each[references]) for each in walk])
    expected = np.cov((walk[:, places] - known).T)
    found = conditions(references, np.zeros((3, 1))).covariance(places)
    np.testing.assert_allclose(found, expected, atol=0.25)
    assert np.linalg.eigvalsh(found).min() > -1e-9


def test_the_error_is_none_at_a_reference_and_not_shared_across_it():
    found = conditions([0, 10], [[0], [0]]).covariance(np.array([5, 10, 15]))
    assert found[1].tolist() == [0, 0, 0]
    assert found[0, 2] == 0
    assert (found[0, 0], found[2, 2]) == (2.5, 5.0)


def test_readings_from_before_the_first_reference_are_the_less_certain_the_older_they_are():
    found = conditions([6], [[0]]).covariance(np.array([0, 3, 5]))
    assert np.diag(found).tolist() == [6, 3, 1]
    assert found[0, 1] == 3
