"""The noise is the least that keeps what was promised, and the promise bounds every attack."""

import numpy as np
import pytest

from sdl.errors import InvalidInput
from strategies.models.private.gaussian_mechanism import PrivacyBudget


def delta_of(noise, epsilon):
    """By how much the chances of two normal distributions, 1 apart, differ beyond a factor, by summing their densities.

    It knows nothing of the formula of the mechanism.
    """
    at = np.linspace(-40 * noise, 40 * noise + 1, 400_001)
    with_row, without = (np.exp(-((at - mean) ** 2) / (2 * noise**2)) / (noise * np.sqrt(2 * np.pi)) for mean in (1, 0))
    return float(np.maximum(with_row - np.exp(epsilon) * without, 0).sum() * (at[1] - at[0]))


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-5), (0.1, 1e-6), (8.0, 1e-5), (0.5, 0.01)])
def test_the_noise_keeps_the_promise_and_no_smaller_one_does(epsilon, delta):
    noise = PrivacyBudget(epsilon, delta).noise
    assert delta_of(noise, epsilon) == pytest.approx(delta, rel=1e-3)
    assert delta_of(0.99 * noise, epsilon) > 1.02 * delta


def test_parts_of_a_budget_are_together_the_whole():
    """Several looks with normal noise tell as much as one whose noise is less: precisions add up."""
    budget = PrivacyBudget()
    assert sum(budget.part(share) ** -2 for share in (0.85, 0.15)) == pytest.approx(budget.noise**-2)
    assert budget.part(0.15) > budget.part(0.85) > budget.noise


def test_no_threshold_tells_more_than_the_bound():
    budget, rng = PrivacyBudget(2.0), np.random.default_rng(0)
    without, with_row = (mean + budget.noise * rng.normal(size=200_000) for mean in (0.0, 1.0))
    thresholds = np.linspace(-2, 3, 41)
    apart = [(with_row > each).mean() - (without > each).mean() for each in thresholds]
    assert max(apart) == pytest.approx(budget.most_advantage, abs=0.006)


def test_every_fault_of_a_budget_is_told_at_once():
    with pytest.raises(InvalidInput) as refused:
        PrivacyBudget(0.0, 1.0)
    assert [fault.split()[0] for fault in refused.value.faults] == ["epsilon", "delta"]
    with pytest.raises(InvalidInput, match="no noise can be found"):
        _ = PrivacyBudget(1e-30, 1e-300).noise
