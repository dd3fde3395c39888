"""Lives of a ledger, for tests that generate them."""

import tempfile

import numpy as np
import pytest
from desk import Desk, repeated, reply, request, screened
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sdl.errors import BudgetSpent, CampaignPaused, CampaignStopped
from sdl.history import Control, ReplyClass, Round, RoundKind


class Life(RuleBasedStateMachine):
    """A campaign in any order of planning, sending, answering, failing, dying and coming back."""

    @initialize(budget=st.integers(1, 12))
    def begin(self, budget):
        self.folder = tempfile.TemporaryDirectory()
        self.desk = Desk(f"{self.folder.name}/ledger.db")
        self.budget, self.planned, self.rows, self.flying = budget, [], [], None

    def teardown(self):
        self.desk.close()
        self.folder.cleanup()

    @rule(n=st.integers(1, 3))
    def plan(self, n):
        number = len({key[0] for key in self.planned})
        new = [request(i, number) for i in range(n)]
        self.desk.plan(*new, round_=Round(number, RoundKind.LEARNING))
        self.planned += [each.key for each in new]

    @precondition(lambda self: self.planned and self.flying is None)
    @rule(data=st.data())
    def send(self, data):
        key = data.draw(st.sampled_from(self.planned))
        asked = request(key[1], key[0])
        if len(self.rows) >= self.budget:
            with pytest.raises(BudgetSpent):
                self.desk.send(asked, self.budget)
            return
        self.flying = self.desk.send(asked, self.budget)
        self.rows.append({"key": key, "raw": "", "state": "SENT", "verdict": None, "value": None})

    @precondition(lambda self: self.flying is not None)
    @rule(verdict=st.sampled_from([ReplyClass.OK, ReplyClass.OK_CENSORED, ReplyClass.SUSPECT]), raw=st.text(max_size=5))
    def receive(self, verdict, raw):
        value = float(len(self.rows))
        readings = np.full(10, value if verdict.usable else np.nan)
        self.desk.ledger.receive(self.desk.lease, self.flying, reply(raw), screened(verdict, readings))
        self.rows[-1] |= {"raw": raw.replace("\0", "␀"), "state": "DONE", "verdict": verdict, "value": value}
        self.flying = None

    @precondition(lambda self: self.flying is not None)
    @rule(verdict=st.sampled_from([ReplyClass.RETRY, ReplyClass.UNKNOWN, ReplyClass.REJECT]), raw=st.text(max_size=5))
    def fail(self, verdict, raw):
        self.desk.ledger.fail(self.desk.lease, self.flying, verdict, "why", raw)
        state = "UNKNOWN" if verdict is ReplyClass.UNKNOWN else "FAILED"
        self.rows[-1] |= {"raw": raw.replace("\0", "␀"), "state": state, "verdict": verdict}
        self.flying = None

    @precondition(lambda self: self.flying is not None)
    @rule(raw=st.text(max_size=5))
    def receive_the_same_again(self, raw):
        self.desk.ledger.receive(self.desk.lease, self.flying, reply(raw), repeated())
        if (done := [row for row in self.rows if row["state"] == "DONE"]) and done[-1]["verdict"].usable:
            done[-1]["verdict"] = ReplyClass.SUSPECT
        self.rows[-1] |= {"raw": raw.replace("\0", "␀"), "state": "DONE", "verdict": ReplyClass.SUSPECT}
        self.flying = None

    @rule()
    def die_and_come_back(self):
        assert self.desk.reopen() == (self.flying is not None)
        if self.flying is not None:
            self.rows[-1] |= {"state": "UNKNOWN", "verdict": ReplyClass.UNKNOWN}
        self.flying = None

    @precondition(lambda self: self.planned and self.flying is None)
    @rule(control=st.sampled_from([Control.PAUSE, Control.STOP]))
    def pause_or_stop(self, control):
        self.desk.ask(control)
        with pytest.raises((CampaignPaused, CampaignStopped)):
            self.desk.send(request(*reversed(self.planned[0][:2])), self.budget)
        self.desk.ask(Control.RUN)

    @invariant()
    def every_request_and_reply_is_kept(self):  # I2
        kept = [((row["round"], row["index"], 0), row["state"], row["verdict"], row["raw"]) for row in self.desk.trail]
        assert kept == [(row["key"], row["state"], row["verdict"], row["raw"]) for row in self.rows]
        numbers = {}
        for row in self.desk.trail:
            key = (row["round"], row["index"])
            numbers[key] = numbers.get(key, 0) + 1
            assert row["attempt"] == numbers[key]

    @invariant()
    def each_measurement_counts_once_and_as_it_first_came(self):  # I3, I6
        first = {}
        for row in self.rows:
            if row["verdict"] in (ReplyClass.OK, ReplyClass.OK_CENSORED):
                first.setdefault(row["key"], row["value"])
        history = self.desk.history
        assert {each.key: each.readings[0] for each in history.observations} == first
        assert [each.key for each in history.observations] == list(first)
        assert [each.seq for each in history.observations] == list(range(len(first)))
        assert [each.key for each in history.planned] == self.planned
        assert [each.key for each in history.pending] == [key for key in self.planned if key not in first]

    @invariant()
    def no_more_is_sent_than_the_budget_allows(self):  # I4
        assert self.desk.history.sent == len(self.rows) <= self.budget
