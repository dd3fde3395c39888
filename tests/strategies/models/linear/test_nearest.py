"""The look-up: rows as they are with thousands of them, rows moved on with few."""

import numpy as np
import pytest

from sdl.errors import InvalidInput
from sdl.instruments.simulated.sinewave import Sinewave
from strategies.models.linear.nearest import Nearest

Y = np.array([1.2])


@pytest.fixture(scope="module")
def waves():
    made = Sinewave()
    readings, settings = made.rows(8000, np.random.default_rng(0))
    return made, readings, made.space.to_unit(settings)


def missed(made, draws):
    return np.abs(made.truth(made.space.from_unit(draws))[:, 0] - Y)


def test_the_nearest_row_alone_answers_exactly_and_knows_one_answer(waves):
    made, readings, settings = waves
    draws = Nearest(neighbours=1, corrected=False).fit(readings, settings).sample(Y, 50, np.random.default_rng(0))
    assert len(np.unique(draws, axis=0)) == 1
    assert missed(made, draws).max() < 0.002


def test_draws_that_are_not_moved_are_the_nearest_rows(waves):
    _, readings, settings = waves
    draws = Nearest(corrected=False).fit(readings, settings).sample(Y, 500, np.random.default_rng(0))
    nearest = settings[np.argsort(np.abs(readings[:, 0] - Y))[:20]]
    assert {tuple(row) for row in draws} == {tuple(row) for row in nearest}


def test_moved_rows_come_nearer_where_rows_are_few(waves):
    made, readings, settings = waves
    few = readings[:300], settings[:300]
    as_they_are, moved = (
        missed(made, Nearest(corrected=each).fit(*few).sample(Y, 500, np.random.default_rng(0)))
        for each in (False, True)
    )
    assert np.median(moved) < 1.5 * np.median(as_they_are) + 0.1  # scattered by what the line misses
    line = Nearest().fit(readings, settings)
    assert np.median(np.abs(line.predict(settings) - readings)) < 0.05


def test_no_neighbour_is_no_look_up():
    with pytest.raises(InvalidInput, match="neighbours >= 1"):
        Nearest(neighbours=0)
