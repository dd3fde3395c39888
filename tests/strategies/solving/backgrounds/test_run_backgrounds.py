"""The light of a new run from one reading of it, in light that other runs had and in light that none had."""

import numpy as np
import pytest

from sdl.errors import InvalidInput, TooFewRows
from strategies.solving.backgrounds.run_backgrounds import RunBackgrounds

SLOPES = np.array([[300.0, 0, 100, 20], [0, 600, 50, 30]])
DAYLIGHT = np.array([1.0, 2.0, 3.0, 4.0])
NOISE = np.array([3.0, 5, 2, 1])


def rows(rng, lights, n=20):
    settings = rng.random((len(lights) * n, 2))
    runs = np.repeat(np.arange(len(lights)), n)
    readings = settings @ SLOPES + np.outer(lights, DAYLIGHT)[runs]
    return readings + NOISE * rng.standard_normal(readings.shape), settings, runs


def anchored(learned, rng, light, asked=0.5):
    settings = np.full((1, 2), asked)
    readings = settings @ SLOPES + light * DAYLIGHT + NOISE * rng.standard_normal((1, 4))
    background, covariance = learned.at(readings, settings)
    return background - light * DAYLIGHT, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("light", [15.0, 400.0], ids=["light as in other runs", "light that no run had"])
@pytest.mark.parametrize("runs", [5, 30])
def test_the_stated_error_of_an_anchor_is_honest(light, runs):
    rng = np.random.default_rng(7)
    inside, off = [], []
    for _ in range(60):
        learned = RunBackgrounds.learn(*rows(rng, rng.gamma(2, 8, runs)))
        error, deviation = anchored(learned, rng, light)
        inside.append(np.abs(error) <= 1.645 * deviation)
        off.append(np.abs(error) / NOISE)
    assert 0.8 <= np.mean(inside) <= 0.98
    assert np.mean(off) < 1.0, "no more off than the noise of the one reading that it is"


def test_light_that_many_runs_had_takes_some_noise_off_an_anchor():
    rng = np.random.default_rng(3)
    learned = RunBackgrounds.learn(*rows(rng, rng.gamma(2, 8, 40)))
    errors = np.array([anchored(learned, rng, 15.0)[0] for _ in range(200)])
    assert (errors.std(axis=0)[:2] < 0.8 * NOISE[:2]).all()


def test_an_anchor_is_never_drawn_far_to_the_light_of_other_runs():
    rng = np.random.default_rng(3)
    learned = RunBackgrounds.learn(*rows(rng, np.full(30, 10.0)))
    readings = np.full((1, 2), 0.5) @ SLOPES + np.array([[900.0, 0, 0, 0]])
    background, _ = learned.at(readings, np.full((1, 2), 0.5))
    assert background[0] == pytest.approx(900, abs=4 * np.sqrt(learned.noise[0, 0]))


def test_few_rows_and_wrong_shapes_are_sentences():
    rng = np.random.default_rng(0)
    readings, settings, runs = rows(rng, np.ones(3), n=2)
    with pytest.raises(TooFewRows, match="3 runs and 2 knobs need 6 rows, got 5"):
        RunBackgrounds.learn(readings[:5], settings[:5], runs[:5])
    with pytest.raises(InvalidInput, match=r"got labels of shape \(2,\)"):
        RunBackgrounds.learn(readings, settings, [0, 1])
    learned = RunBackgrounds.learn(*rows(rng, np.ones(3)))
    with pytest.raises(InvalidInput, match=r"anchors need readings \(m, 4\) and settings \(m, 2\)"):
        learned.at([1.0], [0.5, 0.5])
    with pytest.raises(InvalidInput, match="take another reading"):
        learned.at([np.nan, 1, 1, 1], [0.5, 0.5])
