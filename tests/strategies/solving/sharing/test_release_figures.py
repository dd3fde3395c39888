"""What sharing costs and keeps is measured: little can be told of members at epsilon 1, and accuracy is the price."""

import numpy as np
import pytest

from sdl.errors import TooFewRows
from sdl.space import Channel, Knob, Space
from strategies.models.private.gaussian_mechanism import PrivacyBudget
from strategies.solving.sharing.release_figures import BoundedRows, measure_release

SPACE = Space(
    knobs=(Knob(name="a"), Knob(name="b")),
    channels=tuple(Channel(name=name, floor=0, ceiling=2, integral=False) for name in ("x", "y")),
)


def rows(n, seed=0):
    rng = np.random.default_rng([65, seed])
    settings = rng.random((n, 2))
    readings = 0.2 + settings @ np.array([[1.0, 0.2], [0.2, 1.2]]) + 0.02 * rng.normal(size=(n, 2))
    return BoundedRows.of(settings, readings, SPACE)


@pytest.mark.parametrize("n", [300, 1000])
def test_at_epsilon_1_members_are_told_by_a_twentieth_at_most(n):
    found = measure_release(rows(n), 1, PrivacyBudget(1.0), 0)
    assert found.membership["private"].high <= 0.05
    assert found.membership["without noise"].seen
    assert found.membership["without noise"].advantage > 2 * found.membership["private"].advantage


def test_the_attack_finds_what_a_promise_that_is_hardly_one_lets_through():
    assert measure_release(rows(40), 1, PrivacyBudget(500.0), 0).membership["private"].low > 0.05


def test_the_loss_of_accuracy_falls_with_rows_and_with_the_promise():
    lost = [
        measure_release(rows(n), 1, PrivacyBudget(epsilon), 0).rmse
        for n, epsilon in ((200, 1.0), (2000, 1.0), (2000, 20.0))
    ]
    private = [each["private"].mean() for each in lost]
    assert private == sorted(private, reverse=True)
    assert private[0] > 3 * lost[0]["without noise"].mean()
    assert private[-1] < 1.5 * lost[-1]["without noise"].mean()
    assert lost[0]["without noise"] == pytest.approx([0.02, 0.02], rel=0.2)


def test_rows_beyond_the_bounds_are_moved_and_counted_and_rows_with_gaps_left_out():
    settings = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 1.5], [0.1, 0.1]])
    readings = np.array([[1.0, 1.0], [1.0, 3.0], [1.0, 1.0], [np.nan, 1.0]])
    found = BoundedRows.of(settings, readings, SPACE)
    assert (len(found.readings), found.moved) == (3, 2)
    assert found.readings[1].tolist() == [0.0, 1.0]
    assert found.settings[2].tolist() == [0.5, 1.0]
    with pytest.raises(TooFewRows, match="needs 16, got 3"):
        measure_release(found, 1, PrivacyBudget(), 0)
