"""What a reading is wanted to be, as people write it: one interval underneath, whatever the words."""

import json
import math

import pytest
from jsonschema import validate

from sdl.campaign import prepare
from sdl.campaign.definition import Campaign, Target
from sdl.errors import InvalidInput
from sdl.space import Interval

TWIN = {"name": "sides", "instrument": "twin"}


@pytest.mark.parametrize(
    ("wish", "low", "high"),
    [
        (16384, 16220.16, 16547.84),
        ("16384", 16220.16, 16547.84),
        ("16384 ± 150", 16234, 16534),
        ("16384+-150", 16234, 16534),
        ("16384 ± 10 %", 14745.6, 18022.4),
        (">= 12000", 12000, math.inf),
        ("≥12e3", 12000, math.inf),
        (" <=  9000 ", -math.inf, 9000),
        ("≤ -.5", -math.inf, -0.5),
        ("3000 .. 4000", 3000, 4000),
        ("3000..4000", 3000, 4000),
        ("3000:4000", 3000, 4000),
        ("-4.5 .. -1", -4.5, -1),
    ],
)
def test_every_way_to_write_a_wish_is_an_interval(wish, low, high):
    interval = Target(readings={"y": wish}).interval("y")
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert all(interval.holds(end) for end in (max(low, -1e9), min(high, 1e9)))
    assert not interval.holds(low - 1) or low == -math.inf
    assert not interval.holds(high + 1) or high == math.inf


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        ("about 5", "readings.y: needs a number, or words such as '16384 ± 150'"),
        ("> 5", "needs a number, or words such as"),
        (">= 5 %", "needs a number, or words such as"),
        ("nan", "needs a finite number, got 'nan'"),
        (">= 1e999", "needs a finite number, got '1e999'"),
        ("4000 .. 3000", "needs the least before the most, got '4000 .. 3000'"),
        ("3 .. 3", "needs the least before the most"),
        ("5 ± -1", "needs a tolerance above 0 or a percentage such as '1 %'"),
        ("0 ± 1 %", "tolerance at y must be above 0"),
        (True, "needs no true or false"),
        (None, "needs a number, or words such as"),
        ([3, 4], "needs a number, or words such as"),
    ],
)
def test_other_words_are_refused_with_the_ways_that_there_are(wish, fault):
    with pytest.raises(InvalidInput) as raised:
        Campaign.parse({**TWIN, "targets": [{"readings": {"y": wish}}]})
    assert any(fault in said for said in raised.value.faults), raised.value.faults


def test_a_tolerance_is_for_readings_that_say_none_themselves():
    readings = {"a": 5, "b": ">= 3", "c": "1 .. 2"}
    assert Target(readings=readings, tolerance={"a": 0.5}).interval("a") == Interval.about(5, 0.5)
    with pytest.raises(ValueError, match="tolerance of b is said by the reading wanted there already: leave it out"):
        Target(readings=readings, tolerance={"a": 0.5, "b": 0.1})


def test_a_campaign_is_kept_in_words_that_say_the_same():
    written = {**TWIN, "targets": [{"readings": {"a": "16384", "b": ">=  3", "c": "1..2"}}]}
    kept = json.loads(json.dumps(Campaign.parse(written).model_dump(mode="json")))
    assert kept["targets"][0]["readings"] == {"a": 16384.0, "b": ">= 3", "c": "1 .. 2"}
    assert Campaign.parse(kept).targets == Campaign.parse(written).targets


def test_the_form_takes_what_a_file_says():
    """Prefect holds the parameters of a run against this schema before it begins."""
    written = {**TWIN, "quantities": {"a": "445nm / 630nm"}, "targets": [{"readings": {"a": 2, "b": ">= 3"}}]}
    validate(Campaign.parse(written).model_dump(mode="json"), Campaign.model_json_schema())


@pytest.mark.parametrize(
    ("wish", "fault"),
    [
        (">= 70000", "515nm >= 70000 counts reaches the ceiling of the sensor, 65535"),
        ("<= -5", "515nm <= -5 counts is below the least that the sensor can return, 0"),
        ("60000 .. 70000", "515nm 60000 .. 70000 counts reaches the ceiling of the sensor, 65535"),
        (">= -5", None),
        ("<= 70000", None),
        (">= 0", None),
    ],
)
def test_a_side_is_refused_where_no_reading_whatever_could_verify_it(wish, fault):
    written = {**TWIN, "targets": [{"readings": {"515nm": wish}}]}
    if fault is None:
        prepare(written)
        return
    with pytest.raises(InvalidInput) as raised:
        prepare(written)
    assert any(fault in said for said in raised.value.faults), raised.value.faults


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (Interval.about(16384, 163.84), "y 16390 ± 75 for 16384 ± 164"),
        (Interval.at_least(12000), "y 16390 ± 75 for at least 12000"),
        (Interval.at_most(20000), "y 16390 ± 75 for at most 20000"),
    ],
)
def test_readings_are_told_beside_what_is_wanted(interval, said):
    assert interval.compare("y", 16390.2, 75.4) == said
    assert interval.compare("y", math.inf, math.nan) == "y at its ceiling"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("maximum ± 150", "the largest possible, to within 150"),
        (" maximum +- 1.5e2", "the largest possible, to within 150"),
        ("minimum ± 0.02", "the smallest possible, to within 0.02"),
    ],
)
def test_as_much_and_as_little_as_possible_are_wishes_with_an_allowance(wish, words):
    target = Target(readings={"y": wish})
    assert str(target.interval("y")) == words
    assert target.interval("y").extreme
    assert Target(readings=target.model_dump()["readings"]) == target


def test_one_reading_of_a_target_may_be_as_large_or_as_small_as_possible():
    with pytest.raises(InvalidInput, match="one reading may be as large or as small as possible, got 445nm, 515nm: "):
        Campaign.parse({**TWIN, "targets": [{"readings": {"445nm": "maximum ± 5", "515nm": "minimum ± 5"}}]})


@pytest.mark.parametrize("wish", ["maximum", "maximum ± 0", "maximum ± -3", "maximum ± 2 %", "largest ± 3"])
def test_a_maximum_without_a_number_to_be_within_is_refused(wish):
    with pytest.raises(InvalidInput, match=r"needs (a number, or words|an allowance above 0)"):
        Campaign.parse({**TWIN, "targets": [{"readings": {"445nm": wish}}]})
