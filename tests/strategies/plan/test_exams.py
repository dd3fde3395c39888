"""An exam is a stay at one place: judged by all readings for the target, left where another place is likelier."""

from dataclasses import replace

import numpy as np
import pytest
from moments import resumed_step
from rehearsing import WHITE, campaign, rehearsed

from sdl.history import Purpose, Request, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.space import Window
from strategies.evaluation.simulation import Simulation
from strategies.plan.exams import judged
from strategies.plan.plan import Plan
from strategies.plan.steps import Conclude, Examine, Measure
from strategies.posterior import Pursuit, Rows, Statement, learn_all

HERE, TARGET = np.array([0.5, 0.5]), Pursuit(0, Window.about(np.array([2.0]), np.array([0.1])))
ABOUT = Statement.unstated(2, 1)


def posterior(exam, last=()):
    """Of a design, an exam of so many readings at one place, and rows for something else."""
    rng, rows = np.random.default_rng(0), Rows.empty(2, 1)
    design = [np.array(place) for place in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.2))]
    for place, number in [*((at, -1) for at in design), *[(HERE, 0)] * exam, *((at, -1) for at in last)]:
        value = 2 * place.sum() + 0.03 * rng.standard_normal()
        rows = rows.with_row(place, np.array([value]), ABOUT, number)
    return learn_all(rows, ABOUT)


@pytest.mark.parametrize(("readings", "ripe"), [(1, False), (2, False), (3, True)])
def test_an_exam_of_few_readings_is_not_ripe(readings, ripe):
    judgement = judged(posterior(readings), TARGET, HERE)
    assert judgement.ripe is ripe
    assert judgement.readings == readings
    assert ripe or judgement.verdict is Verdict.INCONCLUSIVE


def test_after_a_reading_for_something_else_it_is_judged_at_the_settings_of_the_exam():
    """A reference after a break is no look at the target, and says nothing of settings with every knob off."""
    judgement = judged(posterior(2, last=[np.zeros(2)]), TARGET, HERE)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.look == 0
    assert judgement.mean[0] == pytest.approx(2.0, abs=0.1)
    np.testing.assert_array_equal(judgement.settings, HERE)


# ---------------------------------------------------------------------- in a campaign


def steps_of(done, kind):
    return [step for step in done.plan.steps if isinstance(step, kind)]


def test_an_exam_asks_for_one_reading_at_a_time_and_ends_at_once():
    done = rehearsed()
    replicates = [
        step for step in steps_of(done, Measure) if any(r.purpose is Purpose.VERIFICATION for r in step.requests)
    ]
    assert {len(step.requests) for step in replicates} == {1}
    assert len(done.exams) == len(done.findings), "each is concluded"
    for exam in done.exams[:-1]:
        finding = next(each for each in done.findings if each.round == exam.round)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.sentence.endswith("by these readings other settings are likelier to give it")


def test_every_reading_taken_for_the_target_nearby_counts():
    done = rehearsed()
    last, taken = done.findings[-1], sum(each.purpose is Purpose.VERIFICATION for each in done.observations)
    assert last.facts.pooled == taken > last.facts.replicates
    count = f"by {taken} readings for this target nearby, {last.facts.replicates} of them at these very settings"
    assert last.sentence.endswith(count)


def test_a_sentence_says_beyond_or_within_only_of_what_is():
    done = rehearsed(targets=[{"readings": WHITE, "tolerance": 100}], seed=2, instrument=Twin(seed=2), budget=100)
    for finding in done.findings:
        facts = finding.facts
        if facts.mean is None:
            continue
        within = np.abs(facts.mean - facts.target) + facts.margin <= facts.tolerance
        beyond = np.abs(facts.mean - facts.target) - facts.margin > facts.tolerance
        if finding.sentence.startswith("within"):
            assert within.all()
        if finding.sentence.startswith("off by more"):
            assert beyond.any()
        if finding.sentence.startswith("neither"):
            assert not within.all()


def test_a_noise_that_may_not_be_used_is_learned_from_the_readings():
    loud = Twin(seed=1, noise=3.0)
    known, unknown = (
        rehearsed(instrument=Twin(seed=1, noise=3.0), budget=30, verification={"noise": noise})
        for noise in ("known", "estimated")
    )
    first = [next(f for f in each.findings if f.facts.noise is not None).facts for each in (known, unknown)]
    assert (first[1].degrees < first[0].degrees).all()
    assert loud.space.noise[1] > 0


# ---------------------------------------------------------------------- killed in the middle, and a break


def in_the_middle():
    """A campaign with an exam that has some readings and no verdict yet."""
    plan = Plan(campaign(verification={"most": 5}), Twin().space)
    done = Simulation(plan, Twin(seed=1))
    fitted = None
    while not any(each.purpose is Purpose.VERIFICATION for each in done.observations):
        step = plan.next_step(done.history, fitted)
        if isinstance(step, Examine | Measure):
            done._begin(step)
        else:
            fitted = plan.fit(step, done.history)
    return plan, done, fitted


def test_a_process_that_knows_the_ledger_alone_goes_on_with_the_exam_in_the_same_way():
    plan, done, fitted = in_the_middle()
    for _ in range(3):
        mine, theirs = plan.next_step(done.history, fitted), resumed_step(done, done.history)
        assert type(mine) is type(theirs)
        if isinstance(mine, Conclude):
            assert mine.finding.sentence == theirs.finding.sentence
            break
        assert [each.key for each in mine.requests] == [each.key for each in theirs.requests]
        done._begin(mine)


def test_after_a_break_a_reference_comes_first_and_what_it_says_is_no_verdict():
    plan, done, fitted = in_the_middle()
    stale = replace(done.history, stale=True)
    step = plan.next_step(stale, fitted)
    if isinstance(step, Measure):
        assert step.requests[0].purpose is Purpose.REFERENCE
    number = done.rounds[-1].number
    done._begin(Measure(done.rounds[-1], [Request(number, 99, 0, Purpose.REFERENCE, plan.space.off)]))
    spent = plan.next_step(replace(done.history, sent=plan.campaign.most), fitted)
    assert isinstance(spent, Conclude)
    assert spent.finding.verdict is Verdict.INCONCLUSIVE
    assert spent.finding.facts.mean == pytest.approx([16384] * 3, rel=0.05)
    assert spent.finding.sentence.endswith("; the budget is spent")
