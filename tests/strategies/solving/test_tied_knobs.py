"""Knobs that follow from the others: found where rows keep a rule without exception, and kept in every answer."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sdl.space import Channel, Knob, Space
from strategies.solving.tied_knobs import TiedKnobs


def space(settings):
    bounds = zip("abcdef", settings.min(axis=0).tolist(), settings.max(axis=0).tolist(), strict=False)
    knobs = tuple(Knob(name=name, low=low, high=high if high > low else low + 1) for name, low, high in bounds)
    return Space(knobs=knobs, channels=(Channel(name="y"),))


def amounts(n, d, total, digits, seed=0):
    return np.round(np.random.default_rng(seed).dirichlet(np.ones(d), n) * total, digits)


@example(669, 5, (1.0, 3))
@example(363, 6, (1.0, 3))
@given(st.integers(0, 1000), st.integers(3, 6), st.sampled_from([(1.0, 6), (1.0, 3), (100.0, 1)]))
def test_amounts_that_add_up_to_a_whole_do_so_in_every_answer(seed, d, whole):
    total, digits = whole
    settings = amounts(40, d, total, digits, seed)
    ties = TiedKnobs.find(space(settings), settings)
    assert ties.free == tuple(range(d - 1))
    assert ties.notes == [f"{', '.join('abcdef'[:d])} add up to {total:g} in every row, so they do in every answer"]
    points = ties.space.from_unit(np.random.default_rng(seed).random((50, d - 1)))
    np.testing.assert_allclose(ties.whole(points).sum(axis=1), total, atol=0.1 * 10.0**-digits * total)
    allowed = ties.allow(points)
    assert ties.every.contains(ties.whole(points[allowed])).all()
    assert not ties.every.contains(ties.whole(points[~allowed])).any()


def test_a_knob_that_never_moved_stays_where_it_was():
    settings = np.column_stack((np.linspace(0, 1, 9), np.full(9, 0.3)))
    ties = TiedKnobs.find(space(settings), settings)
    assert ties.free == (0,)
    assert ties.whole(np.array([[0.5]])).tolist() == [[0.5, 0.3]]
    assert ties.notes == ["b never moved, so nothing is known of what it does", "every answer keeps b at 0.3"]


def test_two_knobs_that_go_together_go_together_in_every_answer():
    celsius = np.array([20.0, 25, 40, 60, 80, 90])
    settings = np.column_stack((celsius, 1.8 * celsius + 32))
    ties = TiedKnobs.find(space(settings), settings)
    assert ties.whole(np.array([50.0])).tolist() == pytest.approx([50, 122])
    assert ties.notes == ["b goes with a in every row, so it does in every answer"]
    assert ties.spread(np.array([1.0])).tolist() == pytest.approx([1, 1.8])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [2, 4, 6, 40])
def test_knobs_that_move_freely_are_all_free(n, seed):
    settings = np.random.default_rng(seed).random((n, 4))
    assert TiedKnobs.find(space(settings), settings).free[: n - 1] == tuple(range(min(n - 1, 4)))
    if n > 4:
        assert TiedKnobs.find(space(settings), settings).free == (0, 1, 2, 3)


def test_amounts_that_were_rounded_add_up_to_the_round_number():
    settings = amounts(40, 3, 100.0, 1)
    assert 99.8 <= settings.sum(axis=1).min() < 100 < settings.sum(axis=1).max() <= 100.2
    assert (
        TiedKnobs.find(space(settings), settings + np.array([0, 0, 0.01]))
        .notes[0]
        .startswith("a, b, c add up to 100 in")
    )


def test_one_row_beyond_the_rule_breaks_it():
    settings = amounts(30, 3, 1.0, 4)
    settings[7] *= 0.9
    assert TiedKnobs.find(space(settings), settings).free == (0, 1, 2)


@given(st.integers(0, 1000), st.integers(3, 5), st.sampled_from([(100.0, 0), (1.0, 2), (50.0, 0)]))
def test_so_do_amounts_that_were_written_in_whole_percent(seed, d, whole):
    total, digits = whole
    settings = amounts(40, d, total, digits, seed)
    assume(np.ptp(settings, axis=0).min() > 11 * d * 10.0**-digits)
    ties = TiedKnobs.find(space(settings), settings)
    assert ties.notes == [f"{', '.join('abcdef'[:d])} add up to {total:g} in every row, so they do in every answer"]


@given(st.integers(0, 1000), st.sampled_from([(1.0, 9), (1.0, 3), (100.0, 0)]), st.booleans())
def test_a_sum_that_some_rows_break_is_told(seed, whole, heated):
    total, digits = whole
    settings = amounts(30, 3, total, digits, seed)
    settings[7] += 0.2 * total
    if heated:
        settings = np.column_stack((settings, np.random.default_rng(seed).uniform(20, 90, len(settings))))
    ties = TiedKnobs.find(space(settings), settings)
    assert ties.free == tuple(range(settings.shape[1]))
    assert len(ties.notes) == 1
    assert ties.notes[0].startswith(f"a, b, c add up to {total:g}, but not in 1 of ")


@pytest.mark.parametrize("d", [3, 5, 8])
def test_one_knob_moved_after_the_other_is_no_sum(d):
    middle, step = np.full(d, 5.0), np.arange(-2.0, 3.0)
    settings = np.array([middle + move * (np.arange(d) == column) for column in range(d) for move in step])
    assert TiedKnobs.find(space(settings), settings).notes == []
