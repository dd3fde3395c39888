"""Scores: least for the truth told honestly, and free of how many draws there are."""

import numpy as np
import pytest
from scipy.stats import norm

from sdl.errors import InvalidInput
from strategies.metrics.scores import absolute_errors, behind, behind_by_chance, coverage, energy_score

ONE = np.ones(1)


def rng(seed=0):
    return np.random.default_rng(seed)


def normal(n, m=2000, width=1.0, shift=0.0, seed=0):
    """Draws ``(n, m, 1)`` and truths ``(m, 1)`` of which the draws with width 1 and shift 0 tell honestly."""
    return shift + width * rng(seed).standard_normal((n, m, 1)), rng(seed + 1).standard_normal((m, 1))


def test_errors_of_a_perfect_guess_and_of_the_mean():
    truths = rng().random((50, 2))
    perfect, mean = absolute_errors(truths, truths), absolute_errors(truths, np.tile(truths.mean(axis=0), (50, 1)))
    assert (perfect.r2 == 1).all()
    assert (perfect.mae == 0).all()
    np.testing.assert_allclose(mean.r2, 0, atol=1e-12)
    np.testing.assert_allclose(mean.rmse, truths.std(axis=0))


def test_a_column_that_stands_still_has_no_r2():
    found = absolute_errors(np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[1.0, 5.0], [2.0, 6.0]]))
    assert found.r2[0] == 1
    assert np.isnan(found.r2[1])
    assert found.mae[1] == 0.5
    still = np.full((10, 1), 0.1)  # its mean is off by rounding
    assert np.isnan(absolute_errors(still, still + 1).r2[0])


def test_the_score_of_a_normal_is_the_known_one():
    """In one dimension it is the continuous ranked probability score, which has a formula for the normal."""
    draws = rng().standard_normal((4000, 1, 1))
    for y in (0.0, 0.7, -2.0):
        known = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
        assert energy_score(draws, np.array([[y]]), ONE)[0] == pytest.approx(known, abs=0.03)


def test_honest_draws_score_best():
    honest = energy_score(*normal(40), ONE).mean()
    for width, shift in ((0.5, 0.0), (2.0, 0.0), (1.0, 0.5), (1e-9, 0.0)):
        assert energy_score(*normal(40, width=width, shift=shift), ONE).mean() > honest + 0.02


def test_the_number_of_draws_does_not_matter():
    few, many = (energy_score(*normal(n, m=6000), ONE).mean() for n in (2, 60))
    assert few == pytest.approx(many, abs=0.03)


def test_two_branches_beat_their_mean():
    truths = np.sign(rng().standard_normal((200, 1)))
    both = np.sign(rng(1).standard_normal((100, 200, 1)))
    between = 0.01 * rng(2).standard_normal((100, 200, 1))
    assert energy_score(both, truths, ONE).mean() < 0.7 * energy_score(between, truths, ONE).mean()


def test_the_scale_makes_columns_comparable():
    draws, truths = rng().standard_normal((30, 20, 2)), rng(1).standard_normal((20, 2))
    units = np.array([1.0, 1000.0])
    np.testing.assert_allclose(
        energy_score(draws * units, truths * units, units), energy_score(draws, truths, np.ones(2))
    )


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_honest_draws_cover_their_level(level):
    assert coverage(*normal(300), level)[0] == pytest.approx(level, abs=0.03)
    assert coverage(*normal(300, width=0.5), level)[0] < level - 0.1
    assert coverage(*normal(300, width=2.0), level)[0] > level + 0.05


def test_coverage_is_counted_by_column():
    draws = np.tile(np.linspace(0, 1, 11)[:, None, None], (1, 2, 2))
    assert coverage(draws, np.array([[0.5, 2.0], [0.4, 0.5]]), 0.9).tolist() == [1, 0.5]


def test_rows_that_are_hard_for_both_say_nothing():
    hard = rng().random(40) * 100
    more, error = behind(hard + 1 + 0.1 * rng(1).standard_normal(40), hard)
    assert more == pytest.approx(1, abs=0.1)
    assert error < 0.05
    assert np.isnan(behind(np.ones(1), np.zeros(1))[1])


@pytest.mark.parametrize(
    ("score", "sentence"),
    [
        (lambda: energy_score(np.zeros((5, 3, 2)), np.zeros((2, 2)), np.ones(2)), r"\(5, 3, 2\) and \(2, 2\)"),
        (lambda: energy_score(np.zeros((1, 3, 2)), np.zeros((3, 2)), np.ones(2)), "at least 2 draws, got 1"),
        (lambda: coverage(np.zeros((0, 3, 2)), np.zeros((3, 2)), 0.9), r"\(0, 3, 2\)"),
        (lambda: coverage(np.zeros((5, 3, 2)), np.zeros((3, 2)), 90), "between 0 and 1, got 90"),
    ],
    ids=["shapes", "one draw", "no draw", "percent"],
)
def test_what_cannot_be_scored_is_refused(score, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        score()


def test_of_models_as_good_as_each_other_none_is_called_worse_but_once_in_twenty():
    rng, called = np.random.default_rng(20), []
    for _ in range(400):
        scores = np.exp(rng.normal(0, 1, (12, 1))) * np.exp(rng.normal(0, 0.3, (12, 6)))
        first = scores[:, scores.mean(axis=0).argmin()]
        gaps = [behind(column, first) for column in scores.T]
        called.append(any(more > error * behind_by_chance(12, 5) for more, error in gaps if more > 0))
    assert np.mean(called) < 0.06  # two standard errors call one in four such comparisons


def test_a_model_that_is_worse_is_called_so():
    rng = np.random.default_rng(21)
    worse = np.exp(rng.normal(0, 0.3, 12))
    more, error = behind(1.5 * worse + rng.normal(0, 0.05, 12), worse)
    assert more > error * behind_by_chance(12, 11)
