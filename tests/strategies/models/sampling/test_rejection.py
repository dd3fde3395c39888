"""Rejection on a forward model: the density that its table is drawn from, and the few draws that stand for many."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from strategies.metrics.posterior import sliced_wasserstein
from strategies.models.sampling.kernel_density import MOST, KernelDensity
from strategies.models.sampling.localised import LocalisedModel
from strategies.models.sampling.rejection import Rejection
from strategies.models.sampling.stratified import stratified


def rng(seed=0):
    return np.random.default_rng(seed)


class TestSmoothed:
    def test_draws_scatter_as_the_rows_do(self):
        mixed = rng().normal(0.5, 0.1, (2000, 3)) @ np.array([[1, 0.5, 0], [0, 0.8, 0.2], [0, 0, 1]])
        rows = mixed - mixed.mean(axis=0) + 0.5
        drawn = KernelDensity.of(rows, rng(1)).draw(20_000, rng(2))
        np.testing.assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=0.01)
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(rows.T), atol=0.0015)

    def test_draws_lie_nearer_to_the_truth_than_the_rows(self):
        rows, truth = rng(1).normal(0.5, 0.1, (300, 2)), rng(2).normal(0.5, 0.1, (20_000, 2))
        drawn = KernelDensity.of(rows, rng(3)).draw(20_000, rng(4))
        assert sliced_wasserstein(drawn, truth, rng()) < sliced_wasserstein(rows, truth, rng())

    def test_rows_all_over_the_box_make_draws_all_over_the_box(self):
        drawn = KernelDensity.of(rng().random((3000, 2)), rng(1)).draw(20_000, rng(2))
        assert ((drawn >= 0) & (drawn <= 1)).all()
        assert max(ks_2samp(drawn[:, knob], rng(5).random(20_000)).statistic for knob in range(2)) < 0.03

    def test_a_knob_in_steps_keeps_them(self):
        steps = rng().integers(1, 5, 2000) / 5
        drawn = KernelDensity.of(np.column_stack((steps, rng(1).random(2000))), rng(2)).draw(5000, rng(3))[:, 0]
        assert np.median(np.abs(drawn * 5 - np.round(drawn * 5))) < 0.1

    def test_a_knob_that_stands_still_stays_where_it_is(self):
        rows = np.column_stack((np.full(100, 0.3), rng().random(100)))
        np.testing.assert_allclose(KernelDensity.of(rows, rng()).draw(50, rng())[:, 0], 0.3)

    def test_of_very_many_knobs_draws_are_rows(self):
        rows = rng().random((30, MOST + 1))
        drawn = KernelDensity.of(rows, rng()).draw(100, rng(1))
        assert np.abs(drawn[:, None] - rows).max(axis=2).min(axis=1).max() < 1e-9


class TestStratified:
    def test_every_part_of_the_points_has_its_share(self):
        points = rng().random((3, 4096, 2))
        chosen = np.take_along_axis(points, stratified(points, 64, rng(1))[..., None], axis=1)
        corner = (chosen < 0.5).all(axis=2).sum(axis=1)
        assert (np.abs(corner - 16) <= 2).all()

    def test_few_stand_for_all_better_than_by_chance(self):
        points = rng().standard_normal((50, 1024, 3))
        chosen = np.take_along_axis(points, stratified(points, 100, rng(1))[..., None], axis=1)
        off = np.abs(chosen.mean(axis=1) - points.mean(axis=1)).mean()
        by_chance = np.abs(points[:, :100].mean(axis=1) - points.mean(axis=1)).mean()
        assert off < by_chance / 2

    def test_the_first_of_them_lie_all_over(self):
        points = rng().random((20, 1024, 1))
        chosen = np.take_along_axis(points, stratified(points, 100, rng(1))[..., None], axis=1)
        assert np.abs(chosen[:, :50].mean(axis=(1, 2)) - 0.5).max() < 0.2

    @pytest.mark.parametrize("n", [1, 3, 8])
    def test_no_point_is_chosen_twice(self, n):
        chosen = stratified(rng().random((4, 8, 1)), n, rng())
        assert chosen.shape == (4, n)
        assert all(len(set(row)) == n for row in chosen.tolist())


def ring(settings):
    """Squared distance from the middle: the answers to a target are a circle."""
    return ((settings - 0.5) ** 2).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def fitted():
    settings = rng().random((600, 2))
    return Rejection(forward_steps=40, tried=50_000, fewest=50).fit(ring(settings), settings)


def test_draws_lie_all_around_a_circle_of_answers(fitted):
    draws = fitted.sample(np.array([0.09]), 64, rng())
    np.testing.assert_allclose(ring(draws), 0.09, atol=0.01)
    turned = np.sort(np.arctan2(*(draws - 0.5).T))
    assert np.diff(turned, append=turned[0] + 2 * np.pi).max() < 0.6


def test_no_draw_lies_where_the_networks_part():
    settings = rng().random((400, 2))
    settings[:, 1] **= 6  # few rows have the second knob high
    readings = np.sin(6 * settings[:, :1]) + np.sin(9 * settings[:, 1:])
    model = Rejection(forward_steps=40, tried=20_000, fewest=50).fit(readings, settings)
    unsure = model.surrogate_.disagreement(model.table_)
    assert unsure.max() <= 0.025 * np.ptp(readings)
    assert len(model.table_) >= 1000


def test_more_draws_than_the_table_has_rows():
    settings = rng().random((60, 1))
    model = Rejection(forward_steps=5, tried=10, fewest=50).fit(settings**2, settings)
    assert model.sample(np.array([0.25]), 33, rng()).shape == (33, 1)


def bent(settings):
    return np.sin(3 * settings[:, :4].sum(axis=1, keepdims=True)) + settings[:, 4:5]


@pytest.fixture(scope="module")
def coarse():
    """Among twenty knobs a forward model of two steps does not know a bent response; what it knows are its rows."""
    settings = rng().random((2000, 20))
    model = LocalisedModel.around(Rejection(forward_steps=2, fewest=50), noise=False)
    return model.fit(bent(settings), settings)


class TestRowsAlone:
    def test_draws_are_rows_whose_own_readings_come_nearest(self, coarse):
        rejection = coarse.base_
        draws, missed = rejection.draws_and_misses(np.array([[0.5], [1.2]]), 10, rng())
        np.testing.assert_array_equal(draws, rejection.sample_many(np.array([[0.5], [1.2]]), 10, rng()))
        for target, rows, off in zip((0.5, 1.2), draws, missed, strict=True):
            assert (rows[:, None] == rejection.table_).all(axis=2).any(axis=1).all()
            assert np.abs(bent(rows) - target).max() < 0.1
            np.testing.assert_allclose(rejection.predict(rows) + off, bent(rows))

    def test_localised_they_give_the_target_though_the_forward_model_does_not(self, coarse):
        draws = coarse.sample(np.array([0.5]), 40, rng())
        result, true = (np.abs(each(draws) - 0.5).mean() for each in (coarse.predict, bent))
        assert true < 0.03
        assert result > 5 * true

    def test_draws_between_the_rows_have_no_reading_of_their_own(self, fitted):
        assert fitted.draws_and_misses(np.array([[0.09]]), 8, rng())[1] is None


def test_targets_that_leave_different_channels_free():
    settings = rng().random((300, 2))
    model = Rejection(forward_steps=30, tried=20_000, fewest=50).fit(settings**2, settings)
    draws = model.sample_many(np.array([[0.25, np.nan], [np.nan, 0.64], [0.25, 0.64]]), 40, rng())
    assert np.abs(draws[[0, 2], :, 0] - 0.5).max() < 0.1
    assert np.abs(draws[[1, 2], :, 1] - 0.8).max() < 0.1
    assert draws[0, :, 1].std() > 0.2
