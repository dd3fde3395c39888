"""Campaigns rehearsed to their end, each held to what is true of every campaign."""

from dataclasses import dataclass, field

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.history import Purpose, Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan
from strategies.plan.steps import Examine, Fit, Measure
from strategies.posterior.verdict import FEWEST

WHITE = {"445nm": 16384, "515nm": 16384, "630nm": 16384}
NOT_REACHABLE = {"590nm": 1024, "630nm": 16384}
SETTLED = "every target is settled"
STEPS = 400


@dataclass(frozen=True, eq=False)
class Counted(Plan):
    """A plan that is not asked for ever."""

    steps: list = field(default_factory=list)

    def next_step(self, history, fitted):
        step = super().next_step(history, fitted)
        self.steps.append(step)
        assert len(self.steps) < STEPS, f"{STEPS} steps and no end: {step}"
        return step


def campaign(readings=None, **changes):
    one = [{"readings": readings or WHITE}]
    return Campaign.parse({"name": "x", "instrument": "twin", "targets": one, **changes})


def rehearsed(readings=None, instrument=None, **changes):
    """A campaign that has been run, with why it ended."""
    instrument = instrument or Twin(seed=1)
    rehearsal = Simulation(Counted(campaign(readings, **changes), instrument.space), instrument)
    rehearsal.reason = rehearsal.run()
    assert_honest(rehearsal)
    return rehearsal


def assert_honest(rehearsal):
    """What holds of every campaign, whatever came of it."""
    plan, observations = rehearsal.plan, rehearsal.observations
    assert len(observations) <= plan.campaign.budget  # I4
    assert [each.seq for each in observations] == list(range(len(observations)))
    assert len({each.key for each in observations}) == len(observations)  # I3
    assert plan.space.contains([each.settings for each in rehearsal.planned.values()]).all()
    exams = {exam.round: exam for exam in rehearsal.exams}
    for finding in rehearsal.findings:
        if finding.verdict is Verdict.VERIFIED:  # I10
            exam = exams[finding.round]
            fresh = rehearsal.history.of_round(finding.round, Purpose.VERIFICATION)
            facts = finding.facts
            assert len(fresh) == facts.replicates <= exam.replicates == facts.planned
            assert facts.pooled >= FEWEST, "a verdict stands on that many readings taken for the target"
            assert (np.abs(facts.mean - facts.target) + facts.margin <= facts.tolerance).all()
            assert all(np.array_equal(each.settings, exam.settings) for each in fresh)
            frozen = next(i for i, step in enumerate(plan.steps) if isinstance(step, Examine) and step.exam is exam)
            before = [step for step in plan.steps[:frozen] if isinstance(step, Measure)]
            asked = {request.key for step in before for request in step.requests}
            assert not asked & {each.key for each in fresh}, "a replicate was asked for before the candidate was frozen"
            later = [step for step in plan.steps[frozen:] if isinstance(step, Fit) and step.round <= finding.round]
            assert not later, "the model was trained on its exam"
