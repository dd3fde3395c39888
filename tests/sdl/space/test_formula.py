"""A formula that a stranger writes is computed or refused with a reason, and never executed."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sdl.errors import InvalidInput
from sdl.space import Channel, Formula, Knob, Space

KNOBS = (Knob(name="a"),)


def space(**formulas):
    names = [Channel(name=name, floor=None, integral=False) for name in ("445nm", "630nm", "clear sky")]
    computed = [Channel(name=name, floor=None, integral=False, formula=text) for name, text in formulas.items()]
    return Space(knobs=KNOBS, channels=(*names, *computed))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("445nm / 630nm", 2.0),
        ("'445nm'/\"630nm\"", 2.0),
        ("-x ** 2 + 1", -8.0),
        ("(445nm - 630nm) / (445nm + 630nm)", 1 / 3),
        ("log10(445nm) * 1e3", 1000 * math.log10(8)),
        ("max(445nm, 630nm, 'clear sky') - min(2, x)", 10.0),
        ("exp(log(x)) + sqrt(630nm) + abs(-x)", 8.0),
        ("+x * 2e0 + 1e-3", 6.001),
    ],
)
def test_what_people_write_is_computed(text, value):
    readings = {"445nm": 8.0, "630nm": 4.0, "clear sky": 12.0, "x": 3.0}
    assert Formula.read(text).value(readings) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["x / y", "log(y)", "sqrt(-x)", "x ** 9999", "exp(1e3 * x)", "(-x) ** 0.5", "1e308 * (10 * x)"]
)
def test_what_has_no_value_is_no_reading(text):
    assert math.isnan(Formula.read(text).value({"x": 8.0, "y": 0.0}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "needs a formula such as '445nm / 630nm'"),
        ("445nm 630nm", "needs a formula such as"),
        ("2 + 2", "needs a formula with a channel in it"),
        ("x / 0", "needs a formula with a value, and this divides by 0, got 'x / 0'"),
        ("y / (x / (1 - 1))", "needs a formula with a value, and this divides by 0, got"),
        ("x + log(0)", "needs a formula with a value, and log(0) has none, got 'x + log(0)'"),
        ("1e308 * 10 * x", "needs a formula with a value, and 1e+308 * 10 has none"),
        ("x - x + 3", "needs a formula that is not the same whatever is read, got 'x - x + 3'"),
        ("0 * sqrt(x)", "needs a formula that is not the same whatever is read"),
        ("x.real", "a formula has numbers, channels, + - * / ** and abs,"),
        ("x[0]", "a formula has numbers"),
        ("x if y else z", "needs a formula such as"),
        ("(lambda: x)()", "needs a formula such as"),
        ("[x for x in y]", "needs a formula such as"),
        ("x and y", "needs a formula such as"),
        ("x % y", "a formula has numbers"),
        ("x < y", "a formula has numbers"),
        ("(y := x)", "a formula has numbers"),
        ("f'{x}'", "needs a formula such as"),
        ("__import__('os')", "unknown function '__import__'"),
        ("sqrtt(x)", "unknown function 'sqrtt'; did you mean 'sqrt'?"),
        ("max(x)", "max(...) needs two numbers at least, got 1"),
        ("log(x, 2)", "log(...) needs one number, got 2"),
        ("log(x, base=2)", "a formula has numbers"),
        ("x + " * 100 + "x", "a formula has at most 300 characters, got 401"),
    ],
)
def test_everything_else_is_refused_with_the_reason(text, sentence):
    with pytest.raises(InvalidInput) as raised:
        Formula.read(text)
    assert str(raised.value).startswith(sentence)


@given(st.text(alphabet="x1.e+-*/()'\" ,logmaxnm_[]{}:=!@\\\n\0é", max_size=40))
@example("-" * 299 + "x")
@example("(" * 299)
@example("9**" * 99 + "x")
def test_no_text_whatever_does_more_than_that(text):
    try:
        formula = Formula.read(text)
    except InvalidInput:
        return
    assert isinstance(formula.value(dict.fromkeys(formula.names, 2.0)), float)


def test_a_space_computes_its_readings_and_says_what_has_to_be_measured():
    known = space(share="ratio / (1 + ratio)", ratio="445nm / 630nm")
    np.testing.assert_allclose(known.computed(np.array([6.0, 2.0, np.nan, 0.0, 0.0])), [6, 2, np.nan, 0.75, 3])
    assert np.isnan(known.computed(np.array([6.0, np.nan, 1.0, 0.0, 0.0]))[3:]).all()
    assert known.sources(["share", "clear sky"]) == ["445nm", "630nm", "clear sky"]
    assert known.measured.channel_names == ("445nm", "630nm", "clear sky")
    assert Space.model_validate_json(known.model_dump_json()) == known
    assert "formula" not in space().model_dump_json()


@pytest.mark.parametrize(
    ("formulas", "sentence"),
    [
        (
            {"ratio": "445nm / 631nm"},
            "ratio is computed from a channel that there is not, '631nm'; did you mean '630nm'?",
        ),
        ({"a1": "a2 + 1", "a2": "2 * a1"}, "is computed from itself: "),
        ({"own": "own + 1"}, "own is computed from itself: own from own"),
        ({"odd": "445nm //"}, "needs a formula such as"),
    ],
)
def test_a_space_refuses_what_cannot_be_computed(formulas, sentence):
    with pytest.raises(ValueError, match=r"computed|formula") as raised:
        space(**formulas)
    assert sentence in str(raised.value)
