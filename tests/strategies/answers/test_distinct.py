"""Distinct answers: families told apart, each well spread, the robust ones first."""

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.spatial.distance import cdist, pdist

from sdl.errors import InvalidInput
from sdl.instruments.simulated.robotic_arm import RoboticArm
from sdl.instruments.simulated.sinewave import Sinewave
from strategies.answers.distinct import distinct_answers
from strategies.numerics.jacobian import descend

pytestmark = pytest.mark.filterwarnings("error")


def unit(instrument):
    return lambda settings: instrument.truth(instrument.space.from_unit(settings))


def answers(instrument, target, n, seed=0):
    """Draws ``(n, d)`` of the posterior of a target, exactly on it."""
    rng = np.random.default_rng(seed)
    settings = instrument.prior(200_000, rng)
    off = np.abs((instrument.truth(settings) - target) / instrument.truth(settings).std(axis=0)).max(axis=1)
    near = instrument.space.to_unit(settings[rng.permutation(np.argsort(off)[: 3 * n])[:n]])
    return descend(lambda rows, _: unit(instrument)(rows) - target, near, step=1e-4)[0]


@pytest.mark.parametrize(("wanted", "n", "families"), [(1.2, 200, 9), (0.4, 1000, 12), (-1.2, 300, 12)])
@pytest.mark.parametrize("noise", [0.02, 1e-4])
def test_the_curves_of_the_sinewave_are_told_apart(wanted, n, families, noise):
    wave = Sinewave()
    found = distinct_answers(answers(wave, [wanted], n), unit(wave), np.array([wanted]), [noise], most=60)
    axis = np.linspace(-1, 1, 1201)
    picture = wave.truth(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)).reshape(1201, 1201)
    curves, true = label(np.abs(picture - wanted) < 0.03, np.ones((3, 3)))
    assert true == families
    at = np.rint(1200 * np.array([each.settings for each in found])).astype(int)
    pairs = {
        (curves[max(r - 3, 0) : r + 4, max(c - 3, 0) : c + 4].max(), e.family)
        for (r, c), e in zip(at, found, strict=True)
    }
    assert len({curve for curve, _ in pairs}) == families
    assert len(pairs) == families


def test_a_family_answers_with_draws_that_are_spread_over_it():
    arm, target = RoboticArm(), np.array([1.5, 0.5])
    draws = answers(arm, target, 500)
    found = distinct_answers(draws, unit(arm), target, [0.002, 0.002], apart=0.2, most=100)
    chosen = np.array([each.settings for each in found])
    assert {each.family for each in found} == {0}
    assert 3 < len(found) < 60
    assert cdist(draws, chosen).min(axis=1).max() <= 0.2
    assert pdist(chosen).min() > 0.1
    assert (cdist(chosen, draws).min(axis=1) == 0).all()  # draws, never means of draws
    assert sum(each.share for each in found) == pytest.approx(1)
    assert max(each.off for each in found) < 1


def test_what_noise_alone_has_spread_is_one_answer():
    slopes = np.array([[100.0, 20.0], [30.0, -60.0]])
    centre = np.array([0.4, 0.6])
    draws = centre + np.random.default_rng(0).standard_normal((800, 2)) @ np.linalg.inv(slopes)
    (only,) = distinct_answers(draws, lambda settings: settings @ slopes, centre @ slopes, [1.0, 1.0])
    np.testing.assert_allclose(only.settings, centre, atol=0.005)
    np.testing.assert_allclose(only.spread, draws.std(axis=0), rtol=0.2)


def test_two_branches_closer_than_apart_are_two_answers():
    def fold(settings):
        return 1000 * (settings - 0.5) ** 2

    draws = 0.5 + np.random.default_rng(0).choice([-0.03, 0.03], (200, 1)) + 1e-4 * np.linspace(-1, 1, 200)[:, None]
    found = distinct_answers(draws, fold, np.array([0.9]), [0.01])
    assert sorted(each.settings[0].round(2) for each in found) == [0.47, 0.53]
    assert {each.family for each in found} == {0, 1}


def test_the_answer_that_a_slip_costs_least_comes_first():
    def tent(settings):
        return np.where(settings < 0.2, 5 * settings, 1.25 * (1 - settings))

    found = distinct_answers(np.repeat([[0.08], [0.68]], 40, axis=0), tent, np.array([0.4]), [0.01], slip=0.02)
    assert [each.settings[0] for each in found] == [0.68, 0.08]
    np.testing.assert_allclose([each.fragility for each in found], [1.25 * 2, 5 * 2])


def test_draws_outside_and_draws_that_miss_are_refused():
    line = lambda settings: 100 * settings[:, :1]  # noqa: E731
    draws = np.array([[0.5, 0.2], [0.5, 0.21], [0.7, 0.2], [0.5, 1.2]])
    found = distinct_answers(draws, line, np.array([50.0]), [1.0])
    assert {each.settings[0] for each in found} == {0.5}
    assert distinct_answers(draws[3:], line, np.array([50.0]), [1.0]) == []
    assert sum(each.share for each in found) == pytest.approx(2 / 3)
    assert [each.off for each in distinct_answers(draws[2:3], line, np.array([50.0]), [1.0])] == [pytest.approx(20)]


def test_no_more_than_asked_for_and_of_the_largest_families():
    draws = np.concatenate([np.full((n, 1), at) for n, at in ((50, 0.2), (30, 0.8), (1, 0.5))])
    draws = draws + 1e-6 * np.arange(81)[:, None]

    def flat(settings):
        return np.sin(10 * np.pi * settings)

    found = distinct_answers(draws, flat, np.array([0.0]), [0.01], most=2)
    assert sorted(each.settings[0].round(1) for each in found) == [0.2, 0.8]


def test_free_channels_do_not_count():
    both = lambda settings: np.column_stack((settings[:, 0], 1e6 * settings[:, 1]))  # noqa: E731
    draws = np.column_stack((np.full(50, 0.5), np.linspace(0.1, 0.2, 50)))
    (only,) = distinct_answers(draws, both, np.array([0.5, np.nan]), [0.01, np.nan])
    assert only.fragility == pytest.approx(1)


@pytest.mark.parametrize("options", [{"apart": 0.0}, {"most": 0}], ids=str)
def test_senseless_options_are_refused(options):
    with pytest.raises(InvalidInput, match="apart > 0 and most >= 1"):
        distinct_answers(np.full((5, 1), 0.5), lambda x: x, np.array([0.5]), [0.1], **options)
