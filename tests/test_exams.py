"""What an exam can expect, how long it should be, and when it is pointless to go on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdl.verification import half_width
from strategies.exams import CHUNK, FEWEST, Outlook

WHITE = Outlook(
    noise=np.array([73.8, 131.7, 72.5]),
    tolerance=np.full(3, 163.8),
    uncertainty=np.full(3, 30.0),
    drift=np.zeros(3),
    confidence=0.95,
)


def outlook(noise=100.0, tolerance=164.0, uncertainty=30.0, drift=0.0, confidence=0.95):
    return Outlook(
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


# ---------------------------------------------------------------------- chances


@pytest.mark.parametrize("n", [3, 6, 12])
@pytest.mark.parametrize(("uncertainty", "drift"), [(0.0, 0.0), (60.0, 0.0), (30.0, 90.0)])
def test_the_chance_is_how_often_such_candidates_pass(n, uncertainty, drift):
    rng, rounds = np.random.default_rng(0), 20_000
    off = uncertainty * rng.standard_normal((rounds, 3))
    light = np.sqrt(drift) * np.cumsum(rng.standard_normal((rounds, n, 3)), axis=1)
    noise = WHITE.noise * rng.standard_normal((rounds, n, 3))
    mean = off + (light + noise).mean(axis=1)
    passed = (np.abs(mean) + half_width(WHITE.noise, n, 0.95) <= WHITE.tolerance).all(axis=1).mean()
    chance = replace(WHITE, uncertainty=np.full(3, uncertainty), drift=np.full(3, drift)).chance(n)
    assert chance == pytest.approx(passed, abs=0.03)


@given(outlooks, numbers)
def test_a_chance_is_a_probability(view, n):
    assert 0 <= view.chance(n) <= 1


@given(outlooks, numbers, st.floats(1, 10))
def test_more_noise_or_doubt_or_drift_never_helps_and_more_tolerance_never_harms(view, n, factor):
    slack = 1e-9
    for worse in ("noise", "uncertainty", "drift"):
        assert replace(view, **{worse: getattr(view, worse) * factor}).chance(n) <= view.chance(n) + slack
    assert replace(view, tolerance=view.tolerance * factor).chance(n) >= view.chance(n) - slack


@given(outlooks, numbers)
def test_in_a_steady_light_one_more_replicate_never_harms(view, n):
    steady = replace(view, drift=np.zeros(1))
    assert steady.chance(n + 1) >= steady.chance(n) - 1e-9


@given(outlooks, numbers, st.integers(0, 50))
def test_learning_never_harms(view, n, more):
    learned = view.learned(more)
    assert (learned.uncertainty <= view.uncertainty + 1e-6).all()
    assert learned.chance(n) >= view.chance(n) - 1e-6
    assert view.ideal().chance(n) >= learned.chance(n) - 1e-6


def test_nothing_learned_leaves_things_as_they_are():
    assert WHITE.learned(0).uncertainty == pytest.approx(WHITE.uncertainty)


def test_where_the_interval_is_wider_than_the_tolerance_nothing_passes():
    assert outlook(noise=1000.0).chance(9) == 0
    assert outlook(noise=1000.0).ideal().chance(9) == 0


# ---------------------------------------------------------------------- replicates


@given(outlooks, numbers)
def test_the_number_of_replicates_keeps_to_its_bounds(view, most):
    assert min(FEWEST, most) <= view.replicates(most) <= most


def test_a_wide_tolerance_needs_the_fewest_and_a_narrow_one_more():
    numbers = [replace(WHITE, tolerance=np.full(3, width)).replicates(16) for width in (2000.0, 400.0, 164.0, 120.0)]
    assert numbers[0] == FEWEST
    assert numbers == sorted(numbers)
    assert numbers[-1] > 9


# ---------------------------------------------------------------------- hopeless


@given(outlooks, st.integers(1, 5).map(lambda chunks: chunks * CHUNK), st.integers(1, 16))
def test_a_mean_on_target_is_never_hopeless(view, k, left):
    assert not view.hopeless(np.zeros(1), k, k + left)


@given(st.floats(0, 60), st.integers(1, 4).map(lambda chunks: chunks * CHUNK))
def test_a_mean_near_the_target_of_a_good_model_is_not_hopeless(off, k):
    assert not outlook(uncertainty=20.0).hopeless(np.array([off]), k, 16)


@given(outlooks, st.integers(1, 16), st.floats(0, 300), st.floats(0, 300))
def test_what_is_hopeless_is_more_so_farther_away(view, left, off, farther):
    if view.hopeless(np.array([off]), CHUNK, CHUNK + left):
        assert view.hopeless(np.array([-off - farther]), CHUNK, CHUNK + left)


def test_a_mean_far_beyond_the_tolerance_is_hopeless():
    assert WHITE.hopeless(np.array([0.0, 0.0, 600.0]), 3, 9)


def test_breaking_off_costs_few_passes_and_saves_many_requests():
    rng, planned, rounds = np.random.default_rng(1), 12, 2000
    view = replace(WHITE, uncertainty=np.full(3, 100.0))
    off = view.uncertainty * rng.standard_normal((rounds, 3))
    readings = off[:, None] + view.noise * rng.standard_normal((rounds, planned, 3))
    room = view.tolerance - half_width(view.noise, planned, view.confidence)
    passes = (np.abs(readings.mean(axis=1)) <= room).all(axis=1)
    broken = np.array(
        [next((k for k in (3, 6, 9) if view.hopeless(r[:k].mean(axis=0), k, planned)), planned) for r in readings]
    )
    assert (passes & (broken < planned)).sum() < 0.1 * passes.sum()
    assert broken[~passes].mean() < 7
