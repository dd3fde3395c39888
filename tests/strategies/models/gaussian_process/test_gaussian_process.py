import numpy as np
import pytest
import torch
from problems import PAPER, linear, twin_answer, twin_rows, two_branches

from sdl.errors import InvalidInput
from strategies.answers.clustering import cluster_draws
from strategies.models.gaussian_process import forward as processes
from strategies.models.gaussian_process.inverse import GaussianProcess, _filling
from strategies.models.sampling.smc import MARGIN

FREE = np.nan
TARGET = np.array([0.36, 0.5])  # two_branches gives it at (0.2, 0.5) and at (0.8, 0.5)
FIXED = ~np.isnan(PAPER)


def rng(seed=0):
    return np.random.default_rng(seed)


def folded(n, seed=0, noise=0.002):
    settings = rng(seed).random((n, 2))
    return two_branches(settings) + noise * rng(seed + 100).standard_normal((n, 2)), settings


@pytest.fixture(scope="module")
def fold():
    return GaussianProcess().fit(*folded(100))


@pytest.fixture(scope="module")
def lamp():
    readings, settings = twin_rows(60)
    return GaussianProcess().fit(readings[:, FIXED], settings)


@pytest.mark.parametrize("seed", range(3))
def test_draws_in_both_branches_and_none_between(seed):
    draws = GaussianProcess().fit(*folded(100, seed)).sample(TARGET, 1000, rng(seed))
    for branch in (0.2, 0.8):
        assert (np.abs(draws[:, 0] - branch) < 0.05).mean() > 0.2
    assert (np.abs(draws[:, 0] - 0.5) < 0.2).mean() < 0.01
    assert len(cluster_draws(draws)) == 2


def test_inversion_finds_both_branches(fold):
    found = fold.invert(TARGET)
    assert found.shape == (2, 2)
    np.testing.assert_allclose(found[found[:, 0].argsort()], [[0.2, 0.5], [0.8, 0.5]], atol=0.005)


def test_inversion_stays_in_the_box(lamp):
    beyond = lamp.invert(np.array([60000.0, 60000.0, 60000.0]))
    assert ((beyond >= 0) & (beyond <= 1)).all()
    np.testing.assert_allclose(beyond[0, [0, 2]], 1, atol=1e-3)
    with pytest.raises(InvalidInput, match="starts >= 1"):
        lamp.invert(PAPER[FIXED], starts=0)


def test_inversion_of_a_target_that_leaves_freedom_gives_examples(lamp):
    found = lamp.invert(np.array([FREE, FREE, 16384.0]))
    assert len(found) > 3
    np.testing.assert_allclose(lamp.predict(found)[:, 2], 16384, atol=50)


def test_inversion_is_the_middle_of_the_draws(lamp):
    np.testing.assert_allclose(lamp.invert(PAPER[FIXED]), [twin_answer(PAPER)], atol=0.005)
    draws = lamp.sample(PAPER[FIXED], 1000, rng())
    np.testing.assert_allclose(draws.mean(axis=0), lamp.invert(PAPER[FIXED])[0], atol=0.0005)


@pytest.mark.parametrize("target", [TARGET, [0.05, FREE], [-0.02, 0.5], [3.0, 0.9]], ids=str)
def test_draws_follow_the_posterior_on_a_grid(target):
    """By brute force on a grid, for rows so noisy that a grid resolves what they say."""
    model, target = GaussianProcess().fit(*folded(40, noise=0.03)), np.array(target)
    centres = (1 + 2 * MARGIN) * (np.arange(240) + 0.5) / 240 - MARGIN
    places = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.exp(model.likelihood(target, places).value)
    levels = np.linspace(-MARGIN, 1 + MARGIN, 241)
    draws = np.concatenate([model.sample(target, 1000, rng(seed)) for seed in range(4)])
    for knob in range(2):
        expected = np.cumsum(np.histogram(places[:, knob], levels, weights=weights / weights.sum())[0])
        seen = np.cumsum(np.histogram(draws[:, knob], levels)[0]) / len(draws)
        assert np.abs(seen - expected).max() < 0.08


def test_prediction_follows_the_bend(fold):
    grid = rng(9).random((300, 2))
    assert np.sqrt(((fold.predict(grid) - two_branches(grid)) ** 2).mean()) < 0.003


def test_a_linear_response_is_learned_from_few_rows_and_continued():
    settings = 0.4 + 0.2 * rng().random((8, 2))
    readings = linear(settings) + 0.01 * rng(1).standard_normal((8, 4))
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(GaussianProcess().fit(readings, settings).predict(corners), linear(corners), atol=3)


def test_slopes_are_the_derivative_of_the_prediction(fold):
    places, tiny = rng(3).random((5, 2)), 1e-5
    slopes = np.stack([channel.at((places - fold.middle_) / fold.width_)[2] for channel in fold.channels_], axis=2)
    for knob, step in enumerate(tiny * np.eye(2)):
        moved = (fold.predict(places + step) - fold.predict(places - step)) / (2 * tiny)
        np.testing.assert_allclose(slopes[:, knob] / fold.width_[knob] * fold.height_, moved, atol=1e-5)


def test_rows_left_out_in_closed_form_are_rows_left_out():
    readings, settings = folded(15)
    places, values = 2 * settings - 1, readings[:, 0]
    learned = np.array([0.8, 1.2]), 0.3, 0.01
    whole = processes.ChannelProcess(places, values, *learned)
    for row in (0, 7):
        rest = np.arange(15) != row
        mean, deviation, _ = processes.ChannelProcess(places[rest], values[rest], *learned).at(places[[row]])
        np.testing.assert_allclose(whole.left_out[row], (values[row] - mean[0]) / deviation[0], rtol=1e-6)


def test_uncertainty_grows_away_from_the_rows():
    settings = 0.5 * rng().random((40, 2))
    model = GaussianProcess().fit(two_branches(settings), settings)
    near, far = model.simulate(np.array([[0.25, 0.25], [0.95, 0.25]]), 400, rng()).std(axis=0)[:, 0]
    assert far > 5 * near


def test_two_fits_agree_and_leave_torch_and_numpy_alone():
    torch.manual_seed(5)
    threads, kind, generator = torch.get_num_threads(), torch.get_default_dtype(), torch.random.get_rng_state()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    readings, settings = twin_rows(20)
    draws = [GaussianProcess().fit(readings[:, FIXED], settings).sample(PAPER[FIXED], 50, rng()) for _ in range(2)]
    assert np.array_equal(*draws)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, kind)
    assert torch.equal(generator, torch.random.get_rng_state())
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("error", [RuntimeError, ValueError, processes.NotPSDError])
def test_search_that_fails_leaves_what_the_prior_takes_for_likeliest(monkeypatch, error):
    def fails(*_, **__):
        raise error("no step is possible")

    monkeypatch.setattr(processes, "fit_gpytorch_mll_scipy", fails)
    readings, settings = twin_rows(60)
    draws = GaussianProcess().fit(readings[:, FIXED], settings).sample(PAPER[FIXED], 200, rng())
    np.testing.assert_allclose(np.median(draws, axis=0), twin_answer(PAPER), atol=0.01)


def test_search_that_ends_in_nonsense_counts_as_failed(monkeypatch):
    def spoils(evidence, **_):
        for parameter in evidence.parameters():
            parameter.data.fill_(torch.nan)

    monkeypatch.setattr(processes, "fit_gpytorch_mll_scipy", spoils)
    assert np.isfinite(GaussianProcess().fit(*folded(10)).predict(np.full((1, 2), 0.5))).all()


def test_of_many_rows_those_that_fill_the_space_are_used():
    settings = np.concatenate((0.01 * rng().random((500, 2)), rng(1).random((20, 2))))
    kept = _filling(settings, 30)
    assert len(set(kept.tolist())) == 30
    assert (kept >= 500).sum() >= 18
    readings = two_branches(settings) + 0.002 * rng(2).standard_normal(settings.shape)
    assert len(GaussianProcess(most_rows=30).fit(readings, settings).channels_[0].left_out) == 30
    with pytest.raises(InvalidInput, match="most_rows >= 2"):
        GaussianProcess(most_rows=1)


def test_units_of_the_channels_do_not_matter():
    readings, settings = folded(30)
    units = np.array([1e6, 1e-6])
    one, other = (GaussianProcess().fit(readings * unit, settings) for unit in (np.ones(2), units))
    np.testing.assert_allclose(one.predict(settings), other.predict(settings) / units, atol=1e-4)
