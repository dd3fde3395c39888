"""Suspenders: a campaign is held between two measurements by what they find, and goes on when that is over."""

from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flows.engine.opening import open_session
from sdl.campaign.definition import Campaign
from sdl.campaign.safety import SuspendPart
from sdl.campaign.validation import prepare
from sdl.errors import CampaignPaused, CampaignSuspended, InvalidInput
from sdl.history import Control, NoticeKind, Purpose, ReplyClass
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.queries import AttemptOutcome
from sdl.measurement.suspenders import Suspenders
from sdl.space import Channel, Knob, Space

SPACE = Space(knobs=[Knob(name="x")], channels=[Channel(name="a", noise=10.0), Channel(name="b")])
OFF, LIT = np.array([100.0, 50.0]), np.array([1100.0, 550.0])


def brighter(by, channel=0):
    """The patch with a channel off by so many counts."""
    return LIT + by * (np.arange(2) == channel)


def of(clock=None, **rule):
    more = {} if clock is None else {"clock": clock}
    return Suspenders(SuspendPart.model_validate(rule), SPACE, [0, 1], **more)


def reference(readings, fresh=True):
    return AttemptOutcome(Purpose.REFERENCE, ReplyClass.OK, np.array(readings, float), fresh)


def patch(readings, fresh=True):
    return AttemptOutcome(Purpose.PATCH, ReplyClass.OK, np.array(readings, float), fresh)


def result(suspenders, *seen):
    for each in seen:
        suspenders.observe(each)
    return suspenders.hold()


class TestBackground:
    rule: ClassVar = {"background": {"a": [0, 500]}, "hold_off_s": 60}

    def test_within_its_band_nothing_is_held(self):
        assert result(of(**self.rule), reference(OFF)) is None

    @pytest.mark.parametrize("reading", [501.0, np.nan], ids=["too bright", "at the ceiling"])
    def test_out_of_its_band_it_is_held_with_what_was_read_and_what_is_allowed(self, reading):
        held = result(of(**self.rule), reference([reading, 50]))
        assert "at a, outside of 0 to 500" in held.reason
        assert (held.seconds, held.drift) == (60, False)

    def test_a_reading_before_the_last_suspension_is_not_judged_again(self):
        suspenders = of(**self.rule)
        assert result(suspenders, reference([900, 50], fresh=False)) is None
        assert result(suspenders, reference([900, 50])) is not None


class TestPatch:
    rule: ClassVar = {"patch": {"settings": {"x": 0.5}, "sigma": 4}}

    def test_the_noise_that_is_stated_is_no_drift(self):
        rng = np.random.default_rng(0)
        suspenders = of(**self.rule)
        for _ in range(200):
            light = rng.uniform(0, 300) * np.array([1, 0.5])
            pair = [light + each + rng.normal(0, [10, 1]) for each in (0, LIT)]
            assert result(suspenders, reference(pair[0]), patch(pair[1])) is None

    def test_more_than_sigma_is_drift_and_says_where_and_by_how_much(self):
        suspenders = of(**self.rule)
        assert result(suspenders, reference(OFF), patch(LIT), reference(OFF), patch(LIT)) is None
        held = result(suspenders, reference(OFF), patch(brighter(90)))
        assert held.drift
        assert "reads +90 at a against the 2 before it" in held.reason

    def test_without_stated_noise_the_patches_tell_from_the_fourth_on(self):
        suspenders = of(**self.rule)
        rows = [brighter(each, 1) for each in (-2, 0, 2)]
        assert result(suspenders, *(each for row in rows for each in (reference(OFF), patch(row)))) is None
        assert "at b against the 3" in result(suspenders, reference(OFF), patch(brighter(30, 1))).reason

    def test_one_that_was_off_is_no_measure_for_the_next(self):
        suspenders = of(**self.rule)
        assert result(suspenders, patch(LIT), patch(brighter(90))).drift
        assert result(suspenders, patch(brighter(90))).drift
        assert result(suspenders, patch(LIT)) is None

    def test_the_light_of_the_moment_is_taken_off(self):
        assert result(of(**self.rule), reference(OFF), patch(LIT), reference(OFF + 400), patch(LIT + 400)) is None


class TestFailures:
    rule: ClassVar = {"failures": 0.5, "window": 4}

    def outcome(self, verdict, fresh=True):
        return AttemptOutcome(Purpose.DESIGN, verdict, np.full(2, np.nan), fresh)

    def test_a_share_of_the_last_requests_holds_it(self):
        suspenders = of(**self.rule)
        lost, came = self.outcome(ReplyClass.UNKNOWN), self.outcome(ReplyClass.OK)
        assert result(suspenders, lost, lost, lost) is None  # too few to judge
        assert "75 % of the last 4 requests" in result(suspenders, came).reason
        assert result(suspenders, came, came, came) is None

    def test_failures_before_the_last_suspension_do_not_count(self):
        suspenders = of(**self.rule)
        assert result(suspenders, *[self.outcome(ReplyClass.RETRY, fresh=False)] * 9) is None


class TestQuietHours:
    def at(self, hour, minute=0, zone="Europe/Berlin"):
        return lambda: datetime(2026, 11, 23, hour, minute, tzinfo=ZoneInfo(zone))

    @pytest.mark.parametrize(
        ("hour", "minutes"),
        [(21, None), (22, 8 * 60), (23, 7 * 60), (5, 60), (6, None)],
        ids=["before", "at the beginning", "in the evening", "in the morning", "at the end"],
    )
    def test_they_may_go_over_midnight_and_end_when_they_end(self, hour, minutes):
        held = of(self.at(hour), quiet="22:00-06:00", timezone="Europe/Berlin").hold()
        assert (held and timedelta(seconds=held.seconds)) == (minutes and timedelta(minutes=minutes))

    def test_they_are_those_of_the_campaigns_zone(self):
        assert of(self.at(12, zone="UTC"), quiet="12:30-13:30", timezone="Europe/Berlin").hold().seconds == 1800

    @pytest.mark.parametrize("wrong", ["22-6", "22:00-24:30", "9:00-9:00", 7])
    def test_what_is_no_such_time_is_refused_with_an_example(self, wrong, paper):
        with pytest.raises(InvalidInput, match=r"suspend.quiet"):
            Campaign.parse(paper | {"suspend": {"quiet": [wrong]}})

    def test_hours_that_leave_no_minute_are_refused(self, paper):
        with pytest.raises(InvalidInput, match=r"suspend: quiet leaves no minute of the day"):
            Campaign.parse(paper | {"suspend": {"quiet": ["20:00-09:30", "09:00-20:00"]}})

    def test_hours_that_follow_each_other_end_together(self):
        held = of(self.at(8), quiet=["06:00-09:00", "09:00-10:30"], timezone="Europe/Berlin").hold()
        assert held.seconds == 2.5 * 3600


class TestCampaign:
    """Suspended for real, and going on."""

    def written(self, paper, **suspend):
        return paper | {"instrument": "twin", "suspend": suspend}

    def work(self, written, tmp_path, drive, lamp):
        with open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
            session.bench.instrument.lamp = lamp
            session.ledger.obey(session.entry.name)
            drive(session)
            return session.history

    @pytest.mark.fault("I-18")
    def test_a_lamp_suspends_and_a_fresh_reference_lets_it_go_on(self, paper, drive, tmp_path):
        written = self.written(paper, background={"515nm": [0, 2000]}, hold_off_s=5)
        with pytest.raises(CampaignSuspended, match=r"the background reads .* at 515nm") as caught:
            self.work(written, tmp_path, drive, lamp=6000.0)
        assert caught.value.hold_off_s == 5
        with pytest.raises(CampaignSuspended):  # the lamp still burns: one more reference says so
            self.work(written, tmp_path, drive, lamp=6000.0)
        seen = self.work(written, tmp_path, drive, lamp=0.0)
        assert [each.purpose for each in seen.observations[:3]] == [Purpose.REFERENCE] * 3
        assert seen.findings[-1].verdict == "VERIFIED"
        with Ledger(tmp_path / "ledger.sqlite") as book:
            notices = Controls(book).notices(book.entry("paper").id)
        assert [each.kind for each in notices] == [NoticeKind.SUSPENDED] * 2
        assert [each.sent for each in notices] == [1, 2]

    def test_where_a_person_is_to_say_so_it_stays_paused(self, paper, drive, tmp_path):
        written = self.written(paper, background={"515nm": [0, 2000]}, resume="person")
        with pytest.raises(CampaignSuspended):
            self.work(written, tmp_path, drive, lamp=6000.0)
        with pytest.raises(CampaignPaused):
            self.work(written, tmp_path, drive, lamp=0.0)
        with Ledger(tmp_path / "ledger.sqlite") as book:
            Controls(book, "Ada").ask("paper", Control.RUN)
        assert self.work(written, tmp_path, drive, lamp=0.0).findings[-1].verdict == "VERIFIED"

    @pytest.mark.fault("I-19")
    def test_an_instrument_that_changes_on_the_way_is_noticed_by_its_patch(self, paper, drive, tmp_path):
        patch = {"settings": {"R": 0.5, "G": 0.5, "B": 0.5}, "every": 5}
        written = self.written(paper, patch=patch) | {"background": {"every": 4}}
        with open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
            twin, taken = session.bench.instrument, session.bench.ledger.receive

            def dims(*answer):
                taken(*answer)
                twin._gain *= 0.9 if session.history.sent == 8 else 1.0

            session.bench.ledger.receive = dims
            with pytest.raises(CampaignSuspended, match="the instrument has changed") as caught:
                drive(session)
            assert caught.value.drift
            patches = [each for each in session.history.observations if each.purpose is Purpose.PATCH]
            before = [each for each in session.history.observations if each.seq == patches[0].seq - 1]
        assert before[0].purpose is Purpose.REFERENCE
        assert all(np.allclose(each.settings, 0.5) for each in patches)

    def test_patches_teach_no_model(self, paper, drive, tmp_path):
        patch = {"settings": {"R": 0.5, "G": 0.5, "B": 0.5}, "every": 5}
        with open_session(self.written(paper, patch=patch), tmp_path, str(tmp_path / "ledger.sqlite")) as session:
            drive(session)
            seen, fitted = session.history, session.planner.fitted
        assert any(each.purpose is Purpose.PATCH for each in seen.observations)
        assert not (np.abs(fitted.settings - 0.5) < 1e-9).all(axis=1).any()

    def test_what_the_instrument_has_not_is_refused_before_the_first_request(self, paper):
        with pytest.raises(InvalidInput) as caught:
            prepare(self.written(paper, background={"515": [0, 1]}, patch={"settings": {"R": 2, "G": 0, "B": 0}}))
        result = "\n".join(caught.value.faults)
        assert "suspend.background: " in result
        assert "suspend.patch.settings: " in result

    def test_a_twin_in_daylight_is_suspended_by_nothing_without_reason(self, paper, drive, tmp_path):
        patch = {"settings": {"R": 0.5, "G": 0.5, "B": 0.5}, "every": 10}
        for seed in range(3):
            written = paper | {"name": f"day {seed}", "seed": seed, "suspend": {"patch": patch, "failures": 0.5}}
            written["instrument"] = {"plugin": "twin", "seed": seed, "daylight": 1500.0, "memory_h": 1.0}
            with open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
                drive(session)
