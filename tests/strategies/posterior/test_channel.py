"""One channel learns plane, bend, noise, light and censored rows from its own readings."""

import numpy as np
import pytest

from strategies.posterior.covariance import NOISE, Covariance
from strategies.posterior.hyperparameters import ChannelData, HyperPrior
from strategies.posterior.posterior import learn_all
from strategies.posterior.rows import Rows, Statement

SLOPES = np.array([1.0, 2.0, 3.0])


def plane(settings, _):
    return SLOPES @ settings


def result(truth, n, noise, *, stated=np.nan, ceiling=np.inf, unit=1.0, seed=0, times=1):
    """The posterior of ``n`` readings at random settings, each so many times."""
    rng = np.random.default_rng(seed)
    instrument = Statement(np.full(1, stated * unit), np.full(1, -np.inf), np.full(1, ceiling * unit), np.zeros(3))
    rows = Rows.empty(3, 1)
    for place, settings in enumerate(np.repeat(rng.random((n // times, 3)), times, axis=0)):
        reading = unit * min(truth(settings, place) + noise(rng, settings), ceiling)
        rows = rows.with_row(settings, np.array([reading]), instrument)
    return learn_all(rows, instrument)


def white(size):
    return lambda rng, _: size * rng.standard_normal()


def test_the_gradient_is_that_of_the_density():
    rng = np.random.default_rng(1)
    frame = Covariance(rng.random((8, 2)), np.arange(8.0), np.arange(8) < 2, (4.0,))
    values, height, place = rng.standard_normal(8), rng.uniform(-0.5, 0.5, 8), np.arange(8)
    evidence = ChannelData(frame, values, height, np.where(place == 3, 10.0, 1.0), 0.1 * (place == 5))
    beliefs = HyperPrior.about(2, 0.01)
    theta = beliefs.mean + 0.3 * rng.standard_normal(11)
    theta[NOISE] = -1.0
    steps = 1e-5 * np.eye(11)
    numeric = [(evidence.loss(theta + h, beliefs)[0] - evidence.loss(theta - h, beliefs)[0]) / 2e-5 for h in steps]
    assert evidence.loss(theta, beliefs)[1] == pytest.approx(np.array(numeric), abs=1e-4)


@pytest.mark.parametrize("stated", [np.nan, 0.005, 0.02, 0.08], ids=["unknown", "a quarter", "right", "four times"])
def test_noise_is_learned_whatever_the_instrument_states(stated):
    found = [result(plane, 40, white(0.02), stated=stated, seed=seed, times=2).channels[0] for seed in range(3)]
    assert np.mean([channel.noise(3.0)[0] for channel in found]) == pytest.approx(0.02, rel=0.25)


def test_a_stated_noise_counts_as_some_degrees_of_freedom():
    stated, unknown = (result(plane, 8, white(0.02), stated=s).channels[0].degrees_of_freedom for s in (0.02, np.nan))
    assert stated > unknown + 1


def test_noise_that_grows_with_the_signal_is_a_function_of_the_reading():
    channel = result(plane, 60, lambda rng, u: 0.03 * plane(u, 0) / 3 * rng.standard_normal()).channels[0]
    low, high = channel.noise(np.array([1.5, 5.0]))
    assert high > 1.6 * low


def test_the_noise_of_references_is_a_quantity_of_its_own():
    rng, rows, instrument = np.random.default_rng(0), Rows.empty(3, 1), Statement.unstated(3, 1)
    for place in range(48):
        dark = place % 4 == 0
        settings = np.zeros(3) if dark else rng.random(3)
        reading = 0.5 + plane(settings, place) + (0.001 if dark else 0.02) * rng.standard_normal()
        rows = rows.with_row(settings, np.array([reading]), instrument, reference=dark)
    channel = learn_all(rows, instrument).channels[0]
    assert channel.noise(3.5)[0] == pytest.approx(0.02, rel=0.35)
    assert channel.deviations[rows.reference].max() < 0.3 * channel.deviations[~rows.reference].min()


def test_outliers_leave_the_noise_as_it_is():
    spoiled = result(lambda u, i: plane(u, i) + 0.3 * (i % 11 == 5), 40, white(0.02)).channels[0]
    assert spoiled.noise(3.0)[0] == pytest.approx(0.02, rel=0.35)
    assert (spoiled.evidence.spread[5::11] > 5).all()
    assert spoiled.outliers <= 8


def test_rows_at_the_ceiling_teach():
    posterior = result(plane, 40, white(0.02), ceiling=3.0)
    above = np.array([[0.9, 0.9, 0.9], [0.6, 0.7, 0.7]])
    assert (posterior.at(above)[0][:, 0] > 3.0).all()
    below = np.array([[0.4, 0.4, 0.4]])
    assert posterior.at(below)[0][0, 0] == pytest.approx(2.4, abs=0.05)


def test_a_lamp_keeps_the_rows_on_both_sides():
    posterior = result(lambda u, i: plane(u, i) + 0.5 * (i >= 20), 30, white(0.02))
    assert posterior.switches == (20.0,)
    assert posterior.at(np.full((1, 3), 0.5))[0][0, 0] == pytest.approx(3.5, abs=0.05)


def test_no_lamp_is_seen_in_noise_alone():
    assert all(result(plane, 25, white(0.02), seed=seed).switches == () for seed in range(4))


def test_slow_drift_of_the_gain_is_followed():
    posterior = result(lambda u, i: plane(u, i) * (1 - 0.2 * i / 100), 50, white(0.02))
    mean, deviation = posterior.at(np.full((1, 3), 0.5))
    assert abs(mean[0, 0] - 3.0 * 0.9) < 4 * deviation[0, 0] < 0.2


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_units_do_not_matter(unit):
    here, there = (result(plane, 15, white(0.02), stated=0.02, unit=u) for u in (1.0, unit))
    places = np.random.default_rng(3).random((5, 3))
    assert there.at(places)[0] == pytest.approx(unit * here.at(places)[0], rel=1e-6)
    assert there.at(places)[1] == pytest.approx(unit * here.at(places)[1], rel=1e-3)


def test_stated_and_predicted_uncertainty_agree():
    places, errors = np.random.default_rng(4).random((50, 3)), []
    for seed in range(6):
        mean, deviation = result(plane, 12, white(0.02), stated=0.02, seed=seed).at(places)
        errors.append((mean[:, 0] - places @ SLOPES) / deviation[:, 0])
    assert np.sqrt(np.mean(np.square(errors))) < 1.3
