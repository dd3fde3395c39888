"""Campaigns as a new process finds them after each of their measurements."""

import copy
from functools import cache

from rehearsing import NOT_REACHABLE, Counted, assert_honest, campaign

from sdl.instruments.claude_light.twin import Twin
from strategies.evaluation.simulation import Simulation
from strategies.fitting.fitting import fit_models
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Measure

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
            acquisition={"plugin": "uncertainty", "n": 2, "rounds": 2},
        ),
        Twin(seed=3, daylight=500.0),
    ),
    "few rows": (campaign(design={"n": 2}, models=["mixture"]), Twin(seed=2)),
    "ahead": (
        campaign(
            targets=[{"name": name, "readings": {"445nm": at, "515nm": at}, "tolerance": 70} for name, at in AHEAD],
            fitting={"ahead": True},
            acquisition={"plugin": "uncertainty", "n": 3, "rounds": 3, "below": 0.9},
            stop={"exams": 3},
        ),
        Twin(seed=4, daylight=500.0),
    ),
}


@cache
def interrupted(name):
    """Copies of a campaign after each of its measurements, and the campaign run to its end."""
    (config, instrument), snapshots = CAMPAIGNS[name], []
    rehearsal = Simulation(Counted(config, instrument.space), copy.deepcopy(instrument))
    rehearsal.watch = lambda _: snapshots.append(copied(rehearsal))
    rehearsal.run()
    assert_honest(rehearsal)
    return snapshots, rehearsal


def copied(rehearsal):
    """The same campaign at this moment, as a new process finds it."""
    lists = {name: list(getattr(rehearsal, name)) for name in ("rounds", "observations", "exams", "findings", "asked")}
    instrument = copy.deepcopy(rehearsal.instrument)
    plan = Counted(rehearsal.plan.campaign, instrument.space)
    return Simulation(plan, instrument, planned=dict(rehearsal.planned), before=rehearsal.before, **lists)


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


def resumed_step(snapshot, history):
    """What a new process, which has lost the fitted model, does first."""
    plan, fitted = Plan(snapshot.plan.campaign, snapshot.plan.space), None
    while isinstance(step := plan.next_step(history, fitted), Fit):
        fitted = fit_models(plan.campaign.models, plan.space, plan.columns, history.before(step.before), step.round)
    return step
