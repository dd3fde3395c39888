"""Localisation: where starts end on responses that are known, and what is said of those that end nowhere."""

import numpy as np
import pytest

from sdl import plugins
from sdl.errors import InvalidInput, UnknownPlugin
from strategies.contract import draws_for
from strategies.models.conformance import conformance_rows, respond
from strategies.numerics.localisation import METHODS, differences, localise
from strategies.numerics.support import Region

FREE = np.nan
EVERYWHERE = Region.of(np.zeros((1, 2)))


def rng(seed=0):
    return np.random.default_rng(seed)


def sine(settings):
    """The sinewave in the unit box."""
    x = 2 * settings - 1
    return (np.sin(3 * np.pi * x[:, 0]) + np.cos(3 * np.pi * x[:, 1]))[:, None]


def ring(settings):
    """Two channels: how far from the middle, and the first knob."""
    return np.column_stack((((settings - 0.5) ** 2).sum(axis=1), settings[:, 0]))


def found(forward, starts, wanted, **options):
    scale = options.pop("scale", np.ones(np.shape(wanted)[-1]))
    region = options.pop("region", EVERYWHERE)
    return localise(differences(forward), starts, wanted, scale, region, **options)


@pytest.mark.parametrize(("method", "off"), [("gauss-newton", 1e-4), ("gradient", 2e-2)])
def test_starts_near_a_solution_end_on_it(method, off):
    starts = rng().random((300, 2))
    near = np.abs(sine(starts)[:, 0] - 1.2) < 0.3
    ends = found(sine, starts[near], np.array([1.2]), method=method)
    assert np.median(np.abs(sine(ends.settings) - 1.2)) < off
    assert np.linalg.norm(ends.settings - starts[near], axis=1).max() < 0.15
    assert ends.arrived.mean() > 0.95


def test_the_shortest_step_keeps_what_the_target_leaves_free():
    """On a line through two knobs only the direction across the line changes, so that a spread along it stays."""
    starts = 0.2 + 0.5 * rng().random((50, 2))
    ends = found(lambda x: x @ [[3.0], [4.0]], starts, np.array([3.5])).settings
    np.testing.assert_allclose(ends @ [3.0, 4.0], 3.5, atol=1e-4)
    np.testing.assert_allclose((ends - starts) @ [4.0, -3.0], 0, atol=1e-5)


def test_channels_that_are_free_do_not_matter():
    starts = np.array([[0.7, 0.6], [0.3, 0.8]])
    ends = found(ring, starts, np.array([[0.04, FREE], [FREE, 0.4]]))
    np.testing.assert_allclose(ring(ends.settings)[[0, 1], [0, 1]], [0.04, 0.4], atol=1e-4)
    assert ends.settings[1, 1] == pytest.approx(0.8)


def test_nothing_leaves_the_box_and_a_wall_is_slid_along():
    """The shortest way out of the corner leads through the wall; the other knob has to do its part."""
    ends = found(lambda x: x @ [[1.0], [0.5]], np.array([[0.9, 0.1], [1.4, -0.2]]), np.array([1.3]))
    np.testing.assert_allclose(ends.settings, [[1.0, 0.6], [1.0, 0.6]], atol=1e-3)
    assert ends.arrived.all()


def test_a_target_out_of_reach_is_not_arrived_at():
    ends = found(sine, rng().random((100, 2)), np.array([2.5]))
    assert not ends.arrived.any()
    assert ((ends.settings >= 0) & (ends.settings <= 1)).all()
    assert np.median(ends.misses) == pytest.approx(0.5, abs=0.05)  # the crests are as near as one can come


def test_more_channels_than_knobs_are_met_as_well_as_can_be():
    ends = found(lambda x: np.column_stack((x, x)), np.full((1, 2), 0.5), np.array([0.2, 0.2, 0.4, 0.2]))
    np.testing.assert_allclose(ends.settings, [[0.3, 0.2]], atol=1e-4)


def test_who_ends_where_there_are_no_rows_is_told():
    """Rows on a ring say nothing of its middle, however well the forward model seems to know it."""
    angle = 2 * np.pi * rng().random(400)
    known = Region.of(0.5 + 0.4 * np.column_stack((np.cos(angle), np.sin(angle))))
    starts = np.array([[0.9, 0.5], [0.5, 0.12]])
    ends = found(lambda x: x, starts, np.array([[0.5, 0.9], [0.5, 0.5]]), region=known, steps=30)
    assert ends.strayed.tolist() == [False, True]
    assert ends.arrived.tolist() == [True, False]
    assert ends.misses.max() < 1e-3


def test_slopes_that_are_no_help_move_nothing_far():
    ends = found(lambda x: np.zeros((len(x), 1)), np.full((3, 2), 0.5), np.array([1.0]))
    np.testing.assert_allclose(ends.settings, 0.5, atol=0.11)
    assert not ends.arrived.any()


@pytest.mark.parametrize(
    ("wanted", "options", "message"),
    [
        (np.zeros(3), {"scale": np.ones(2)}, "readings of 2 channels"),
        (np.zeros(2), {"method": "newton"}, "gauss-newton or gradient, got 'newton'"),
    ],
)
def test_questions_that_are_refused(wanted, options, message):
    with pytest.raises(InvalidInput, match=message):
        found(ring, np.full((4, 2), 0.5), wanted, **options)


# ---------------------------------------------------------------------- a model whose draws are localised


class Rough:
    """Knows where the answers lie to a tenth of the box, and the response exactly."""

    def rows_needed(self, d, p):
        return 1

    def fit(self, readings, settings):
        return self

    def sample(self, target, n, rng):
        x = np.array([[0.3, 0.5], [0.7, 0.5]])[rng.integers(2, size=n)]
        return x + 0.1 * rng.standard_normal((n, 2))

    def predict(self, settings):
        return ring(settings)[:, :1]

    def simulate(self, settings, n, rng):
        return self.predict(settings) + 0.01 * rng.standard_normal((n, len(settings), 1))


@pytest.fixture
def rough(monkeypatch):
    monkeypatch.setattr(plugins, "build", lambda group, name, options=None: Rough())
    from strategies.models.sampling.localised import LocalisedModel

    settings = rng().random((600, 2))
    return lambda **options: LocalisedModel("rough", **options).fit(ring(settings)[:, :1], settings)


@pytest.mark.parametrize("method", METHODS)
def test_draws_of_a_rough_model_become_answers(rough, method):
    draws = rough(noise=False, method=method).sample(np.array([0.04]), 200, rng())
    assert draws.shape == (200, 2)
    assert np.median(np.abs(ring(draws)[:, 0] - 0.04)) < (1e-3 if method == "gradient" else 1e-5)
    assert 0.3 < (draws[:, 0] < 0.5).mean() < 0.7


def test_draws_are_for_what_a_noisy_reading_stands_for(rough):
    """A tenth of the target's readings each way is noise, so the answers scatter as much."""
    off = ring(rough().sample(np.array([0.09]), 500, rng()))[:, 0] - 0.09
    assert off.std() == pytest.approx(0.01, rel=0.2)
    assert abs(off.mean()) < 0.002


def test_many_targets_at_once_are_answered_as_each_of_them(rough):
    targets = np.array([[0.04], [0.09], [0.01]])
    draws = draws_for(rough(noise=False), targets, 50, rng())
    assert draws.shape == (3, 50, 2)
    np.testing.assert_allclose(ring(draws.reshape(-1, 2))[:, 0], np.repeat(targets[:, 0], 50), atol=1e-3)


def test_all_ends_are_told_the_lost_ones_too(rough):
    model = rough(noise=False)
    result = model.localise(np.array([[5.0]]), 40, rng())
    assert len(result.settings) == 40
    assert not result.arrived.any()
    assert model.sample(np.array([5.0]), 40, rng()).shape == (40, 2)


def test_a_localised_mixture_is_nearer_to_the_target():
    readings, settings = conformance_rows()
    target = np.array([500.0, 400.0, FREE, FREE, FREE])
    missed = []
    for name, options in (("mixture", {}), ("localised", {"noise": False})):
        model = plugins.build("sdl.inverse_models", name, options).fit(readings, settings)
        draws = model.sample(target, 200, rng())
        missed.append(np.abs(model.predict(draws) - target)[:, :2].mean())
        assert np.abs(respond(draws) - target)[:, :2].mean() < 10
    assert missed[1] < 0.05 * missed[0]


def test_a_model_that_nobody_has_is_named_at_once():
    with pytest.raises(UnknownPlugin, match="did you mean 'mixture'"):
        plugins.build("sdl.inverse_models", "localised", {"model": "mixtur"})


def test_draws_are_moved_through_a_forward_model_that_was_asked_for():
    settings = rng(3).random((200, 2))
    readings = ring(settings) + 1e-3 * rng(4).standard_normal((200, 2))
    options = {"model": "mixture", "noise": False}
    target = np.array([0.09, 0.5])
    off = {}
    for forward in (None, "small-networks"):
        model = plugins.build("sdl.inverse_models", "localised", {**options, "forward": forward})
        draws = model.fit(readings, settings).sample(target, 200, rng(5))
        off[forward] = np.abs(ring(draws) - target).max(axis=1).mean()
        assert model.simulate(settings[:3], 4, rng()).shape == (4, 3, 2)
    assert off["small-networks"] < 0.005 < off[None]
    with pytest.raises(UnknownPlugin, match="small-networks"):
        plugins.build("sdl.inverse_models", "localised", {"forward": "small-network"})


def test_with_few_rows_the_model_speaks_for_itself():
    settings = rng(3).random((30, 2))
    model = plugins.build("sdl.inverse_models", "localised", {"model": "mixture", "forward": "small-networks"})
    model.fit(ring(settings), settings)
    np.testing.assert_array_equal(model.predict(settings), model.base_.predict(settings))
