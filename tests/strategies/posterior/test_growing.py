"""The posterior of rows is a matter of the rows alone: whoever asks, in whatever order, and after a restart."""

import numpy as np
import pytest

from strategies.posterior.growing import GrowingPosterior, are_enough
from strategies.posterior.posterior import EVERY, learn_all
from strategies.posterior.rows import Rows, Statement

ABOUT = Statement.unstated(2, 1)
PLACES = np.random.default_rng(5).random((20, 2))


def read(n, seed=0):
    """Rows of a bent response, the reference first."""
    rng, rows = np.random.default_rng(seed), Rows.empty(2, 1)
    for place in [np.zeros(2), *rng.random((n - 1, 2))]:
        value = np.sin(3 * place[0]) + 2 * place[1] + 0.02 * rng.standard_normal()
        rows = rows.with_row(place, np.array([value]), ABOUT, reference=not place.any())
    return rows


def says(posterior):
    return np.hstack(posterior.at(PLACES))


@pytest.mark.parametrize("n", [2, EVERY, EVERY + 1, 23])
def test_it_is_the_same_for_who_asks_after_each_row_and_for_who_asks_once(n):
    rows, patient = read(23), GrowingPosterior(ABOUT)
    along = [says(patient.of(rows.first(k))) for k in range(2, 24)]
    np.testing.assert_array_equal(says(GrowingPosterior(ABOUT).of(rows.first(n))), along[n - 2])


def test_it_is_the_same_after_a_question_about_fewer_rows():
    rows, asked = read(18), GrowingPosterior(ABOUT)
    once = says(asked.of(rows))
    asked.of(rows.first(5))
    np.testing.assert_array_equal(says(asked.of(rows)), once)


def test_while_hyperparameters_are_learned_with_each_row_it_is_what_learning_row_by_row_gives():
    rows = read(EVERY)
    np.testing.assert_array_equal(says(GrowingPosterior(ABOUT).of(rows)), says(learn_all(rows, ABOUT)))


def test_other_rows_are_not_taken_for_those_it_knows():
    """A reading that was distrusted since is gone from the rows."""
    asked, rows, other = GrowingPosterior(ABOUT), read(8), read(8, seed=1)
    asked.of(rows)
    np.testing.assert_array_equal(says(asked.of(other)), says(GrowingPosterior(ABOUT).of(other)))


def test_nothing_is_learned_twice(monkeypatch):
    learned, asked = [], GrowingPosterior(ABOUT)
    import strategies.posterior.growing as module

    learn = module.learn
    monkeypatch.setattr(
        module, "learn", lambda rows, *args, anew: learned.append((len(rows), anew)) or learn(rows, *args, anew=anew)
    )
    rows = read(12)
    for n in (4, 8, 12, 12):
        asked.of(rows.first(n))
    assert learned == [(n, True) for n in range(2, 13)]


def test_earlier_rows_come_first_and_make_one_row_of_today_enough():
    asked, today = GrowingPosterior(ABOUT), read(3)
    with pytest.raises(AssertionError, match="a posterior is of 2 readings of every channel at least"):
        asked.of(today.first(1))
    lesson = Rows(**{**vars(read(12)), "apart": np.full(12, 0.05), "order": np.arange(-500.0, -488.0)})
    found = asked.of(today.first(1), lesson)
    assert len(found.rows) == 13
    assert found.rows.order[-1] == 0
    again = GrowingPosterior(ABOUT).of(today, lesson)
    np.testing.assert_array_equal(says(asked.of(today, lesson)), says(again))


def test_a_channel_that_the_lesson_lacks_is_known_from_today_on():
    about, lesson = Statement.unstated(2, 2), Rows.empty(2, 2)
    rng, today = np.random.default_rng(0), Rows.empty(2, 2)
    for place in rng.random((6, 2)):
        lesson = lesson.with_row(place, np.array([place.sum(), np.nan]), about)
    for place in rng.random((3, 2)):
        today = today.with_row(place, np.array([place.sum(), place[0]]), about)
    lesson = Rows(**{**vars(lesson), "apart": np.full(6, 0.05), "order": np.arange(-500.0, -494.0)})
    assert [are_enough(today.first(n), lesson) for n in range(4)] == [False, False, True, True]
    mean, _ = GrowingPosterior(about).of(today, lesson).at(np.array([[0.5, 0.5]]))
    assert mean[0, 0] == pytest.approx(1, abs=0.2)
