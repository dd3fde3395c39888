"""Many targets in one campaign: whose turn it is, what is said of each, and what they cost together."""

from collections import Counter
from functools import cache

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.history import History, Purpose, RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.space import Channel, Knob, Space
from strategies.evaluation.simulation import Simulation
from strategies.fitting.fitting import fit_models
from strategies.plan import target_order as agenda
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Measure

CHANNELS = ("445nm", "515nm", "630nm")
WHITE, DIM, DARK, GLARING = (16384, 16384, 16384), (4600, 8200, 4600), (1500, 2200, 1500), (40000, 16000, 16000)
"""Easy at 2 %; readings whose tolerance is about their noise; less than that; more than all of the blue."""
GAMUT = [WHITE, (20000, 30000, 12000), (9000, 24000, 18000), (22000, 17000, 9000), (11000, 40000, 11000), DIM]


def targets(*readings):
    return [
        {"name": f"{'/'.join(map(str, row))}", "readings": dict(zip(CHANNELS, row, strict=True)), "tolerance": "2 %"}
        for row in readings
    ]


def rehearsed(*readings, twin=None, **changes):
    twin = twin or Twin(seed=1)
    written = {"name": "x", "instrument": "twin", "targets": targets(*readings), **changes}
    done = Simulation(Plan(Campaign.parse(written), twin.space), twin)
    done.reason = done.run()
    return done


@cache
def together():
    """All of the gamut, and one that no settings give."""
    return rehearsed(GLARING, *GAMUT)


def verdicts(done):
    return {each.target: each.verdict for each in done.findings if each.settles}


def named(row):
    return "/".join(map(str, row))


def insight(*readings):
    """What is known of targets after nine readings."""
    done = rehearsed(*readings, design={"n": 9}, budget=10)
    planned, history = done.plan, done.history
    fitted = fit_models(planned.campaign.models, planned.space, planned.columns, history, 1)
    return planned, planned.insight(history, fitted)


class TestWhoseTurn:
    def test_the_cheapest_is_first_and_what_no_exam_settles_is_last(self):
        planned, known = insight(GLARING, DARK, DIM, WHITE)
        glaring, dark, dim, white = agenda.prices(known, planned.targets)
        assert 2 <= white < dim < min(dark, glaring)
        assert agenda.next_target(known, planned.targets, {}).name == named(WHITE)

    def test_one_that_fails_again_and_again_waits_for_the_others(self):
        planned, known = insight(DIM, WHITE)
        assert agenda.next_target(known, planned.targets, {named(WHITE): 1}).name == named(WHITE), (
            "one failure may happen"
        )
        assert agenda.next_target(known, planned.targets, {named(WHITE): 20}).name == named(DIM)

    def test_free_channels_do_not_matter(self):
        space = Twin().space
        one, other = ({"445nm": 16384}, {"515nm": 16384, "630nm": 16384})
        written = [{"name": name, "readings": r, "tolerance": "2 %"} for name, r in (("one", one), ("other", other))]
        planned = Plan(Campaign.parse({"name": "x", "instrument": "twin", "targets": written}), space)
        seen = rehearsed(WHITE, design={"n": 9}, budget=10).history
        known = planned.insight(seen, fit_models(planned.campaign.models, space, planned.columns, seen, 1))
        assert (agenda.prices(known, planned.targets) < 5).all()

    def test_of_one_target_nothing_is_asked(self, monkeypatch):
        monkeypatch.setattr(agenda, "prices", None)
        assert verdicts(rehearsed(WHITE)) == {named(WHITE): Verdict.VERIFIED}


class TestTogether:
    def test_each_gets_its_verdict(self):
        expected = {named(row): Verdict.VERIFIED for row in GAMUT} | {named(GLARING): Verdict.NOT_REACHABLE}
        assert verdicts(together()) == expected
        assert together().reason == "every target is settled"

    def test_they_share_one_design_and_cost_little_more_than_their_replicates(self):
        done = together()
        kinds = Counter(each.kind for each in done.rounds)
        assert kinds[RoundKind.DESIGN] == 1
        assert len(done.observations) <= 5 * len(GAMUT) + 6
        apart = sum(len(rehearsed(row).observations) for row in GAMUT)
        assert len(done.observations) < 0.8 * apart

    def test_the_dim_one_comes_after_the_bright_ones(self):
        examined = list(dict.fromkeys(each.target for each in together().exams))
        assert examined[-2:] == [named(DIM), named(GLARING)]
        assert together().reason == "every target is settled"

    def test_a_step_is_a_matter_of_what_was_seen(self):
        done = together()
        for number in (1, 3, 5):
            seen = done.history.before(number)
            fitted = fit_models(done.plan.campaign.models, done.plan.space, done.plan.columns, seen, number)
            steps = [Plan(done.plan.campaign, done.plan.space).next_step(seen, fitted) for _ in range(2)]
            assert {step.round.target for step in steps} == {done.rounds[number].target}


class TestSmallBudget:
    def test_it_verifies_the_cheap_ones(self):
        done = rehearsed(DIM, GLARING, WHITE, budget=12)
        assert verdicts(done) == {named(WHITE): Verdict.VERIFIED}
        assert done.reason == "all 12 requests of the budget are sent"

    def test_that_nothing_gives_a_target_is_said_though_no_request_is_left(self):
        ample = rehearsed(GLARING)
        spent = rehearsed(GLARING, budget=len(ample.observations))
        assert verdicts(ample) == verdicts(spent) == {named(GLARING): Verdict.NOT_REACHABLE}

    def test_of_all_targets_is_said_what_takes_no_request_though_none_is_left(self):
        narrow = {"name": "narrow", "readings": dict.fromkeys(CHANNELS, 12000), "tolerance": 0.01}
        rule = {"replicates": 5}
        once = len(rehearsed(WHITE, verification=rule).observations)
        done = rehearsed(budget=once, targets=[narrow, *targets(WHITE)], verification=rule)
        assert verdicts(done) == {named(WHITE): Verdict.VERIFIED, "narrow": Verdict.INCONCLUSIVE}
        result = next(each for each in done.findings if each.target == "narrow")
        assert result.sentence.startswith(f"given up: even {once} readings at perfect settings could not verify it")

    def test_without_a_reading_it_ends(self):
        space = Space(knobs=(Knob(name="a"),), channels=(Channel(name="y", noise=0.1),))
        written = {"name": "x", "instrument": "twin", "budget": 3, "design": {"n": 1}, "background": {"every": 0}}
        written["targets"] = [{"name": name, "readings": {"y": value}} for name, value in (("one", 1), ("two", 2))]
        written["models"] = [{"plugin": "any-conditional"}]
        planned, sent = Plan(Campaign.parse(written), space), 3
        first = planned.next_step(History(), None)
        assert isinstance(first, Measure)
        history = History(rounds=[first.round], sent=sent)
        step = planned.next_step(history, None)
        assert isinstance(step, Fit)
        fitted = fit_models(planned.campaign.models, space, planned.columns, history, step.round)
        reason = planned.next_step(history, fitted).reason
        assert reason == "y had no usable reading at any setting, so it cannot be learned"

    def test_there_are_rounds_for_each_target_unless_told(self):
        assert Campaign.parse({"name": "x", "instrument": "twin", "targets": targets(*GAMUT)}).rounds == 300
        result = {"name": "x", "instrument": "twin", "targets": targets(*GAMUT), "stop": {"rounds": 7}}
        assert Campaign.parse(result).rounds == 7


def test_no_verdict_of_a_sweep_is_false_in_daylight():
    twin, truth = Twin(seed=5, daylight=1500.0, memory_h=1.0), []
    written = {"name": "x", "instrument": "twin", "targets": targets(*GAMUT)}
    planned = Plan(Campaign.parse(written), twin.space)
    done = Simulation(planned, twin, watch=lambda each: truth.append(twin.truth(each.settings)[planned.columns]))
    done.run()
    assert set(verdicts(done).values()) == {Verdict.VERIFIED}
    for each in done.findings:
        if each.verdict is Verdict.VERIFIED:
            rows = [o.seq for o in done.history.of_round(each.round, Purpose.VERIFICATION)]
            wanted = next(target for target in planned.targets if target.name == each.target)
            assert wanted.window.holds(np.array(truth)[rows].mean(axis=0))
