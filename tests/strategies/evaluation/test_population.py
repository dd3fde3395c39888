"""A campaign on an instrument of a family: a matter of its seed alone, every verdict held against the truth."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from sdl.analysis.verification import Verdict
from sdl.history import Finding
from sdl.space import Interval, Window
from strategies.evaluation.families.drawing import Split, draw
from strategies.evaluation.judged_campaign import best_row
from strategies.evaluation.population import PopulationRun, TargetOutcome, run_on_case, run_on_family, why_beyond
from strategies.evaluation.population_statistics import family_row
from strategies.plan.steps import Conclude, Stop

REACHED = TargetOutcome("a", reachable=True, verified=True, exams=2, refuted=1)
UNREACHED = TargetOutcome("b", reachable=False, not_reachable=True)


def clock():
    ticks = count()
    return lambda: float(next(ticks))


def run(family, seed, split=Split.TUNING, strategy="sdl"):
    return run_on_family(family, strategy, seed, 40, split, clock=clock())


def test_a_run_depends_on_family_seed_and_split_alone():
    assert run("linear", 1) == run("linear", 1)
    tuning = [run("linear", seed) for seed in range(4)]
    assert len({outcome.requests for outcome in tuning}) > 1
    assert tuning != [run("linear", seed, Split.RELEASE) for seed in range(4)]


def test_a_target_that_is_met_is_right_and_every_request_counts():
    outcome = run("linear", 1)
    assert outcome.right
    assert outcome.references >= 1
    assert outcome.requests > outcome.references
    (target,) = outcome.targets
    assert (target.reachable, target.verified, target.falsely_verified, target.silent) == (True, True, False, False)
    assert target.exams >= 1


def test_what_is_far_out_of_reach_is_right_without_being_verified():
    outcome = run("far-out", 0)
    assert outcome.right
    assert outcome.targets[0].not_reachable
    assert not outcome.targets[0].falsely_not_reachable


def test_the_most_that_there_is_is_known_and_a_verdict_held_against_it():
    case = draw("largest-beside", 3)
    (goal,), space = case.goals, case.instrument.space
    everywhere = case.instrument.truth(space.from_unit(np.random.default_rng(0).random((5000, space.d))))
    allowed = everywhere[:, 1] <= goal.target.interval("c2").high
    allowance = goal.target.interval("c1").below
    assert everywhere[allowed, 0].max() <= goal.bounds["c1"].low + 1.01 * allowance
    assert run("largest-beside", 3).right
    pretended = replace(case, goals=(replace(goal, bounds={"c1": Interval.at_least(1e12)}),))
    outcome = run_on_case(pretended, pretended.campaign("largest-beside", 3, 40), "sdl", clock())
    assert outcome.targets[0].falsely_verified


def test_a_peer_runs_under_the_same_rules():
    assert run("linear", 1, strategy="hypercube-pls").targets[0].exams >= 1


def test_a_peer_has_no_statement_about_a_maximum_and_stops_where_what_read_best_is_as_good_as_is_wanted():
    outcome = run("largest", 2, strategy="random")
    assert outcome.requests == outcome.reached <= 40
    assert outcome.ended == "the settings that read best are truly as good as is wanted"
    assert not outcome.targets[0].verified
    assert run("largest", 2).requests > run("largest", 2).reached, "our own loop goes on until it may say so"


def test_what_a_peer_takes_is_asked_of_it():
    assert why_beyond("sdl", draw("photometer", 0)) == ""
    assert why_beyond("random", draw("photometer", 0)) == "one target"
    assert why_beyond("hypercube-pls", draw("at-least", 0)) == "readings that are given"
    assert why_beyond("hypercube-pls", draw("linear", 0)) == ""


@pytest.mark.parametrize(
    ("intervals", "readings", "best"),
    [
        ([Interval.about(1, 0.5)], [[3.0], [1.2], [-2.0]], 1),
        ([Interval.at_least(2)], [[3.0], [4.0], [1.0]], 1),
        ([Interval.largest(0.1), Interval.at_most(5)], [[3.0, 6.0], [2.0, 4.0], [1.0, 1.0]], 1),
        ([Interval.smallest(0.1)], [[3.0], [2.0], [1.0]], 2),
        ([Interval.largest(0.1), Interval.at_most(0)], [[3.0, 6.0], [2.0, 4.0], [1.0, 1.0]], 2),
    ],
)
def test_the_best_of_some_readings_keeps_all_sides_and_then_is_the_nearest_or_the_most(intervals, readings, best):
    assert best_row(Window.of(intervals), np.array(readings)) == best


def test_a_decision_lasts_from_one_measurement_to_the_next():
    outcome = run("linear", 1)
    assert outcome.decision_s >= outcome.slowest_s >= 1  # the clock ticks once between two looks at it


class Liar:
    """Calls the target what it likes and stops."""

    def __init__(self, campaign, verdict):
        self.campaign, self.verdict, self.told = campaign, verdict, False

    def next_step(self, history, fitted):
        if self.told:
            return Stop("every target is settled")
        self.told = True
        return Conclude(Finding(0, "target", self.verdict, "because", settings=np.zeros(1)))


def test_not_reachable_is_false_where_settings_give_the_target(monkeypatch):
    case = draw("linear", 0)
    campaign = case.campaign("linear", 0)
    monkeypatch.setattr(
        "strategies.evaluation.population.choose_leader", lambda plan, _: Liar(plan.campaign, Verdict.NOT_REACHABLE)
    )
    (target,) = run_on_case(case, campaign, "liar", clock()).targets
    assert target.falsely_not_reachable
    assert not target.right


@pytest.mark.parametrize(
    ("outcome", "right", "silent"),
    [
        (REACHED, True, False),
        (replace(REACHED, falsely_verified=True), False, False),
        (TargetOutcome("a", reachable=True), False, True),
        (TargetOutcome("a", reachable=True, given_up="too noisy"), False, False),
        (UNREACHED, True, False),
        (TargetOutcome("b", reachable=False, given_up="too noisy"), True, False),
        (TargetOutcome("b", reachable=False, exams=3), False, False),
        (TargetOutcome("b", reachable=False, verified=True, falsely_verified=True), False, False),
    ],
)
def test_right_is_a_true_verdict_or_a_reason_and_silent_is_neither_exam_nor_reason(outcome, right, silent):
    assert (outcome.right, outcome.silent) == (right, silent)


def test_a_row_counts_campaigns_verdicts_and_requests():
    runs = [
        PopulationRun(10, 1, "", 1.0, 0.5, [REACHED, UNREACHED], reached=7),
        PopulationRun(20, 4, "", 1.0, 0.5, [replace(REACHED, falsely_verified=True), UNREACHED]),
        PopulationRun(30, 3, "", 3.0, 0.5, [replace(REACHED, refuted=3, falsely_refuted=2), UNREACHED]),
        PopulationRun(80, 8, "", 8.0, 0.5, [TargetOutcome("a", True), replace(UNREACHED, reachable=True)]),
    ]
    row = family_row("family", "sdl", runs, 100)
    values = {name: figure["value"] for name, figure in row.items() if isinstance(figure, dict)}
    assert row["campaigns"] == 4
    assert values["verified"] == 3 / 5
    assert values["right"] == 2 / 4
    assert values["false_verified"] == values["false_not_reachable"] == values["silent"] == 1 / 4
    assert values["false_refuted"] == 2 / 5
    assert (values["median"], values["mean"]) == (65, 60)  # 10, 100, 30, 100
    assert values["reached"] == 100  # 7, and three that never were
    assert values["references"] == pytest.approx(0.125)
    assert values["decision_ms"] == pytest.approx(1000 * (0.1 + 0.05 + 0.1 + 0.1) / 4)
    assert row["right"]["low"] < 0.5 < row["right"]["high"]
