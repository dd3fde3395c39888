"""What every registered inverse model promises; a model gets these tests by being registered."""

import numpy as np
import pytest
from problems import CHANNELS, LAWS, MODELS, PAPER, twin_answer, twin_rows, two_branches
from scipy.stats.qmc import Sobol

from sdl import plugins
from sdl.instruments.claude_light.twin import Twin
from strategies.answers.clustering import cluster_draws
from strategies.contract import is_single_valued
from strategies.models.conformance import CHECKS
from strategies.solving.model_answer import choose_models

NAMES = tuple(choose_models((), 100))
"""Those that speak for themselves with few rows; ``test_deep`` has the others."""
FREE = np.nan


@pytest.fixture(scope="session")
def dark():
    return twin_rows(60)


def build(name):
    return plugins.build("sdl.inverse_models", name)


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(name, dark):
    return build(name).fit(*dark)


def twin_light():
    """Counts of the light in which the published answers are right."""
    levels = {"445nm": 549, "515nm": 956, "590nm": 1900, "630nm": 2074}
    return Twin().space.readings({name: levels.get(name, 0) for name in CHANNELS})


def rng(seed=0):
    return np.random.default_rng(seed)


def test_laws_are_asked_by_name_alone():
    assert not set(LAWS) & set(NAMES)


@pytest.mark.fault("M-01", "M-02")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("each", MODELS)
def test_contract(check, each):
    check(lambda: build(each))


@pytest.mark.parametrize("fixed", [[1], [5], [0, 9], [1, 3], [1, 3, 6], [0, 1, 2, 3, 4, 5, 6, 7, 9]])
def test_any_subset_of_channels(fitted, dark, fixed):
    settings = np.array([0.4, 0.3, 0.6])
    target = np.full(10, FREE)
    target[fixed] = fitted.predict(settings[None])[0, fixed]
    draws = fitted.sample(target, 400, rng())
    missed = fitted.predict(draws)[:, fixed] - target[fixed]
    assert (np.median(np.abs(missed), axis=0) < 0.02 * np.ptp(dark[0], axis=0)[fixed]).all()


def test_freedom_of_the_target_is_spread(fitted):
    target = np.where(np.array(CHANNELS) == "630nm", 16384.0, FREE)
    spread = fitted.sample(target, 400, rng()).std(axis=0)
    assert spread[0] < 0.03
    assert (spread[1:] > 0.2).all()


def test_forward_and_back_on_the_twin(fitted):
    answer = twin_answer(PAPER)
    fixed = ~np.isnan(PAPER)
    np.testing.assert_allclose(np.median(fitted.sample(PAPER, 1000, rng()), axis=0), answer, atol=0.01)
    np.testing.assert_allclose(fitted.predict(answer[None])[0, fixed], PAPER[fixed], rtol=0.01)


def test_spread_is_what_the_noise_leaves(fitted):
    assert (fitted.sample(PAPER, 1000, rng()).std(axis=0) < 0.006).all()
    assert (fitted.sample(PAPER, 1000, rng()).std(axis=0) > 0.001).all()


def test_few_rows_are_less_certain(name, dark):
    def spread(rows):
        return build(name).fit(dark[0][rows], dark[1][rows]).sample(PAPER, 500, rng()).std(axis=0)

    few = [spread(slice(start, start + 6)) for start in range(0, 60, 6)]
    assert (np.median(few, axis=0) > 1.1 * spread(slice(None))).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_table_of_the_paper(name, seed):
    """100 points of a Latin hypercube and the light of the paper's day: its published answer, to two decimals."""
    light = twin_light()
    draws = build(name).fit(*twin_rows(100, seed)).sample(PAPER - light, 1000, rng())
    found = cluster_draws(draws)[0].settings
    np.testing.assert_allclose(found, twin_answer(PAPER - light), atol=0.01)
    np.testing.assert_allclose(found, [0.47, 0.23, 0.52], atol=0.015)


@pytest.mark.fault("M-10")
@pytest.mark.parametrize("n", [40, 100])
def test_intervals_hold_on_the_twin(name, n):
    """Fresh rows, taken for targets: their settings lie within nominal 90 % intervals about nine times in ten."""
    held = []
    for seed in range(3):
        readings, settings = twin_rows(n + 40, seed)
        some = rng(seed).permutation(n + 40)
        train, test = some[:n], some[n:]
        model = build(name).fit(readings[train], settings[train])
        targets = np.where(np.isnan(PAPER), FREE, readings[test])
        drawn = np.stack([model.sample(target, 300, rng()) for target in targets], axis=1)
        held.append(
            [covered(drawn, settings[test]), covered(model.simulate(settings[test], 300, rng()), readings[test])]
        )
    of_settings, of_readings = np.mean(held, axis=0)
    assert 0.85 <= of_settings <= 0.95
    assert 0.85 <= of_readings <= 0.95


def covered(draws, truths):
    low, high = np.quantile(draws, (0.05, 0.95), axis=0)
    return ((truths >= low) & (truths <= high)).mean()


@pytest.mark.fault("M-06", "M-07")
def test_many_to_one_finds_both_or_says_that_it_cannot(name):
    some = rng().random((100, 2))
    model = build(name).fit(two_branches(some) + 0.002 * rng(1).standard_normal((100, 2)), some)
    if is_single_valued(model):
        return
    draws = model.sample(np.array([0.36, 0.5]), 500, rng())
    assert (np.abs(draws[:, 0] - 0.2) < 0.06).mean() > 0.2
    assert (np.abs(draws[:, 0] - 0.8) < 0.06).mean() > 0.2
    assert (np.abs(draws[:, 0] - 0.5) < 0.2).mean() < 0.01
    assert [each.settings[0].round(1) for each in sorted(cluster_draws(draws), key=lambda c: c.settings[0])] == [
        0.2,
        0.8,
    ]


def test_the_traps_of_the_paper_warn(fitted, dark):
    for trap in (3 * 65535.0, -5000.0):
        for column in np.flatnonzero(~np.isnan(PAPER)):
            target = PAPER.copy()
            target[column] = trap
            found = fitted.remoteness(target)
            assert found.score > 1
            assert found.reason == "beyond all readings"
            assert column in found.channels
    assert fitted.remoteness(PAPER).score < 1
    fresh = twin_rows(100, seed=7)[0]
    assert np.mean([fitted.remoteness(row).score > 1 for row in np.where(np.isnan(PAPER), FREE, fresh)]) <= 0.05


def test_readings_that_were_repeated_neither_warn_nor_bend(name):
    """Eight settings read four times each are eight settings: no gap is between them, and no bend."""
    settings = np.repeat(Sobol(3, seed=1).random(8), 4, axis=0)
    slopes = np.array([[900.0, 100.0, 0.0], [80.0, 0.0, 1000.0], [0.0, 700.0, 60.0]])
    readings = settings @ slopes + rng(0).normal(0, 5, (32, 3))
    model = build(name).fit(readings, settings)
    fresh = 0.2 + 0.6 * rng(1).random((40, 3))
    assert np.mean([model.remoteness(row).score > 1 for row in fresh @ slopes]) <= 0.1
    assert np.abs(model.predict(fresh) - fresh @ slopes).max() < 15


def test_the_parabola_with_a_gap_warns(name):
    """The paper's appendix: data on both sides of a gap, and none beyond them."""
    x = np.concatenate((np.linspace(0, 0.35, 25), np.linspace(0.65, 1, 25)))[:, None]
    model = build(name).fit(x**2 + 0.002 * rng().standard_normal(x.shape), x)
    warned = {y: model.remoteness(np.array([y])) for y in (0.05, 0.25, 0.7, 0.95, 1.3, -0.4)}
    assert {y: each.score > 1 for y, each in warned.items()} == {
        0.05: False,
        0.25: True,
        0.7: False,
        0.95: False,
        1.3: True,
        -0.4: True,
    }
    assert warned[0.25].reason == "in a gap"
    assert warned[1.3].reason == warned[-0.4].reason == "beyond all readings"


def test_linear_solves_within_the_bounds(dark):
    readings, settings = dark
    model = plugins.build("sdl.inverse_models", "linear").fit(readings, settings)
    beyond = np.where(np.isnan(PAPER), FREE, 60000.0)
    draws = model.sample(beyond, 200, rng())
    assert ((draws >= 0) & (draws <= 1)).all()
    assert (draws == 1).any(axis=1).all()


def test_linear_with_intercept_needs_no_background(dark):
    readings, settings = dark
    model = plugins.build("sdl.inverse_models", "linear", {"intercept": True}).fit(readings + 5000, settings)
    assert model.rows_needed(3, 10) == 4
    np.testing.assert_allclose(np.median(model.sample(PAPER + 5000, 500, rng()), axis=0), twin_answer(PAPER), atol=0.01)


def test_pls_makes_one_regression_for_each_set_of_channels(dark):
    model = plugins.build("sdl.inverse_models", "pls").fit(*dark)
    for target in (PAPER, 1.1 * PAPER, np.ones(10)):
        model.sample(target, 1, rng())
    assert len(model.backward_) == 2
