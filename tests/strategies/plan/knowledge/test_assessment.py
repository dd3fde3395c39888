"""What the posterior says of a target: its pursuit, where to read, whether it is out of reach or lost in noise."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from rehearsing import NOT_REACHABLE, WHITE, rehearsed

from sdl.history import Finding, Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.plan.knowledge.observed_rows import pursuit_number
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit
from strategies.posterior.verdict import NEAR

TARGETS = [{"name": "white", "readings": WHITE, "answers": 3}, {"name": "no", "readings": NOT_REACHABLE}]


@cache
def known():
    """A campaign of both targets after its design."""
    return rehearsed(targets=TARGETS, budget=6)


def assessment(findings=(), done=None, fitted=True):
    done = done or known()
    plan = Plan(done.plan.campaign, done.plan.space)
    history = replace(done.history, findings=list(findings))
    number = 1 + history.rounds[-1].number
    return plan, plan.insight(history, plan.fit(Fit(number, number), history) if fitted else None)


def passed(round_, settings):
    return Finding(round_, "white", Verdict.VERIFIED, "", np.array(settings))


def test_each_answer_is_a_pursuit_with_an_error_rate_of_its_own():
    plan, insight = assessment()
    white, no = plan.targets
    assert [insight.pursuit(target).number for target in (white, no)] == [pursuit_number(0, 0), pursuit_number(1, 0)]
    _, after = assessment([passed(1, [0.5, 0.2, 0.5])])
    assert after.pursuit(white).number == pursuit_number(0, 1)
    assert after.pursuit(white).error == pytest.approx(0.05)


def test_another_answer_is_looked_for_away_from_those_there_are():
    plan, insight = assessment()
    first = insight.reading(plan.targets[0]).settings
    _, after = assessment([passed(1, plan.space.from_unit(first))])
    other = after.reading(plan.targets[0]).settings
    assert np.abs(other - first).max() > 0.1


def test_the_model_draws_within_the_box_and_a_campaign_without_one_does_without():
    plan, insight = assessment()
    draws = insight.offers(plan.targets[0])
    assert ((draws >= 0) & (draws <= 1)).all()
    _, without = assessment(fitted=False)
    assert without.offers(plan.targets[0]) is None
    assert without.reading(plan.targets[0]).settings == pytest.approx(
        insight.reading(plan.targets[0]).settings, abs=0.1
    )


def test_a_question_is_answered_once():
    plan, insight = assessment()
    assert insight.reading(plan.targets[0]) is insight.reading(plan.targets[0])
    assert insight.nearest(plan.targets[1]) is insight.nearest(plan.targets[1])


def test_out_of_reach_is_said_only_once_readings_for_the_target_were_refuted():
    plan, insight = assessment()
    white, no = plan.targets
    assert insight.nearest(no).out_of_reach
    assert insight.unreachable(no) is None, "no reading was taken for it"
    refuted = [Finding(1, name, Verdict.REFUTED, "", np.zeros(3)) for name in ("white", "no")]
    _, after = assessment(refuted)
    finding = after.unreachable(no)
    assert finding.verdict is Verdict.NOT_REACHABLE
    assert finding.round == after.fitted.round
    assert plan.space.contains(finding.settings)
    assert np.nanmax(finding.facts.excess) > 0
    assert after.unreachable(white) is None, "one place was refuted, and others may give it"


def test_of_a_target_that_nothing_gives_what_comes_nearest_is_examined_until_it_is_refuted():
    plan, insight = assessment()
    white, no = plan.targets
    reading = insight.reading(no)
    np.testing.assert_array_equal(insight.candidate(no, reading), insight.nearest(no).settings)
    np.testing.assert_array_equal(insight.candidate(white, insight.reading(white)), insight.reading(white).settings)
    done = rehearsed(NOT_REACHABLE)
    last = [exam for exam in done.exams if exam.round == done.findings[-2].round]
    away = done.plan.space.to_unit(last[0].settings) - done.plan.space.to_unit(done.findings[-1].settings)
    assert np.abs(away).max() <= NEAR


def test_a_target_is_lost_in_noise_only_where_repeats_say_so():
    narrow = [{"readings": WHITE, "tolerance": 1}]
    unrepeated = rehearsed(targets=narrow, budget=6)
    repeated = rehearsed(targets=narrow, budget=60)
    for done, lost in ((unrepeated, False), (repeated, True)):
        plan, insight = assessment(done=done)
        assert insight.lost_in_noise(plan.targets[0], 100) is lost
        assert not insight.lost_in_noise(plan.targets[0], 10**6)


def test_the_background_is_that_of_the_last_reference():
    lit = rehearsed(instrument=Twin(seed=1, steady={"630nm": 2000.0}), budget=6)
    _, insight = assessment(done=lit)
    assert insight.background == pytest.approx([0, 0, 2000], abs=150)
    assert insight.ceiling == pytest.approx([65535, 65535, 63535], abs=150)
