"""The forward networks: slopes in closed form, and training that finds what the rows bear out."""

from itertools import pairwise

import numpy as np
import pytest

from strategies.models.base import time_budget as timebox
from strategies.models.base.time_budget import TimeBox
from strategies.models.forward.deep_network import Layers
from strategies.models.forward.levenberg_marquardt import trained
from strategies.models.forward.network import Network
from strategies.models.forward.surrogate import Surrogate


def rng(seed=0):
    return np.random.default_rng(seed)


def bent(settings):
    """Two channels of two knobs, in hundreds."""
    return np.column_stack((100 * np.sin(3 * settings[:, 0]) * settings[:, 1], 50 * settings.sum(axis=1) ** 2))


def rows(n, noise=0.0, seed=0):
    settings = rng(seed).random((n, 2))
    return bent(settings) + noise * rng(seed + 1).standard_normal((n, 2)), settings


def shallow():
    return Network.random(3, 2, 7, 1.5, rng())


def deep():
    chance, sizes = rng(), (3, 8, 7, 2)
    weights = tuple(chance.standard_normal(pair).astype(np.float32) for pair in pairwise(sizes))
    return Layers(weights, tuple(chance.standard_normal(n).astype(np.float32) for n in sizes[1:]))


@pytest.mark.parametrize(
    ("network", "step", "off"),
    [(shallow(), 1e-5, 1e-8), (deep(), 1e-2, 5e-3)],  # deep ones are in single precision
    ids=["shallow", "deep"],
)
def test_slopes_are_the_differences(network, step, off):
    at = rng(1).standard_normal((5, 3))
    outputs, slopes = network.tangent(at)
    np.testing.assert_array_equal(outputs, network.outputs(at))
    for knob in range(3):
        move = step * np.eye(3)[knob]
        rise = (network.outputs(at + move) - network.outputs(at - move)) / (2 * step)
        np.testing.assert_allclose(slopes[:, :, knob], rise, atol=off)


def test_derivatives_by_the_parameters_are_the_differences():
    network = shallow()
    at, flat, step = rng(1).standard_normal((4, 3)), network.flat, 1e-5
    outputs, slopes = network.by_parameter(at)
    np.testing.assert_array_equal(outputs, network.outputs(at))
    for k in range(flat.size):
        move = step * np.eye(flat.size)[k]
        rise = (network.moved(flat + move).outputs(at) - network.moved(flat - move).outputs(at)) / (2 * step)
        np.testing.assert_allclose(slopes[:, :, k].T, rise, atol=1e-8)


def test_a_smooth_response_is_learned_to_a_thousandth():
    surrogate = Surrogate.of(*rows(400), rng(), steps=40)
    fresh = rng(5).random((200, 2))
    assert np.sqrt(((surrogate.predict(fresh) - bent(fresh)) ** 2).mean(axis=0)).max() < 0.1
    readings, slopes = surrogate.tangent(fresh)
    np.testing.assert_array_equal(readings, surrogate.predict(fresh))
    rise = 100 * np.repeat(fresh.sum(axis=1)[:, None], 2, axis=1)
    assert np.isclose(slopes[:, 1], rise, rtol=0.05, atol=2).mean() > 0.97


def test_noise_is_not_learned_but_told():
    readings, settings = rows(200, noise=5.0)
    surrogate = Surrogate.of(readings, settings, rng(), steps=40)
    fresh = rng(5).random((200, 2))
    assert np.abs(surrogate.predict(fresh) - bent(fresh)).mean() < 3
    assert np.sqrt(np.diag(surrogate.noise.variance)) == pytest.approx([5, 5], rel=0.4)
    drawn = surrogate.simulate(fresh[:3], 500, rng())
    assert drawn.shape == (500, 3, 2)
    assert drawn.std(axis=0).mean() == pytest.approx(5, rel=0.4)


def test_very_many_knobs_are_learned_too():
    settings = rng().random((600, 80))
    readings = settings[:, :40].sum(axis=1, keepdims=True) ** 2
    surrogate = Surrogate.of(readings[:500], settings[:500], rng(), steps=10)
    left = surrogate.predict(settings[500:]) - readings[500:]
    assert left.std() < 0.35 * readings.std()
    slopes = surrogate.tangent(settings[500:])[1].mean(axis=(0, 1))
    assert slopes[:40].min() > slopes[40:].max()


def test_where_small_networks_fail_deep_ones_take_their_place():
    settings = rng().random((2400, 4))
    readings = np.abs(np.sin(9 * settings[:, :1]) + settings[:, 1:2] - settings[:, 2:3] * settings[:, 3:])
    surrogate = Surrogate.of(readings[:2000], settings[:2000], rng(), steps=15)
    assert any(isinstance(each, Layers) for each in surrogate.networks)
    left = surrogate.predict(settings[2000:]) - readings[2000:]
    assert left.std() < 0.2 * readings.std()


def test_a_channel_that_never_changes_is_no_exception():
    readings, settings = rows(60)
    readings[:, 1] = 7.0
    surrogate = Surrogate.of(readings, settings, rng(), steps=5)
    np.testing.assert_allclose(surrogate.predict(settings)[:, 1], 7.0, atol=0.5)


def test_progress_is_told_to_the_last_step():
    result = []
    Surrogate.of(*rows(60), rng(), steps=4, tell=lambda done, of: result.append((done, of)))
    assert result == [(step, 12) for step in range(1, 13)]


# ---------------------------------------------------------------------- the time a training may take


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second each time somebody looks."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(timebox, "monotonic", lambda: next(seconds))


def test_a_training_in_time_takes_its_steps(clock):
    box = TimeBox(10, 1000)
    assert [box.left(done) for done in range(11)] == list(range(10, -1, -1))
    assert not box.cut


def test_a_training_out_of_time_ends_and_says_so(clock):
    box, done = TimeBox(1000, 50), 0
    while box.left(done):
        done += 1
    assert done == pytest.approx(50, abs=2)
    assert box.cut


def test_the_network_of_a_training_that_was_cut_is_the_best_so_far(clock):
    readings, settings = rows(100)
    inputs, outputs = 2 * settings - 1, readings / 100 - 0.5
    box = TimeBox(10_000, 20)
    network = trained((inputs[10:], outputs[10:]), (inputs[:10], outputs[:10]), 6, 1.5, box, rng())
    assert box.cut
    assert ((network.outputs(inputs[:10]) - outputs[:10]) ** 2).mean() < 0.1
