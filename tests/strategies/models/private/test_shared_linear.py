"""A model by private sums: no row moves them by more than their noise hides, and what it says holds."""

import numpy as np
import pytest

from sdl.errors import InvalidInput
from sdl.space import Channel, Knob, Space
from strategies.answers.clustering import cluster_draws
from strategies.models.private.gaussian_mechanism import PrivacyBudget
from strategies.models.private.private_statistics import CUT, RESIDUALS, PrivateStatistics
from strategies.models.private.shared_linear import SharedLinear

SLOPES = np.array([[0.5, 0.1], [0.1, 0.6]])
LOW, HIGH = -0.5, 1.5
SPACE = Space(
    knobs=(Knob(name="a"), Knob(name="b")),
    channels=tuple(Channel(name=name, floor=LOW, ceiling=HIGH, integral=False) for name in ("x", "y")),
)


def scaled(readings):
    return (readings - (LOW + HIGH) / 2) / ((HIGH - LOW) / 2)


def rows(n, seed, noise=0.02):
    rng = np.random.default_rng([62, seed])
    settings = rng.random((n, 2))
    return settings, settings @ SLOPES + noise * rng.normal(size=(n, 2))


def fitted(n, seed, epsilon, degree=1, respond=None):
    settings, readings = rows(n, seed)
    if respond is not None:
        readings = respond(settings) + readings - settings @ SLOPES
    rng = np.random.default_rng([63, seed])
    return SharedLinear(PrivateStatistics.of(scaled(readings), settings, degree, PrivacyBudget(epsilon), rng), SPACE)


@pytest.mark.parametrize("degree", [1, 2])
def test_no_row_moves_the_sums_by_more_than_the_noise_is_made_for(degree):
    budget, rng = PrivacyBudget(), np.random.default_rng(1)
    settings, readings = rng.random((50, 2)), rng.uniform(-1, 1, (50, 2))
    for at, reads in (
        (rng.uniform(-3, 3, 2), rng.normal(0, 1e6, 2)),
        (np.ones(2), np.ones(2)),
        (np.zeros(2), -np.ones(2)),
    ):
        one, other = (
            PrivateStatistics.of(y, x, degree, budget, np.random.default_rng(7))  # the same noise, which cancels
            for x, y in ((settings, readings), (np.vstack((settings, at)), np.vstack((readings, reads))))
        )
        moved = np.sqrt(((one.gram - other.gram) ** 2).sum() + 2 * ((one.cross - other.cross) ** 2).sum())
        assert moved <= one.noise / budget.part(1 - RESIDUALS) * (1 + 1e-9) + one.noise / 50  # which is rounding
    assert moved > 0.2 * one.noise / budget.part(1 - RESIDUALS)


def test_no_residual_counts_for_more_than_it_is_cut_off_at():
    rng, budget = np.random.default_rng(2), PrivacyBudget(1e6)  # next to no noise
    wild = PrivateStatistics.of(rng.choice([-1e9, 1e9], (400, 2)), rng.random((400, 2)), 1, budget, rng)
    assert wild.squares == pytest.approx([400 * CUT**2] * 2, rel=1e-3)


def test_an_attacker_who_knows_every_other_row_gains_no_more_than_the_bound_and_not_much_less():
    """Two tables that differ in the row that moves most, released again and again: an audit of the whole mechanism."""
    budget, n, times = PrivacyBudget(4.0), 20, 700
    settings, readings = np.full((n, 2), 0.5), np.zeros((n, 2))
    tables = (settings, readings), (np.vstack((settings, np.ones(2))), np.vstack((readings, np.ones(2))))
    scores = []
    for seed, (x, y) in enumerate(tables):
        rng = np.random.default_rng([64, seed])
        released = [PrivateStatistics.of(y, x, 1, budget, rng) for _ in range(times)]
        scores.append([each.gram.sum() + 2 * each.cross.sum() for each in released])
    thresholds = np.quantile(scores, np.linspace(0.02, 0.98, 49))
    apart = max(np.mean(np.array(scores[1]) > t) - np.mean(np.array(scores[0]) > t) for t in thresholds)
    assert 0.7 * budget.most_advantage < apart < budget.most_advantage + 3 / np.sqrt(2 * times)


@pytest.mark.parametrize(("n", "epsilon"), [(60, 1.0), (1000, 1.0), (1000, 8.0), (4000, 1e4)])
def test_nine_in_ten_readings_at_least_lie_in_its_intervals_however_much_noise_there_is(n, epsilon):
    held = []
    for seed in range(8):
        model, (settings, readings) = fitted(n, seed, epsilon), rows(200, 1000 + seed)
        low, high = np.quantile(model.simulate(settings, 400, np.random.default_rng(seed)), [0.05, 0.95], axis=0)
        held.append(((low <= readings) & (readings <= high)).mean())
    assert np.mean(held) > 0.87


def test_it_becomes_the_model_of_all_rows_as_the_promise_becomes_weaker():
    places = np.random.default_rng(3).random((300, 2))
    errors = [
        np.mean([np.abs(fitted(1000, seed, epsilon).predict(places) - places @ SLOPES).mean() for seed in range(4)])
        for epsilon in (0.3, 1.0, 10.0, 1e4)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.003


def test_settings_come_back_and_a_target_that_nothing_gives_is_remote():
    model, truth = fitted(4000, 0, 50.0), np.array([0.3, 0.7])
    draws = model.sample(truth @ SLOPES, 400, np.random.default_rng(0))
    assert np.abs(draws.mean(axis=0) - truth).max() < 0.03
    assert model.remoteness(truth @ SLOPES).score <= 1 < model.remoteness(np.array([1.2, 0.0])).score
    free = model.sample(np.array([0.3, np.nan]), 400, np.random.default_rng(1))
    assert free[:, 1].std() > 0.2


def test_of_degree_two_it_knows_both_answers():
    def valley(settings):
        return np.column_stack((4 * (settings[:, 0] - 0.5) ** 2, settings[:, 1]))

    model = fitted(5000, 1, 100.0, degree=2, respond=valley)
    found = cluster_draws(model.sample(np.array([0.36, 0.5]), 600, np.random.default_rng(2)))
    assert sorted(each.settings[0] for each in found) == pytest.approx([0.2, 0.8], abs=0.06)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gram": [[1.0]]}, "gram needs the shape"),
        ({"cross": "many"}, "cross needs the shape"),
        ({"squares": [float("nan"), 1.0]}, "squares needs the shape"),
        ({"noise": 0.0}, "noise needs to be above 0"),
        ({"gram": [[1.0, 2.0, 3.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}, "symmetric"),
        ({"degree": 3}, "a degree of 1 or 2"),
        ({"rows": [[1.0]]}, "the sums need"),
    ],
)
def test_sums_of_a_stranger_are_looked_at_first(change, says):
    settings, readings = rows(30, 0)
    sums = PrivateStatistics.of(scaled(readings), settings, 1, PrivacyBudget(), np.random.default_rng(0))
    assert vars(PrivateStatistics.from_plain(sums.plain(), 2, 2)).keys() == sums.plain().keys()
    with pytest.raises(InvalidInput, match=says):
        PrivateStatistics.from_plain(sums.plain() | change, 2, 2)
