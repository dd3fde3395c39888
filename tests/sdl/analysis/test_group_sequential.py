"""Looking at an exam again and again deceives nobody more often than one look would."""

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

from sdl.analysis.group_sequential import FEWEST, MOST, open_ended, plan_looks, single_look
from sdl.history import looks_from_json

EXAMS = 10_000
TOLERANCE = 1.25
"""In standard deviations of one reading, as the paper's problem has it."""


def bound(rate):
    """Four standard errors above a rate that is met exactly."""
    return rate + 4 * np.sqrt(rate * (1 - rate) / EXAMS)


def passed(off, plan, seed, *, estimated=False, channels=1):
    """Which of many exams pass at one of the looks, ``(exams,)``; their channels are off by so much."""
    readings = off + np.random.default_rng(seed).standard_normal((EXAMS, plan[-1].replicates, channels))
    ever = np.zeros(EXAMS, bool)
    for look in plan:
        k = look.replicates
        mean, seen = readings[:, :k].mean(axis=1), readings[:, :k].std(axis=1, ddof=1)
        margin = stdtrit(k - 1, 1 - look.estimated) * seen if estimated else -ndtri(look.known)
        ever |= (np.abs(mean) + margin / np.sqrt(k) <= TOLERANCE).all(axis=1)
    return ever


@pytest.mark.parametrize("estimated", [False, True], ids=["known", "estimated"])
@pytest.mark.parametrize(("replicates", "confidence"), [(3, 0.95), (8, 0.8), (8, 0.95), (16, 0.99), (75, 0.95)])
def test_exams_on_the_edge_pass_as_rarely_as_is_said_and_beyond_it_less(replicates, confidence, estimated):
    plan = plan_looks(replicates, confidence)
    on, beyond = (passed(off, plan, seed=1, estimated=estimated).mean() for off in (TOLERANCE, 1.2 * TOLERANCE))
    assert on <= bound(1 - confidence)
    assert beyond < on
    if not estimated and replicates > 3:
        assert on > 2 * (1 - confidence) - bound(1 - confidence), "a known noise spends the rate to the full"


def test_one_channel_on_the_edge_among_good_ones_is_no_way_round():
    plan = plan_looks(8, 0.95)
    assert passed(np.array([0.0, TOLERANCE, 0.0]), plan, seed=2, channels=3).mean() <= bound(0.05)


def deceived(worth):
    """Part of many exams without an end, on the edge, that pass at one of 60 looks; means go by the last 4 readings."""
    rng, mean, weight, past = np.random.default_rng(6), np.zeros(EXAMS), 0.0, tuple[int, ...]()
    variance, ever = 0.0, np.zeros(EXAMS, bool)
    for k in range(1, 63):
        weight = max(1 / k, 1 / 4)
        mean = (1 - weight) * mean + weight * rng.standard_normal(EXAMS)
        variance = (1 - weight) ** 2 * variance + weight**2
        if k >= FEWEST:
            ever |= mean / np.sqrt(variance) >= -ndtri(open_ended(0.05, past, k, 3.0, worth))
            past += (k,)
    return ever.mean()


def test_looks_that_have_little_in_common_are_held_to_a_bound_that_is_farther_off():
    assert deceived(4.0) <= bound(0.05)
    assert deceived(np.inf) > 1.5 * bound(0.05)


def test_exams_within_the_tolerance_pass_and_the_nearer_the_sooner():
    shares = [passed(off * TOLERANCE, plan_looks(10, 0.95), seed=3).mean() for off in (0.0, 0.3, 0.6, 0.9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.95


def test_a_good_candidate_needs_fewer_replicates_than_one_look_at_the_end():
    plan, readings = plan_looks(10, 0.95), np.random.default_rng(4).standard_normal((EXAMS, 10))
    taken = np.full(EXAMS, 10)
    for look in reversed(plan):
        k = look.replicates
        inside = np.abs(readings[:, :k].mean(axis=1)) - ndtri(look.known) / np.sqrt(k) <= TOLERANCE
        taken[inside] = k
    assert taken.mean() < 7


@pytest.mark.parametrize("replicates", [1, 2, 3, 4, 16, 31, 33, 34, 1000, 10_000])
def test_they_end_with_the_last_replicate_and_are_not_too_many(replicates):
    plan = plan_looks(replicates, 0.95)
    numbers = [look.replicates for look in plan]
    assert numbers == sorted(set(numbers))
    assert numbers[0] >= min(FEWEST, replicates)
    assert numbers[-1] == replicates
    assert len(plan) <= MOST
    assert sum(look.estimated for look in plan) == pytest.approx(0.05)
    assert all(look.estimated <= look.known + 1e-9 for look in plan)


def test_one_look_has_the_whole_rate():
    assert single_look(5, 0.9) == ((5, pytest.approx(0.1), pytest.approx(0.1)),)
    assert plan_looks(3, 0.9)[0] == pytest.approx(single_look(3, 0.9)[0])


def test_they_are_read_as_they_were_written():
    plan = plan_looks(7, 0.95)
    assert looks_from_json([list(look) for look in plan]) == plan
    assert looks_from_json(None) == ()
