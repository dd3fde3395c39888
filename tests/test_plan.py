"""The loop, rehearsed on the twin: what it asks for, when it stops, and that being killed changes nothing."""

import copy
import re
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest

from sdl.campaign import Campaign
from sdl.errors import InvalidInput
from sdl.history import History, Purpose, Request, RoundKind, Verdict
from sdl.instruments.protocol import Patience, Reply
from sdl.instruments.twin import Twin
from sdl.space import Channel, Knob, Space
from strategies.fitting import fit
from strategies.plan import Plan
from strategies.rehearsal import Rehearsal
from strategies.steps import Conclude, Examine, Fit, Measure, Stop

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
    rehearsal = Rehearsal(Counted(campaign(readings, **changes), instrument.space), instrument)
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
            assert len(fresh) == finding.facts["replicates"]
            assert exam.looks[-1].replicates == exam.replicates == finding.facts["planned"]
            assert len(fresh) in {look.replicates for look in exam.looks}, "decided at a look that was planned"
            assert all(np.array_equal(each.settings, exam.settings) for each in fresh)
            frozen = next(i for i, step in enumerate(plan.steps) if isinstance(step, Examine) and step.exam is exam)
            before = [step for step in plan.steps[:frozen] if isinstance(step, Measure)]
            asked = {request.key for step in before for request in step.requests}
            assert not asked & {each.key for each in fresh}, "a replicate was asked for before the candidate was frozen"
            later = [step for step in plan.steps[frozen:] if isinstance(step, Fit) and step.round <= finding.round]
            assert not later, "the model was trained on its exam"


def asked(rehearsal):
    """Everything that was measured, in order."""
    return [(*each.key, each.purpose.value, *each.settings.tolist()) for each in rehearsal.observations]


def readings(rehearsal):
    return np.array([each.readings for each in rehearsal.observations])


# ---------------------------------------------------------------------- what comes of it


@pytest.mark.parametrize(
    ("daylight", "seed"),
    [("dark", 1), ("dark", 2), (1000.0, 1), (1000.0, 2), ("hours", 3), ("hours", 6)],
)
def test_a_reachable_target_is_verified_in_any_light(daylight, seed):
    twin = Twin(seed=seed, daylight=daylight)
    done = rehearsed(instrument=twin, seed=seed, budget=200)
    assert done.reason == SETTLED
    last = done.findings[-1]
    assert last.verdict is Verdict.VERIFIED
    off = twin.truth(last.settings) - twin.space.readings(WHITE)
    assert np.nanmax(np.abs(off)) < 1.5 * 163.84, "the light moves on while it is examined"


def test_a_target_below_the_light_of_the_day_cannot_be_reached():
    done = rehearsed({"515nm": 9000}, instrument=Twin(steady={"515nm": 10000.0}))
    assert done.findings[-1].verdict is Verdict.NOT_REACHABLE
    assert "the nearest that can be reached is 515nm 100" in done.findings[-1].sentence


@pytest.mark.parametrize("models", [["linear"], ["mixture"], ["pls"], ["mixture", "linear"]], ids=str)
def test_any_model_gets_there(models):
    assert rehearsed(models=models, budget=200).findings[-1].verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    ("design", "n"),
    [
        ("latin-hypercube", 5),
        ("random", 5),
        ({"plugin": "sobol", "n": 2}, 2),
        ("full-factorial", 27),
        ("box-behnken", 13),
        ({"plugin": "full-factorial", "levels": 2, "n": 8}, 8),
    ],
    ids=str,
)
def test_any_design_gets_there(design, n):
    done = rehearsed(design=design, budget=200)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert len(done.history.of_round(0, Purpose.DESIGN)) == n


def test_a_number_that_a_design_does_not_have_is_refused():
    with pytest.raises(InvalidInput, match="has 27 points, got n=8: give n=27 or leave it out"):
        rehearsed(design={"plugin": "full-factorial", "n": 8})


@pytest.mark.fault("M-01")
def test_too_few_rows_for_any_model_are_made_more():
    done = rehearsed(design={"n": 1}, acquisition={"n": 2}, budget=100)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert done.rounds[1].kind is RoundKind.LEARNING
    assert done.rounds[1].facts["why"] == "too few readings for any model"


@pytest.mark.fault("M-04")
def test_what_cannot_be_reached_is_said_before_any_verification():
    done = rehearsed(NOT_REACHABLE)
    assert done.reason == SETTLED
    (finding,) = done.findings
    assert finding.verdict is Verdict.NOT_REACHABLE
    assert finding.sentence.startswith("no setting of the knobs gives this: the nearest that can be reached is 590nm ")
    assert Purpose.VERIFICATION not in {each.purpose for each in done.planned.values()}
    assert not done.exams
    assert done.plan.space.contains(finding.settings)


@pytest.mark.fault("M-04")
def test_readings_of_order_one_are_told_to_the_digits_of_their_tolerance():
    one = [{"readings": {"a": 5.4, "b": 0.9}, "tolerance": 0.01}]
    done = rehearsed(instrument=Bent(scale=1e-3), targets=one, models=["linear"])
    last = done.findings[-1]
    assert last.verdict is Verdict.NOT_REACHABLE
    assert re.search(r"a \d\.\d{3} for 5\.400 ± 0\.010, b \d\.\d{3} for 0\.900 ± 0\.010$", last.sentence), last.sentence


def test_two_targets_fix_different_channels():
    targets = [{"name": "a", "readings": {"445nm": 16384, "515nm": 16384}}, {"name": "b", "readings": {"630nm": 9000}}]
    done = rehearsed(targets=targets, budget=200)
    assert done.reason == SETTLED
    assert {(f.target, f.verdict) for f in done.findings if f.settles} == {
        ("a", Verdict.VERIFIED),
        ("b", Verdict.VERIFIED),
    }
    for finding in done.findings:
        assert finding.facts["channels"] == {"a": ["445nm", "515nm"], "b": ["630nm"]}[finding.target]


@pytest.mark.fault("M-04")
def test_one_of_two_targets_may_be_out_of_reach():
    done = rehearsed(
        targets=[{"name": "no", "readings": NOT_REACHABLE}, {"name": "yes", "readings": WHITE}], budget=200
    )
    assert {f.target: f.verdict for f in done.findings if f.settles} == {
        "no": Verdict.NOT_REACHABLE,
        "yes": Verdict.VERIFIED,
    }


def test_a_tolerance_far_below_the_noise_is_given_up_with_the_numbers():
    done = rehearsed(targets=[{"readings": WHITE, "tolerance": 1}])
    (finding,) = done.findings
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.settles
    assert finding.sentence == (
        "given up: even perfect settings could not pass an exam of 16 replicates: one reading scatters by 132 and the "
        "tolerance is 1; allow more replicates or a wider tolerance"
    )
    assert not done.exams


def test_a_fixed_number_of_replicates_that_cannot_pass_is_given_up_as_well():
    done = rehearsed(verification={"replicates": 1})
    assert "even perfect settings could not pass an exam of 1 replicates" in done.findings[0].sentence
    assert not done.exams


@pytest.mark.fault("M-12")
def test_a_tolerance_near_the_noise_ends_after_some_exams():
    done = rehearsed(targets=[{"readings": WHITE, "tolerance": 66}], stop={"exams": 2}, budget=300)
    assert done.findings[-1].sentence == "given up: none of 2 candidates passed its exam"
    assert done.findings[-1].settles
    assert len(done.exams) == 2


def test_rounds_are_limited():
    done = rehearsed(stop={"rounds": 1}, budget=300)
    assert done.reason == "all 1 rounds are done"
    assert [round_.number for round_ in done.rounds] == [0, 1]


@pytest.mark.fault("M-03")
def test_a_channel_that_never_gives_a_reading_cannot_be_learned():
    lit = Twin(steady={"515nm": 70000.0})
    done = rehearsed(instrument=lit, background={"every": 0})
    assert done.reason == "515nm had no usable reading at any setting, so it cannot be learned"


def test_candidates_are_what_the_report_is_told():
    done = rehearsed()
    facts = next(round_.facts for round_ in done.rounds if round_.kind is RoundKind.EXAM)
    assert 0 <= facts["chance of passing"] <= 1
    assert facts["rows"] >= 5
    assert set(facts["uncertainty"]) == set(WHITE)


# ---------------------------------------------------------------------- references


@pytest.mark.fault("I-18")
def test_references_are_read_first_by_cadence_and_before_each_exam():
    done = rehearsed(design={"n": 9}, background={"every": 4}, budget=200)
    purposes = [each.purpose for each in done.observations]
    assert purposes[:12] == [*[Purpose.REFERENCE, *[Purpose.DESIGN] * 4] * 2, Purpose.REFERENCE, Purpose.DESIGN]
    for exam in done.exams:
        assert len(done.history.of_round(exam.round, Purpose.REFERENCE)) == 1
    for each in done.observations:
        if each.purpose is Purpose.REFERENCE:
            np.testing.assert_array_equal(each.settings, done.plan.space.off)


def test_no_references_if_none_are_wanted():
    done = rehearsed(background={"every": 0})
    assert Purpose.REFERENCE not in {each.purpose for each in done.observations}
    assert done.findings[-1].verdict is Verdict.VERIFIED


def test_a_campaign_that_rested_reads_a_reference_first():
    for snapshot, step in moments("dark"):
        stale = replace(snapshot.history, stale=True)
        again = resumed_step(snapshot, stale)
        if isinstance(step, Measure) and step.round.number == snapshot.rounds[-1].number:
            assert again.requests[0].purpose is Purpose.REFERENCE
            assert again.requests[0].key not in snapshot.planned or snapshot.rounds[-1].kind is RoundKind.EXAM


# ---------------------------------------------------------------------- the budget


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
            exam = spent.exams[-1]
            taken = len(spent.of_round(exam.round, Purpose.VERIFICATION))
            looked = taken in {look.replicates for look in exam.looks}
            assert looked or step.finding.verdict is not Verdict.VERIFIED
        else:
            assert step.reason in ("all 100 requests of the budget are sent", SETTLED)


# ---------------------------------------------------------------------- I6: the same again


def test_the_same_seed_asks_for_the_same_and_another_for_something_else():
    once, again, other = (asked(rehearsed(seed=seed)) for seed in (3, 3, 4))
    assert once == again
    assert once[1:6] != other[1:6]


def test_the_design_is_a_matter_of_the_seed_alone():
    once, other = (asked(rehearsed(seed=3, instrument=Twin(seed=i, daylight=i * 500.0))) for i in (1, 2))
    assert once[:6] == other[:6]


AHEAD = [("a", 16384), ("b", 9000), ("c", 12000)]
CAMPAIGNS = {
    "dark": (campaign(), Twin(seed=1)),
    "references by cadence": (campaign(background={"every": 10}), Twin(seed=1)),
    "two targets, narrow, in daylight": (
        campaign(
            targets=[
                {"name": "a", "readings": {"445nm": 16384, "515nm": 16384}, "tolerance": 110},
                {"name": "no", "readings": NOT_REACHABLE},
                {"name": "b", "readings": {"630nm": 9000}},
            ],
            models=["linear"],
            background={"every": 4},
            stop={"exams": 3},
            acquisition={"n": 2, "rounds": 2},
        ),
        Twin(seed=3, daylight=500.0),
    ),
    "few rows": (campaign(design={"n": 2}, models=["mixture"]), Twin(seed=2)),
    "ahead": (
        campaign(
            targets=[{"name": name, "readings": {"445nm": at, "515nm": at}, "tolerance": 70} for name, at in AHEAD],
            fitting={"ahead": True},
            acquisition={"n": 3, "rounds": 3},
            stop={"exams": 3},
        ),
        Twin(seed=4, daylight=500.0),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMPAIGNS)
def test_killed_anywhere_it_goes_on_as_if_nothing_had_been(name):
    snapshots, whole = interrupted(name)
    for snapshot in snapshots[:: 1 + len(snapshots) // 7]:
        snapshot.run()
        assert asked(snapshot) == asked(whole)
        np.testing.assert_array_equal(readings(snapshot), readings(whole))
        assert [f.sentence for f in snapshot.findings] == [f.sentence for f in whole.findings]
        assert [round_.facts for round_ in snapshot.rounds][-1].keys() == whole.rounds[-1].facts.keys()


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_killed_anywhere_it_asks_for_the_same_next(name):
    for snapshot, step in moments(name):
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


def test_a_candidate_whose_rows_were_distrusted_is_left_for_new_readings():
    snapshot, step = next(pair for pair in moments("references by cadence") if isinstance(pair[1], Examine))
    kept = [each for each in snapshot.observations if each.purpose is Purpose.REFERENCE or each.key == (0, 1, 0)]
    again = resumed_step(snapshot, replace(snapshot.history, observations=kept))
    assert isinstance(again, Measure)
    assert (again.round.number, again.round.kind) == (step.round.number + 1, RoundKind.LEARNING)
    assert again.round.facts["why"] == "too few readings for any model"
    spent = resumed_step(snapshot, replace(snapshot.history, observations=kept, sent=100))
    assert spent == Stop("all 100 requests of the budget are sent")
    snapshot.observations = [replace(each, seq=place) for place, each in enumerate(kept)]
    snapshot.run()
    assert snapshot.findings[-1].verdict is Verdict.VERIFIED


def test_an_exam_with_all_its_replicates_is_judged_whatever_else_its_round_lacks():
    done = rehearsed(verification={"replicates": 3})
    (exam, *_), off = done.exams, done.plan.space.off
    lists = {name: [each for each in getattr(done.history, name) if each.round <= exam.round]
             for name in ("planned", "observations", "exams")}  # fmt: skip
    lists["planned"].append(Request(exam.round, 99, 0, Purpose.REFERENCE, off))  # of a break, and never answered
    rounds = [each for each in done.rounds if each.number <= exam.round]
    step = done.plan.next_step(History(rounds=rounds, sent=len(lists["observations"]), **lists), None)
    assert isinstance(step, Conclude)
    assert step.finding.sentence == done.findings[0].sentence


def interrupted(name):
    """Copies of a campaign after each of its measurements, and the campaign run to its end."""
    (config, instrument), snapshots = CAMPAIGNS[name], []
    rehearsal = Rehearsal(Counted(config, instrument.space), copy.deepcopy(instrument))
    rehearsal.watch = lambda _: snapshots.append(copied(rehearsal))
    rehearsal.run()
    assert_honest(rehearsal)
    return snapshots, rehearsal


def copied(rehearsal):
    """The same campaign at this moment, as a new process finds it."""
    lists = {name: list(getattr(rehearsal, name)) for name in ("rounds", "observations", "exams", "findings")}
    instrument = copy.deepcopy(rehearsal.instrument)
    plan = Counted(rehearsal.plan.campaign, instrument.space)
    return Rehearsal(plan, instrument, planned=dict(rehearsal.planned), before=rehearsal.before, **lists)


@cache
def moments(name):
    """Copies of a campaign after each of its measurements, each with the step that led to the next measurement or
    the one that came after it."""
    snapshots, whole = interrupted(name)
    budget, taken, after, found = whole.plan.campaign.budget, 0, [], []
    for step in whole.plan.steps:
        if isinstance(step, Fit):
            continue
        after.append((taken, step))
        if isinstance(step, Measure):
            taken += min(len(step.requests), budget - taken)
    for number, snapshot in enumerate(snapshots, start=1):
        begun = [step for taken, step in after if taken < number and isinstance(step, Measure)][-1]
        if any(each.key not in {o.key for o in snapshot.observations} for each in begun.requests):
            found.append((snapshot, begun))
        else:
            found.append((snapshot, next(step for taken, step in after if taken == number)))
    return found


def snapshot_of(step, key):
    return next(each for each in step.requests if each.key == key)


def resumed_step(snapshot, history):
    """What a new process, which has lost the fitted model, does first."""
    plan, fitted = Plan(snapshot.plan.campaign, snapshot.plan.space), None
    while isinstance(step := plan.next_step(history, fitted), Fit):
        fitted = fit(plan.campaign.models, plan.space, plan.columns, history.before(step.before), step.round)
    return step


# ---------------------------------------------------------------------- an instrument that states no noise


class Bent:
    """Two knobs, a bent response and a noise of 1 that nobody knows."""

    identity, patience = "bent", Patience()
    space = Space(
        knobs=(Knob(name="x", low=-1.0), Knob(name="y", high=2.0)),
        channels=(Channel(name="a", floor=None, integral=False), Channel(name="b", floor=None, integral=False)),
    )

    def __init__(self, scale=1.0):
        self.rng, self.scale = np.random.default_rng(0), scale

    def measure(self, settings):
        x, y = (settings["x"] + 1) / 2, settings["y"] / 2
        values = np.array([1000 * (x + x * x) + 100 * y, 1000 * (y + y * y) + 100 * x]) + self.rng.standard_normal(2)
        values *= self.scale
        return Reply(settings, dict(zip("ab", values.tolist(), strict=True)), "")

    def close(self):
        pass


@pytest.mark.parametrize("models", [["linear"], ["mixture", "linear"]], ids=str)
@pytest.mark.parametrize("rule", [{}, {"replicates": 5}, {"noise": "estimated"}], ids=str)
def test_what_a_model_misses_is_not_taken_for_noise(models, rule):
    targets = [{"readings": {"a": 800, "b": 900}, "tolerance": 10}]
    done = rehearsed(instrument=Bent(), targets=targets, models=models, verification=rule)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert len(done.observations) < 50


# ---------------------------------------------------------------------- nothing but the history


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
