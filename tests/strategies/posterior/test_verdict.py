"""The verdict is about the target: pooled readings, a level that is spent once, nothing borrowed from the design."""

import numpy as np
import pytest
from scipy.special import ndtri

from sdl.analysis.group_sequential import open_ended
from sdl.history import Verdict
from sdl.space import Window
from strategies.posterior.posterior import learn_all
from strategies.posterior.reach import noise_correlation
from strategies.posterior.rows import PACE, TOGETHER, Pursuit, Rows, Statement
from strategies.posterior.verdict import judge, looks

TARGET, TOLERANCE = np.array([2.0]), np.array([0.1])
HERE = np.array([0.5, 0.5])
NOISE = 0.06


def readings(places, true, pursuit, seed=0, noise=NOISE):
    """Rows of a plane that reads ``true`` at ``HERE``, after a design of five."""
    rng, instrument = (
        np.random.default_rng(seed),
        Statement(np.full(1, NOISE), *np.inf * np.array([[-1.0], [1.0]]), np.zeros(2)),
    )
    rows = Rows.empty(2, 1)
    design = [np.array(place) for place in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.2))]
    for place, target in zip([*design, *places], [-1] * 5 + list(pursuit), strict=True):
        value = true + 2 * (place - HERE).sum() + noise * rng.standard_normal()
        rows = rows.with_row(place, np.array([value]), instrument, target)
    return rows, instrument


def verdict(rows, instrument, target=0):
    return judge(learn_all(rows, instrument), Pursuit(target, Window.about(TARGET, TOLERANCE)))


def test_there_is_no_verdict_without_two_fresh_readings_at_the_very_settings():
    places = [HERE, HERE + 0.01, HERE - 0.01]
    assert verdict(*readings(places, 2.0, [0] * 3)) is None
    assert verdict(*readings([*places, HERE - 0.01], 2.0, [0] * 4)) is not None


def test_good_settings_are_verified_and_bad_ones_refuted():
    assert verdict(*readings([HERE] * 8, 2.0, [0] * 8)).verdict is Verdict.VERIFIED
    assert verdict(*readings([HERE] * 8, 2.3, [0] * 8)).verdict is Verdict.REFUTED


def test_readings_near_by_count_moved_by_the_slopes():
    places = [HERE + 0.04, HERE - 0.04, HERE + 0.02, HERE - 0.02, HERE, HERE]
    found = verdict(*readings(places, 2.0, [0] * 6))
    assert found.readings == 6
    assert NOISE / np.sqrt(7) < found.deviation[0] < NOISE / np.sqrt(3)


def test_the_design_lends_no_level():
    """Readings of a step that begins beside the design are judged by themselves."""
    rows, instrument = readings([HERE] * 6, 2.0, [0] * 6)
    moved = rows.readings + np.where(rows.pursuit < 0, 0.3, 0.0)[:, None]
    shifted = Rows(**{**vars(rows), "readings": moved})
    assert verdict(shifted, instrument).mean[0] == pytest.approx(rows.readings[5:].mean(), abs=0.02)


def test_readings_of_another_target_do_not_count():
    assert verdict(*readings([HERE] * 6, 2.0, [1] * 4 + [0] * 2)) is None


def test_noise_beyond_its_statement_widens_the_margin():
    stated, larger = (verdict(*readings([HERE] * 8, 2.0, [0] * 8, noise=noise)) for noise in (NOISE, 3 * NOISE))
    assert larger.noise[0] > 1.7 * stated.noise[0]


def test_looks_are_counted_for_the_target_and_not_for_the_place():
    there = HERE + 0.4
    rows, _ = readings([HERE] * 4 + [there] * 3, 2.0, [0] * 7)
    assert looks(rows, Pursuit(0, Window.about(TARGET, TOLERANCE))) == (3, 4, 5)


@pytest.mark.parametrize(("pace", "looked"), [(PACE, range(3, 43)), (TOGETHER, (3, 6, 10, 16, 42))])
def test_the_levels_of_all_looks_add_up_to_the_stated_rate(pace, looked):
    """Means of readings on the edge, looked at forty times, or after each plate."""
    rng, passed, past = np.random.default_rng(0), np.zeros(20000, bool), ()
    sums = np.zeros(20000)
    for k in range(1, 43):
        sums += rng.standard_normal(20000)
        if k in looked:
            level = open_ended(0.05, past, k, pace)
            passed |= sums / np.sqrt(k) > -ndtri(level)
            past += (k,)
    assert passed.mean() == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("fresh", [2, 4])
def test_a_pursuit_says_how_many_fresh_readings_a_look_needs(fresh):
    pursuit = Pursuit(0, Window.about(TARGET, TOLERANCE), fresh=fresh)
    rows, instrument = readings([HERE] * 4, 2.0, [0] * 4)
    assert looks(rows, pursuit) == tuple(range(max(fresh, 3), 5))
    assert judge(learn_all(rows.first(8), instrument), pursuit) is None or fresh == 2


def test_a_row_that_does_not_tell_of_every_channel_wanted_is_no_reading_of_the_target():
    rows, _ = readings([HERE] * 5, 2.0, [0] * 5)
    masked = Rows(**{**vars(rows), "readings": np.where(rows.order[:, None] == 6, np.nan, rows.readings)})
    assert looks(masked, Pursuit(0, Window.about(TARGET, TOLERANCE))) == (3, 4)


def test_a_channel_that_nobody_wants_and_nothing_was_read_of_changes_nothing():
    rows, instrument = readings([HERE] * 8, 2.0, [0] * 8)
    blank = Rows(**{**vars(rows), "readings": np.hstack((rows.readings, np.full_like(rows.readings, np.nan)))})
    blank = Rows(**{**vars(blank), "censored": np.repeat(rows.censored, 2, axis=1)})
    both = Statement(
        *(np.repeat(part, 2) for part in (instrument.noise, instrument.floor, instrument.ceiling)), instrument.step
    )
    free = Pursuit(0, Window.about(np.array([*TARGET, np.nan]), np.array([*TOLERANCE, np.nan])))
    alone, beside = verdict(rows, instrument), judge(learn_all(blank, both), free)
    assert (beside.verdict, beside.look) == (alone.verdict, alone.look)
    assert beside.mean == pytest.approx(alone.mean, rel=1e-6)
    assert beside.deviation == pytest.approx(alone.deviation, rel=1e-3)


def test_noise_stated_far_too_small_verifies_no_sooner_than_unknown_noise():
    """Readings on the edge, of which the statement would have us believe that they are exact."""
    passed = 0
    for seed in range(24):
        rows, instrument = readings([HERE] * 5, 2.1, [0] * 5, seed=seed)
        bold = Statement(instrument.noise / 4, instrument.floor, instrument.ceiling, instrument.step)
        passed += any(
            (found := verdict(rows.first(n), bold)) is not None and found.verdict is Verdict.VERIFIED for n in (8, 10)
        )
    assert passed <= 3


def test_noise_that_is_passed_on_widens_the_interval():
    def of(passed_on):
        rng, rows = np.random.default_rng(2), Rows.empty(2, 1)
        instrument, noise = Statement.unstated(2, 1), rng.standard_normal()
        for place in range(40):
            noise = passed_on * noise + np.sqrt(1 - passed_on**2) * rng.standard_normal()
            rows = rows.with_row(HERE if place > 4 else rng.random(2), np.array([2.0 + NOISE * noise]), instrument, 0)
        found, pursuit = learn_all(rows, instrument), Pursuit(0, Window.about(TARGET, TOLERANCE))
        judgement = judge(found, pursuit)
        return judgement.deviation[0] / judgement.noise[0], noise_correlation(found, pursuit)[0]

    (alone, independent), (alike, correlated) = of(0.0), of(0.9)
    assert independent < 0.2 < 0.35 < correlated
    assert alike > 1.4 * alone
