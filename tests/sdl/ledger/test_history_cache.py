"""A history that is read as it grows says at every moment what one says that is read afresh."""

import numpy as np
import pytest
from desk import DESIGN, Desk, repeated, request, screened, unbelievable
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from lives import Life

from sdl.formatting import jsonable
from sdl.history import Exam, Finding, Parity, Round, RoundFacts, RoundKind, Verdict
from sdl.ledger.history_cache import HistoryCache


def plain(history):
    """All that it says, to the last bit."""
    return {
        name: [jsonable(vars(each)) for each in value] if isinstance(value, list) else value
        for name, value in vars(history).items()
    }


def grown(desk, known):
    return plain(desk.ledger.history(desk.campaign, known=known))


class Growth(Life):
    """The life of a campaign, its rounds proposed and judged, while its controller reads on."""

    @initialize(budget=st.integers(1, 12))
    def begin(self, budget):
        super().begin(budget)
        self.known = HistoryCache(self.desk.campaign)

    @rule()
    def die_and_come_back(self):
        super().die_and_come_back()
        self.known = HistoryCache(self.desk.campaign)

    @rule(figure=st.booleans(), verdict=st.sampled_from(Verdict))
    def decide(self, figure, verdict):
        number = len({key[0] for key in self.planned})
        facts = RoundFacts(model="linear", parity=Parity(("445nm",), {}) if figure else None)
        exam = Exam(number, "white", np.zeros(3), "linear", 2, np.full(10, np.nan), np.ones(10))
        asked = request(0, number)
        self.desk.plan(asked, round_=Round(number, RoundKind.EXAM, "white", facts), exam=exam)
        self.planned.append(asked.key)
        self.desk.ledger.find(self.desk.lease, self.desk.campaign, Finding(number, "white", verdict, "so", np.ones(3)))

    @invariant()
    def what_was_read_on_is_what_is_read_afresh(self):
        assert grown(self.desk, self.known) == grown(self.desk, None)


TestGrowth = Growth.TestCase
TestGrowth.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)


def test_a_reply_that_lost_its_trust_is_forgotten(where):
    desk = Desk(where)
    known = HistoryCache(desk.campaign)
    desk.plan(request(0), request(1), request(2))
    desk.measured(request(0))
    assert len(desk.ledger.history(desk.campaign, known=known).observations) == 1
    desk.measured(request(1), unbelievable())
    desk.measured(request(1), repeated())
    desk.measured(request(1), screened())
    history = desk.ledger.history(desk.campaign, known=known)
    assert [each.key for each in history.observations] == [(0, 0, 0), (0, 1, 0)]
    desk.measured(request(2), repeated())
    history = desk.ledger.history(desk.campaign, known=known)
    assert [each.key for each in history.observations] == [(0, 0, 0)]
    assert [each.key for each in history.lacking] == [(0, 1, 0), (0, 2, 0)]
    assert grown(desk, known) == grown(desk, None)
    desk.close()


def test_only_what_is_new_is_read(where):
    desk = Desk(where)
    known = HistoryCache(desk.campaign)
    desk.plan(*(request(index) for index in range(30)))
    for index in range(20):
        desk.measured(request(index))
    before = desk.ledger.history(desk.campaign, known=known)
    desk.measured(request(20))
    after = desk.ledger.history(desk.campaign, known=known)
    assert after.planned[0] is before.planned[0]
    assert after.observations[0] is before.observations[0]
    assert len(before.observations) == 20  # what somebody has in hand stays as it was
    assert (len(after.observations), after.sent) == (21, 21)
    desk.close()


@pytest.mark.parametrize("spent", [0, 3])
def test_other_campaigns_do_not_count(where, spent):
    desk = Desk(where)
    known, other = HistoryCache(desk.campaign), Desk.__new__(Desk)
    other.__dict__ |= vars(desk)
    other.campaign = desk.ledger.register("black", "light", desk.ledger.entry("white").space, {}, {}).id
    desk.plan(request(0), request(1))
    for index in range(spent):
        other.plan(request(index), round_=DESIGN)
        other.measured(request(index))
        grown(desk, known)
    desk.measured(request(0))
    assert grown(desk, known) == grown(desk, None)
    assert desk.ledger.sent(desk.campaign) == 1
    desk.close()
