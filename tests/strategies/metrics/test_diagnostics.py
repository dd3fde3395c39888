"""Each diagnostic says what is wrong with a known posterior, and calls a right one wrong as often as it says."""

import numpy as np
import pytest

from sdl.errors import InvalidInput
from strategies.metrics.diagnostics import ENOUGH, LEVEL, QUESTIONS, diagnose_draws

KNOBS, CHANNELS = ("a", "b"), ("x", "y")
DRAWS, TIMES = 150, 40
SLOPES, NOISE = np.array([[1.0, 0.9], [0.9, 1.0]]), 0.5


def asked(seed, rows, *, wide=1.0, shift=0.0, near=1.0, along=1.0, noise=1.0, offset=0.0):
    """The diagnoses of a posterior of a line whose true one is known, changed in one way or not at all.

    Args:
        seed: Of rows, draws and diagnoses.
        rows: Held against it.
        wide: Times as wide as it should be.
        shift: Of all draws, in standard deviations.
        near: Times as wide near the target alone.
        along: Share of the true correlation of the knobs that it has.
        noise: Times the true noise that it simulates readings with.
        offset: Of these readings, in standard deviations of the noise.
    """
    rng = np.random.default_rng([38, seed])
    truths = rng.normal(size=(rows, 2))
    readings = truths @ SLOPES + NOISE * rng.normal(size=(rows, 2))
    spread = np.linalg.inv(np.eye(2) + SLOPES @ SLOPES / NOISE**2)
    middle, deviation = readings @ SLOPES @ spread / NOISE**2, np.sqrt(np.diag(spread))
    thinned = np.where(np.eye(2) > 0, spread, along * spread)
    off = rng.normal(size=(DRAWS, rows, 2)) @ np.linalg.cholesky(thinned).T
    here = (np.abs(readings).sum(axis=1) < 1.5)[:, None]
    draws = middle + wide * np.where(here, near, 1.0) * off + shift * deviation
    simulated = truths @ SLOPES + NOISE * (noise * rng.normal(size=(DRAWS, rows, 2)) + offset)
    return diagnose_draws(draws, truths, simulated, readings, np.zeros(2), (KNOBS, CHANNELS), rng)


def found(test, rows=80, **changes):
    """How often a test calls such a posterior wrong, and what it says most often then."""
    diagnoses = [asked(seed, rows, **changes)[test] for seed in range(TIMES)]
    said = [each.says for each in diagnoses if each.holds is False]
    return len(said) / TIMES, max(said, key=said.count, default="")


@pytest.mark.parametrize("rows", [8, 40])
def test_a_right_posterior_is_called_wrong_at_the_rate_that_is_stated(rows):
    called = [each.holds is False for seed in range(150) for each in asked(seed, rows).values()]
    assert np.mean(called) < LEVEL + 3 * np.sqrt(LEVEL / len(called)) + 0.005


@pytest.mark.parametrize(
    ("test", "changes", "words"),
    [
        ("calibration", {"wide": 0.55}, "too narrow in"),
        ("calibration", {"wide": 1.8}, "too wide in"),
        ("calibration", {"shift": 0.7}, "too high in"),
        ("calibration", {"shift": -0.7}, "too low in"),
        ("coverage", {"wide": 0.55}, "too narrow"),
        ("coverage", {"wide": 1.8}, "too wide"),
        ("coverage", {"shift": 1.5}, "elsewhere or of another shape"),
        ("local", {"wide": 0.55}, "too narrow in"),
        ("local", {"wide": 2.2}, "too wide in"),
        ("local", {"shift": 1.0}, "too high in"),
        ("local", {"near": 0.3}, "too narrow in"),
        ("readings", {"noise": 0.5}, "too narrow"),
        ("readings", {"noise": 2.0}, "too wide"),
        ("readings", {"offset": 1.0}, "too high in"),
    ],
)
def test_a_wrong_posterior_is_called_wrong_and_how(test, changes, words):
    share, said = found(test, **changes)
    assert share >= 0.9
    assert said.startswith(words)


def test_each_sees_what_others_cannot():
    assert found("calibration", along=0.0)[0] < 0.1 < 0.3 <= found("coverage", along=0.0)[0], "wrong together only"
    few = {"rows": 40, "near": 0.35}
    assert found("local", **few)[0] > found("calibration", **few)[0] + 0.15, "wrong near the target only"
    assert found("calibration", offset=1.0)[0] < 0.1, "what is simulated is no matter of draws"


def test_too_few_rows_say_nothing_of_the_neighbourhood():
    diagnosis = asked(0, ENOUGH - 1)["local"]
    assert (diagnosis.chance, diagnosis.holds, diagnosis.says) == (None, None, "too few rows")
    assert asked(0, ENOUGH)["local"].holds is not None


def test_draws_that_all_repeat_a_few_rows_are_judged_fairly():
    rng, called = np.random.default_rng(3), []
    for _ in range(150):
        truths, draws = rng.integers(3, size=(40, 1)) / 2, rng.integers(3, size=(DRAWS, 40, 1)) / 2
        readings, simulated = rng.normal(size=(40, 1)), rng.normal(size=(DRAWS, 40, 1))
        found = diagnose_draws(draws, truths, simulated, readings, np.zeros(1), (["a"], ["x"]), rng)
        called += [each.holds is False for each in found.values()]
    assert np.mean(called) < 0.03


def test_one_row_and_shapes_that_do_not_match():
    found = asked(1, 1)
    assert set(found) == set(QUESTIONS)
    with pytest.raises(InvalidInput, match="needed, got"):
        diagnose_draws(np.ones((5, 3, 2)), np.ones((3, 2)), np.ones((5, 2, 1)), np.ones((3, 1)), np.ones(1),
                       (KNOBS, ["x"]), np.random.default_rng(0))  # fmt: skip
