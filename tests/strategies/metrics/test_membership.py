"""Membership inference finds a model that keeps its rows, and says nothing of one that does not."""

import numpy as np
import pytest

from sdl.errors import InvalidInput
from strategies.metrics.membership import attack_scores, mean_advantage, membership_advantage
from strategies.models.linear.pls import PartialLeastSquares

NOISE, DRAWS = 0.05, 60


class Memory(PartialLeastSquares):
    """Knows each of its rows by heart, and says of others what a line says."""

    def __init__(self, reads, gives_back):
        super().__init__()
        self.reads, self.gives_back = reads, gives_back

    def fit(self, readings, settings):
        self.rows_ = readings.copy(), settings.copy()
        return super().fit(readings, settings)

    def predict(self, settings):
        known = (settings[:, None] == self.rows_[1]).all(axis=-1)
        by_heart = known.any(axis=1)[:, None] & self.reads
        return np.where(by_heart, self.rows_[0][known.argmax(axis=1)], super().predict(settings))

    def sample(self, target, n, rng):
        draws = super().sample(target, n, rng)
        known = np.flatnonzero((self.rows_[0] == target).all(axis=1))
        if self.gives_back and known.size:
            draws[-1] = self.rows_[1][known[0]]  # one of many: no score of all draws would see it
        return draws


def leak(model, seed, n=30):
    """What a model fitted on half of the rows gives away."""
    rng = np.random.default_rng([61, seed])
    settings = rng.random((2 * n, 2))
    readings = settings @ np.array([[1.0, 0.3, 0.2], [0.2, 1.0, 0.5]]) + NOISE * rng.normal(size=(2 * n, 3))
    model.fit(readings[:n], settings[:n])
    draws = np.stack([model.sample(row, DRAWS, rng) for row in readings], axis=1)
    scores = attack_scores(draws, settings, model.predict(settings), readings, np.ones(3))
    return membership_advantage(scores[:, :n], scores[:, n:], rng)


@pytest.mark.parametrize(("reads", "gives_back"), [(True, False), (False, True)])
def test_a_model_that_keeps_its_rows_is_caught_whether_forward_or_backward(reads, gives_back):
    for seed in range(3):
        found = leak(Memory(reads, gives_back), seed)
        assert found.seen
        assert found.advantage > 0.8


def test_a_model_that_keeps_a_few_numbers_is_not_called_leaking():
    found = [leak(PartialLeastSquares(), seed) for seed in range(3)]
    assert [each.seen for each in found].count(True) <= 1
    assert max(each.advantage for each in found) < 0.5


@pytest.mark.parametrize("members", [8, 60])
def test_rows_that_nothing_tells_apart_are_told_apart_at_the_rate_that_is_stated(members):
    rng = np.random.default_rng(4)
    found = [membership_advantage(rng.normal(size=(3, members)), rng.normal(size=(3, 40)), rng) for _ in range(600)]
    assert np.mean([each.low <= 0 <= each.high for each in found]) > 0.925
    assert abs(np.mean([each.advantage for each in found])) < 0.03


def test_the_interval_holds_for_an_attack_that_is_worth_something():
    rng = np.random.default_rng(5)
    found = [
        membership_advantage(rng.random((1, 90)) < 0.7, rng.random((1, 90)) < 0.3, rng) for _ in range(300)
    ]  # of two values one threshold alone is worth anything, and it is worth 0.4
    assert np.mean([each.low <= 0.4 <= each.high for each in found]) > 0.925


def test_too_few_rows_say_nothing():
    assert membership_advantage(np.zeros((1, 7)), np.zeros((1, 50)), np.random.default_rng(0)) is None
    with pytest.raises(InvalidInput, match="at least 2 models, got 1"):
        mean_advantage([0.1])


def test_the_mean_over_models_has_the_interval_of_student():
    found = mean_advantage([0.0, 0.1, 0.2])
    assert found.advantage == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx(
        (0.1 - 4.3027 * 0.1 / np.sqrt(3), 0.1 + 4.3027 * 0.1 / np.sqrt(3)), abs=1e-4
    )
    assert str(found).startswith("0.100 (-0.148 to ")
