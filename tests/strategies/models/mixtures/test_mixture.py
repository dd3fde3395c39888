import numpy as np
import pytest
from problems import PAPER, linear, twin_rows, two_branches

from sdl.errors import InvalidInput
from strategies.models.mixtures.mixture import Mixture
from strategies.models.mixtures.partition import shares, white

TARGET = np.array([0.36, 0.5])  # two_branches gives it at (0.2, 0.5) and at (0.8, 0.5)


def folded(n, seed=0, noise=0.002):
    rng = np.random.default_rng(seed)
    settings = rng.random((n, 2))
    return two_branches(settings) + noise * rng.standard_normal((n, 2)), settings


@pytest.fixture(scope="module")
def model():
    return Mixture().fit(*folded(100))


@pytest.fixture(scope="module")
def draws(model):
    return model.sample(TARGET, 1000, np.random.default_rng(1))


@pytest.mark.parametrize("branch", [0.2, 0.8])
def test_draws_in_both_branches(draws, branch):
    assert (np.abs(draws[:, 0] - branch) < 0.05).mean() > 0.2


def test_hardly_a_draw_between_the_branches(draws):
    assert (np.abs(draws[:, 0] - 0.5) < 0.2).mean() < 0.01


def test_every_draw_answers(draws):
    missed = np.abs(two_branches(draws) - TARGET)
    assert (np.median(missed, axis=0) < 0.02).all()
    assert (np.quantile(missed, 0.95, axis=0) < 0.1).all()


@pytest.mark.parametrize(("n", "accuracy"), [(60, 0.04), (400, 0.02)])
def test_forward_follows_the_bend(n, accuracy):
    grid = np.random.default_rng(9).random((300, 2))
    missed = Mixture(max_components=12).fit(*folded(n)).predict(grid) - two_branches(grid)
    assert np.sqrt((missed**2).mean()) < accuracy


def test_one_component_for_a_linear_response():
    rng = np.random.default_rng(0)
    settings = rng.random((60, 2))
    readings = linear(settings) + rng.standard_normal((60, 4))
    assert Mixture().fit(readings, settings).joint_.n_components == 1


def test_more_components_for_a_bend_than_for_few_rows():
    counts = [Mixture().fit(*folded(n)).joint_.n_components for n in (7, 20, 100)]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[2] >= 4


def test_never_more_components_than_allowed():
    assert Mixture(max_components=2).fit(*folded(100)).joint_.n_components == 2
    with pytest.raises(InvalidInput, match="max_components"):
        Mixture(max_components=0)


def test_shares_of_a_row_sum_to_one():
    parts = shares(*folded(50), most=6)
    np.testing.assert_allclose(parts.sum(axis=1), 1)
    assert (parts.sum(axis=0) > 1).all()


def test_white_drops_directions_without_signal():
    rng = np.random.default_rng(0)
    columns = white(linear(rng.random((30, 2))))
    assert columns.shape == (30, 2)
    np.testing.assert_allclose(columns.T @ columns / 30, np.eye(2), atol=1e-9)


def test_units_of_the_channels_do_not_matter():
    readings, settings = folded(60)
    one, other = Mixture().fit(readings, settings), Mixture().fit(readings * [1e6, 1e-6], settings)
    draws = [m.sample(t, 100, np.random.default_rng(0)) for m, t in ((one, TARGET), (other, TARGET * [1e6, 1e-6]))]
    np.testing.assert_allclose(*draws, atol=1e-4)


def test_target_far_outside_is_answered_with_finite_draws(model):
    assert np.isfinite(model.sample(np.array([50.0, -80.0]), 100, np.random.default_rng(0))).all()


def test_draws_cover_the_truth_on_the_twin():
    """A reading of settings left out, taken for a target: its settings are among the draws as often as they should."""
    readings, settings = twin_rows(70, seed=3)
    model = Mixture().fit(readings[:40], settings[:40])
    fixed = ~np.isnan(PAPER)
    ranks = [
        (model.sample(np.where(fixed, target, np.nan), 200, np.random.default_rng(0)) < truth).mean(axis=0)
        for target, truth in zip(readings[40:], settings[40:], strict=True)
    ]
    inside = (np.abs(np.array(ranks) - 0.5) < 0.45).mean()
    assert 0.8 < inside <= 1
