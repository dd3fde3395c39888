"""Knobs of every kind: what they take, where they lie in the unit box, and what is refused of how they are written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sdl.errors import InvalidInput
from sdl.space import Channel, Knob, Space

KINDS = {
    "number": Knob(name="x", low=-2, high=6),
    "steps": Knob(name="x", low=1, high=2, resolution=0.25),
    "whole": Knob(name="x", low=1, high=9, whole=True),
    "listed": Knob(name="x", values=(10, 1, 2, 5)),
    "log": Knob(name="x", low=1e-4, high=10, scale="log"),
    "whole log": Knob(name="x", low=1, high=1000, scale="log", whole=True),
    "two names": Knob(name="x", values=("on", "off")),
    "names": Knob(name="x", values=("water", "ethanol", "toluene")),
    "described": Knob(name="x", values=("water", "ethanol", "toluene"), descriptors={"polarity": (10.2, 5.2, 2.4)}),
}
each_kind = pytest.mark.parametrize("knob", KINDS.values(), ids=KINDS)


def space(*knobs):
    return Space(knobs=knobs, channels=(Channel(name="y"),))


@each_kind
@given(share=st.floats(0, 1))
def test_every_point_of_the_box_is_a_setting_which_comes_back(knob, share):
    one = space(knob)
    setting = one.from_unit(np.full(one.u, share))
    assert one.contains(setting)
    unit = one.to_unit(setting)
    assert ((unit >= 0) & (unit <= 1)).all()
    np.testing.assert_allclose(one.from_unit(unit), setting, rtol=1e-12)
    assert one.settings(one.shown_settings(setting)).tolist() == setting.tolist()


@each_kind
def test_it_survives_json_and_so_does_a_space_of_it(knob):
    assert Space.model_validate_json(space(knob).model_dump_json()) == space(knob)


def test_a_plain_knob_is_written_as_before_there_were_kinds():
    written = {"name": "x", "unit": "", "low": 0.0, "high": 1.0, "off": None, "resolution": None}
    assert Knob(name="x").model_dump(mode="json") == written
    assert set(space(Knob(name="x")).model_dump()) == {"knobs", "channels"}


def test_equal_ratios_are_equal_ways_on_a_logarithmic_scale():
    one = space(KINDS["log"])
    np.testing.assert_allclose(one.to_unit([[1e-4], [1e-3], [1e-2], [10]])[:, 0], [0, 0.2, 0.4, 1])


def test_names_lie_apart_and_by_their_descriptors_where_these_are_known():
    names, two, described = (space(KINDS[kind]) for kind in ("names", "two names", "described"))
    assert (names.u, two.u, described.u) == (3, 1, 1)
    assert names.to_unit([[0.0], [1.0], [2.0]]).tolist() == np.eye(3).tolist()
    np.testing.assert_allclose(described.to_unit([[0.0], [1.0], [2.0]])[:, 0], [1, 2.8 / 7.8, 0])
    assert described.from_unit([[0.3], [0.9]]).tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("whole", 2.5, r"needs a whole number from 1\.0 to 9\.0, got 2\.5"),
        ("whole", 10, r"got 10"),
        ("listed", 3, "needs one of 1, 2, 5, 10, got 3"),
        ("names", "etanol", "needs one of water, ethanol, toluene, got 'etanol'; did you mean 'ethanol'"),
        ("names", 3, "got 3"),
        ("names", 0.5, r"got 0\.5"),
        ("log", 0, r"needs a number from 0\.0001 to 10\.0, got 0"),
        ("number", "water", "needs a number from"),
    ],
)
def test_a_setting_that_is_none_is_refused_in_words(kind, given, words):
    with pytest.raises(InvalidInput, match=words):
        space(KINDS[kind]).settings({"x": given})


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"scale": "log"}, "needs numbers above 0 for a logarithmic scale"),
        ({"values": ["a", "b"], "scale": "log"}, "needs numbers above 0"),
        ({"whole": True, "high": 2.5}, "takes whole numbers"),
        ({"whole": True, "high": 9, "resolution": 2}, "takes whole numbers"),
        ({"values": ["a"]}, "needs two different values"),
        ({"values": ["1", "2", "10"]}, "has the name '1', which reads as a number"),
        ({"values": ["a", ""]}, "has the name '', of which blanks would be lost"),
        ({"values": ["a ", "b"]}, "has the name 'a ', of which blanks would be lost"),
        ({"values": [1, "a"]}, "needs values that are all numbers, or all names"),
        ({"values": [1, 1, 2]}, "needs two different values"),
        ({"values": [1, 2], "resolution": 1}, "has values, and so no resolution"),
        ({"values": [1, 2], "high": 9}, "has its low and high by its values"),
        ({"values": [1, 2], "off": 1.5}, "needs off among its values"),
        ({"values": ["a", "b"], "off": "c"}, "off"),
        ({"values": [1, 2], "descriptors": {"size": [1, 2]}}, "which describe themselves"),
        ({"descriptors": {"size": [1, 2]}}, "needs values for its descriptors"),
        ({"values": ["a", "b"], "descriptors": {"size": [1]}}, "needs one number for each of 2 names"),
        ({"values": ["a", "b"], "descriptors": {"size": [1, 1]}}, "has the same number for all names"),
        ({"values": list("abc"), "descriptors": {"size": [1, 1, 2]}}, "do not tell two of its names apart"),
    ],
)
def test_a_kind_that_does_not_go_together_is_refused(written, words):
    with pytest.raises(ValidationError, match=words):
        Knob(name="x", **written)


def test_a_copy_with_other_knobs_is_of_these_and_not_of_what_was_known_before():
    one = space(KINDS["number"])
    assert one.plain
    assert not one.model_copy(update={"knobs": (KINDS["log"],)}).plain
