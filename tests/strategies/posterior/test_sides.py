"""Targets with one side: tested on that side alone, at the full rate; where both count nothing has changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdl.analysis.group_sequential import plan_looks, single_look
from sdl.analysis.verification import verify_replicates
from sdl.history import FindingFacts, Verdict, window_facts
from sdl.space import Interval, Window
from strategies.posterior.choice import choose, log_chance
from strategies.posterior.posterior import learn
from strategies.posterior.price import forecast
from strategies.posterior.reach import lost_in_noise, nearest
from strategies.posterior.rows import Pursuit, Rows, Statement
from strategies.posterior.verdict import judge

EXAMS = 2000
HERE, NOISE = np.array([0.5, 0.5]), 0.06
DESIGN = [np.array(place) for place in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.2))]
SLOPES = np.array([[2.0, 1.0], [2.0, 3.0]])
LEAST, MOST, ABOUT = Interval.at_least(2.0), Interval.at_most(2.0), Interval.about(2.0, 0.1)


def pursuit(*intervals):
    return Pursuit(0, Window.of(intervals))


def posterior_of(true=2.0, n=3):
    """Of a plane that reads ``true`` at ``HERE``, after a design of five and ``n`` readings there."""
    for found in growing(np.array([true]), n, np.random.default_rng(0)):
        last = found
    return last


def growing(true, n, rng):
    """The posteriors of ever more rows, of planes that read ``true``, ``(p,)``, at ``HERE``."""
    p, found = len(true), None
    instrument = Statement(np.full(p, NOISE), np.full(p, -np.inf), np.full(p, np.inf), np.zeros(2))
    rows = Rows.empty(2, p)
    for place, number in zip([*DESIGN, *[HERE] * n], [-1] * 5 + [0] * n, strict=True):
        value = true + (place - HERE) @ SLOPES[:, :p] + NOISE * rng.standard_normal(p)
        rows = rows.with_row(place, value, instrument, number)
        if len(rows) >= 2:
            found = learn(rows, instrument, found)
            yield found


def verdict(interval, true, n=8):
    return judge(posterior_of(true, n), pursuit(interval)).verdict


def share(said, intervals, true, n, looks=None, noise=1.0):
    """How often exams whose true readings lie there end with a verdict, at any of their looks."""
    rng, window, ended = np.random.default_rng(17), Window.of(intervals), 0
    looks = looks or single_look(n, 0.95)
    for _ in range(EXAMS):
        taken = np.array(true, float) + noise * rng.standard_normal((n, len(true)))
        for k in range(1, n + 1):
            found = verify_replicates(
                window,
                taken[:k],
                censored=np.zeros((k, len(true)), bool),
                looks=looks,
                confidence=0.95,
                known_noise=np.full(len(true), noise),
                names=[f"c{c}" for c in range(len(true))],
            )
            if found.verdict is not Verdict.INCONCLUSIVE:
                ended += found.verdict is said
                break
    return ended / EXAMS


@pytest.mark.parametrize(("interval", "inside", "outside"), [(LEAST, 2.5, 1.7), (MOST, 1.7, 2.5)])
def test_far_inside_is_verified_and_beyond_the_bound_refuted(interval, inside, outside):
    assert verdict(interval, inside) is Verdict.VERIFIED
    assert verdict(interval, outside) is Verdict.REFUTED


def test_an_equality_is_refuted_where_a_side_is_verified():
    assert verdict(LEAST, 2.5) is Verdict.VERIFIED
    assert verdict(ABOUT, 2.5) is Verdict.REFUTED


@pytest.mark.slow
@pytest.mark.parametrize("interval", [LEAST, MOST])
def test_at_its_bound_a_side_errs_as_rarely_as_it_says(interval):
    assert share(Verdict.VERIFIED, [interval], [2.0], 6) == pytest.approx(0.05, abs=0.014)
    assert share(Verdict.VERIFIED, [interval], [2.0], 6, plan_looks(6, 0.95)) == pytest.approx(0.05, abs=0.014)


@pytest.mark.slow
def test_with_several_channels_one_at_its_bound_is_enough_to_keep_the_rate():
    far = [2.0, 9.0]
    assert share(Verdict.VERIFIED, [LEAST, LEAST], far, 6, plan_looks(6, 0.95)) == pytest.approx(0.05, abs=0.014)
    assert share(Verdict.VERIFIED, [LEAST, LEAST], [2.0, 2.0], 6, plan_looks(6, 0.95)) < 0.01
    assert share(Verdict.REFUTED, [LEAST, MOST], [2.0, 2.0], 6) <= 0.05


def test_one_bound_refutes_at_the_full_rate_and_two_share_it():
    """A mean that lies 2.37 standard errors beyond: of four readings 2.24 refute one bound, and 2.50 either of two."""

    def said(interval):
        return verify_replicates(
            Window.of([interval]),
            np.full((4, 1), 2.0 - 2.37 / 2),
            censored=np.zeros((4, 1), bool),
            looks=single_look(4, 0.95),
            confidence=0.95,
            known_noise=np.ones(1),
            names=["y"],
        ).verdict

    assert said(LEAST) is Verdict.REFUTED
    assert said(Interval.about(7.0, 5.0)) is Verdict.INCONCLUSIVE


@given(
    wanted=st.floats(-1e6, 1e6),
    tolerance=st.floats(1e-3, 1e3),
    reading=st.floats(-2e6, 2e6),
)
def test_about_a_value_the_interval_is_the_tolerance_to_the_last_digit(wanted, tolerance, reading):
    window, at = Window.about(np.array([wanted]), np.array([tolerance])), np.array([reading])
    assert window.room(at)[0] == tolerance - abs(reading - wanted)
    assert window.nearer_bound(at)[0] == (wanted - tolerance if reading < wanted else wanted + tolerance)
    assert window.aim(at[None], at)[0] == wanted
    assert window.sides == 2


def test_a_ceiling_says_at_least_and_so_verifies_at_least_and_refutes_at_most():
    def said(interval):
        return verify_replicates(
            Window.of([interval]),
            np.full((6, 1), np.nan),
            censored=np.ones((6, 1), bool),
            looks=single_look(6, 0.95),
            confidence=0.95,
            known_noise=np.array([0.1]),
            names=["y"],
        ).verdict

    assert [said(interval) for interval in (LEAST, MOST, ABOUT)] == [
        Verdict.VERIFIED,
        Verdict.REFUTED,
        Verdict.REFUTED,
    ]


def test_the_farther_inside_a_side_the_likelier_and_no_place_is_too_far():
    found, places = posterior_of(), np.linspace(0.1, 0.9, 9)[:, None].repeat(2, axis=1)
    assert (np.diff(log_chance(found, pursuit(LEAST), places)) >= 0).all()
    assert (np.diff(log_chance(found, pursuit(MOST), places)) <= 0).all()


def test_the_next_reading_goes_inside_the_side_and_is_forecast_to_verify():
    reading = choose(posterior_of(n=0), pursuit(LEAST), np.random.default_rng(0))
    assert 2 * (reading.settings - HERE).sum() > 0.2
    assert reading.chance > 0.9
    near, far = forecast(posterior_of(n=0), pursuit(LEAST), np.array([HERE + 0.01, HERE + 0.4])).requests
    assert far < near


def test_a_side_beyond_all_that_can_be_had_is_out_of_reach_and_no_other_is():
    found, rng = posterior_of(), np.random.default_rng(0)
    for out, within in ((Interval.at_least(4.5), Interval.at_least(3.5)), (Interval.at_most(-0.5), MOST)):
        place = nearest(found, pursuit(out), rng)
        assert place.out_of_reach
        assert place.readings[0] == pytest.approx(4.0 if out.low > 0 else 0.0, abs=0.2)
        assert not nearest(found, pursuit(within), rng).out_of_reach


def test_a_single_bound_is_never_lost_in_noise():
    found = posterior_of(n=12)
    assert lost_in_noise(found, pursuit(Interval.about(2.0, 1e-4)), 12)
    assert not lost_in_noise(found, pursuit(LEAST), 12)


def test_of_rows_the_one_that_all_channels_are_farthest_inside_at_says_what_to_ask_for():
    window = Window.of([Interval.at_least(2.0), Interval.about(5.0, 1.0), Interval.at_most(1.0)])
    rows = np.array([[9.0, 9.0, 0.0], [3.0, 5.5, 0.5], [1.0, 5.0, 0.0], [np.nan, 5.0, 0.0]])
    assert window.aim(rows, np.ones(3)).tolist() == [3.0, 5.0, 0.5]
    assert window.aim(rows[2:3], np.ones(3)).tolist() == [2.0, 5.0, 0.0]


@pytest.mark.parametrize("intervals", [[ABOUT], [LEAST, ABOUT, MOST]])
def test_what_was_wanted_comes_back_from_the_ledger(intervals):
    window = Window.of(intervals)
    facts = FindingFacts.from_json(FindingFacts(**window_facts(window)).to_json())
    assert [facts.window[c] for c in range(len(intervals))] == intervals
    assert ("tolerance" in facts.to_json()) is (len(intervals) == 1)


@pytest.mark.slow
def test_verdicts_by_the_posterior_at_the_bound_are_as_rarely_false_as_they_say():
    """Targets at their bounds, looked at after each of up to ten readings, with the posterior that a campaign has."""
    rng = np.random.default_rng(29)
    said = [first_verdict([LEAST], rng) for _ in range(40)]
    assert sum(each is Verdict.VERIFIED for each in said) <= 5  # of 40 at 5 %: seldom more
    assert sum(each is Verdict.REFUTED for each in said) <= 5


def first_verdict(intervals, rng):
    """The first verdict but INCONCLUSIVE on a target whose true readings lie exactly on its bounds."""
    for found in growing(np.full(len(intervals), 2.0), 10, rng):
        judgement = judge(found, pursuit(*intervals))
        if judgement is not None and judgement.verdict is not Verdict.INCONCLUSIVE:
            return judgement.verdict
    return Verdict.INCONCLUSIVE
