"""Replies: kept whole, counted once, in the order in which they came, and distrusted without being lost."""

import time

import numpy as np
import pytest
from desk import COUNTS, repeated, reply, request, screened, unbelievable

from sdl.history import Purpose, ReplyClass
from sdl.instruments.claude_light.channels import SPACE
from sdl.system import clock


def test_a_reply_is_kept_whole(desk):
    desk.plan(request())
    readings = np.where(np.arange(10) == 3, np.nan, COUNTS)
    at_ceiling = np.arange(10) == 3
    out = {**SPACE.named_readings(COUNTS), "515nm": 65535, "uv": float("nan"), "odd": ["a", {"b": None}]}
    attempt = desk.send(request())
    judged = screened(ReplyClass.OK_CENSORED, readings, at_ceiling)
    desk.ledger.receive(desk.lease, attempt, reply('{"in": "ü\u2028"}', out), judged)
    (row,) = desk.trail
    assert (row["state"], row["verdict"], row["reason"], row["raw"]) == (
        "DONE",
        "OK_CENSORED",
        "because",
        '{"in": "ü\u2028"}',
    )
    assert row["out"] == {**out, "uv": "nan"}
    assert (row["applied"], row["seconds"]) == ({"R": 0.1}, 0.5)
    (seen,) = desk.history.observations
    np.testing.assert_array_equal(seen.readings, readings)
    np.testing.assert_array_equal(seen.censored, at_ceiling)
    np.testing.assert_array_equal(seen.settings, request().settings)
    assert (seen.key, seen.seq, seen.verdict, seen.purpose) == ((0, 0, 0), 0, ReplyClass.OK_CENSORED, Purpose.DESIGN)


@pytest.mark.parametrize(
    "raw", ["\0", "a\0b\0", "\ud800", "\u2400", "x" * 10**6, "'; DROP TABLE attempts; --", "", "\x7f\x1b[0m"]
)
def test_any_raw_text_is_kept_and_nul_becomes_its_picture(desk, raw):
    desk.plan(request(), request(1))
    desk.measured(request(), raw=raw)
    desk.ledger.fail(desk.lease, desk.send(request(1)), ReplyClass.RETRY, f"why {raw}", raw)
    kept = raw.replace("\0", "␀").replace("\ud800", "?")
    assert [row["raw"] for row in desk.trail] == [kept, kept]
    assert desk.trail[1]["reason"] == f"why {kept}"


def test_an_answer_too_deep_to_unfold_is_kept_as_raw_text(desk):
    deep = []
    for _ in range(900):
        deep = [deep]
    desk.plan(request())
    attempt = desk.send(request())
    desk.ledger.receive(desk.lease, attempt, reply("deep", {"515nm": deep}), unbelievable())
    assert desk.trail[0]["raw"] == "deep"


@pytest.mark.fault("I-15")
def test_the_first_usable_reply_counts_and_the_others_are_kept(desk):
    desk.plan(request(0), request(1), request(2))
    desk.measured(request(2), unbelievable(), raw="first")
    desk.measured(request(1), raw="second")
    desk.measured(request(2), screened(readings=COUNTS + 1), raw="third")
    desk.measured(request(2), screened(readings=COUNTS + 2), raw="again")
    seen = desk.history.observations
    assert [(each.key, each.seq) for each in seen] == [((0, 1, 0), 0), ((0, 2, 0), 1)]
    assert seen[1].readings.tolist() == (COUNTS + 1).tolist()
    assert [row["raw"] for row in desk.trail] == ["first", "second", "third", "again"]
    assert [each.key for each in desk.history.pending] == [(0, 0, 0)]


@pytest.mark.fault("O-21")
def test_time_that_moves_backwards_changes_no_order(desk, monkeypatch):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    monkeypatch.setattr("sdl.ledger.ledger.now", lambda: time.time() - 3600)
    desk.measured(request(1))
    assert [each.key for each in desk.history.observations] == [(0, 0, 0), (0, 1, 0)]
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale


BACK_S = 2 * 3600.0


@pytest.mark.fault("O-49")
@pytest.mark.parametrize("set_back_s", [0.0, BACK_S, 86_400.0, -BACK_S])
def test_a_background_is_as_old_as_it_is_whatever_the_time_of_day_says(desk, monkeypatch, set_back_s):
    """The clock that nobody sets tells, in this process and in the next one; asleep or awake."""
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    monkeypatch.setattr("sdl.ledger.ledger.now", lambda: time.time() - set_back_s)
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale
    moment = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda which: moment(which) + BACK_S)
    assert desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale
    desk.reopen()
    assert desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale
    desk.measured(request(1))
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale


@pytest.mark.fault("O-49")
def test_after_another_boot_a_background_is_old_though_the_clock_shows_what_it_showed(desk, monkeypatch):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    monkeypatch.setattr(clock, "this_boot", lambda: "b8a1c5d2")
    assert desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale
    desk.measured(request(1))
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale


@pytest.mark.fault("O-49")
def test_where_no_system_tells_a_clock_that_was_set_back_makes_it_old(desk, monkeypatch):
    monkeypatch.setattr(clock, "this_boot", lambda: "")
    desk.plan(request(0))
    desk.measured(request(0))
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale
    monkeypatch.setattr("sdl.ledger.ledger.now", lambda: time.time() - BACK_S)
    assert desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale


# ---------------------------------------------------------------------- what cannot be believed


def test_the_last_reply_is_distrusted_and_measured_again(desk):
    desk.plan(request(0), request(1), request(2))
    desk.measured(request(0))
    desk.measured(request(1))
    desk.measured(request(2), repeated())
    assert [each.key for each in desk.history.observations] == [(0, 0, 0)]
    assert [each.key for each in desk.history.pending] == [(0, 1, 0), (0, 2, 0)]
    row = desk.trail[1]
    assert (row["verdict"], row["readings"], row["state"]) == ("SUSPECT", None, "DONE")
    assert row["reason"] == "the reply after it repeats it: stuck"
    assert row["out"] == SPACE.named_readings(COUNTS)


def test_what_came_before_a_reply_that_does_not_count_keeps_its_trust(desk):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    desk.measured(request(1), unbelievable())
    desk.measured(request(1), repeated())
    assert [each.key for each in desk.history.observations] == [(0, 0, 0)]


def test_a_first_reply_has_none_before_it_to_distrust(desk):
    desk.plan(request(0))
    desk.measured(request(0), repeated())
    assert [row["reason"] for row in desk.trail] == ["stuck"]


def test_the_last_reply_is_known_whatever_it_was_worth(desk):
    assert desk.ledger.last_reply(desk.campaign, desk.lease.instrument) is None
    desk.plan(request(0), request(1))
    desk.measured(request(0), unbelievable())
    desk.ledger.fail(desk.lease, desk.send(request(1)), ReplyClass.RETRY, "")
    last = desk.ledger.last_reply(desk.campaign, desk.lease.instrument)
    np.testing.assert_array_equal(last.settings, request(0).settings)
    assert last.readings == SPACE.named_readings(COUNTS)
