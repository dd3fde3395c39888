"""Targets among the readings are not warned of, those in a gap and beyond are, however the rows mirror each other."""

import itertools

import numpy as np
import pytest

from strategies.models.base.applicability_domain import Domain, SettingsDomain

NOISES = (0.0, 0.001, 0.01)


def folded(settings):
    """Two branches: the first channel is even about the middle of the first knob."""
    return np.column_stack(((2 * settings[:, 0] - 1) ** 2, settings[:, 1:]))


def folded_everywhere(settings):
    return (2 * settings - 1) ** 2


def folded_in_the_others(settings):
    return np.column_stack((settings[:, 0], (2 * settings[:, 1:] - 1) ** 2))


def wave(settings):
    return np.sin(2 * np.pi * settings[:, :2]).prod(axis=1, keepdims=True)


def ring(settings):
    angle, radius = 2 * np.pi * settings[:, 0], 0.8 + 0.2 * settings[:, 1]
    return np.column_stack((radius * np.cos(angle), radius * np.sin(angle)))


def plane(settings):
    return np.column_stack((settings[:, 0], settings[:, 1:] + 0.2 * settings[:, :1] ** 2))


def factorial(levels, d):
    return np.array(list(itertools.product(np.linspace(0, 1, levels), repeat=d)))


def hypercube(n, d, rng):
    return (rng.permuted(np.tile(np.arange(n), (d, 1)), axis=1).T + rng.random((n, d))) / n


def designs(d, rng):
    levels, n = {2: (11, 80), 3: (5, 120), 4: (4, 200)}[d]
    return [factorial(levels, d), factorial(levels - 1, d), hypercube(n, d, rng), rng.random((n, d))]


def noisy(readings, noise, rng):
    return readings + noise * np.ptp(readings, axis=0) * rng.standard_normal(readings.shape)


@pytest.mark.parametrize(
    ("response", "d"),
    [*itertools.product((folded, folded_everywhere), (2, 3, 4)), (wave, 2), (wave, 3), (ring, 2), (plane, 3)],
)
@pytest.mark.parametrize("noise", NOISES)
def test_at_most_one_target_in_twenty_among_the_readings_is_warned_of(response, d, noise):
    rng = np.random.default_rng(50)
    for design in designs(d, rng):
        readings = noisy(response(design), noise, rng)
        domain, targets = Domain(readings, design), response(rng.random((100, d)))
        among = ((targets >= readings.min(axis=0)) & (targets <= readings.max(axis=0))).all(axis=1)
        warned = [domain.remoteness(target).score > 1 for target in targets[among]]
        assert np.mean(warned) <= 0.05


@pytest.mark.parametrize(("d", "levels", "n", "width"), [(2, 13, 150, 0.5), (3, 11, 800, 0.6), (4, 6, 1500, 0.6)])
@pytest.mark.parametrize("noise", NOISES[:2])
def test_targets_in_a_gap_and_beyond_are_warned_of(d, levels, n, width, noise):
    rng = np.random.default_rng(60)
    for design in (factorial(levels, d), hypercube(n, d, rng), rng.random((n, d))):
        rows = design[np.abs(design[:, 0] - 0.5) >= width / 2]
        readings = noisy(plane(rows), noise, rng)
        domain, middle = Domain(readings, rows), rng.random((20, d))
        middle[:, 0] = rng.uniform(0.47, 0.53, 20)
        assert np.mean([domain.remoteness(target).score > 1 for target in plane(middle)]) >= 0.95
        beyond = readings[rng.integers(len(readings), size=20)]
        channels = rng.integers(d, size=20)
        beyond[np.arange(20), channels] = (readings.max(axis=0) + 0.2 * np.ptp(readings, axis=0))[channels]
        assert np.mean([domain.remoteness(target).score > 1 for target in beyond]) >= 0.95


@pytest.mark.parametrize(("d", "n"), [(2, 150), (3, 800), (4, 1500)])
@pytest.mark.parametrize("noise", NOISES[:2])
def test_a_gap_is_seen_though_the_response_folds_in_the_other_knobs(d, n, noise):
    rng = np.random.default_rng(65)
    for design in (hypercube(n, d, rng), rng.random((n, d))):
        rows, middle = design[np.abs(design[:, 0] - 0.5) >= 0.3], rng.random((40, d))
        middle[:, 0] = rng.uniform(0.47, 0.53, 40)
        readings, targets = folded_in_the_others(rows), folded_in_the_others(middle)
        domain = Domain(noisy(readings, noise, rng), rows)
        assert np.mean([domain.remoteness(target).score > 1 for target in targets]) >= 0.95


@pytest.mark.parametrize("d", [2, 3])
def test_settings_in_a_gap_are_told_from_settings_among_the_rows(d):
    rng = np.random.default_rng(70)
    for design in (factorial(11, d), hypercube(800, d, rng), rng.random((800, d))):
        rows = design[np.abs(design[:, 0] - 0.5) >= 0.3]
        inside, gap = rng.random((200, d)), rng.random((50, d))
        inside[:, 0] = rng.choice([0.0, 0.8], 200) + 0.2 * inside[:, 0]
        gap[:, 0] = rng.uniform(0.45, 0.55, 50)
        assert np.mean(SettingsDomain(rows).remoteness(inside) > 1) <= 0.05
        assert np.mean(SettingsDomain(rows).remoteness(gap) > 1) >= 0.95


def test_a_target_among_the_readings_whose_settings_were_never_measured_is_no_target_in_a_gap():
    """The other branch was measured: what says so is the remoteness of the settings."""
    rows = np.linspace(0, 0.5, 40)[:, None]
    assert Domain(folded_everywhere(rows), rows).remoteness(np.array([0.36])).score <= 1
    assert SettingsDomain(rows).remoteness(np.array([[0.2], [0.8]])).tolist() == [
        pytest.approx(0.2, abs=0.5),
        pytest.approx(18, abs=6),
    ]


def test_readings_are_alike_that_lie_as_near_to_a_target_as_rows_lie_to_each_other_and_on_their_manifold():
    rows = np.linspace(0, 1, 40)[:, None] * [1.0, 2.0] + np.random.default_rng(0).normal(0, 1e-3, (40, 2))
    others = np.array([[1.5, 3.0], [1.5, 3.2], [1.7, 3.4], [1.51, np.nan]])
    assert Domain(rows).alike(np.array([1.5, 3.0]), others).tolist() == [True, False, False, False]
    assert Domain(rows).alike(np.array([1.5, np.nan]), others).tolist() == [True, True, False, True]
    assert Domain(rows[:1]).alike(np.array([1.5, 3.0]), others).tolist() == [False] * 4


def test_a_single_row_has_no_gaps():
    assert SettingsDomain(np.array([[0.5]])).remoteness(np.array([[0.1]])).tolist() == [0.0]
