"""Requests: planned once, the intent written before the reply, sent within the budget and under the lease."""

import subprocess
import sys
import time

import numpy as np
import pytest
from desk import BUDGET, DESIGN, Desk, reply, request, screened
from places import SUPPORT
from sqlalchemy.exc import NoResultFound

from sdl.errors import BudgetSpent, CampaignPaused, CampaignStopped, LeaseLost
from sdl.history import Control, Finding, Purpose, ReplyClass, Request, Round, RoundFacts, RoundKind, State, Verdict
from sdl.instruments.claude_light.channels import SPACE
from sdl.ledger.lease import Lease


def test_the_intent_stands_before_the_reply(desk):
    desk.plan(request())
    desk.send(request())
    (row,) = desk.trail
    assert (row["state"], row["verdict"], row["raw"], row["readings"]) == ("SENT", None, "", None)
    assert row["sent_at"] == pytest.approx(time.time(), abs=30)
    assert desk.history.sent == 1
    assert desk.history.observations == []


def test_a_round_that_is_planned_stays_as_it_was_planned(desk):
    desk.plan(request(0), request(1))
    moved = Request(0, 1, 0, Purpose.LEARNING, np.ones(3))
    desk.plan(moved, request(2), round_=Round(0, RoundKind.LEARNING, facts=RoundFacts(why="late")))
    assert [(each.key, each.purpose) for each in desk.history.planned] == [
        ((0, i, 0), Purpose.DESIGN) for i in range(3)
    ]
    np.testing.assert_array_equal(desk.history.planned[1].settings, request(1).settings)
    assert desk.history.rounds == [DESIGN]


def test_what_was_not_planned_is_not_sent(desk):
    desk.plan(request(0))
    with pytest.raises(NoResultFound):
        desk.send(request(1))
    assert desk.trail == []


def test_attempts_at_one_measurement_are_numbered(desk):
    desk.plan(request(0), request(1))
    desk.ledger.fail(desk.lease, desk.send(request(0)), ReplyClass.RETRY, "503")
    desk.ledger.fail(desk.lease, desk.send(request(0)), ReplyClass.UNKNOWN, "silent")
    desk.measured(request(0))
    desk.measured(request(1))
    assert [(row["index"], row["attempt"], row["state"]) for row in desk.trail] == [
        (0, 1, "FAILED"),
        (0, 2, "UNKNOWN"),
        (0, 3, "DONE"),
        (1, 1, "DONE"),
    ]
    assert desk.history.sent == 4


def test_the_budget_counts_every_request_sent(desk):
    desk.plan(request(0))
    desk.ledger.fail(desk.lease, desk.send(request(0), budget=3), ReplyClass.RETRY, "")
    desk.ledger.fail(desk.lease, desk.send(request(0), budget=3), ReplyClass.RETRY, "")
    desk.send(request(0), budget=3)
    with pytest.raises(BudgetSpent, match="all 3 requests of the budget are sent; raise 'budget'"):
        desk.send(request(0), budget=3)
    assert len(desk.trail) == 3
    desk.send(request(0), budget=4)


@pytest.mark.parametrize(("control", "error"), [(Control.PAUSE, CampaignPaused), (Control.STOP, CampaignStopped)])
def test_a_flag_of_a_person_holds_before_the_next_request(desk, control, error):
    desk.plan(request(0), request(1))
    attempt = desk.send(request(0))
    desk.ask(control)
    desk.ledger.receive(desk.lease, attempt, reply(), screened())
    with pytest.raises(error, match="'sdl resume white'"):
        desk.send(request(1))
    assert [row["state"] for row in desk.trail] == ["DONE"]
    desk.ask(Control.RUN)
    desk.send(request(1))


def test_requests_of_another_campaign_are_its_own(desk):
    other = desk.ledger.register("other", "light", SPACE, {}, {}).id
    desk.plan(request(0))
    desk.ledger.plan(desk.lease, other, DESIGN, [request(0)])
    desk.measured(request(0))
    assert desk.ledger.history(other).sent == 0
    assert len(desk.ledger.history(other).pending) == 1
    assert desk.ledger.last_reply(other, desk.lease.instrument) is None
    desk.ledger.send(desk.lease, other, request(0), budget=1)
    desk.ask(Control.STOP, "other")
    desk.send(request(0))


# ---------------------------------------------------------------------- what got lost


@pytest.mark.fault("O-18")
def test_what_a_dead_process_sent_is_unknown_and_measured_again(desk):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    desk.send(request(1))
    assert desk.reopen() == 1
    assert desk.reopen() == 0
    assert [row["state"] for row in desk.trail] == ["DONE", "UNKNOWN"]
    assert desk.trail[1]["reason"] == "the process ended before the answer came"
    desk.measured(request(1))
    assert [(row["index"], row["attempt"]) for row in desk.trail] == [(0, 1), (1, 1), (1, 2)]
    assert len(desk.history.observations) == 2


DIES = """
import os, sys
from sdl.ledger.ledger import Ledger
from desk import Desk, request
desk = Desk(sys.argv[1])
desk.plan(request(0), request(1))
desk.measured(request(0))
desk.send(request(1))
os.kill(os.getpid(), 9)
"""


def test_a_process_that_is_killed_after_sending_leaves_the_rest_intact(where):
    child = subprocess.run([sys.executable, "-c", DIES, where], cwd=SUPPORT, check=False)
    assert child.returncode == -9
    desk = Desk(where)  # at once: the dead hold nothing
    assert [row["state"] for row in desk.trail] == ["DONE", "SENT"]
    assert desk.ledger.reconcile(desk.lease, desk.campaign) == 1
    assert [each.key for each in desk.history.pending] == [(0, 1, 0)]
    desk.close()


@pytest.mark.fault("O-20")
def test_nobody_writes_without_the_lease(desk):
    desk.plan(request(0))
    attempt = desk.send(request(0))
    old = Lease("light", desk.lease.token - 1)
    ledger, campaign = desk.ledger, desk.campaign
    for write in (
        lambda: ledger.plan(old, campaign, Round(1, RoundKind.LEARNING), [request(0, 1)]),
        lambda: ledger.send(old, campaign, request(0), BUDGET),
        lambda: ledger.receive(old, attempt, reply(), screened()),
        lambda: ledger.fail(old, attempt, ReplyClass.RETRY, ""),
        lambda: ledger.reconcile(old, campaign),
        lambda: ledger.find(old, campaign, Finding(0, "t", Verdict.REFUTED, "")),
        lambda: ledger.set_state(old, campaign, State.FINISHED),
        lambda: ledger.reconfigure(old, campaign, {}),
    ):
        with pytest.raises(LeaseLost, match="light was taken over by me since"):
            write()
    assert [row["state"] for row in desk.trail] == ["SENT"]
    assert len(desk.history.rounds) == 1
    assert desk.ledger.entry("white").state is State.RUNNING
