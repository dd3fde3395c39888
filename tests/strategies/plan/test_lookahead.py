"""Proposed while the round before is measured: the same as when it is proposed after it, and after a kill."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from moments import CAMPAIGNS, moments

from flows.engine.opening import open_session
from flows.studies.reproduce import reproduce_bundle, summarise_reproduction
from sdl.campaign.definition import Campaign
from sdl.history import History, Purpose, RoundKind
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.interchange import bundle_writer as bundle
from strategies.evaluation.simulation import Simulation
from strategies.fitting.fitting import fit_models
from strategies.plan.lookahead import possible_endings
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Measure

SETTLES = {True: 0, False: 1}
"""Which of the endings of an exam it is, by whether its finding settles the target."""


def proposed(plan, history, fitted=None):
    while isinstance(step := plan.next_step(history, fitted), Fit):
        fitted = fit_models(plan.campaign.models, plan.space, plan.columns, history.before(step.before), step.round)
    return step, fitted


def prepared(plan, history):
    """What is proposed on each ending of the round under way, by the finding that it would end with."""
    return [proposed(plan, ending)[0] for ending in possible_endings(history)]


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, Measure):
        assert (one.round.number, one.round.kind, one.round.target) == (
            other.round.number,
            other.round.kind,
            other.round.target,
        )
        assert one.round.facts == other.round.facts
        assert [each.key for each in one.requests] == [each.key for each in other.requests]
        for mine, theirs in zip(one.requests, other.requests, strict=True):
            np.testing.assert_array_equal(mine.settings, theirs.settings)


@pytest.mark.slow
def test_what_is_prepared_is_what_is_proposed_when_the_round_is_done():
    kinds = set()
    snapshots = [snapshot for snapshot, _ in moments("ahead")]
    whole = snapshots[-1]
    for number in sorted({each.number for each in whole.rounds})[1:-1]:
        inside = [each for each in snapshots if each.rounds[-1].number == number and possible_endings(each.history)]
        after = next(each for each in snapshots if each.rounds[-1].number == number + 1)
        if not inside:
            continue
        plan = Plan(whole.plan.campaign, whole.plan.space)
        ready = prepared(plan, inside[0].history)
        judged = next((finding for finding in after.findings if finding.round == number), None)
        step = ready[SETTLES[judged.settles] if judged else 0]
        begun = after.rounds[-1]
        if isinstance(step, Measure) and judged is None:
            first = [each for each in after.planned.values() if each.round == begun.number][: len(step.requests)]
            same(step, Measure(begun, first))
            kinds.add(begun.kind)
    assert RoundKind.LEARNING in kinds


def test_nothing_is_foreseen_before_there_is_anything_to_go_by():
    assert possible_endings(History()) == []
    snapshot, _ = moments("ahead")[0]
    assert snapshot.rounds[-1].kind is RoundKind.DESIGN
    assert possible_endings(snapshot.history) == []  # the first round to learn from is this one
    exam = next(each for each, _ in moments("ahead") if each.rounds[-1].kind is RoundKind.EXAM)
    number = exam.rounds[-1].number
    before = {name: getattr(exam.history.before(number), name) for name in ("planned", "observations", "exams")}
    assert possible_endings(exam.history)
    assert possible_endings(replace(exam.history, **before)) == [], "an exam that waits for its candidate"


def test_what_was_asked_for_meanwhile_is_not_asked_for_again():
    whole = moments("ahead")[-1][0]
    learned = [each for each in whole.planned.values() if each.purpose is Purpose.LEARNING]
    assert len({each.round for each in learned}) > 1
    settings = np.array([each.settings for each in learned])
    assert len(np.unique(settings, axis=0)) == len(settings)


@pytest.mark.slow
def test_in_the_box_and_begun_again_it_decides_what_a_rehearsal_does(drive, tmp_path):
    config, instrument = CAMPAIGNS["ahead"]
    written = config.model_dump(mode="json", exclude_unset=True)
    with InstrumentServer(Twin(seed=4, daylight=500.0)) as server:
        written |= {"instrument": {"plugin": "claude-light", "url": server.url, "allow_private": True}}
        opened = partial(open_session, written, tmp_path, str(tmp_path / "ledger.sqlite"))
        for steps in (4, 7):
            with opened() as session:
                for _ in range(steps):
                    session.execute(session.propose())
        with opened() as session:
            drive(session)
            history, file = session.history, bundle.write_bundle(session.ledger, "x", tmp_path / "x.zip")
    rehearsal = Simulation(Plan(Campaign.parse(written), instrument.space), Twin(seed=4, daylight=500.0))
    rehearsal.run()
    asked = [[(*each.key, *each.settings) for each in seen.observations] for seen in (history, rehearsal)]
    assert asked[0] == asked[1]
    assert [each.sentence for each in history.findings] == [each.sentence for each in rehearsal.findings]
    result = reproduce_bundle(file)
    assert result["agrees"], summarise_reproduction(result)
