"""A target pursued in memory on the posterior: to a verdict that the noise-free truth bears out, in few requests."""

import numpy as np
import pytest

from sdl.history import Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.designs import MaximinLatinHypercube
from strategies.posterior import Pursuit, Statement
from strategies.posterior.simulation import pursue_target

COLUMNS = [1, 3, 6]
WHITE = np.full(3, 16384.0)


def pursued(twin, wanted, tolerance, seed=0, budget=60):
    space = twin.space

    def read(settings):
        reply = twin.measure(space.named_settings(space.from_unit(settings)))
        return space.readings(reply.readings)[COLUMNS]

    rng = np.random.default_rng([seed, 1])
    design = space.to_unit(MaximinLatinHypercube().propose(space, 4, rng))
    return pursue_target(read, Statement.of(space, COLUMNS), Pursuit(0, wanted, tolerance), design, budget, rng)


@pytest.mark.parametrize("seed", range(3))
def test_the_papers_target_is_verified_at_settings_that_truly_give_it(seed):
    twin = Twin(seed=seed)
    outcome = pursued(twin, WHITE, 0.01 * WHITE, seed)
    assert outcome.verdict is Verdict.VERIFIED
    assert outcome.requests <= 25
    true = twin.truth(twin.space.from_unit(outcome.settings))[COLUMNS]
    assert (np.abs(true - WHITE) <= 0.013 * WHITE).all()


def test_what_no_settings_give_is_said_to_be_out_of_reach():
    outcome = pursued(Twin(seed=3), np.array([40000.0, 12000.0, 9000.0]), np.array([800.0, 240.0, 180.0]))
    assert outcome.verdict is Verdict.NOT_REACHABLE


def test_a_tolerance_far_below_the_noise_is_given_up_before_the_budget_is_spent():
    outcome = pursued(Twin(seed=4), WHITE, np.full(3, 2.0))
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.requests < 60
    assert "noise" in outcome.reason


def test_a_budget_too_small_to_learn_anything_says_so():
    with pytest.raises(ValueError, match="begins with at least two readings, got 1"):
        pursued(Twin(seed=5), WHITE, 0.01 * WHITE, budget=1)


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_the_same_target_in_other_units_sends_the_same_requests(unit):
    def sent(unit):
        rng, settings = np.random.default_rng(6), []

        def read(place):
            settings.append(place)
            return unit * (
                np.array([1.0, 2.0]) + place @ np.array([[1.0, 0.3], [0.2, 1.5]]) + 0.02 * rng.standard_normal(2)
            )

        instrument = Statement(np.array([0.02, np.nan]) * unit, np.full(2, -np.inf), np.full(2, np.inf), np.zeros(2))
        pursuit = Pursuit(0, unit * np.array([1.7, 3.0]), unit * np.full(2, 0.04))
        design = np.array([[0.1, 0.2], [0.9, 0.3], [0.3, 0.9], [0.7, 0.7]])
        outcome = pursue_target(read, instrument, pursuit, design, 40, np.random.default_rng(7))
        return outcome.verdict, np.array(settings)

    (here, settings), (there, others) = sent(1.0), sent(unit)
    assert here is there is Verdict.VERIFIED
    assert others == pytest.approx(settings, abs=1e-6)


def test_noise_passed_on_from_reading_to_reading_is_told_where_it_is_too_strong():
    rng, noise = np.random.default_rng(8), 0.0

    def read(place):
        nonlocal noise
        noise = 0.97 * noise + np.sqrt(1 - 0.97**2) * rng.standard_normal()
        return np.array([place @ np.array([1.0, 2.0]) + 0.2 * noise])

    design = np.array([[0.1, 0.2], [0.9, 0.3], [0.3, 0.9], [0.7, 0.7]])
    pursuit = Pursuit(0, np.array([1.5]), np.array([0.05]))
    outcome = pursue_target(read, Statement.unstated(2, 1), pursuit, design, 60, np.random.default_rng(9))
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "passes" in outcome.reason
