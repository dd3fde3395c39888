"""A database server that restarts, stands still or keeps a lock: the ledger says so, waits, and goes on by itself."""

import contextlib
import logging
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from postgres import programs, running

from sdl.errors import Interrupted, LedgerAway, LedgerError
from sdl.history import Purpose, Request, Round, RoundKind
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger import database_server
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench

ROUND = Round(0, RoundKind.DESIGN)
REQUESTS = [Request(0, i, 0, Purpose.DESIGN, np.array([0.1, 0.2, 0.3]) + i / 20) for i in range(8)]
LONG_S = 60.0
AWAY_S = 2.0
"""How long the server is away in these tests; how long it may be is a number of the program."""


@pytest.fixture(scope="module")
def server():
    """A server that these tests alone use, since they do to it what others would not like."""
    if (found := programs()) is None:
        pytest.skip("no PostgreSQL here: install Debian's package 'postgresql' to run this")
    with running(found) as own:
        yield own


@pytest.fixture
def place(server):
    return server.fresh()


@pytest.fixture
def hasty(monkeypatch):
    """The program's limits, as fractions of what they are."""
    monkeypatch.setattr(database_server, "ANSWER_S", 1.0)
    monkeypatch.setitem(database_server.CONNECT, "connect_timeout", 2)
    monkeypatch.setattr(database_server, "LIMITS", ("SET lock_timeout = '10s'", SHORT_IDLE))


SHORT_IDLE = "SET idle_in_transaction_session_timeout = '1s'"


class Troubled(Twin):
    """A twin at one of whose measurements something happens."""

    def __init__(self, trouble, at=3):
        super().__init__(seed=1)
        self.measured, self.trouble, self.at = 0, trouble, at

    def measure(self, settings):
        self.measured += 1
        if self.measured == self.at:
            self.trouble()
        return super().measure(settings)


@contextlib.contextmanager
def bench_of(place, folder, twin):
    with Ledger(place, folder, patience_s=LONG_S) as book, book.hold("twin", "test") as lease:
        campaign = book.register("white", "twin", twin.space, {}, {}).id
        book.plan(lease, campaign, ROUND, REQUESTS)
        yield Bench(book, lease, campaign, twin, 100)


def restart(server):
    server.stop()
    server.start()


def away(server):
    server.stop()
    threading.Timer(AWAY_S, server.start).start()


def frozen(server):
    server.signal(signal.SIGSTOP)
    threading.Timer(2 * AWAY_S, server.signal, [signal.SIGCONT]).start()


@pytest.mark.fault("O-32")
@pytest.mark.parametrize("trouble", [restart, away, frozen])
def test_a_campaign_goes_on_by_itself_and_nothing_is_lost_or_doubled(server, place, tmp_path, hasty, caplog, trouble):
    twin = Troubled(lambda: trouble(server))
    with caplog.at_level(logging.WARNING, "sdl"), bench_of(place, tmp_path, twin) as bench:
        bench.measure(REQUESTS)
        history = bench.ledger.history(bench.campaign)
        assert [each.key for each in history.observations] == [each.key for each in REQUESTS]
        assert history.sent == twin.measured == len(REQUESTS)
        assert [row["state"] for row in bench.ledger.trail(bench.campaign)] == ["DONE"] * len(REQUESTS)
    if trouble is not restart:
        assert "does not answer" in caplog.text
        assert "The reply that came is kept in " in caplog.text


@pytest.mark.fault("O-32")
@pytest.mark.parametrize("trouble", [restart, away, frozen])
def test_who_only_waits_waits_on(server, place, hasty, caplog, trouble):
    with Ledger(place, patience_s=LONG_S) as book:
        book.register("white", "twin", Twin(seed=1).space, {}, {})
        trouble(server)
        assert book.holder("twin") is None
        assert book.entry("white").name == "white"
    if trouble is away:
        assert "does not answer" in caplog.text
        assert "Waiting up to 1 min for it; nothing is lost" in caplog.text
        assert "answers again, after" in caplog.text


@pytest.mark.fault("O-32")
def test_a_command_does_not_wait_and_says_what_is_the_matter(server, place):
    with Ledger(place) as book:
        server.stop()
        try:
            for use in (book.entries, lambda: book.register("white", "twin", Twin(seed=1).space, {}, {})):
                with pytest.raises(LedgerAway, match=r"the ledger's database at .* does not answer: .*"):
                    use()
            with pytest.raises(LedgerAway, match="does not answer"), book.hold("twin", "me"):
                pass
            with pytest.raises(LedgerAway, match=r"cannot open the ledger at .*that the database server runs"):
                Ledger(place)
        finally:
            server.start()
        assert book.entries() == []


def test_who_waits_can_be_interrupted(server, place):
    interrupted = threading.Event()
    with Ledger(place, patience_s=LONG_S, interrupted=interrupted) as book:
        server.stop()
        try:
            threading.Timer(0.5, interrupted.set).start()
            with pytest.raises(Interrupted, match="does not answer"):
                book.entries()
        finally:
            server.start()


SLEEPS = """
import sys, time
from sdl.ledger import database_server
database_server.LIMITS = sys.argv[2].split(";")
from sdl.ledger.ledger import Ledger
with Ledger(sys.argv[1]) as book, book.hold("light", "sleeper") as lease, book.writing(lease):
    print("in a transaction", flush=True)
    time.sleep(1000)
"""


@pytest.mark.fault("O-33")
def test_a_holder_that_is_frozen_in_a_transaction_blocks_nobody_for_long(place, hasty, monkeypatch):
    from sdl.ledger import lease as leasing

    command = [sys.executable, "-c", SLEEPS, place, ";".join(database_server.LIMITS)]
    sleeper = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert sleeper.stdout.readline().strip() == "in a transaction"
        sleeper.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(leasing, "TTL_S", 1.0)
        monkeypatch.setattr(leasing, "BEAT_S", 0.2)
        time.sleep(1.0)
        with Ledger(place, patience_s=LONG_S) as book, book.hold("light", "me") as lease:
            assert lease.token == 2
    finally:
        sleeper.kill()
        sleeper.wait()
        sleeper.stdout.close()


@pytest.mark.fault("O-33")
def test_a_lock_that_is_never_released_is_a_sentence(place, monkeypatch):
    monkeypatch.setattr(database_server, "LIMITS", ("SET lock_timeout = '200ms'",))
    with (
        Ledger(place) as book,
        Ledger(place) as other,
        book.hold("light", "me") as lease,
        book.writing(lease),  # keeps the row of the lease
        pytest.raises(LedgerAway, match="lock timeout"),
        other.writing(lease),
    ):
        pass


@pytest.mark.fault("O-34")
def test_what_a_database_does_not_take_is_a_sentence_and_the_reply_is_kept(place, tmp_path):
    twin = Troubled(lambda: None)
    with bench_of(place, tmp_path, twin) as bench:
        with bench.ledger.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE attempts ADD CONSTRAINT odd CHECK (state <> 'DONE')")
        with pytest.raises(LedgerError, match=r"could not be written: .*odd.* The last reply is kept in "):
            bench.measure(REQUESTS)
        with bench.ledger.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE attempts DROP CONSTRAINT odd")
        assert bench.ledger.reconcile(bench.lease, bench.campaign) == 0
        assert len(bench.ledger.history(bench.campaign).observations) == 1


@pytest.mark.fault("O-34")
def test_two_that_enter_one_name_at_once_have_one_entry(place):
    gate, entries = threading.Barrier(6), list[int]()

    def enter():
        with Ledger(place) as book:
            gate.wait()
            entries.append(book.register("white", "twin", Twin(seed=1).space, {}, {}).id)

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries) == 6
    assert len(set(entries)) == 1
