"""As large, or as small, as possible: a bound that no setting passes by more than the allowance."""

import numpy as np
import pytest

from sdl.space import Interval, Window
from strategies.posterior.extreme import within_reach
from strategies.posterior.posterior import learn_all
from strategies.posterior.rows import Pursuit, Rows, Statement

NOISE, ALLOWANCE, FREE = 0.02, 0.1, Interval.about(np.nan, np.nan)


def hill(settings):
    """A hill whose summit, 1 at (0.3, 0.6), is not among the rows, and a plane; noise-free, ``(n, 2)``."""
    height = np.exp(-(((settings - [0.3, 0.6]) / 0.5) ** 2).sum(axis=1))
    return np.column_stack((height, settings.sum(axis=1)))


def posterior_of(n, sign=1.0):
    rng = np.random.default_rng(5)
    instrument = Statement(np.full(2, NOISE), np.full(2, -np.inf), np.full(2, np.inf), np.zeros(2))
    rows = Rows.empty(2, 2)
    for place in np.random.default_rng(6).random((n, 2)):
        value = hill(place[None])[0] * [sign, 1.0] + NOISE * rng.standard_normal(2)
        rows = rows.with_row(place, value, instrument)
    return learn_all(rows, instrument)


def bound(n, wish, other=FREE, sign=1.0):
    window = within_reach(posterior_of(n, sign), Pursuit(0, Window.of([wish, other])), np.random.default_rng(1))
    return window[0]


@pytest.mark.parametrize("n", [6, 12, 30])
def test_the_bound_of_a_maximum_lies_no_lower_than_the_summit_less_the_allowance(n):
    assert bound(n, Interval.largest(ALLOWANCE)).low >= 1 - ALLOWANCE - 0.01
    assert bound(n, Interval.largest(ALLOWANCE)).high == np.inf


def test_it_falls_as_readings_rule_out_what_might_have_been():
    low = [bound(n, Interval.largest(ALLOWANCE)).low for n in (6, 30)]
    assert low[1] < low[0]
    assert low[1] <= 1 + NOISE - ALLOWANCE / 2


def test_a_minimum_is_the_same_upside_down():
    least = bound(30, Interval.smallest(ALLOWANCE), sign=-1.0)
    assert least.low == -np.inf
    assert least.high == pytest.approx(-1 + ALLOWANCE, abs=2 * NOISE)


def test_what_else_is_wanted_bounds_it():
    """Where the sum of both knobs is to be 1.5 the hill is no higher than 0.84."""
    there = np.exp(-2 * (0.3 / 0.5) ** 2)
    low = bound(30, Interval.largest(ALLOWANCE), Interval.about(1.5, 0.05)).low
    assert there - ALLOWANCE - 0.02 <= low < there + 3 * NOISE + 0.1


def test_where_nothing_seems_to_meet_the_rest_the_bound_is_what_nothing_passes():
    low = bound(12, Interval.largest(ALLOWANCE), Interval.about(7.0, 0.05)).low
    assert low >= 1
