"""Steering by the ledger: what a person asks is obeyed before the next request, and is written down."""

import numpy as np
import pytest

from flows.engine.opening import open_session
from sdl.campaign.safety import ApprovalPart
from sdl.errors import ApprovalWanted, CampaignPaused, CampaignStopped, InvalidInput
from sdl.history import Control, History, NoticeKind, Observation, Purpose, ReplyClass, Request, Round, RoundKind, State
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls, summarize_planned
from sdl.measurement.approval import approval_reason


@pytest.fixture
def twin_paper(paper):
    return paper | {"instrument": "twin"}


@pytest.fixture
def opened(tmp_path):
    """The campaign, as a run of it opens it; again and again in one test."""
    return lambda written: open_session(written, tmp_path, str(tmp_path / "ledger.sqlite"))


def kinds(session):
    return [each.kind for each in Controls(session.ledger).notices(session.entry.id)]


def during(session, number, ask):
    """Ask for something when so many replies are in the ledger."""
    take = session.bench.ledger.receive

    def receive(*answer):
        take(*answer)
        if session.ledger.sent(session.entry.id) == number:
            ask()

    session.bench.ledger.receive = receive


class TestControl:
    @pytest.mark.parametrize(
        ("control", "error", "kind"),
        [
            (Control.PAUSE, CampaignPaused, NoticeKind.PAUSED),
            (Control.STOP, CampaignStopped, NoticeKind.STOPPED),
        ],
    )
    def test_it_is_obeyed_before_the_next_request_and_said_who_asked(
        self, opened, drive, twin_paper, control, error, kind
    ):
        with opened(twin_paper) as session:
            steering = Controls(session.ledger, "Ada")
            during(session, 4, lambda: steering.ask("paper", control, "lunch"))
            with pytest.raises(error):
                drive(session)
            assert session.ledger.sent(session.entry.id) == 4
            (notice,) = steering.notices(session.entry.id)
        assert (notice.kind, notice.by, notice.sent) == (kind, "Ada", 4)
        assert "lunch" in notice.text

    def test_taken_back_it_goes_on_as_if_nothing_had_been(self, opened, drive, paper, tmp_path):
        def on_a_lamp_of_its_own(name, meanwhile):
            with InstrumentServer(Twin(seed=3)) as server:  # it outlives the session, as an instrument does
                part = {"plugin": "claude-light", "url": server.url, "allow_private": True}
                written = paper | {"name": name, "instrument": part}
                meanwhile(written)
                with opened(written) as session:
                    drive(session)
                    return session.history

        def paused_once(written):
            with opened(written) as session:
                during(session, 4, lambda: Controls(session.ledger).ask("paper", Control.PAUSE))
                with pytest.raises(CampaignPaused):
                    drive(session)
            with Ledger(tmp_path / "ledger.sqlite") as book:
                Controls(book).ask("paper", Control.RUN)

        paused = on_a_lamp_of_its_own("paper", paused_once)
        straight = on_a_lamp_of_its_own("straight on", lambda _: None)
        assert [each.key for each in paused.observations] == [each.key for each in straight.observations]
        np.testing.assert_array_equal(
            [each.readings for each in paused.observations], [each.readings for each in straight.observations]
        )

    @pytest.mark.parametrize("control", [Control.PAUSE, Control.STOP])
    def test_what_is_finished_could_not_obey(self, opened, drive, twin_paper, control):
        with opened(twin_paper) as session:
            drive(session)
            with pytest.raises(InvalidInput, match=f"is finished .*: there is nothing to {control.value}"):
                Controls(session.ledger).ask("paper", control)
            Controls(session.ledger).ask("paper", Control.RUN)
            assert kinds(session) == [NoticeKind.RESUMED]

    def test_a_name_that_nobody_has_is_told_with_the_nearest(self, tmp_path):
        with Ledger(tmp_path / "ledger.sqlite") as book, pytest.raises(InvalidInput, match="no campaign 'papier'"):
            Controls(book).ask("papier", Control.PAUSE)


class TestExtend:
    def test_a_campaign_at_work_takes_it_at_its_next_step(self, opened, drive, twin_paper):
        with opened(twin_paper | {"budget": 10}) as session:
            during(session, 7, lambda: Controls(session.ledger).extend("paper", 60))
            result = drive(session)
        assert result["verified"], result["reason"]
        assert 10 < result["requests"] <= 70

    def test_one_that_ended_because_its_budget_was_spent_goes_on(self, opened, drive, twin_paper):
        written = twin_paper | {"budget": 10}
        with opened(written) as session:
            assert not drive(session)["verified"]
            Controls(session.ledger).extend("paper", 60)
            assert session.ledger.entry("paper").state is State.PAUSED
        with opened(written) as session:
            assert drive(session)["verified"]

    def test_it_outlives_the_run_and_the_file_that_says_less(self, opened, drive, twin_paper):
        written = twin_paper | {"budget": 10}
        with opened(written) as session:
            Controls(session.ledger).extend("paper", 40)
            Controls(session.ledger).extend("paper", 20)
        with opened(written) as session:
            assert session.campaign.most == session.bench.budget == 70
            assert kinds(session) == [NoticeKind.EXTENDED] * 2
            assert drive(session)["verified"]

    def test_never_more_is_sent_than_the_extended_budget(self, opened, drive, twin_paper):
        with opened(twin_paper | {"budget": 6}) as session:
            Controls(session.ledger).extend("paper", 2)
            result = drive(session)
        assert result["requests"] <= 8
        assert result["reason"] == "all 8 requests of the budget are sent"

    @pytest.mark.parametrize("wrong", [0, -5, 10**9])
    def test_what_is_no_number_of_requests_is_refused(self, opened, twin_paper, wrong):
        with opened(twin_paper) as session, pytest.raises(InvalidInput, match="whole number of requests from 1"):
            Controls(session.ledger).extend("paper", wrong)


class TestApproval:
    def ask(self, opened, drive, written):
        with opened(written) as session:
            with pytest.raises(ApprovalWanted, match="'sdl approve paper'"):
                drive(session)
            return session.ledger.sent(session.entry.id), summarize_planned(session.history, 0)

    def answered(self, tmp_path, granted=True):
        with Ledger(tmp_path / "ledger.sqlite") as book:
            return Controls(book, "Ada").answer("paper", granted, "seen")

    def test_the_first_round_is_sent_when_somebody_approved_of_it(self, opened, drive, twin_paper, tmp_path):
        written = twin_paper | {"approval": {"when": "first-round"}}
        sent, shown = self.ask(opened, drive, written)
        assert sent == 0
        assert [purpose for purpose, *_ in shown].count(Purpose.DESIGN) == written["design"]["n"]
        assert self.answered(tmp_path).round == 0
        with opened(written) as session:
            assert drive(session)["verified"]
            assert kinds(session) == [NoticeKind.WAITING, NoticeKind.APPROVED]

    def test_always_means_every_round_and_nothing_is_sent_unseen(self, opened, drive, twin_paper, tmp_path):
        written, asked = twin_paper | {"approval": {"when": "always"}}, 0
        while True:
            with opened(written) as session:
                try:
                    result = drive(session)
                    break
                except ApprovalWanted:
                    asked += 1
                    wanted = Controls(session.ledger).pending_approval(session.entry.id)
                    taken = [each for each in session.history.observations if each.purpose.teaches]
                    assert all(each.round < wanted.round for each in taken)
            self.answered(tmp_path)
        assert result["verified"]
        assert asked >= 2

    def test_declined_it_is_paused_and_asks_again(self, opened, drive, twin_paper, tmp_path):
        written = twin_paper | {"approval": {"when": "first-round"}}
        self.ask(opened, drive, written)
        self.answered(tmp_path, granted=False)
        with opened(written) as session, pytest.raises(CampaignPaused):
            session.ledger.obey("paper")
        with Ledger(tmp_path / "ledger.sqlite") as book:
            Controls(book).ask("paper", Control.RUN)
        assert self.ask(opened, drive, written)[0] == 0
        self.answered(tmp_path)
        with opened(written) as session:
            assert drive(session)["verified"]

    def why(self, when, round_, settings, purpose=Purpose.LEARNING):
        """The reason to ask, on a twin that was measured at two places."""
        space, kind = Twin().space, RoundKind.LEARNING if round_ else RoundKind.DESIGN
        seen = [
            Observation(
                0, i, 0, Purpose.DESIGN, np.array(row), i, ReplyClass.OK, np.zeros(space.p), np.zeros(space.p, bool)
            )
            for i, row in enumerate([[0.2, 0.2, 0.2], [0.6, 0.6, 0.6]])
        ]
        history = History(observations=seen if round_ else [])
        asked = [Request(round_, 0, 0, purpose, np.array(settings))]
        return approval_reason(ApprovalPart.model_validate({"when": when}), Round(round_, kind), asked, history, space)

    @pytest.mark.parametrize(
        ("when", "round_", "settings", "asked"),
        [
            ("outside-range", 1, [0.2, 0.6, 0.4], False),
            ("outside-range", 1, [0.2, 0.61, 0.4], True),
            ("outside-range", 0, [0.9, 0.9, 0.9], False),  # nothing to hold it against
            ("first-round", 0, [0.5, 0.5, 0.5], True),
            ("first-round", 1, [0.9, 0.5, 0.5], False),
            (["first-round", "outside-range"], 1, [0.9, 0.5, 0.5], True),
            ("always", 7, [0.5, 0.5, 0.5], True),
        ],
    )
    def test_each_occasion_asks_when_it_says(self, when, round_, settings, asked):
        assert bool(self.why(when, round_, settings)) is asked

    def test_beyond_the_range_it_names_the_first_settings(self):
        assert self.why("outside-range", 1, [0.2, 0.61, 0.4]).endswith("the first at R=0.2, G=0.61, B=0.4")

    @pytest.mark.parametrize("purpose", [Purpose.REFERENCE, Purpose.PATCH])
    def test_references_and_patches_need_no_approval(self, purpose):
        assert self.why("always", 1, [0.0, 0.0, 0.0], purpose) == ""

    def test_where_nobody_is_asked_nobody_can_answer(self, opened, twin_paper, tmp_path):
        with opened(twin_paper):
            pass
        with pytest.raises(InvalidInput, match="waits for no approval"):
            self.answered(tmp_path)

    @pytest.mark.parametrize("wrong", ["sometimes", [], ["always", "never"]])
    def test_an_occasion_that_does_not_exist_is_refused(self, twin_paper, opened, wrong):
        with pytest.raises(InvalidInput, match=r"approval\.when"), opened(twin_paper | {"approval": {"when": wrong}}):
            pytest.fail("it began")
