"""Two hosts of one name whose clocks differ, one database, one instrument, and whatever may happen to them at once."""

import json
import os
from collections import Counter

import numpy as np
import pytest
from controller import Steady, written
from sqlalchemy import select
from two_hosts import Night, two_hosts, why_not

from sdl.campaign.definition import Campaign
from sdl.history import Purpose, State
from sdl.ledger.ledger import Ledger
from sdl.ledger.tables import attempts, requests
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]
EVENTS = int(os.environ.get("SDL_EVENTS", "12"))
"""Starts, ends, kills, freezes and the like; the seed of their order is 16."""
HASTE = 10.0
"""By how much all times of the program are shortened."""
BOOTS = {
    "two containers of one machine": {"a": None, "b": None},
    "two machines": {"a": "11111111-2222-4333-8444-555555555555", "b": "66666666-7777-4888-8999-aaaaaaaaaaaa"},
}


@pytest.mark.fault("O-52")
@pytest.mark.parametrize("boots", BOOTS.values(), ids=BOOTS)
def test_whatever_happens_to_two_hosts_one_controls_the_instrument(tmp_path, boots):
    with two_hosts(tmp_path, HASTE, boots) as (hosts, wires, server, where, record):
        night = Night(hosts, wires, server, np.random.default_rng(16), longest_s=60.0 / HASTE)
        night.pass_events(EVENTS, between_s=0.7)
        night.settle()
        words = "".join(host.log.read_text() for host in hosts.values())
        arrivals = [json.loads(line) for line in record.read_text().splitlines()]
        with Ledger(where) as book:
            print(night.counts, f"{len(book.entries())} campaigns, {len(arrivals)} requests")
            assert "Traceback" not in words
            check_one_at_a_time(arrivals)
            check_one_controller(book, arrivals)
            for entry in book.entries():
                check_end(book, entry)


def check_one_at_a_time(arrivals):
    assert [line for line in arrivals if line["busy"]] == []


def check_one_controller(book, arrivals):
    """Every request that came was intended, by whoever held the instrument then: tokens only grow."""
    with book.reading() as connection:
        query = select(attempts.c.token, requests.c.settings).join(requests, attempts.c.request == requests.c.id)
        sent = connection.execute(query.order_by(attempts.c.id)).all()
    tokens = [row.token for row in sent]
    assert tokens == sorted(tokens)
    left = iter(sent)
    for line in arrivals:
        came = next((row for row in left if np.allclose(row.settings, line["in"])), None)
        assert came is not None, f"a request came that nobody with a right to it had intended: {line}"


def check_end(book, entry):
    number = int(entry.title.split()[1])
    campaign = Campaign.parse(written(number, "http://10.78.0.1:1/api"))
    unharmed = Simulation(Plan(campaign, Steady().space), Steady())
    reason = unharmed.run()
    assert (entry.state, entry.reason) == (State.FINISHED, reason)
    history = book.history(entry.id)
    assert [each.verdict for each in history.findings] == [each.verdict for each in unharmed.findings]
    asked, would_have = ([each for each in part.observations] for part in (history, unharmed))
    more = Counter(each.purpose for each in asked)
    if more[Purpose.REFERENCE] == Counter(each.purpose for each in would_have)[Purpose.REFERENCE]:
        assert [each.key for each in asked] == [each.key for each in would_have]
        assert np.allclose([each.settings for each in asked], [each.settings for each in would_have], atol=0.01)
