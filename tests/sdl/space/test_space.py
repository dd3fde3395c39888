"""The space: names to columns and back, and nothing that is not a number within bounds."""

import math
import sys

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.instruments.claude_light.channels import SPACE
from sdl.space import Channel, Knob, Space, is_number

VALVE = Space(
    knobs=(Knob(name="flow", low=-2.0, high=6.0, off=0.0), Knob(name="heat", high=50.0)),
    channels=(Channel(name="mass", ceiling=900), Channel(name="pH", floor=None, noise=0.1, integral=False)),
)
inside = st.tuples(st.floats(-2, 6), st.floats(0, 50))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_columns_in_the_order_of_declaration():
    assert (VALVE.d, VALVE.p) == (2, 2)
    assert (VALVE.knob_names, VALVE.channel_names) == (("flow", "heat"), ("mass", "pH"))
    assert VALVE.low.tolist() == [-2, 0]
    assert VALVE.high.tolist() == [6, 50]
    assert VALVE.off.tolist() == [0, 0]
    assert VALVE.ceiling.tolist() == [900, np.inf]
    np.testing.assert_equal(VALVE.noise, [np.nan, 0.1])
    assert VALVE.columns(["pH", "mass"]) == [1, 0]


ranges = st.tuples(st.integers(-9999, 9999), st.integers(1, 9999), st.sampled_from([1, 10, 100, 1000, 1e4, 1e9])).map(
    lambda drawn: (drawn[0] / drawn[2], (drawn[0] + drawn[1]) / drawn[2])
)
"""Bounds as a person writes them: of one of five, low + (high - low) is not high."""


@pytest.mark.fault("I-26")
@settings(max_examples=1000)
@given(ranges, st.floats(0, 1) | st.sampled_from([0.0, 1.0, np.nextafter(1, 0)]), st.none() | st.floats(1e-6, 1.0))
def test_no_point_of_the_unit_box_is_out_of_bounds(bounds, share, step):
    low, high = bounds
    space = Space(
        knobs=(Knob(name="x", low=low, high=high, resolution=step and step * (high - low)),),
        channels=(Channel(name="y"),),
    )
    there = space.from_unit([share])
    assert low <= there[0] <= high
    assert space.settings({"x": there[0]}).shape == (1,)
    assert space.contains(space.from_unit(space.to_unit([high])))


@pytest.mark.fault("I-26")
@given(ranges, st.floats(0, 1) | st.just(1.0), st.floats(1e-3, 1.5))
def test_a_setting_is_a_whole_number_of_steps_at_the_wall_too(bounds, share, step):
    """Else an instrument that moves in steps applies another one, and a campaign that sent it is suspended."""
    low, high = bounds
    width = step * (high - low)
    space = Space(knobs=(Knob(name="x", low=low, high=high, resolution=width),), channels=(Channel(name="y"),))
    steps = (space.from_unit([share]) - low) / width
    assert steps == pytest.approx(np.rint(steps), abs=1e-5 + 1e-15 * max(abs(low), abs(high)) / width)


def test_a_wall_is_a_setting_like_any_other():
    space = Space(knobs=(Knob(name="x", low=0.15, high=0.45),), channels=(Channel(name="y"),))
    assert space.from_unit([1.0]).tolist() == [0.45]
    assert space.from_unit([1.5])[0] > 0.45, "what is outside stays outside, for whoever counts it"


@given(inside)
def test_the_unit_box_and_back(row):
    unit = VALVE.to_unit(row)
    assert ((unit >= 0) & (unit <= 1)).all()
    np.testing.assert_allclose(VALVE.from_unit(unit), row, atol=1e-12)
    assert VALVE.contains(row)


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.floats(0, 1))
@example(0.15, 0.45, 1.0)
@example(-0.3, 0.1, math.nextafter(1.0, 0.0))
def test_no_point_of_the_unit_box_leaves_the_bounds(one, other, unit):
    assume(abs(one - other) >= sys.float_info.min)  # a narrower range is refused
    space = Space(knobs=(Knob(name="x", low=min(one, other), high=max(one, other)),), channels=(Channel(name="y"),))
    for point in (0.0, unit, 1.0):
        settings = space.from_unit([point])
        assert space.contains(settings)
        assert space.settings(space.named_settings(settings)) == settings, "the instrument takes it"
    beyond = space.from_unit([[-1.0], [2.0]])
    assert not space.contains(beyond).any(), "what is outside is refused and never moved inside"


def test_a_range_that_no_float_spans_is_refused():
    with pytest.raises(ValidationError, match="needs a narrower range than"):
        Knob(name="x", low=-1.7e308, high=1.7e308)


@pytest.mark.parametrize(("wavelength", "off"), [(532.003, False), (531.997, True), (532.0, False)])
def test_settings_that_differ_by_a_part_of_the_range_are_not_the_same(wavelength, off):
    laser = Space(knobs=(Knob(name="nm", low=531.997, high=532.003),), channels=(Channel(name="y"),))
    assert laser.at_off([wavelength]) == off
    assert VALVE.at_off([[0, 0], [1e-7, 0], [0.1, 0]]).tolist() == [True, True, False]


@given(inside)
def test_settings_by_name_and_back(row):
    named = dict(zip(("heat", "flow"), reversed(row), strict=True))
    np.testing.assert_array_equal(VALVE.settings(named), row)
    assert VALVE.named_settings(VALVE.settings(named)) == named


def test_readings_by_name_are_nan_where_they_are_absent():
    np.testing.assert_equal(VALVE.readings({"pH": 7.0}), [np.nan, 7.0])
    np.testing.assert_equal(VALVE.readings({"mass": 3, "pH": None}), [3.0, np.nan])
    assert VALVE.named_readings([np.nan, 7.0]) == {"pH": 7.0}


def test_every_wrong_setting_is_named_at_once():
    with pytest.raises(InvalidInput) as caught:
        VALVE.settings({"flow": 7, "heet": 3})
    assert caught.value.faults == (
        "unknown knob 'heet'; did you mean 'heat'?",
        "knob 'flow' needs a number from -2.0 to 6.0, got 7",
        "knob 'heat' is missing: give a value from 0.0 to 50.0",
    )


@pytest.mark.parametrize("value", [-2.001, 6.5, math.nan, math.inf, True, None, "3", [3], 10**400], ids=format_value)
def test_a_setting_that_is_no_number_within_bounds_is_refused(value):
    with pytest.raises(InvalidInput, match="knob 'flow' needs a number from"):
        VALVE.settings({"flow": value, "heat": 1})


@given(st.dictionaries(st.sampled_from(["flow", "heat", "x", ""]) | st.text(), anything, max_size=4))
def test_whatever_is_given_as_settings_is_taken_or_refused_as_invalid(named):
    try:
        row = VALVE.settings(named)
    except InvalidInput:
        return
    assert VALVE.contains(row)


@pytest.mark.parametrize("row", [[np.nan, 1], [7, 1], [1, -0.1], [np.inf, 0]])
def test_nan_and_what_is_outside_are_not_contained(row):
    assert not VALVE.contains(row)


def test_an_unknown_channel_is_answered_with_the_nearest():
    with pytest.raises(InvalidInput) as caught:
        SPACE.columns(["514nm", "515nm", "infrared"])
    first, second = caught.value.faults
    assert first == "unknown channel '514nm'; did you mean '515nm'?"
    assert second.startswith("unknown channel 'infrared'; known are '415nm', ")


@pytest.mark.parametrize(
    ("part", "options", "message"),
    [
        (Knob, {"name": "x", "low": 1.0, "high": 1.0}, "needs low < high, got low=1.0, high=1.0"),
        (Knob, {"name": "x", "off": 2.0}, "needs off within 0.0 to 1.0, got 2.0"),
        (Knob, {"name": "x", "low": math.nan}, "finite number"),
        (Knob, {"name": "x", "high": math.inf}, "finite number"),
        (Knob, {"name": ""}, "at least 1 character"),
        (Channel, {"name": "y", "cieling": 5}, "Extra inputs are not permitted"),
        (Space, {"knobs": [Knob(name="x")] * 2, "channels": [Channel(name="y")]}, "own, found twice: x"),
        (Space, {"knobs": [Knob(name="x")], "channels": [Channel(name="y")] * 2}, "own, found twice: y"),
        (Space, {"knobs": [], "channels": [Channel(name="y")]}, "at least 1 item"),
    ],
)
def test_what_cannot_be_is_not_built(part, options, message):
    with pytest.raises(ValidationError, match=message):
        part(**options)


def test_it_survives_json():
    assert Space.model_validate_json(VALVE.model_dump_json()) == VALVE


@given(anything)
def test_a_number_can_be_reckoned_with(value):
    if is_number(value):
        assert math.isfinite(float(value))


@pytest.mark.parametrize(
    "value", [True, None, "1", math.nan, math.inf, -math.inf, 10**400, -(10**400), [1], {}], ids=format_value
)
def test_what_is_no_number(value):
    assert not is_number(value)


@given(anything)
def test_any_value_can_be_shown_and_briefly(value):
    assert len(format_value(value)) < 5000


def test_a_number_too_long_to_be_spelled_out_is_shown_too():
    assert format_value(16**5000) == "a number of thousands of digits"
    assert format_value("x" * 10**6).count("x") < 130
