"""Two hosts of one name whose clocks differ, one database, one instrument, and whatever may happen to them at once."""

import json
import os

import numpy as np
import pytest
from sqlalchemy import select
from two_hosts import Night, two_hosts, why_not

from flows.engine.outcome import summarize_outcome
from flows.studies.reproduce import reproduce_bundle, summarise_reproduction
from sdl.history import State
from sdl.interchange.bundle_writer import write_bundle
from sdl.ledger.ledger import Ledger
from sdl.ledger.tables import attempts, requests

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
                check_end(book, entry, tmp_path)


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


def check_end(book, entry, folder):
    """It is verified, as it would have been, and what it decided is what anybody decides from the same replies."""
    outcome = summarize_outcome(book, entry.name)
    assert (entry.state, outcome["verified"]) == (State.FINISHED, True), (entry, outcome)
    result = reproduce_bundle(write_bundle(book, entry.name, folder / f"{entry.name}.zip"))
    assert result["agrees"], summarise_reproduction(result)
