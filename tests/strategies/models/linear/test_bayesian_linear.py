import numpy as np
import pytest
from problems import PAPER, linear, twin_answer, twin_rows, two_branches

from sdl.errors import InvalidInput
from strategies.answers.clustering import refused
from strategies.models.linear.bayesian_linear import BayesianLinear
from strategies.models.sampling.smc import MARGIN

FREE = np.nan


def rng(seed=0):
    return np.random.default_rng(seed)


def noisy(n=12, seed=0):
    """Readings of two knobs in four collinear channels, with noise that settings can feel."""
    settings = rng(seed).random((n, 2))
    return linear(settings) + 1.5 * rng(seed + 1).standard_normal((n, 4)), settings


def on_a_grid(model, target, points=800):
    """The posterior by brute force: cell centres of the prior's square ``(m, 2)`` and their probabilities ``(m,)``."""
    centres = (1 + 2 * MARGIN) * (np.arange(points) + 0.5) / points - MARGIN
    places = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    value = model.likelihood(target, places).value
    return places, np.exp(value - value.max()) / np.exp(value - value.max()).sum()


def farthest(draws, places, weights):
    """Largest difference of the distribution functions of a knob, draws against grid (Kolmogorov and Smirnov)."""
    levels = np.linspace(-MARGIN, 1 + MARGIN, 401)
    seen = (draws[:, None] <= levels).mean(axis=0)
    expected = np.cumsum(np.histogram(places, levels, weights=weights)[0])
    return np.abs(seen[1:] - expected).max()


@pytest.mark.parametrize(
    "target",
    [
        [50.0, 25.0, 24.0, 100.0],
        [FREE, FREE, 24.0, FREE],
        [50.0, FREE, FREE, FREE],
        [104.0, 50.0, 84.0, 205.0],
        [150.0, 80.0, 130.0, 300.0],
        [-30.0, FREE, FREE, -60.0],
        [1e4, 1e4, 1e4, 1e4],
    ],
    ids=["inside", "one knob free", "a ridge", "at a corner", "beyond", "below", "far beyond"],
)
def test_draws_follow_the_posterior_on_a_grid(target):
    model = BayesianLinear().fit(*noisy())
    target = np.array(target)
    places, weights = on_a_grid(model, target)
    draws = np.concatenate([model.sample(target, 1000, rng(seed)) for seed in range(4)])
    for knob in range(2):
        assert farthest(draws[:, knob], places[:, knob], weights) < 0.06
    spread = np.sqrt(weights @ (places - weights @ places) ** 2)
    np.testing.assert_allclose(draws.std(axis=0), spread, rtol=0.1)


def test_likelihood_is_the_predictive_density():
    """Averaged over coefficients and noise drawn from their own posterior, the normal density comes to the same."""
    readings, settings = noisy(30)
    model = BayesianLinear().fit(readings, settings)
    places = np.array([[0.5, 0.3], [0.505, 0.31], [0.49, 0.28]])
    target = np.array([50.0, FREE, 24.0, FREE])
    # For two channels by themselves: inverse Wishart noise, then normal coefficients.
    scale = model.regression_.noise.covariance[np.ix_([0, 2], [0, 2])] * model.regression_.noise.dof
    draws, dof = 40000, int(model.regression_.noise.dof) + 1
    root = np.linalg.cholesky(np.linalg.inv(scale))
    wishart = root @ rng().standard_normal((draws, 2, dof))
    precision = wishart @ wishart.mT
    noise = np.linalg.cholesky(np.linalg.inv(precision))
    off = model.regression_.root @ rng(1).standard_normal((draws, 2, 2)) @ noise.mT
    misfit = target[[0, 2]] - places @ (model.regression_.coefficients[:, [0, 2]] + off)
    density = np.sqrt(np.linalg.det(precision))[:, None] * np.exp(
        -0.5 * np.einsum("nmi,nij,nmj->nm", misfit, precision, misfit)
    )
    expected = np.log(density.mean(axis=0))
    value = model.likelihood(target, places).value
    np.testing.assert_allclose(value - value[0], expected - expected[0], atol=0.05)


def test_draws_for_what_cannot_be_had_crowd_outside_the_wall_towards_it():
    model = BayesianLinear().fit(*twin_rows(60))
    draws = model.sample(np.where(np.isnan(PAPER), FREE, 60000.0), 500, rng())
    assert ((draws >= -MARGIN) & (draws <= 1 + MARGIN)).all()
    assert refused(draws) == 1
    assert (np.median(draws[:, [0, 2]], axis=0) > 1).all()


def test_a_setting_on_the_wall_lies_within_its_interval():
    model = BayesianLinear().fit(*noisy(60))
    low, high = np.quantile(model.sample(linear(np.array([[0.0, 1.0]]))[0], 1000, rng()), (0.05, 0.95), axis=0)
    assert low[0] < 0 < high[0]
    assert low[1] < 1 < high[1]


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_as_many_draws_as_asked_for(n):
    draws = BayesianLinear().fit(*twin_rows(60)).sample(PAPER, n, rng())
    assert draws.shape == (n, 3)
    assert len(np.unique(draws, axis=0)) > 0.95 * n
    np.testing.assert_allclose(draws.mean(axis=0), twin_answer(PAPER), atol=0.015)


def test_draws_move_as_the_target_does():
    model = BayesianLinear().fit(*twin_rows(60))
    draws = [model.sample(PAPER + counts, 400, rng(5)) for counts in (0, 50)]
    np.testing.assert_allclose(
        np.median(draws[1] - draws[0], axis=0), twin_answer(PAPER + 50) - twin_answer(PAPER), atol=1e-4
    )


def test_all_channels_at_once_are_not_ten_independent_ones():
    """They see the same jitter: a target that fixes them all leaves the settings about as uncertain as three do."""
    readings, settings = twin_rows(160, seed=4)
    model = BayesianLinear().fit(readings[:100], settings[:100])
    drawn = np.stack([model.sample(target, 200, rng()) for target in readings[100:]], axis=1)
    low, high = np.quantile(drawn, (0.05, 0.95), axis=0)
    assert 0.8 < ((settings[100:] >= low) & (settings[100:] <= high)).mean() < 0.98


def test_degree_two_follows_a_fold_and_finds_both_branches():
    settings = rng().random((60, 2))
    readings = two_branches(settings) + 0.002 * rng(1).standard_normal((60, 2))
    model = BayesianLinear(intercept=True, degree=2).fit(readings, settings)
    np.testing.assert_allclose(model.predict(settings), two_branches(settings), atol=0.005)
    draws = model.sample(np.array([0.36, 0.5]), 1000, rng())
    assert not model.single_valued
    assert all((np.abs(draws[:, 0] - branch) < 0.02).mean() > 0.2 for branch in (0.2, 0.8))
    assert (np.abs(draws[:, 0] - 0.5) < 0.25).mean() == 0


@pytest.mark.parametrize("options", [{}, {"intercept": True}, {"degree": 2}, {"intercept": True, "degree": 2}])
def test_slopes_are_the_derivative_of_the_prediction(options):
    readings, settings = noisy(40)
    model = BayesianLinear(**options).fit(readings, settings)
    places, tiny = rng(3).random((5, 2)), 1e-6
    slopes = model._slopes(places) @ model.regression_.coefficients
    for knob, step in enumerate(tiny * np.eye(2)):
        moved = (model.predict(places + step) - model.predict(places - step)) / (2 * tiny)
        np.testing.assert_allclose(np.broadcast_to(slopes, (5, 2, 4))[:, knob], moved, atol=1e-4)


def test_rows_needed_are_the_coefficients():
    counts = [BayesianLinear(**o).rows_needed(3, 10) for o in ({}, {"intercept": True}, {"degree": 2})]
    assert counts == [3, 4, 9]


def test_another_degree_is_refused():
    with pytest.raises(InvalidInput, match="degree 1 or 2, got 3"):
        BayesianLinear(degree=3)


def test_intercept_needs_no_background():
    readings, settings = twin_rows(60)
    model = BayesianLinear(intercept=True).fit(readings + 5000, settings)
    np.testing.assert_allclose(np.median(model.sample(PAPER + 5000, 500, rng()), axis=0), twin_answer(PAPER), atol=0.01)
