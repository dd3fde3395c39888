"""The classifier: whatever an instrument answers, only what can be believed counts (I5, I-09 to I-13)."""

import json
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdl.errors import BadReply, InstrumentError, InstrumentRefused, InstrumentSilent, InstrumentUnavailable
from sdl.formatting import format_value
from sdl.history import ReplyClass
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import PreviousReply, classify_error, screen_reply
from sdl.space import Channel, Knob, Space

ASKED = np.array([0.25, 0.5, 0.75])
GOOD = {name: 1000 + place for place, name in enumerate(SPACE.channel_names)}
ODD = Space(
    knobs=(Knob(name="R"), Knob(name="G"), Knob(name="B")),
    channels=(
        Channel(name="mass", floor=-5.0, ceiling=4.5, noise=0.1, integral=False),
        Channel(name="count", ceiling=100),
        Channel(name="free", floor=None, integral=False),
    ),
)


def reply(readings=None, applied=None, **changes):
    """A good reply after some changes of its readings."""
    out = {**(GOOD if readings is None else readings), **changes}
    return Reply(applied=SPACE.named_settings(ASKED) if applied is None else applied, readings=out, raw="")


def verdict(*args, needed=(), before=None, **changes):
    return screen_reply(SPACE, ASKED, reply(*args, **changes), needed=needed, before=before)


def masks_all(screened):
    return np.isnan(screened.readings).all() and not screened.censored.any()


# ---------------------------------------------------------------------- whatever comes

numbers = (
    st.integers() | st.floats() | st.sampled_from([65535, 65535.0, 65536, -1, -0.0, 1e308, 10**400, -(10**400), 0.5])
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def named(names):
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=3), json_values, max_size=6)


def mostly_good(names):
    return named(names).map(lambda odd: {**dict.fromkeys(names, 4), **odd})


@pytest.mark.fault("I-10")
@pytest.mark.parametrize("space", [SPACE, ODD], ids=["claude-light", "odd"])
@given(data=st.data())
@settings(max_examples=120)
def test_only_finite_numbers_between_floor_and_ceiling_come_out(space, data):
    out = data.draw(named(space.channel_names) | mostly_good(space.channel_names))
    applied = data.draw(st.just(SPACE.named_settings(ASKED)) | named("RGB"))
    before = data.draw(st.none() | st.builds(PreviousReply, st.just(ASKED), st.just(out)))
    needed = data.draw(st.sets(st.sampled_from(space.channel_names)))
    screened = screen_reply(space, ASKED, Reply(applied=applied, readings=out, raw=""), needed=needed, before=before)
    exact = np.isfinite(screened.readings)
    assert (exact | np.isnan(screened.readings)).all()
    floor = np.array([-np.inf if channel.floor is None else channel.floor for channel in space.channels])
    assert (screened.readings[exact] >= floor[exact]).all()
    assert (screened.readings[exact] < space.ceiling[exact]).all()
    assert not (exact & screened.censored).any()
    for name, at_ceiling, ceiling in zip(space.channel_names, screened.censored, space.ceiling, strict=True):
        assert not at_ceiling or out[name] == ceiling
    assert (screened.verdict is ReplyClass.OK_CENSORED) == screened.censored.any()
    if screened.verdict.usable:
        assert all(name in out for name in needed)
    else:
        assert screened.verdict is ReplyClass.SUSPECT
        assert masks_all(screened)
        assert screened.reason


@given(json_values)
@example(10**400)
@example(math.nan)
def test_one_channel_of_any_value_is_taken_as_it_is_or_masks_all(value):
    screened = verdict(**{"515nm": value})
    if screened.verdict is ReplyClass.OK:
        assert screened.readings[3] == value
    elif screened.verdict is ReplyClass.OK_CENSORED:
        assert value == 65535
        assert screened.censored.tolist() == [place == 3 for place in range(10)]
    else:
        assert masks_all(screened)
        assert screened.reason.startswith("515nm ")


def test_what_the_twin_measures_is_believed():
    twin, before = Twin(seed=5), None
    for row in np.random.default_rng(5).random((50, 3)):
        came = twin.measure(SPACE.named_settings(row))
        screened = screen_reply(SPACE, row, came, needed=SPACE.channel_names, before=before)
        assert screened.verdict.usable, screened.reason
        before = PreviousReply(row, came.readings)


# ---------------------------------------------------------------------- I-09: wrong schema


@pytest.mark.fault("I-09")
def test_a_missing_channel_is_masked_and_said():
    left = {name: count for name, count in GOOD.items() if name != "nir"}
    screened = verdict(left, needed=["515nm"])
    assert (screened.verdict, screened.reason) == (ReplyClass.OK, "nir is missing")
    np.testing.assert_array_equal(np.isnan(screened.readings), np.array(SPACE.channel_names) == "nir")


@pytest.mark.fault("I-09")
def test_a_missing_channel_that_is_needed_makes_the_reading_useless():
    left = {name: count for name, count in GOOD.items() if name != "515nm"}
    screened = verdict(left, needed=["515nm"])
    assert (screened.verdict, screened.reason) == (ReplyClass.SUSPECT, "515nm is missing")
    assert masks_all(screened)


@pytest.mark.fault("I-09")
def test_an_extra_channel_changes_nothing():
    screened = verdict(uv=[1, 2])
    assert screened.verdict is ReplyClass.OK
    assert screened.readings.tolist() == list(GOOD.values())


@pytest.mark.fault("I-09")
@pytest.mark.parametrize("value", ["123", None, [1], {"count": 1}, True, False, ""], ids=format_value)
def test_nothing_is_coerced_to_a_number(value):
    screened = verdict(nir=value)
    assert screened.verdict is ReplyClass.SUSPECT
    assert screened.reason == f"nir is not a finite number: {value!r}"
    assert masks_all(screened)


# ---------------------------------------------------------------------- I-10: numbers that are none


@pytest.mark.fault("I-10")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "not a finite number"),
        (math.inf, "not a finite number"),
        (-math.inf, "not a finite number"),
        (10**400, "not a finite number"),
        (-1, "below 0"),
        (1e308, "above its ceiling 65535"),
        (65536, "above its ceiling 65535"),
        (12.5, "not a whole count"),
    ],
    ids=format_value,
)
def test_a_number_that_no_sensor_counts_masks_all(value, reason):
    screened = verdict(clear=value)
    assert screened.verdict is ReplyClass.SUSPECT
    assert f"clear is {reason}" in screened.reason
    assert masks_all(screened)


def test_whole_counts_may_come_as_floats():
    assert verdict(clear=20000.0).verdict is ReplyClass.OK


def test_an_answer_that_is_deeper_than_any_reading_is_still_judged():
    deep = json.loads("[" * 500 + "]" * 500)
    assert len(verdict(clear=deep).reason) < 100


def test_every_fault_is_in_the_reason():
    reason = verdict(clear=-1, nir="x", applied={"R": 0.25, "G": 0.5, "B": 1.0}).reason
    assert reason == "B sent 0.75, applied 1.0; clear is below 0: -1; nir is not a finite number: 'x'"


# ---------------------------------------------------------------------- I-11: saturated


@pytest.mark.fault("I-11")
def test_a_channel_at_its_ceiling_is_censored_and_the_others_count():
    screened = verdict(clear=65535)
    assert (screened.verdict, screened.reason) == (ReplyClass.OK_CENSORED, "clear is at its ceiling")
    assert screened.censored.tolist() == [name == "clear" for name in SPACE.channel_names]
    assert np.isnan(screened.readings[8])
    assert np.isfinite(np.delete(screened.readings, 8)).all()


def test_one_count_below_the_ceiling_is_exact():
    assert verdict(clear=65534).verdict is ReplyClass.OK


# ---------------------------------------------------------------------- I-12: echo


@pytest.mark.fault("I-12", "I-23")
@pytest.mark.parametrize(
    "applied",
    [
        {"R": 0.25, "G": 0.5, "B": 0.7501},
        {"R": 0.25, "G": 0.5},
        {"R": 0.25, "G": 0.5, "b": 0.75},
        {"R": 0.25, "G": 0.5, "B": "0.75"},
        {"R": 0.25, "G": 0.5, "B": None},
        {"R": 0.25, "G": 0.5, "B": math.nan},
        {"R": 0.25, "G": True, "B": 0.75},
        {"R": 0.25, "G": 10**400, "B": 0.75},
        {},
    ],
    ids=str,
)
def test_other_settings_applied_than_asked_mask_all(applied):
    screened = verdict(applied=applied)
    assert screened.verdict is ReplyClass.SUSPECT
    assert ", applied " in screened.reason
    assert masks_all(screened)


def test_a_rounding_error_of_the_echo_is_none():
    assert verdict(applied={"R": 0.25 + 1e-9, "G": 0.5, "B": 0.75}).verdict is ReplyClass.OK


# ---------------------------------------------------------------------- I-13: stuck


def earlier(settings, **changes):
    return PreviousReply(np.array(settings, float), {**GOOD, **changes})


@pytest.mark.fault("I-13", "I-14")
@pytest.mark.parametrize("before", [[0.1, 0.2, 0.3], ASKED], ids=["elsewhere", "here"])
def test_an_exact_repeat_of_all_channels_is_a_stuck_sensor(before):
    screened = verdict(before=earlier(before))
    assert screened.stuck
    assert screened.verdict is ReplyClass.SUSPECT
    assert "stuck" in screened.reason
    assert masks_all(screened)


def test_one_count_of_difference_is_enough():
    assert verdict(before=earlier(ASKED, nir=GOOD["nir"] + 1)).verdict is ReplyClass.OK


@pytest.mark.parametrize("same", [[0, 0, 0], [1, 1, 1]])
def test_dark_and_full_drive_may_repeat_themselves(same):
    asked = np.array(same, float)
    came = Reply(applied=SPACE.named_settings(asked), readings=GOOD, raw="")
    assert not screen_reply(SPACE, asked, came, before=earlier(asked)).stuck
    assert screen_reply(SPACE, asked, came, before=earlier(1 - asked)).stuck


def test_two_readings_at_the_ceiling_are_equal_for_a_better_reason():
    full = dict.fromkeys(SPACE.channel_names, 65535)
    screened = verdict(full, before=PreviousReply(ASKED / 2, full))
    assert not screened.stuck
    assert screened.verdict is ReplyClass.OK_CENSORED


def test_without_noise_or_with_few_channels_a_repeat_says_nothing():
    still = SPACE.model_copy(update={"channels": tuple(c.model_copy(update={"noise": None}) for c in SPACE.channels)})
    two = SPACE.model_copy(update={"channels": SPACE.channels[:2]})
    for space in (still, two):
        assert not screen_reply(space, ASKED, reply(), before=earlier(ASKED / 2)).stuck


# ---------------------------------------------------------------------- no reply


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InstrumentSilent, ReplyClass.UNKNOWN),
        (InstrumentUnavailable, ReplyClass.RETRY),
        (BadReply, ReplyClass.RETRY),
        (InstrumentError, ReplyClass.RETRY),
        (InstrumentRefused, ReplyClass.REJECT),
    ],
)
def test_the_class_of_a_request_without_a_reply(error, expected):
    assert classify_error(error("why")) is expected
    assert not expected.usable
