import numpy as np
import pytest

from strategies.answers.clustering import cluster_draws, refused

pytestmark = pytest.mark.filterwarnings("error")


def blob(centre, width, n, seed=0):
    return np.random.default_rng(seed).normal(centre, width, (n, len(centre)))


@pytest.mark.parametrize("d", [1, 2, 3, 6])
@pytest.mark.parametrize("width", [1e-9, 1e-3, 0.02, 0.2], ids=str)
def test_one_blob_of_any_width_is_one_candidate(width, d):
    draws = blob(np.full(d, 0.5), width, 600)
    (only,) = cluster_draws(draws)
    assert only.share == 1
    np.testing.assert_allclose(only.settings, 0.5, atol=width)
    assert (only.spread <= 1.2 * width).all()


@pytest.mark.parametrize("seed", range(4))
def test_box_filled_evenly_is_one_candidate(seed):
    assert len(cluster_draws(np.random.default_rng(seed).random((800, 3)))) == 1


@pytest.mark.fault("M-06")
@pytest.mark.parametrize("widths", [(0.02, 0.02), (0.001, 0.06), (0.0, 0.0)], ids=str)
def test_two_blobs_are_two_candidates_by_share(widths):
    draws = np.concatenate((blob([0.2, 0.5, 0.5], widths[0], 150), blob([0.8, 0.5, 0.5], widths[1], 350)))
    first, second = cluster_draws(draws)
    assert first.share == pytest.approx(0.7, abs=0.02)
    assert second.share == pytest.approx(0.3, abs=0.02)
    np.testing.assert_allclose(first.settings, [0.8, 0.5, 0.5], atol=0.05)
    np.testing.assert_allclose(second.settings, [0.2, 0.5, 0.5], atol=0.05)


def test_nine_branches():
    corners = [[x, y, 0.5] for x in (0.1, 0.5, 0.9) for y in (0.1, 0.5, 0.9)]
    draws = np.concatenate([blob(corner, 0.01, 100, seed) for seed, corner in enumerate(corners)])
    assert sorted(each.settings.round(1).tolist() for each in cluster_draws(draws)) == sorted(corners)


def test_blobs_closer_than_the_separation_are_one():
    draws = np.concatenate((blob([0.40, 0.5], 0.001, 100), blob([0.45, 0.5], 0.001, 100)))
    assert len(cluster_draws(draws, separation=0.01)) == 2
    assert len(cluster_draws(draws, separation=0.1)) == 1


@pytest.mark.fault("M-07")
def test_settings_are_a_draw_and_never_a_mean():
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 500)
    ring = 0.5 + 0.3 * np.column_stack((np.cos(angle), np.sin(angle)))
    for each in cluster_draws(ring):
        assert (each.settings == ring).all(axis=1).any()


@pytest.mark.fault("M-08")
def test_draws_outside_are_refused_and_not_clipped():
    draws = np.concatenate((blob([0.5, 0.5], 0.01, 60), blob([1.5, 0.5], 0.01, 40)))
    (only,) = cluster_draws(draws)
    assert refused(draws) == pytest.approx(0.4)
    np.testing.assert_allclose(only.settings, 0.5, atol=0.02)
    assert only.share == 1


def test_all_draws_outside():
    draws = blob([2.0, 0.5], 0.01, 100)
    assert cluster_draws(draws) == []
    assert refused(draws) == 1


def test_walls_are_inside():
    draws = np.tile([0.0, 1.0, 0.3], (50, 1))
    (only,) = cluster_draws(draws)
    assert only.settings.tolist() == [0.0, 1.0, 0.3]
    assert refused(draws) == 0


@pytest.mark.parametrize("n", [1, 2, 9])
def test_few_draws(n):
    assert [each.share for each in cluster_draws(blob([0.5, 0.5], 0.01, n))] == [1.0]


def test_the_same_draws_give_the_same_candidates():
    draws = blob([0.5, 0.5, 0.5], 0.2, 500)
    assert cluster_draws(draws)[0].settings.tolist() == cluster_draws(draws.copy())[0].settings.tolist()
