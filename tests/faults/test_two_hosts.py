"""Two hosts of one name whose clocks differ, one database, one instrument, and whatever may happen to them at once."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from sqlalchemy import select
from two_hosts import LAMP, Night, Wires, inside, two_hosts, why_not

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


ASKER = """
import sys
from sdl import plugins
from sdl.errors import InstrumentError
knobs = [{"name": "red", "write": "RED {value}"}]
rig = plugins.build("sdl.instruments", "scpi", {"url": sys.argv[1], "allow_private": True, "deadline_s": 0.7,
    "knobs": knobs, "channels": [{"name": "light", "query": "LIGHT?"}]})
for line in sys.stdin:
    try:
        print(rig.measure({"red": float(line)}).readings, flush=True)
    except InstrumentError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.mark.fault("I-27")
def test_what_was_asked_over_a_line_that_was_cut_and_is_given_up_arrives_no_more(tmp_path):
    """Else it would be measured amid the next request, minutes later."""
    server = [*inside_python(RIG), str(tmp_path / "heard")]
    with Wires() as wires, ExitStack() as stack:
        rig = stack.enter_context(talking([*inside(wires.place("lamp")), *server]))
        url = f"tcp://{LAMP}:{rig.stdout.readline().strip()}"
        asker = stack.enter_context(talking([*inside(wires.place("a")), *inside_python(ASKER), url]))

        def ask(red):
            asker.stdin.write(f"{red}\n")
            return asker.stdout.readline().strip()

        assert ask(0.25) == "{'light': 7.0}"
        wires.connect("a", "lamp", on=False)
        assert ask(0.5) in ("InstrumentSilent", "InstrumentUnavailable")
        wires.connect("a", "lamp", on=True)
        assert ask(0.75) == "{'light': 7.0}"
        time.sleep(5.0)  # in which it would be sent once more
    heard = (tmp_path / "heard").read_text().splitlines()
    assert heard == ["RED 0.25", "LIGHT?", "RED 0.75", "LIGHT?"]


RIG = f"""
import socket, sys, threading
listener = socket.create_server(("{LAMP}", 0))
print(listener.getsockname()[1], flush=True)
def serve(line):
    for order in line.makefile():
        with open(sys.argv[1], "a") as heard:
            heard.write(order)
        if "?" in order:
            line.sendall(b"7.0\\n")
while True:
    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
"""


def inside_python(code):
    return [sys.executable, "-P", "-c", code]


@contextmanager
def talking(command):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    process = subprocess.Popen(command, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


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
