"""The next step is a matter of the campaign and its history alone: killed anywhere, the loop goes on the same."""

from dataclasses import replace

import numpy as np
import pytest
from moments import CAMPAIGNS, copied, interrupted, moments, resumed_step
from rehearsing import Counted, campaign, rehearsed

from sdl.history import History, Purpose, Request, RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.evaluation.simulation import Simulation
from strategies.fitting import fitting
from strategies.plan.plan import Plan
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Stop


def asked(rehearsal):
    """Everything that was measured, in order."""
    return [(*each.key, each.purpose.value, *each.settings.tolist()) for each in rehearsal.observations]


def readings(rehearsal):
    return np.array([each.readings for each in rehearsal.observations])


def test_an_empty_history_begins_with_the_design():
    step = Plan(campaign(), Twin().space).next_step(History(), None)
    assert isinstance(step, Measure)
    assert step.round.kind is RoundKind.DESIGN
    assert [each.purpose for each in step.requests] == [Purpose.REFERENCE, *[Purpose.DESIGN] * 5]


def test_a_step_is_a_matter_of_its_arguments_alone():
    for snapshot, _ in moments("dark")[::4]:
        first, second = (resumed_step(snapshot, snapshot.history) for _ in range(2))
        assert type(first) is type(second)
        assert repr(getattr(first, "requests", "")) == repr(getattr(second, "requests", ""))


def test_the_same_seed_asks_for_the_same_and_another_for_something_else():
    once, again, other = (asked(rehearsed(seed=seed)) for seed in (3, 3, 4))
    assert once == again
    assert once[1:6] != other[1:6]


def test_the_design_is_a_matter_of_the_seed_alone():
    once, other = (asked(rehearsed(seed=3, instrument=Twin(seed=i, daylight=i * 500.0))) for i in (1, 2))
    assert once[:6] == other[:6]


# ---------------------------------------------------------------------- killed


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMPAIGNS)
def test_killed_anywhere_it_goes_on_as_if_nothing_had_been(name):
    snapshots, whole = interrupted(name)
    for snapshot in map(copied, snapshots[:: 1 + len(snapshots) // 4]):
        snapshot.run()
        assert asked(snapshot) == asked(whole)
        np.testing.assert_array_equal(readings(snapshot), readings(whole))
        assert [f.sentence for f in snapshot.findings] == [f.sentence for f in whole.findings]
        assert snapshot.rounds[-1].facts.to_json().keys() == whole.rounds[-1].facts.to_json().keys()


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_killed_anywhere_it_asks_for_the_same_next(name):
    for snapshot, step in moments(name)[:: 1 + len(moments(name)) // 40]:
        again = resumed_step(snapshot, snapshot.history)
        assert type(again) is type(step)
        if isinstance(step, Measure):
            wanted = [each.key for each in step.requests if each.key not in {o.key for o in snapshot.observations}]
            assert [each.key for each in again.requests][: len(wanted)] == wanted
            assert bool(again.requests) == bool(step.requests) == bool(wanted), "an exam may begin without a reference"
            for mine, key in zip(again.requests, wanted, strict=False):
                np.testing.assert_array_equal(mine.settings, snapshot_of(step, key).settings)
        if isinstance(step, Examine):
            np.testing.assert_array_equal(again.exam.settings, step.exam.settings)
            assert again.exam.replicates == step.exam.replicates


def snapshot_of(step, key):
    return next(each for each in step.requests if each.key == key)


# ---------------------------------------------------------------------- through the ledger and back


class Reopened(Counted):
    """A plan that knows its rounds and findings from the ledger alone."""

    def next_step(self, history, fitted):
        return super().next_step(self.read_back(history), fitted)

    def fit(self, step, history):
        return super().fit(step, self.read_back(history))

    def read_back(self, history):
        name = f"copy-{len(self.ledger.entries())}"
        campaign = self.ledger.register(name, "twin", self.space, {}, {}).id
        with self.ledger.hold("twin", "test") as lease:
            for round_ in history.rounds:
                self.ledger.plan(lease, campaign, round_, [])
            for finding in history.findings:
                self.ledger.find(lease, campaign, finding)
        kept = self.ledger.history(campaign)
        return replace(history, rounds=kept.rounds, findings=kept.findings)


FOLLOWED = {
    "compared models": {
        "targets": [{"name": name, "readings": {"515nm": at}} for name, at in (("a", 9000), ("b", 15000))],
        "models": ["linear", "pls"],
        "design": {"n": 10},
    },
    "a broken model and few rows": {"models": ["mixture", "pls"], "design": {"n": 2}},
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_facts_that_went_through_the_ledger_lead_to_the_same_steps(ledger, monkeypatch, name):
    """Models are asked about unseen rows as often as without a ledger, since what was missed is read back."""
    questions, ask = [], fitting.predict_held_out
    monkeypatch.setattr(fitting, "predict_held_out", lambda *args, **how: questions.append(args) or ask(*args, **how))
    straight, instrument = rehearsed(**FOLLOWED[name]), Twin(seed=1)
    straight_questions = len(questions)
    plan = Reopened(campaign(**FOLLOWED[name]), instrument.space)
    object.__setattr__(plan, "ledger", ledger)
    reopened = Simulation(plan, instrument)
    reopened.run()
    assert len(questions) == 2 * straight_questions > 0
    assert asked(reopened) == asked(straight)
    assert [finding.sentence for finding in reopened.findings] == [finding.sentence for finding in straight.findings]
    assert [round_.facts for round_ in reopened.rounds] == [round_.facts for round_ in straight.rounds]


# ---------------------------------------------------------------------- readings that were lost


def test_a_reading_that_was_distrusted_is_taken_again():
    for snapshot, _ in moments("dark"):
        lost = snapshot.observations[-1]
        if snapshot.rounds[-1].number != lost.round or any(f.round == lost.round for f in snapshot.findings):
            continue
        history = replace(snapshot.history, observations=snapshot.observations[:-1])
        step = resumed_step(snapshot, history)
        if isinstance(step, Measure):
            assert step.requests[0].key == lost.key
        else:
            assert isinstance(step, Conclude)


def waiting(snapshot, kept):
    """An exam whose reference is read and whose candidate is not made, when only some rows are trusted any more."""
    return replace(snapshot.history, observations=[replace(each, seq=place) for place, each in enumerate(kept)])


def test_a_candidate_some_of_whose_rows_were_distrusted_is_made_from_the_others():
    snapshot, step = next(pair for pair in moments("references by cadence") if isinstance(pair[1], Examine))
    rows = snapshot.observations
    some = waiting(snapshot, [each for each in rows if each.purpose is Purpose.REFERENCE or each.key == (0, 1, 0)])
    again = resumed_step(snapshot, some)
    assert isinstance(again, Examine)
    assert (again.round.number, again.exam.target) == (step.round.number, step.exam.target)


def test_a_candidate_that_no_rows_are_left_for_is_left_for_new_readings():
    snapshot, step = next(pair for pair in moments("references by cadence") if isinstance(pair[1], Examine))
    snapshot = copied(snapshot)  # it goes on from here, and others look at it too
    kept = [snapshot.observations[-1]]
    again = resumed_step(snapshot, waiting(snapshot, kept))
    assert isinstance(again, Measure)
    assert again.round.number == step.round.number + 1
    assert again.round.kind is RoundKind.DESIGN
    spent = resumed_step(snapshot, replace(waiting(snapshot, kept), sent=100))
    assert spent == Stop("all 100 requests of the budget are sent")
    snapshot.observations = list(waiting(snapshot, kept).observations)
    snapshot.run()
    assert snapshot.findings[-1].verdict is Verdict.VERIFIED


def test_an_exam_with_all_its_replicates_is_judged_whatever_else_its_round_lacks():
    done = rehearsed(verification={"replicates": 3})
    (exam, *_), off = done.exams, done.plan.space.off
    lists = {name: [each for each in getattr(done.history, name) if each.round <= exam.round]
             for name in ("planned", "observations", "exams")}  # fmt: skip
    lists["planned"].append(Request(exam.round, 99, 0, Purpose.REFERENCE, off))  # of a break, and never answered
    rounds = [each for each in done.rounds if each.number <= exam.round]
    history = History(rounds=rounds, sent=len(lists["observations"]), **lists)
    step = done.plan.next_step(history, done.plan.fit(Fit(exam.round, exam.round), history))
    assert isinstance(step, Conclude)
    assert step.finding.sentence == done.findings[0].sentence
