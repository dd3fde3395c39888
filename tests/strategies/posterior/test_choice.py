"""Where to read next, for instruments of several kinds; and when there is nowhere."""

import numpy as np
import pytest

from sdl.history import Verdict
from sdl.space import Window
from strategies.posterior.choice import choose, searched
from strategies.posterior.posterior import learn, learn_all
from strategies.posterior.reach import lost_in_noise, nearest
from strategies.posterior.rows import Pursuit, Rows, Statement
from strategies.posterior.verdict import judge

CORNERS = np.array([[0.1, 0.1], [0.9, 0.2], [0.2, 0.9], [0.8, 0.8]])


def instrument(*, noise=np.nan, ceiling=np.inf, step=(0.0, 0.0), channels=1):
    noises, floors, ceilings = (np.full(channels, value) for value in (noise, -np.inf, ceiling))
    return Statement(noises, floors, ceilings, np.array(step))


def campaign(truth, target, tolerance, about, *, noise=0.02, most=30, seed=0):
    """Read on until a verdict: its kind, the requests, and whether the settings are truly within."""
    rng, rows, found = np.random.default_rng(seed), Rows.empty(2, 1), None
    pursuit = to(target, tolerance)

    def read(rows, settings, pursuit):
        value = min(truth(settings) + noise * rng.standard_normal(), float(about.ceiling[0]))
        return rows.with_row(settings, np.array([value]), about, pursuit)

    for settings in about.applied(CORNERS):
        rows = read(rows, settings, -1)
        found = learn(rows, about, found)
    while len(rows) < most:
        rows = read(rows, choose(found, pursuit, rng).settings, 0)
        found = learn(rows, about, found)
        judgement = judge(found, pursuit)
        if judgement is not None and judgement.verdict is Verdict.VERIFIED:
            return "verified", len(rows), abs(truth(judgement.settings) - target) <= tolerance
        refuted = judgement is not None and judgement.verdict is Verdict.REFUTED
        if refuted and nearest(found, pursuit, rng).out_of_reach:
            return "not reachable", len(rows), False
    return "spent", len(rows), False


def to(target, tolerance):
    return Pursuit(0, Window.about(np.array([target]), np.array([tolerance])))


def slope(settings):
    return 1.0 + settings @ np.array([1.0, 2.0])


def test_a_target_is_verified_though_the_noise_is_unknown():
    ending, requests, right = campaign(slope, 2.5, 0.05, instrument())
    assert (ending, right) == ("verified", True)
    assert requests <= 14


def test_a_low_ceiling_is_left_downwards():
    ending, requests, right = campaign(slope, 1.6, 0.05, instrument(ceiling=2.2))
    assert (ending, right) == ("verified", True)
    assert requests <= 18


def test_what_no_settings_give_is_said_to_be_out_of_reach():
    assert campaign(slope, 4.3, 0.05, instrument())[0] == "not reachable"


def test_a_grid_is_searched_as_one_and_is_out_of_reach_when_all_points_are_told():
    grid = instrument(step=(0.25, 0.5))
    assert len(grid.grid) == 15
    assert campaign(slope, 3.25, 0.05, grid)[0] == "verified"
    assert campaign(slope, 3.125, 0.05, grid)[0] == "not reachable"


def test_steps_that_do_not_end_at_the_upper_bound_stay_within():
    assert instrument(step=(0.3, 0.0)).applied(np.array([1.0, 1.2])).tolist() == [pytest.approx(0.9), 1.0]


def rows_of(truth, about, settings, noise=0.02):
    rng, rows = np.random.default_rng(1), Rows.empty(2, len(about.noise))
    for place in settings:
        rows = rows.with_row(place, truth(place) + noise * rng.standard_normal(len(about.noise)), about)
    return rows


def test_another_answer_is_sought_away_from_those_there_are():
    about = instrument()
    found = learn_all(rows_of(slope, about, CORNERS), about)
    answers = np.array([[0.5, 0.5]])
    pool = searched(found, to(2.5, 0.05), np.random.default_rng(0), answers)
    assert (np.abs(pool - answers).max(axis=1) > 0.1).all()
    chosen = choose(found, to(2.5, 0.05), np.random.default_rng(0), answers).settings
    assert slope(chosen) == pytest.approx(2.5, abs=0.2)


def test_the_nearest_is_never_worse_than_the_best_row():
    about = instrument()
    peak = lambda place: 4.0 if np.allclose(place, CORNERS[1]) else 1.0  # noqa: E731
    found = learn_all(rows_of(peak, about, np.repeat(CORNERS, 3, axis=0)), about)
    place = nearest(found, to(4.4, 0.1), np.random.default_rng(0))
    assert place.readings[0] > 3.9


def test_the_nearest_of_two_channels_is_between_what_each_of_them_wants():
    about = instrument(channels=2)
    both = lambda place: np.array([1.0, 2.0]) * slope(place)  # noqa: E731
    found = learn_all(rows_of(both, about, np.repeat(CORNERS, 4, axis=0)), about)
    wanted = Pursuit(0, Window.about(np.array([1.5, 5.0]), np.array([0.1, 0.1])), 0.05)
    place = nearest(found, wanted, np.random.default_rng(0))
    assert place.out_of_reach
    assert slope(place.settings) == pytest.approx(6.5 / 3, abs=0.1), "as far off in one channel as in the other"


def test_what_lies_between_the_points_of_a_grid_brings_no_target_within_reach():
    grid = instrument(step=(0.25, 0.5))
    found = learn_all(rows_of(slope, grid, np.repeat(grid.grid, 3, axis=0)), grid)
    between = np.array([[0.5, 0.8125]])  # settings that a model may well offer
    assert slope(between[0]) == 3.125
    assert nearest(found, to(3.125, 0.05), np.random.default_rng(0), between).out_of_reach


def test_noise_that_no_budget_beats_is_told_at_its_lower_bound():
    about = instrument()
    found = learn_all(rows_of(slope, about, np.repeat(CORNERS, 4, axis=0), noise=0.5), about)
    assert lost_in_noise(found, to(2.5, 0.05), 20)
    assert not lost_in_noise(found, to(2.5, 0.5), 20)
