"""The background: known where a reference was read, uncertain between, and never a matter of clocks."""

import numpy as np
import pytest

from sdl.analysis.background import USUAL, Background
from sdl.history import Observation, Purpose, ReplyClass


def conditions(seq, references):
    return Background(np.array(seq, int), np.array(references, float).reshape(len(seq), -1))


def observation(seq, purpose, readings):
    values = np.array(readings, float)
    return Observation(0, seq, 0, purpose, np.zeros(1), seq, ReplyClass.OK, values, np.zeros(values.size, bool))


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
    known = Background.of(taken, 2)
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
    none = Background.of([], 3)
    assert none.latest.tolist() == none.drift.tolist() == [0, 0, 0]
    assert not none.at(np.arange(4)).any()
    assert not none.covariance(np.arange(4)).any()
    assert not none.unknown(np.arange(4)).any()
    assert np.isinf(none.deviation(np.arange(4))).all()


def test_until_references_tell_a_background_changes_as_light_usually_does():
    one = conditions([5], [[1000.0, 0.0]])
    assert one.drift.tolist() == [(USUAL * 1000) ** 2, 0]
    assert one.deviation(np.array([5, 9])).tolist() == [[0, 0], [2 * USUAL * 1000, 0]]


@pytest.mark.fault("I-18")
def test_drift_is_the_variance_gained_with_each_request():
    rng = np.random.default_rng(0)
    places = np.cumsum(rng.integers(1, 9, 400))
    walk = 3.0 * walks(1, places[-1], rng)[0]
    assert conditions(places, walk[places]).drift == pytest.approx([9.0], rel=0.2)


def test_the_band_of_certainty_holds_what_it_says():
    rng, references, places = np.random.default_rng(2), np.arange(0, 61, 6), np.arange(70)
    inside = [
        np.abs(walk - (known := conditions(references, walk[references])).at(places)[:, 0])
        <= 2 * known.deviation(places)[:, 0]
        for walk in 500 + 4 * walks(400, 69, rng)
    ]
    assert 0.93 < np.mean(inside) < 0.975


# ---------------------------------------------------------------------- lamps


LAMP = np.array([400.0, 1000.0, 4000.0])
"""What a lamp adds in three channels."""


def lit(on, off=10_000, seed=0):
    """Conditions of daylight with a reference every five requests and a lamp that is on from one request to another."""
    rng, places = np.random.default_rng(seed), np.arange(0, 60, 5)
    sky = np.array([1.0, 2.0, 3.0]) * (500 + 3 * walks(1, 60, rng)[0][places, None])
    return conditions(places, sky + LAMP * ((places >= on) & (places < off))[:, None])


@pytest.mark.fault("I-18")
@pytest.mark.parametrize(("on", "off", "stretches"), [(23, 10_000, [4]), (3, 42, [0, 8]), (58, 59, [])])
def test_a_lamp_that_was_switched_is_found(on, off, stretches):
    known = lit(on, off)
    assert np.flatnonzero(known.switched).tolist() == stretches
    for stretch in stretches:
        assert known.unknown(np.arange(5 * stretch, 5 * stretch + 5)).all()
    assert known.unknown(np.arange(70)).sum() == 5 * len(stretches)


def test_a_lamp_leaves_the_drift_elsewhere_as_it_is():
    dark, switched = lit(1000), lit(23)
    assert (switched.drift < 3 * dark.drift).all(), "a brighter background may change more"
    np.testing.assert_array_equal(switched.drifts(np.array([7, 40, 99])), np.tile(switched.drift, (3, 1)))


def test_where_a_lamp_was_switched_the_background_is_as_uncertain_as_a_switch_at_any_moment():
    known, rng = lit(22), np.random.default_rng(1)
    change, places = known.references[5] - known.references[4], np.arange(20, 25)
    moments = 20 + 5 * rng.random(20_000)
    states = (places > moments[:, None]).astype(float)
    spread = states.std(axis=0)[:, None] * np.abs(change)
    np.testing.assert_allclose(known.deviation(places), spread, rtol=0.05, atol=1)


def test_a_walk_that_is_always_fast_is_not_full_of_lamps():
    rng, places = np.random.default_rng(3), np.arange(0, 300, 10)
    fast = conditions(places, 1000 + 100 * walks(1, 300, rng)[0][places])
    assert not fast.switched[5:].any()
    assert fast.drift[0] > 0.3 * 100**2


def test_only_readings_that_matter_make_a_change_matter():
    taken = [observation(0, Purpose.REFERENCE, [0.0]), observation(1, Purpose.DESIGN, [20_000.0])]
    taken += [observation(2, Purpose.REFERENCE, [3.0])]
    assert not Background.of(taken, 1).switched.any()


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
