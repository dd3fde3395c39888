"""One run of the back-test: a matter of its seed alone, every request counted, its verdict held against the truth."""

import numpy as np
import pytest

from flows.benchmarks.decisions import loop
from sdl.errors import InvalidInput
from strategies.evaluation.backtest import run_backtest, why_lacking
from strategies.evaluation.peer_campaign import PeerCampaign
from strategies.evaluation.peers.random import AtRandom
from strategies.evaluation.scenarios import SCENARIOS, scenarios_named
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

DARK = SCENARIOS["dark"]


def test_a_run_depends_on_its_seed_alone():
    assert run_backtest(DARK, "hypercube-pls", 3, 60) == run_backtest(DARK, "hypercube-pls", 3, 60)
    assert run_backtest(DARK, "hypercube-pls", 3, 60) != run_backtest(DARK, "hypercube-pls", 4, 60)


def test_our_own_loop_runs_as_in_its_own_benchmark():
    cell = loop.run_loop_cell({"campaign": loop.PAPER, "condition": "dark", "seed": 2})
    run = run_backtest(DARK, "sdl", 2, 100)
    assert {name: getattr(run, name) for name in ("requests", "verified", "exams", "false")}.items() <= cell.items()


def test_the_curve_ends_within_the_tolerance_where_the_verdict_is_true():
    run = run_backtest(DARK, "sdl", 1, 100)
    assert run.verified
    assert run.true
    assert len(run.curve) == run.requests
    assert run.curve[0] is None  # a reference comes first
    assert run.curve[1] > 5
    assert run.curve[-1] < 1.5


def test_who_never_gets_there_counts_the_whole_budget():
    run = run_backtest(DARK, "random", 0, 12)
    assert (run.requests, run.verified, run.true, run.exams) == (12, False, None, 0)


# ---------------------------------------------------------------------- the problems


def test_a_lamp_is_switched_on_for_everybody_after_the_same_request():
    lit = []

    def watch(_):
        lit.append(campaign.instrument.lamp)
        problem.befall(campaign.instrument, len(lit))

    problem = SCENARIOS["lamp"]
    twin = problem.build(1)
    campaign = Simulation(PeerCampaign(Plan(problem.campaign(0, 12), twin.space), "peer", AtRandom()), twin, watch)
    campaign.run()
    assert lit == [0.0] * 8 + [2000.0] * 4


def test_leds_age_from_request_to_request():
    twin = SCENARIOS["ageing"].build(0)
    before = twin.truth(np.ones(3))
    for _ in range(30):
        twin.measure({"R": 0.5, "G": 0.5, "B": 0.5})
    assert 0.985 < (twin.truth(np.ones(3)) / before)[3] < 0.995


def test_every_problem_can_be_posed_or_says_why_not():
    for problem in scenarios_named():
        if problem.lacking:
            assert problem.name in problem.lacking
        else:
            campaign = problem.campaign(0, 10)
            assert Plan(campaign, problem.build(0).space).targets


def test_unknown_names_are_told():
    with pytest.raises(InvalidInput, match="unknown problem 'drak'; did you mean 'dark'"):
        scenarios_named(["drak"])
    with pytest.raises(InvalidInput, match="unknown strategy 'sld'; did you mean 'sdl'"):
        why_lacking("sld")
    with pytest.raises(InvalidInput, match="unknown strategy 'sdl:nothing'"):
        why_lacking("sdl:nothing")
