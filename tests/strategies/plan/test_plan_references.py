"""When the loop reads a reference: first, by cadence, before each exam and after a rest."""

from dataclasses import replace

import numpy as np
import pytest
from moments import moments, resumed_step
from rehearsing import rehearsed

from sdl.history import Purpose, RoundKind, Verdict
from strategies.plan.steps import Measure


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
