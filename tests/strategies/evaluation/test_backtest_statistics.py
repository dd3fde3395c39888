"""What many runs amount to: intervals, a learning curve, and sentences that say who wins and how certainly."""

import numpy as np
import pytest

from strategies.evaluation.backtest import BacktestRun
from strategies.evaluation.backtest_statistics import (
    bootstrap_interval,
    intervals_overlap,
    rank_standings,
    say_ranking,
    share_interval,
    sum_up_strategy,
    summarise_curves,
)


def test_shares_have_wilsons_interval():
    assert share_interval(9, 10) == {
        "value": 0.9,
        "low": pytest.approx(0.5958, abs=1e-4),
        "high": pytest.approx(0.9821, abs=1e-4),
    }
    assert share_interval(0, 0) == {"value": None, "low": None, "high": None}


def test_interval_of_the_median_holds_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = [bootstrap_interval(rng.exponential(1, 40).tolist(), np.median) for _ in range(200)]
    assert 0.88 <= np.mean([each["low"] <= np.log(2) <= each["high"] for each in held]) <= 0.99


def test_one_run_has_no_interval_and_can_be_told_from_nothing():
    alone = bootstrap_interval([7.0], np.median)
    assert alone == {"value": 7.0, "low": None, "high": None}
    assert intervals_overlap(alone, bootstrap_interval([90.0, 91.0], np.median))


def made(strategy, requests, budget=60):
    runs = [BacktestRun(n, n < budget, "ended", n < budget or None, 1, 1, 0, [None, 9.0, 0.5][:n]) for n in requests]
    return sum_up_strategy(strategy, dict(enumerate(runs)), 5)


def test_acquisitions_that_chose_no_reading_are_not_compared():
    order = rank_standings([made("sdl", [9, 10]), made("sdl:random", [9, 10])])
    assert say_ranking(order, 60)[-1] == (
        "sdl:random: the acquisition chose no reading in any run, so nothing is said of how good it is."
    )
    order[1]["learned"] = 0.5
    assert "chose no reading" not in say_ranking(order, 60)[-1]


def ended(requests):
    return BacktestRun(requests, True, "", True, 1, 1, 0, [1.0])


def test_strategies_are_compared_seed_by_seed():
    """Seeds differ by far more than the strategies do, and both have to have run them."""
    ours = {seed: ended(10 + 5 * seed) for seed in range(9)}
    other = {seed: ended(13 + 5 * seed) for seed in range(2, 12)}
    assert sum_up_strategy("other", other, 5, ours)["more"] == {"value": 3.0, "low": 3.0, "high": 3.0}
    assert sum_up_strategy("sdl", ours, 5)["more"] == {"value": None, "low": None, "high": None}


def test_sentences_say_who_wins_and_whether_that_is_certain():
    ours, near, far = made("sdl", range(10, 30)), made("near", range(11, 31)), made("far", range(40, 60))
    said = " ".join(say_ranking(rank_standings([far, near, ours]), 60))
    assert "Our own loop needs the fewest requests: 19.5" in said
    assert "overlaps with that of near" in said
    assert "better than far by intervals that do not overlap" in said


def test_sentences_say_that_a_peer_wins():
    said = " ".join(say_ranking(rank_standings([made("sdl", range(40, 60)), made("peer", range(10, 30))]), 60))
    assert "peer needs the fewest requests" in said
    assert "A peer is ahead here: our own loop needs 49.5" in said
    assert "is clearly behind" in said


def test_sentences_say_that_nobody_gets_there():
    assert say_ranking(rank_standings([made("sdl", [60, 60])]), 60) == [
        "No strategy is VERIFIED within 60 requests in the median."
    ]


def test_learning_curve_begins_when_all_have_begun_and_stays_where_a_run_ended():
    found = summarise_curves([[None, 8.0, 2.0], [None, None, 4.0, 4.0]], 5)
    assert found["median"] == [None, None, 3.0, 3.0, 3.0]
