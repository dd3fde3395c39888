"""Deep inverse models with their networks on: their manners, what they find, and what they do with little time.

With few rows they are a mixture, and the tests of all registered models see that.
"""

import numpy as np
import pytest
from problems import two_branches

from sdl import plugins
from sdl.errors import InvalidInput
from strategies.contract import draws_for
from strategies.models import conformance
from strategies.models.conformance import conformance_rows, respond

GENERATIVE = ("mixture-density", "cvae", "inn", "inn-likelihood", "cinn", "conditional-spline", "ipage")
NAMES = (*GENERATIVE, "neural-adjoint", "rejection-localised")
LIKELY = ("mixture-density", "cinn", "conditional-spline")
"""Trained by maximum likelihood, which makes intervals that hold."""
MANNERS = (
    conformance.fit_returns_the_model,
    conformance.shapes_are_as_promised,
    conformance.before_fit_says_so,
    conformance.draws_depend_on_the_generator_alone,
    conformance.two_fits_agree,
    conformance.global_generators_are_left_alone,
    conformance.rows_are_left_alone,
    conformance.values_that_are_not_finite_are_refused,
    conformance.rows_that_do_not_match_are_refused,
    conformance.targets_that_say_nothing_are_refused,
    conformance.remote_targets_are_told,
)
FREE = np.nan


def rng(seed=0):
    return np.random.default_rng(seed)


def build(name, steps=4, forward_steps=2, **options):
    """A model that has a network from twenty rows on, hardly trained unless told."""
    options |= {"forward_steps": forward_steps, "fewest": 20}
    if name in GENERATIVE:
        options["steps"] = steps
    if name == "rejection-localised":
        options["tried"] = 50_000
    if name == "ipage":
        options["descents"] = 3
    return plugins.build("sdl.inverse_models", name, options)


@pytest.mark.parametrize("check", MANNERS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_manners_hold_with_a_network(name, check):
    check(lambda: build(name))


@pytest.mark.parametrize("name", NAMES)
def test_poor_rows_are_no_exception(name):
    for kind, (readings, settings) in conformance._poor().items():
        drawn = build(name).fit(np.tile(readings, (2, 1)), np.tile(settings, (2, 1))).sample(readings[0], 9, rng())
        assert np.isfinite(drawn).all(), kind


@pytest.mark.parametrize("name", NAMES)
def test_one_knob_and_one_channel(name):
    x = rng().random((60, 1))
    assert build(name).fit(x**2, x).sample(np.array([0.5]), 7, rng()).shape == (7, 1)


@pytest.mark.parametrize("name", NAMES)
def test_few_rows_are_a_mixture(name):
    model = plugins.build("sdl.inverse_models", name, {"fewest": 61}).fit(*conformance_rows())
    mixture = plugins.build("sdl.inverse_models", "mixture").fit(*conformance_rows())
    some = rng().random((4, 3))
    np.testing.assert_array_equal(model.predict(some), mixture.predict(some))


@pytest.mark.parametrize("name", NAMES)
def test_many_targets_at_once(name):
    model = build(name).fit(*conformance_rows())
    targets = respond(rng().random((5, 3)))
    targets[2, 1:] = FREE
    draws = draws_for(model, targets, 6, rng())
    assert draws.shape == (5, 6, 3)
    assert np.isfinite(draws).all()


def test_progress_is_told():
    result, model = [], build("conditional-spline", steps=60)
    model.progress = lambda done, of: result.append((done, of))
    model.fit(*conformance_rows())
    assert result[-1] == (60, 60)
    assert (6, 6) in result  # the forward networks, two steps each


def test_a_training_in_no_time_ends_and_says_so():
    model = build("mixture-density", steps=100_000, seconds=0.5).fit(*conformance_rows())
    assert model.taught_.cut
    assert 0 < model.taught_.steps < 100_000
    assert np.isfinite(model.sample(respond(np.full((1, 3), 0.5))[0], 9, rng())).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cvae", {"steps": 0}, "steps >= 1, got 0"),
        ("rejection-localised", {"seconds": 0}, "seconds above 0"),
        ("inn", {"objective": "likely"}, "'likely'"),
        ("conditional-spline", {"latent": "even"}, "'even'"),
        ("neural-adjoint", {"starts": 0}, "starts, descents and pace above 0"),
        ("rejection-localised", {"tried": 0}, "tried >= 1, got 0"),
    ],
)
def test_options_that_are_refused(name, options, message):
    with pytest.raises(InvalidInput, match=message):
        plugins.build("sdl.inverse_models", name, options)


# ---------------------------------------------------------------------- what they find, after some training


@pytest.fixture(scope="module", params=[*LIKELY, "rejection-localised"])
def trained(request):
    return build(request.param, steps=400, forward_steps=30).fit(*conformance_rows(400))


@pytest.mark.slow
def test_draws_answer_whichever_channels_are_fixed(trained):
    wanted = respond(np.array([[0.4, 0.3, 0.6]]))[0]
    for fixed in ([0], [1, 2], [0, 1, 2], [0, 1, 2, 3, 4]):
        target = np.full(5, FREE)
        target[fixed] = wanted[fixed]
        off = np.median(np.abs(respond(trained.sample(target, 300, rng())) - wanted)[:, fixed], axis=0)
        assert (off < 25).all()


@pytest.mark.slow
def test_freedom_is_spread(trained):
    target = np.full(5, FREE)
    target[2] = 500.0
    spread = trained.sample(target, 300, rng()).std(axis=0)
    assert spread[1] < 0.08
    assert spread[[0, 2]].min() > 0.15


@pytest.mark.slow
def test_intervals_hold(trained):
    readings, settings = conformance_rows(80, seed=1)
    drawn = draws_for(trained, readings, 200, rng()).transpose(1, 0, 2)
    for draws, truths in ((drawn, settings), (trained.simulate(settings, 200, rng()), readings)):
        low, high = np.quantile(draws, (0.05, 0.95), axis=0)
        assert 0.82 <= ((truths >= low) & (truths <= high)).mean() <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATIVE)
def test_a_network_of_a_thousand_knobs_fits_into_memory(name):
    network = build(name)._network(1024, 2)
    assert sum(each.numel() for each in network.parameters()) < 5e7


@pytest.mark.parametrize("name", ["mixture-density", "conditional-spline", "rejection-localised", "neural-adjoint"])
def test_both_branches_are_found(name):
    settings = rng().random((400, 2))
    model = build(name, steps=300, forward_steps=30).fit(two_branches(settings), settings)
    draws = model.sample(np.array([0.36, 0.5]), 200, rng())
    assert min((np.abs(draws[:, 0] - branch) < 0.06).mean() for branch in (0.2, 0.8)) > 0.2


def test_the_schedule_of_an_invertible_network_decides_what_it_learns():
    readings, settings = conformance_rows(40)
    dynamic, fixed = (
        build("ipage", schedule=schedule).fit(readings, settings).sample(readings[0], 5, rng())
        for schedule in ("dynamic", "fixed")
    )
    assert not np.allclose(dynamic, fixed)
    with pytest.raises(InvalidInput, match="schedule"):
        build("ipage", schedule="slow")
