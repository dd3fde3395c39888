"""How many requests prices and a deadline leave a campaign."""

from dataclasses import replace

import numpy as np
import pytest

from sdl.analysis.spending import describe_deadline, describe_spending, with_allowance
from sdl.campaign.definition import Campaign
from sdl.history import History, Observation, Purpose, ReplyClass
from sdl.instruments.simulated.plate_reader import PlateReader
from sdl.space import Space

SPACE = Space.unit("oven", "flow")
BEGUN = 1_900_000_000.0 - 1_900_000_000 % 86_400  # midnight


def history(*settings, plates=0):
    rows = [
        Observation(0, i, 0, Purpose.DESIGN, np.array(row), i, ReplyClass.OK, np.zeros(1), np.zeros(1, bool))
        for i, row in enumerate(settings)
    ]
    return History(observations=rows, sent=len(rows), asked=rows, plates=plates)


def written(price, channel="y"):
    targets = [{"readings": {channel: 1.0}}]
    return Campaign.model_validate({"name": "p", "instrument": "x", "targets": targets, "price": price})


def allowed(price, seen, space=SPACE, at=BEGUN):
    return with_allowance(seen, written(price, space.channel_names[0]), space, at, BEGUN)


def test_without_prices_nothing_is_limited():
    assert allowed(None, history()).allowed is None
    assert allowed({"request": 3}, history()).allowed is None


@pytest.mark.parametrize(("spent", "more"), [(0, 3), (1, 2), (2, 1), (3, 0)])
def test_a_request_that_may_cost_more_than_is_left_is_none(spent, more):
    seen = history(*[[0.0, 0.0]] * spent)
    assert allowed({"request": 30, "budget": 100}, seen).allowed == spent + more


def test_every_request_is_taken_to_move_all_knobs_that_cost_something():
    seen = history([0.0, 0.0], [1.0, 0.0])  # 2 + 2 + 8
    found = allowed({"request": 2, "knobs": {"oven": 8}, "budget": 30, "unit": "EUR"}, seen)
    assert found.allowed == 2 + 1
    assert found.limit == "12 of 30 EUR are spent, and one more request may cost 10"


def test_three_times_a_tenth_is_three_tenths():
    assert [allowed({"request": 0.1, "budget": 0.3}, history(*[[0.0, 0.0]] * n)).allowed for n in range(4)] == [3] * 4


def test_what_persons_have_in_hand_is_paid_and_may_still_come():
    seen = history([0.0, 0.0], [1.0, 0.0])
    seen = replace(seen, sent=1, awaited=1)
    assert allowed({"request": 30, "budget": 100}, seen).allowed == 1 + 1 + 1
    over = allowed({"request": 30, "deadline": "07:00"}, seen, at=BEGUN + 8 * 3600)
    assert over.allowed == 1 + 1


def test_a_plate_is_paid_before_its_wells():
    space, price = PlateReader().space, {"request": 1, "plate": 50, "budget": 100}
    assert allowed(price, history(plates=0), space).allowed == 50
    assert allowed(price | {"budget": 146 + 51}, history(plates=0), space).allowed == 97, "the next one is paid anew"
    assert allowed(price | {"budget": 146 + 50}, history(plates=0), space).allowed == 96
    assert allowed(price, history(*[[0.0] * 3] * 20, plates=1), space).allowed == 20


def test_a_deadline_leaves_what_can_be_measured_until_then():
    price = {"request": 10, "unit": "min", "deadline": "07:00"}
    assert allowed(price, history(), at=BEGUN + 3600).allowed == 36
    assert allowed(price, history(), at=BEGUN + 6.9 * 3600).allowed == 0
    euros = {"request": 10, "unit": "EUR", "deadline": "07:00"}
    assert allowed(euros, history(), at=BEGUN + 6.9 * 3600).allowed > 1000
    over = allowed(euros, history(), at=BEGUN + 7 * 3600)
    assert (over.allowed, over.limit) == (0, "nothing more can be measured before the deadline 07:00")


def test_what_is_spent_and_left_is_said_in_words():
    price = written({"request": 2.5, "unit": "EUR", "budget": 50, "deadline": "07:00"}).price
    assert describe_spending(price, SPACE, history([0.0, 0.0])) == "2.5 of 50 EUR"
    assert describe_deadline(price, BEGUN + 3600, BEGUN) == "until 07:00 UTC, in 6 h"
    assert describe_deadline(price, BEGUN + 8 * 3600, BEGUN) == "until 07:00 UTC, which is over"
