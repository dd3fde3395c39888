"""Two processes on one instrument, started, stopped and killed as it comes, and what each of them leaves behind."""

import json
import socket
import threading
import time
from contextlib import ExitStack
from statistics import median

import numpy as np
import pytest
from rich.console import Console
from sqlalchemy import update

from flows.benchmarks.operation import concurrency
from flows.engine.open_bench import open_bench
from flows.engine.opening import open_session
from sdl.campaign.sections import Plugin
from sdl.errors import InstrumentUnavailable, LeaseLost
from sdl.history import Purpose, Request, Round, RoundKind
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger import lease as leasing
from sdl.ledger.ledger import Ledger
from sdl.ledger.tables import attempts
from sdl.measurement import orphaned_requests as ghosts
from strategies.plan.steps import Measure

FEW = 40
ASKED = {"R": 0.1, "G": 0.2, "B": 0.3}


@pytest.mark.fault("O-09", "O-13", "O-18", "O-19", "O-20")
@pytest.mark.slow
def test_whatever_befalls_two_processes_the_invariants_hold():
    result = concurrency.run_concurrency_benchmark(actions=FEW, seed=7)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert sum(result["taken"].values()) >= FEW
    assert result["requests"] > 0
    assert {bar["figure"]: bar["value"] for bar in result["bars"]} == {
        **dict.fromkeys(concurrency.INVARIANTS, 0),
        "I1": 1,
    }
    assert all(bar["met"] for bar in result["bars"])
    console = Console(width=200)
    with console.capture() as text:
        console.print(concurrency.concurrency_table(result))
    assert "most requests in flight at one moment" in text.get()


# ---------------------------------------------------------------------- what the dead asked


@pytest.fixture
def slow():
    """A twin that takes a tenth of a second for a reading."""
    with InstrumentServer(Twin(speed=8.0)) as server:
        yield server


def part(server):
    return {"plugin": "claude-light", "url": server.url, "allow_private": True, "first_wait_s": 0.01}


def left_behind(server, where):
    """A request that is under way while nobody waits for it: its process is gone."""
    instrument, asked = ClaudeLight(server.url, allow_private=True), server.requests
    with Ledger(where) as book, book.hold(instrument.identity, "the dead") as lease:
        entry = book.register("dead", instrument.identity, instrument.space, {}, {})
        request = Request(0, 0, 0, Purpose.DESIGN, np.array(list(ASKED.values())))
        book.plan(lease, entry.id, Round(0, RoundKind.DESIGN), [request])
        book.send(lease, entry.id, request, 10)
    threading.Thread(target=instrument.measure, args=(ASKED,), daemon=True).start()
    while server.requests == asked:
        time.sleep(0.001)
    return instrument.identity


@pytest.mark.fault("O-02")
def test_what_a_dead_process_asked_is_waited_out_by_another_campaign(slow, paper, tmp_path):
    left_behind(slow, tmp_path / "ledger.sqlite")
    written = paper | {"instrument": part(slow)}
    with open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        step = session.propose()
        session.campaign = session.campaign.model_copy(update={"budget": 2})
        session.execute(Measure(step.round, step.requests))
        assert session.ledger.sent(session.entry.id) == 2
    assert (slow.requests, slow.most_in_flight) == (3, 1)


@pytest.mark.fault("O-02")
def test_so_it_is_by_a_reading_by_hand(slow, tmp_path):
    left_behind(slow, tmp_path / "ledger.sqlite")
    with open_bench(Plugin(**part(slow)), str(tmp_path), None, "by hand") as bench:
        request = Request(0, 0, 0, Purpose.BY_HAND, np.zeros(3))
        bench.ledger.plan(bench.lease, bench.campaign, Round(0, RoundKind.BY_HAND), [request])
        bench.measure([request])
    assert (slow.requests, slow.most_in_flight) == (2, 1)


@pytest.mark.fault("O-02")
def test_a_request_of_the_dead_is_given_more_than_ten_times_as_long_as_a_usual_one(slow, tmp_path, monkeypatch):
    """The slowest reply that was ever recorded took ten times as long as the usual one."""
    with open_bench(Plugin(**part(slow)), str(tmp_path), None, "by hand") as bench:
        requests = [Request(0, index, 0, Purpose.BY_HAND, np.zeros(3)) for index in range(3)]
        bench.ledger.plan(bench.lease, bench.campaign, Round(0, RoundKind.BY_HAND), requests)
        bench.measure(requests)
    identity = left_behind(slow, tmp_path / "ledger.sqlite")
    with Ledger(tmp_path / "ledger.sqlite") as book:
        usual = book.trail(book.entry("by-hand").id)
        monkeypatch.setattr(ghosts, "seconds_since", lambda _: 0.0)
        assert ghosts.remaining_silence(book, identity) > 10 * median(row["seconds"] for row in usual)


@pytest.mark.fault("O-02")
def test_a_wait_ends_at_once_where_the_process_is_to_end(slow, tmp_path):
    identity, interrupted = left_behind(slow, tmp_path / "ledger.sqlite"), threading.Event()
    interrupted.set()
    with Ledger(tmp_path / "ledger.sqlite") as book:
        assert 0 < ghosts.remaining_silence(book, identity) <= ghosts.FIRST_S
        ghosts.wait_out_orphans(book, identity, interrupted)
        assert ghosts.remaining_silence(book, identity) > 0
        assert ghosts.remaining_silence(book, "another instrument") == 0


@pytest.mark.fault("O-21")
@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_no_clock_that_anybody_sets_shortens_the_silence_or_makes_it_long(slow, tmp_path, monkeypatch, jump):
    identity = left_behind(slow, tmp_path / "ledger.sqlite")
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + jump)
    with Ledger(tmp_path / "ledger.sqlite") as book:
        assert 0 < ghosts.remaining_silence(book, identity) <= ghosts.FIRST_S


@pytest.mark.fault("O-21", "O-28")
@pytest.mark.parametrize("uptime", ["another-boot 17.25", "", None])
def test_what_another_host_asked_is_given_all_its_time(slow, tmp_path, uptime):
    """Its clock may be a minute behind ours: then what it asked just now looks long over."""
    identity = left_behind(slow, tmp_path / "ledger.sqlite")
    with Ledger(tmp_path / "ledger.sqlite") as book:
        with book.writing() as connection:
            connection.execute(update(attempts).values(uptime=uptime, sent_at=time.time() - 60.0))
        assert ghosts.remaining_silence(book, identity) == ghosts.FIRST_S


# ---------------------------------------------------------------------- who slept before sending


@pytest.mark.fault("O-20")
def test_who_slept_on_the_way_to_the_instrument_does_not_ask_it_any_more(slow, monkeypatch):
    """By the time that it wakes somebody else may hold the instrument, which cannot be told so."""
    instrument = ClaudeLight(slow.url, allow_private=True, connect_s=0.05)
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **more: (time.sleep(0.15), resolve(*words, **more))[1])
    with pytest.raises(InstrumentUnavailable, match="held up for too long") as caught:
        instrument.measure(ASKED)
    assert not caught.value.sent
    assert slow.requests == 0


@pytest.mark.fault("O-20")
def test_who_slept_after_its_intent_finds_out_before_it_sends(tmp_path, monkeypatch):
    with Ledger(tmp_path / "ledger.sqlite") as book, Ledger(tmp_path / "ledger.sqlite") as other:
        entry = book.register("white", "light", Twin().space, {}, {})
        request = Request(0, 0, 0, Purpose.DESIGN, np.zeros(3))
        monkeypatch.setattr(leasing, "BEAT_S", 1000.0)
        monkeypatch.setattr(leasing, "TTL_S", 0.0)
        with book.hold("light", "sleeper") as lease:
            book.plan(lease, entry.id, Round(0, RoundKind.DESIGN), [request])
            monkeypatch.setattr(leasing, "BEAT_S", 0.01)
            written = book.writing
            taken = []

            def overtaken(held):
                """Somebody takes the instrument over between the intent and what follows it."""
                if not taken:
                    taken.append(written(held))
                    return taken[0]
                stack.enter_context(other.hold("light", "another"))
                return written(held)

            with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
                patch.setattr(book, "writing", overtaken)
                with pytest.raises(LeaseLost, match="taken over by another"):
                    book.send(lease, entry.id, request, 10)
