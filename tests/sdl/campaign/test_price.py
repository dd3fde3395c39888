"""What measuring costs: read from a file, refused where it makes no sense, counted to the last cent."""

import tomllib
from datetime import UTC, date, datetime

import numpy as np
import pytest

from sdl.campaign.definition import Campaign
from sdl.campaign.price import PricePart
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.instruments.simulated.plate_reader import PlateReader
from sdl.space import Space

SPACE = Space.unit("oven", "flow")
WRITTEN = {
    "name": "priced",
    "instrument": "plate-reader",
    "targets": [{"readings": {"450nm": 0.5}, "tolerance": "5 %"}],
}


def seconds(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("price", "words"),
    [
        ({"request": -1}, "price.request"),
        ({"request": float("nan")}, "price.request"),
        ({"budget": 0}, "price.budget"),
        ({"request": 10, "budget": 5}, "does not pay one request"),
        ({"request": 0, "budget": 5}, "bounds nothing where everything is free"),
        ({"deadline": "seven"}, "needs a time such as '07:00'"),
        ({"deadline": "25:00"}, "needs a time such as '07:00'"),
        ({"deadline": "2031-05-20"}, "price.deadline: needs a time such as '07:00'"),
        ({"deadline": date(2031, 5, 20)}, "price.deadline: needs a time such as '07:00'"),
        ({"deadline": datetime(2031, 5, 20, 7, tzinfo=UTC)}, "in the zone that 'timezone' names, got '2031-05-20 07"),
        ({"unit": " "}, "price.unit: needs a word such as 'EUR' or 'min'"),
        ({"unit": "\x1b[2J"}, "price.unit: needs a word"),
        ({"unit": " minutes"}, "price.unit: is a time: write 'min'"),
        ({"deadline": "07:00", "timezone": "Mars"}, "needs a time zone"),
        ({"per_hour": 3}, "price.per_hour: unknown key"),
        ({"knobs": {"yellow": 1}}, "no knob is moved"),
        ({"knobs": {"oven": 1}}, "there is no such knob"),
        ({"request": 1, "plate": 50, "budget": 20}, "may not pay the first request: 51"),
        ({"request": True}, "price.request"),
        ({"unit": "minutes"}, "price.unit: is a time: write 'min'"),
        ({"unit": "H", "deadline": "07:00"}, "price.unit: is a time: write 'h'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_first_measurement(price, words):
    with pytest.raises(InvalidInput, match=words):
        prepare(WRITTEN | {"price": price})


def test_a_source_that_the_budget_never_pays_is_refused():
    source = {"name": "slow", "plugin": "twin", "unit": 2, "seed": 2, "apparatus": "other", "price": 9}
    written = WRITTEN | {"instrument": {"plugin": "twin", "seed": 1}, "sources": [source], "price": {"budget": 8}}
    with pytest.raises(InvalidInput, match="8 min may not pay the first request to source 'slow': 9"):
        prepare(written | {"targets": [{"readings": {"515nm": 16384}, "tolerance": "5 %"}]})


def test_the_price_of_a_plate_is_no_price_where_settings_are_measured_one_by_one():
    with pytest.raises(InvalidInput, match="measures one by one, and has no plates"):
        prepare(WRITTEN | {"instrument": {"plugin": "plate-reader", "plate": None}, "price": {"plate": 3}})


def test_a_campaign_without_prices_says_nothing_of_them():
    assert "price" not in Campaign.parse(WRITTEN).model_dump(mode="json")


def test_spent_is_requests_plates_and_knobs_moved():
    price = PricePart(request=2, knobs={"oven": 10})
    settings = np.array([[0.0, 0.0], [0.0, 1.0], [0.5, 1.0], [0.5, 0.0], [0.0, 0.0]])
    assert price.spent(SPACE, settings, plates=0) == 5 * 2 + 2 * 10
    assert PricePart(request=2, plate=30).spent(PlateReader().space, settings, plates=3) == 5 * 2 + 3 * 30
    assert price.dearest(SPACE) == 12


def test_a_time_of_the_day_is_the_next_one_and_a_day_is_that_day():
    begun = seconds("2031-05-20 22:15")
    assert PricePart(deadline="07:00").ends_at(begun) == seconds("2031-05-21 07:00")
    assert PricePart(deadline="23:00").ends_at(begun) == seconds("2031-05-20 23:00")
    assert PricePart(deadline="07:00", timezone="Europe/Berlin").ends_at(begun) == seconds("2031-05-21 05:00")
    assert PricePart(deadline="2031-05-24 12:00").ends_at(begun) == seconds("2031-05-24 12:00")
    assert PricePart().ends_at(begun) is None


@pytest.mark.parametrize(
    ("begun", "hours"),
    [
        ("2031-10-26 00:15", 0.25),  # the clocks show 02:15, then 03:00, and are put back to 02:00
        ("2031-10-26 00:45", 0.75),
        ("2031-10-26 01:15", 0.25),
        ("2031-10-26 01:45", 23.75),
    ],
)
def test_a_time_that_clocks_show_twice_is_the_next_one(begun, hours):
    price = PricePart(deadline="2:30", timezone="Europe/Berlin")
    assert price.ends_at(seconds(begun)) == seconds(begun) + 3600 * hours


def test_a_time_that_clocks_leave_out_is_within_the_hour_of_it():
    price = PricePart(deadline="02:30", timezone="Europe/Berlin")  # from 02:00 to 03:00, at 01:00 UTC
    for begun in ("2031-03-29 23:00", "2031-03-30 00:45"):
        assert abs(price.ends_at(seconds(begun)) - seconds("2031-03-30 01:00")) <= 1800


def test_a_deadline_may_be_a_time_as_toml_has_it():
    written = tomllib.loads("clock = 07:00:00\nday = 2031-05-24T12:00:00")
    assert PricePart(deadline=written["clock"]) == PricePart(deadline="07:00:00")
    assert PricePart(deadline=written["day"]).ends_at(0.0) == seconds("2031-05-24 12:00")
