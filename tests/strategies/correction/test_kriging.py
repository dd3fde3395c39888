"""Kriging of what a model misses: exact where it is told, silent where it knows nothing, humble about the light."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.correction.kriging import kriged
from strategies.correction.rows import TrainingRows

RNG = np.random.default_rng


def rows(settings, readings, noise=1.0, drift=0.0, shared=None):
    readings = np.asarray(readings, float).reshape(len(settings), -1)
    p, n = readings.shape[1], len(settings)
    return TrainingRows(
        np.asarray(settings, float),
        readings,
        np.full(p, noise),
        np.full(p, drift),
        lambda at: (np.zeros((n, n)) if shared is None else shared)[np.ix_(at, at)],
    )


def bump(settings):
    """A smooth thing that a line misses, ``(n, 1)``."""
    return 50 * np.sin(3 * settings[:, :1]) * np.cos(2 * settings[:, 1:2])


def test_exact_residuals_are_returned_where_they_were_seen():
    settings = RNG(0).random((12, 2))
    missed = bump(settings)
    mean, sd = kriged(rows(settings, 1000 + missed, noise=1e-3), missed, settings)
    np.testing.assert_allclose(mean, missed, atol=0.2)
    assert sd.max() < 1


def test_a_smooth_miss_is_learned_between_the_rows():
    settings, fresh = RNG(1).random((40, 2)), RNG(2).random((200, 2))
    missed = bump(settings) + RNG(3).standard_normal((40, 1))
    mean, sd = kriged(rows(settings, 1000 * settings[:, :1] + missed), missed, fresh)
    error = mean - bump(fresh)
    assert np.sqrt((error**2).mean()) < 2
    assert (np.abs(error) < 2 * sd).mean() > 0.8


def test_noise_alone_is_not_taken_for_a_miss():
    settings, noise = RNG(4).random((60, 3)), 10.0
    residuals = noise * RNG(5).standard_normal((60, 1))
    mean, _ = kriged(rows(settings, 5000 * settings[:, :1], noise=noise), residuals, RNG(6).random((50, 3)))
    assert np.abs(mean).max() < 0.6 * noise


def test_replicates_at_a_candidate_make_it_certain():
    far, at = RNG(7).random((10, 3)), np.full((1, 3), 0.5)
    settings = np.vstack((far, np.repeat(at, 9, axis=0)))
    residuals = 10 * RNG(8).standard_normal((19, 1)) + 40 * (np.arange(19) >= 10)[:, None]
    mean, sd = kriged(rows(settings, 1000 * settings[:, :1], noise=10.0), residuals, at)
    before, unsure = kriged(rows(far, 1000 * far[:, :1], noise=10.0), residuals[:10], at)
    assert mean[0, 0] == pytest.approx(40, abs=8)
    assert abs(before[0, 0]) < 20
    assert sd[0, 0] < 6
    assert unsure[0, 0] > 0


def test_an_error_that_all_rows_of_a_span_share_counts_once():
    at, n = np.full((1, 3), 0.5), 9
    settings, residuals = np.repeat(at, n, axis=0), np.full((n, 1), 30.0)
    result = [
        kriged(rows(settings, 1000 * np.arange(9), 10.0, drift, np.ones((n, n))), residuals, at) for drift in (0, 900)
    ]
    (sure, _), (unsure, _) = result
    assert sure[0, 0] > 25
    assert unsure[0, 0] < 0.8 * sure[0, 0]


def test_channels_do_not_speak_to_each_other():
    settings = RNG(9).random((15, 2))
    missed = np.hstack((bump(settings), np.zeros((15, 1))))
    together, _ = kriged(rows(settings, 1000 + missed), missed, settings[:4])
    alone, _ = kriged(rows(settings, 1000 + missed[:, :1]), missed[:, :1], settings[:4])
    np.testing.assert_array_equal(together[:, :1], alone)


def test_only_the_nearest_rows_are_asked():
    settings = RNG(10).random((500, 3))
    shared = np.arange(500 * 500.0).reshape(500, 500)
    all_of_them = rows(settings, settings[:, :1], shared=shared)
    near = all_of_them.nearest(np.zeros(3), 20)
    distance = np.linalg.norm(settings, axis=1)
    assert np.linalg.norm(near.settings, axis=1).max() == np.sort(distance)[19]
    chosen = np.sort(np.argsort(distance, kind="stable")[:20])
    np.testing.assert_array_equal(near.shared(np.arange(20)), shared[np.ix_(chosen, chosen)])
    assert all_of_them.nearest(np.zeros(3), 500) is all_of_them


@given(
    n=st.integers(1, 12),
    seed=st.integers(0, 1000),
    noise=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
    drift=st.sampled_from([0.0, 1.0, 1e6]),
    size=st.sampled_from([0.0, 1.0, 1e5]),
)
@settings(max_examples=60)
def test_whatever_the_rows_it_answers_with_numbers(n, seed, noise, drift, size):
    rng = RNG(seed)
    settings = np.round(rng.random((n, 3)), 1)  # some rows twice
    residuals = size * rng.standard_normal((n, 2))
    shared = np.minimum.outer(np.arange(n), np.arange(n)).astype(float)
    mean, sd = kriged(rows(settings, residuals, noise, drift, shared), residuals, np.round(rng.random((5, 3)), 1))
    assert mean.shape == sd.shape == (5, 2)
    assert np.isfinite(mean).all()
    assert np.isfinite(sd).all()
    assert (sd >= 0).all()
    assert np.abs(mean).max() <= 3 * np.abs(residuals).max() + 1e-6
