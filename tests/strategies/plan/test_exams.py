"""What an exam can expect, how long it should be at most, and when it is worth less than a new one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from sdl.analysis.group_sequential import FEWEST, plan_looks
from strategies.plan.exams import BEGUN, ExamForecast

WHITE = ExamForecast(
    noise=np.array([73.8, 131.7, 72.5]),
    tolerance=np.full(3, 163.8),
    uncertainty=np.full(3, 30.0),
    drift=np.zeros(3),
    confidence=0.95,
)


def outlook(noise=100.0, tolerance=164.0, uncertainty=30.0, drift=0.0, confidence=0.95):
    return ExamForecast(
        *(np.atleast_1d(np.asarray(each, float)) for each in (noise, tolerance, uncertainty, drift)), confidence
    )


outlooks = st.builds(
    outlook,
    noise=st.floats(0, 500),
    tolerance=st.floats(0.1, 500),
    uncertainty=st.floats(0, 500),
    drift=st.floats(0, 100),
    confidence=st.floats(0.6, 0.99),
)
numbers = st.integers(1, 16)


def room(view, look):
    """How far off a mean may be at a look, ``(p,)``."""
    return view.tolerance + ndtri(look.known) * view.noise / np.sqrt(look.replicates)


def first_pass(view, readings, plan):
    """Replicates after which exams ``(exams, n, p)``, less their target, have passed; 0 for those that do not."""
    taken = np.zeros(len(readings), int)
    for look in reversed(plan):
        mean = readings[:, : look.replicates].mean(axis=1)
        taken[(np.abs(mean) <= room(view, look)).all(axis=1)] = look.replicates
    return taken


# ---------------------------------------------------------------------- chances


@pytest.mark.parametrize("n", [3, 6, 12])
@pytest.mark.parametrize(("uncertainty", "drift"), [(0.0, 0.0), (60.0, 0.0), (30.0, 90.0)])
def test_the_chance_is_how_often_such_candidates_pass(n, uncertainty, drift):
    rng, rounds = np.random.default_rng(0), 10_000
    off = uncertainty * rng.standard_normal((rounds, 3))
    light = np.sqrt(drift) * np.cumsum(rng.standard_normal((rounds, n, 3)), axis=1)
    noise = WHITE.noise * rng.standard_normal((rounds, n, 3))
    view = replace(WHITE, uncertainty=np.full(3, uncertainty), drift=np.full(3, drift))
    plan = plan_looks(n, 0.95)
    passed = (first_pass(view, off[:, None] + light + noise, plan) > 0).mean()
    assert passed - 0.11 < view.chance(plan) < passed + 0.01, "a second chance at an earlier look is not counted"


@given(outlooks, numbers)
def test_a_chance_is_a_probability(view, n):
    assert 0 <= view.chance(plan_looks(n, view.confidence)) <= 1


@given(outlooks, numbers, st.floats(1, 10))
def test_more_noise_or_doubt_or_drift_never_helps_and_more_tolerance_never_harms(view, n, factor):
    slack, plan = 1e-9, plan_looks(n, view.confidence)
    for worse in ("noise", "uncertainty", "drift"):
        assert replace(view, **{worse: getattr(view, worse) * factor}).chance(plan) <= view.chance(plan) + slack
    assert replace(view, tolerance=view.tolerance * factor).chance(plan) >= view.chance(plan) - slack


@given(outlooks, numbers, st.integers(0, 50))
def test_learning_never_harms(view, n, more):
    learned, plan = view.learned(more), plan_looks(n, view.confidence)
    assert (learned.uncertainty <= view.uncertainty + 1e-6).all()
    assert learned.chance(plan) >= view.chance(plan) - 1e-6
    assert view.ideal().chance(plan) >= learned.chance(plan) - 1e-6


def test_nothing_learned_leaves_things_as_they_are():
    assert WHITE.learned(0).uncertainty == pytest.approx(WHITE.uncertainty)


def test_where_the_interval_is_wider_than_the_tolerance_nothing_passes():
    plan = plan_looks(9, 0.95)
    assert outlook(noise=1000.0).chance(plan) == 0
    assert outlook(noise=1000.0).ideal().chance(plan) == 0


# ---------------------------------------------------------------------- replicates


@given(outlooks, numbers)
def test_the_number_of_replicates_keeps_to_its_bounds(view, most):
    plan = view.planned(most)
    assert min(FEWEST, most) <= plan[-1].replicates <= most
    assert plan == plan_looks(plan[-1].replicates, view.confidence)


def test_a_wide_tolerance_needs_the_fewest_and_a_narrow_one_more():
    plans = [replace(WHITE, tolerance=np.full(3, width)).planned(16) for width in (2000.0, 400.0, 164.0, 120.0)]
    numbers = [plan[-1].replicates for plan in plans]
    assert numbers[0] == FEWEST
    assert numbers == sorted(numbers)
    assert numbers[-1] > 9


@given(outlooks, numbers)
def test_an_exam_takes_no_more_requests_than_it_has_and_no_fewer_than_its_first_look(view, most):
    plan = view.planned(most)
    assert plan[0].replicates <= view.fate(plan).requests <= plan[-1].replicates


# ---------------------------------------------------------------------- hopeless


PLAN = plan_looks(10, 0.95)
begun = st.integers(BEGUN, 9)


@given(st.floats(0, 60), begun)
def test_a_mean_near_the_target_of_a_good_model_is_not_hopeless(off, k):
    assert not outlook(uncertainty=20.0).hopeless(np.array([off]), k, PLAN)


@given(outlooks, begun, st.floats(0, 300), st.floats(0, 300))
def test_what_is_hopeless_is_more_so_farther_away(view, k, off, farther):
    plan = plan_looks(10, view.confidence)
    if view.hopeless(np.array([off]), k, plan):
        assert view.hopeless(np.array([-off - farther]), k, plan)


def test_a_mean_far_beyond_the_tolerance_is_hopeless():
    assert WHITE.hopeless(np.array([0.0, 0.0, 600.0]), BEGUN, PLAN)


def test_where_nothing_passes_it_is_hopeless_to_go_on():
    assert outlook(noise=1000.0).hopeless(np.zeros(1), BEGUN, PLAN)


def requests_until_passed(view, rng, *, breaks_off):
    """Of exams of a candidate that is mended after each failure by what its replicates said, as well as can be."""
    off, taken = view.uncertainty * rng.standard_normal(3), 0
    while True:
        plan, replicates = view.planned(16), np.empty((0, 3))
        for k in range(1, plan[-1].replicates + 1):
            replicates = np.vstack((replicates, off + view.noise * rng.standard_normal(3)))
            mean, look = replicates.mean(axis=0), next((each for each in plan if each.replicates == k), None)
            if look is not None and (np.abs(mean) <= room(view, look)).all():
                return taken + k
            if breaks_off and BEGUN <= k < plan[-1].replicates and view.hopeless(mean, k, plan):
                break
        taken += k
        off = off - view.uncertainty**2 / (view.uncertainty**2 + view.noise**2 / k) * mean
        view = view.learned(k)


def test_breaking_off_saves_requests():
    view = replace(WHITE, uncertainty=np.array([60.0, 100.0, 75.0]))
    broken, whole = (
        np.mean([requests_until_passed(view, np.random.default_rng(seed), breaks_off=does) for seed in range(200)])
        for does in (True, False)
    )
    assert broken < whole - 1
    assert broken < 10.5
