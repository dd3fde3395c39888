"""Metrics of draws: each is right where the answer is known, and worse for draws that are worse."""

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.stats import wasserstein_distance

from sdl.errors import InvalidInput
from sdl.instruments.simulated.robotic_arm import RoboticArm
from sdl.instruments.simulated.sinewave import Sinewave
from strategies.metrics.calibration import ranks, unevenness
from strategies.metrics.modes import modes_found
from strategies.metrics.posterior import rejected, sliced_wasserstein
from strategies.metrics.resimulation import resimulation

FILES = ["resimulation", "modes", "posterior", "calibration"]


def rng(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------------- re-simulation


def test_errors_are_of_draws_in_the_box_and_shares_of_all():
    readings = np.array([[[0.0, 0.0]], [[3.0, 4.0]], [[99.0, 99.0]], [[np.nan, 0.0]]])
    inside = np.array([[True], [True], [False], [True]])
    found = resimulation(readings, np.zeros((1, 2)), inside, np.array([1.0, 1.0]))
    assert (found.mean, found.median, found.out_of_box, found.on_target) == (6.25, 6.25, 0.25, 0.25)


def test_on_target_needs_every_channel():
    readings = np.array([[[0.05, 0.05]], [[0.05, 0.5]]])
    found = resimulation(readings, np.zeros((1, 2)), np.ones((2, 1), bool), np.array([0.1, 0.1]))
    assert found.on_target == 0.5


def test_no_draw_in_the_box_is_infinitely_bad():
    found = resimulation(np.zeros((3, 2, 1)), np.zeros((2, 1)), np.zeros((3, 2), bool), np.ones(1))
    assert found.mean == found.q95 == np.inf
    assert (found.on_target, found.out_of_box) == (0, 1)


# ---------------------------------------------------------------------- modes


def test_the_nine_curves_are_what_an_image_of_the_sinewave_shows():
    """At 1.2: connected regions above the target, found by flooding a picture of it."""
    wave = Sinewave()
    axis = np.linspace(-1, 1, 401)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    above = wave.truth(grid)[:, 0] > 1.2
    regions, n = label(above.reshape(401, 401))
    assert n == 9
    curves, flooded = wave.curve(grid)[above], regions.ravel()[above]
    assert len({*zip(curves.tolist(), flooded.tolist(), strict=True)}) == 9


def test_more_draws_find_more():
    wave = Sinewave()
    settings = wave.prior(400_000, rng())
    curve = wave.curve(settings[np.abs(wave.truth(settings)[:, 0] - 1.2) < 0.1])
    shares = [modes_found(curve[: 100 * n].reshape(100, n), 9) for n in (5, 20, 100)]
    assert shares[0].share < shares[1].share < shares[2].share
    assert shares[0].all == 0
    assert shares[2].all > 0.95


# ---------------------------------------------------------------------- posterior


def test_the_distance_along_one_axis_is_wassersteins():
    one, other = rng().normal(0, 1, (300, 1)), rng(1).normal(0.7, 2, (300, 1))
    assert sliced_wasserstein(one, other, rng()) == pytest.approx(wasserstein_distance(one[:, 0], other[:, 0]))
    assert sliced_wasserstein(np.repeat(one, 2, axis=0), one, rng()) == 0


def test_draws_of_the_posterior_are_near_it_and_one_answer_is_not():
    arm = RoboticArm()
    settings = arm.prior(200_000, rng())
    readings = arm.truth(settings)
    target, unit = arm.truth(arm.prior(1, rng(1)))[0], settings.std(axis=0)
    near = rng(2).permutation(rejected(settings, readings, target, 1000)) / unit
    assert np.abs(arm.truth(near * unit) - target).max() < 0.1
    itself, prior, alone = (
        sliced_wasserstein(each, near[500:], rng())
        for each in (near[:500], settings[:500] / unit, np.tile(near[:1], (500, 1)))
    )
    assert itself < 0.1 < prior
    assert alone > 3 * itself


def test_samples_that_cannot_be_compared_are_refused():
    with pytest.raises(InvalidInput, match="none empty"):
        sliced_wasserstein(np.empty((0, 2)), np.zeros((3, 2)), rng())
    with pytest.raises(InvalidInput, match="rejection sample of 5"):
        rejected(np.zeros((4, 1)), np.zeros((4, 1)), np.zeros(1), 5)


# ---------------------------------------------------------------------- calibration


@pytest.mark.parametrize(("width", "even"), [(1.0, True), (0.5, False), (2.0, False)], ids=["right", "sure", "shy"])
def test_ranks_are_even_for_draws_as_wide_as_they_should_be(width, even):
    m, n = 600, 99
    middle = rng().standard_normal((m, 2))
    truths = middle + rng(1).standard_normal((m, 2))
    draws = middle + width * rng(2).standard_normal((n, m, 2))
    off = unevenness(ranks(draws, truths, rng(3)), n)
    assert (off < 1.63 / np.sqrt(m)).all() == even


def test_ties_are_broken_evenly():
    ranked = ranks(np.zeros((9, 4000, 1)), np.zeros((4000, 1)), rng())
    assert unevenness(ranked, 9)[0] < 0.03
