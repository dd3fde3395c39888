"""The loop never asks for more than its budget, and ends at whatever moment that is spent."""

from dataclasses import replace

import pytest
from moments import moments, resumed_step
from rehearsing import SETTLED, WHITE, rehearsed

from sdl.history import Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.plan.steps import Conclude, Stop
from strategies.posterior.verdict import FEWEST


@pytest.mark.parametrize("budget", [1, 2, 5, 6, 7, 9, 11, 14, 18, 19, 20, 31])
def test_no_budget_is_exceeded_and_each_ends(budget):
    done = rehearsed(budget=budget, background={"every": 3}, instrument=Twin(seed=2, daylight=1000.0))
    assert done.reason == SETTLED or str(budget) in done.reason


@pytest.mark.parametrize("budget", [1, 4, 7, 12, 19])
def test_a_budget_for_two_targets_with_small_designs(budget):
    targets = [{"name": "a", "readings": WHITE}, {"name": "b", "readings": {"630nm": 9000}}]
    done = rehearsed(targets=targets, budget=budget, design={"n": 2}, acquisition={"n": 3, "rounds": 2})
    assert done.reason == SETTLED or str(budget) in done.reason


def test_a_budget_that_retries_have_spent_ends_at_any_moment():
    for snapshot, _ in moments("dark"):
        spent = replace(snapshot.history, sent=100)
        step = resumed_step(snapshot, spent)
        assert isinstance(step, Stop | Conclude), step
        if isinstance(step, Conclude):
            finding = step.finding
            if finding.verdict is Verdict.INCONCLUSIVE:
                assert finding.sentence.endswith("; the budget is spent")
            else:
                assert finding.facts.pooled >= FEWEST
        else:
            assert step.reason in ("all 100 requests of the budget are sent", SETTLED)
