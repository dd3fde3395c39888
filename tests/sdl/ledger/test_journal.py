"""A reply that the ledger cannot take when it comes is on the disk all the same, and in it at the next start."""

import contextlib
import errno
import json
import logging
import os
import sqlite3
import stat
import subprocess

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from flows.engine.open_bench import open_bench
from sdl.campaign.safety import SuspendPart
from sdl.campaign.sections import Plugin
from sdl.errors import LedgerError
from sdl.history import Purpose, ReplyClass, Request, Round, RoundKind
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger import database
from sdl.ledger import journal as spill
from sdl.ledger import ledger as ledger_module
from sdl.ledger.journal import Journal, JournalEntry
from sdl.ledger.ledger import Ledger
from sdl.measurement import manual as by_hand
from sdl.measurement.bench import Bench

ROUND = Round(0, RoundKind.DESIGN)
REQUESTS = [Request(0, i, 0, Purpose.DESIGN, np.array([0.1, 0.2, 0.3]) + i / 10) for i in range(4)]
HIT = 2
"""Which of the four measurements is the one with the trouble."""


class Troubled(Twin):
    """A twin during one of whose measurements something happens."""

    def __init__(self):
        super().__init__(seed=1)
        self.answered, self.trouble = [], lambda: None

    def measure(self, settings):
        self.answered.append(super().measure(settings))
        if len(self.answered) == HIT:
            self.trouble()
        return self.answered[-1]


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """The database waits a moment for others, not half a minute."""
    monkeypatch.setattr(database, "BUSY_S", 0.05)


@pytest.fixture
def twin():
    return Troubled()


@pytest.fixture
def at_work(tmp_path, twin):
    """Opens a ledger, the same one each time, as a new process would, and takes what is left."""

    @contextlib.contextmanager
    def open_(where=None, beside=None):
        with Ledger(where or tmp_path / "ledger.db", beside) as book, book.hold("twin", "test") as lease:
            campaign = book.register("white", "twin", twin.space, {}, {}).id
            book.reconcile(lease, campaign)
            book.plan(lease, campaign, ROUND, REQUESTS)
            yield Bench(book, lease, campaign, twin, 100)

    return open_


def take_what_is_left(bench):
    bench.measure(bench.ledger.history(bench.campaign).pending)


def trail(bench):
    return bench.ledger.trail(bench.campaign)


def kept_once(bench, twin):
    """Each answer of the instrument is in the ledger, once, and none was asked for twice."""
    rows = trail(bench)
    assert [row["raw"] for row in rows] == [each.raw for each in twin.answered]
    assert [row["verdict"] for row in rows] == ["OK"] * len(REQUESTS)
    assert [each.key for each in bench.ledger.history(bench.campaign).observations] == [r.key for r in REQUESTS]


@contextlib.contextmanager
def locked(path):
    """Another program that holds the database for itself."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other
        with contextlib.suppress(sqlite3.OperationalError):  # it let go already
            other.execute("ROLLBACK")


# ---------------------------------------------------------------------- a database that is locked


@pytest.mark.fault("O-15")
def test_a_reply_that_finds_the_ledger_locked_is_in_it_at_the_next_start(at_work, twin, tmp_path):
    path, stack = tmp_path / "ledger.db", contextlib.ExitStack()
    journal = tmp_path / "ledger.db.spill.jsonl"
    twin.trouble = lambda: stack.enter_context(locked(path))
    with at_work() as bench:
        with stack, pytest.raises(LedgerError) as caught:
            take_what_is_left(bench)
        assert "database is locked" in str(caught.value)
        assert f"The last reply is kept in {journal} until then" in str(caught.value)
        assert [row["state"] for row in trail(bench)] == ["DONE", "SENT"]
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    (line,) = journal.read_text().splitlines()
    assert json.loads(line)["answer"]["raw"] == twin.answered[-1].raw
    with at_work() as bench:
        assert [row["state"] for row in trail(bench)] == ["DONE", "DONE"]
        assert journal.read_text() == ""
        take_what_is_left(bench)
        kept_once(bench, twin)


@pytest.mark.fault("O-15")
def test_a_lock_that_passes_costs_nothing(at_work, twin, tmp_path, monkeypatch):
    path, stack = tmp_path / "ledger.db", contextlib.ExitStack()
    twin.trouble = lambda: stack.enter_context(locked(path))
    keep = Journal.keep

    def keep_and_let_go(journal, reply):
        place = keep(journal, reply)
        stack.close()
        return place

    monkeypatch.setattr(Journal, "keep", keep_and_let_go)
    with at_work() as bench:
        take_what_is_left(bench)
        kept_once(bench, twin)
    with at_work() as bench:
        kept_once(bench, twin)
    assert (tmp_path / "ledger.db.spill.jsonl").read_text() == ""


@pytest.mark.fault("O-15")
def test_a_failed_request_is_kept_that_way_too(at_work, twin, tmp_path):
    with at_work() as bench:
        number = bench.ledger.send(bench.lease, bench.campaign, REQUESTS[0], 100)
        with locked(tmp_path / "ledger.db"), pytest.raises(LedgerError, match="kept in"):
            bench.ledger.fail(bench.lease, number, ReplyClass.RETRY, "answered 503", "<h1>503")
    with at_work() as bench:
        (row,) = trail(bench)
        assert (row["state"], row["verdict"], row["raw"]) == ("FAILED", "RETRY", "<h1>503")


@pytest.mark.fault("O-15")
def test_a_database_server_that_hangs_up_is_asked_again(at_work, twin, postgres, tmp_path):
    where, killer = postgres.fresh(), create_engine(postgres.url, isolation_level="AUTOCOMMIT")

    def hang_up():
        with killer.connect() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            connection.execute(text(f"{others} AND backend_type = 'client backend'"))

    twin.trouble = hang_up
    with at_work(where, tmp_path) as bench:
        take_what_is_left(bench)
        kept_once(bench, twin)
    with at_work(where, tmp_path) as bench:
        kept_once(bench, twin)
    killer.dispose()


@pytest.mark.fault("O-15")
def test_a_reading_by_hand_that_a_server_does_not_take_is_in_the_ledger_at_the_next_start(
    postgres, tmp_path, monkeypatch
):
    part, where = Plugin(plugin="twin"), postgres.fresh()

    def away(*_):
        raise LedgerError("the server is away")

    with open_bench(part, str(tmp_path), where, "by hand") as bench, monkeypatch.context() as patch:
        patch.setattr(ledger_module.statements, "write_answer", away)
        with pytest.raises(LedgerError, match="The last reply is kept in"):
            by_hand.measure_by_hand(bench, [bench.instrument.space.off])
    with open_bench(part, str(tmp_path), where, "by hand") as bench:
        assert [each["verdict"] for each in trail(bench)] == ["OK"]


def test_a_server_without_a_folder_beside_it_says_that_the_reply_is_lost(caplog):
    reply = JournalEntry("twin", 1, 1, {"raw": "words"})
    with pytest.raises(LedgerError, match="no folder to keep it in"):
        Journal(None).keep(reply)


# ---------------------------------------------------------------------- a disk that is full


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here; the test below injects the error instead")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.fault("O-14")
def test_whoever_finds_no_room_is_told_that_the_disk_is_full(small_disk):
    with Ledger(small_disk / "ledger.db"):
        pass
    fill(small_disk)
    with pytest.raises(LedgerError, match=f"the disk of {small_disk} is full: make room there"):
        Ledger(small_disk / "ledger.db")


UNWATCHED = SuspendPart(free_mb=0)  # as if the disk filled up faster than anybody looks


def fill(place):
    with open(place / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.fault("O-14")
def test_a_reply_that_finds_the_disk_full_is_in_the_ledger_at_the_next_start(at_work, twin, small_disk, monkeypatch):
    monkeypatch.setattr(ledger_module, "TRIES", 1)
    twin.trouble = lambda: fill(small_disk)
    where = small_disk / "ledger.db"
    with at_work(where) as bench:
        bench.suspenders.rule = UNWATCHED
        with pytest.raises(LedgerError) as caught:
            take_what_is_left(bench)
        assert "full" in str(caught.value)
        assert "The last reply is kept in" in str(caught.value)
    assert not (small_disk / "ledger.db.spill.jsonl.reserve").exists()  # it made the room
    fill(small_disk)
    with pytest.raises(LedgerError, match=r"has room|make space"), at_work(where):
        pytest.fail("it began with no room for a reply")
    (small_disk / "filler").unlink()
    with at_work(where) as bench:
        bench.suspenders.rule = UNWATCHED
        take_what_is_left(bench)
        kept_once(bench, twin)


@pytest.mark.fault("O-14")
def test_the_room_that_was_held_is_often_enough_for_the_ledger_itself(at_work, twin, small_disk):
    twin.trouble = lambda: fill(small_disk)
    with at_work(small_disk / "ledger.db") as bench:
        bench.suspenders.rule = UNWATCHED
        take_what_is_left(bench)
        kept_once(bench, twin)
    (line,) = (small_disk / "ledger.db.spill.jsonl").read_text().splitlines()
    assert json.loads(line)["answer"]["raw"] == twin.answered[HIT - 1].raw


@pytest.mark.fault("O-14")
def test_room_is_held_and_given_up_for_a_reply_when_the_disk_is_full(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal")
    journal.reserve()
    ballast = tmp_path / "journal.reserve"
    assert ballast.stat().st_size == spill.BALLAST_BYTES
    write = os.write

    def full(handle, data):
        if not ballast.exists():
            return write(handle, data)
        write(handle, data[:10])  # a part of it may still find room
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    journal.keep(JournalEntry("twin", 1, 1, {"raw": "one"}))
    journal.keep(JournalEntry("twin", 1, 2, {"raw": "two"}))
    with journal.open_content() as kept:
        assert [each.answer["raw"] for each in kept.replies] == ["one", "two"]
    assert len((tmp_path / "journal").read_text().splitlines()) == 2


@pytest.mark.fault("O-14")
def test_where_nothing_can_be_written_at_all_a_person_is_shown_the_reply(at_work, twin, tmp_path, monkeypatch, caplog):
    def refuse(_, __):
        raise OSError(errno.EIO, "Input/output error")

    stack = contextlib.ExitStack()
    twin.trouble = lambda: stack.enter_context(locked(tmp_path / "ledger.db"))
    with at_work() as bench, stack:
        monkeypatch.setattr(spill, "_append", refuse)
        with pytest.raises(LedgerError, match=r"The last reply is lost: it cannot be kept in .*: Input/output error"):
            take_what_is_left(bench)
    assert any(twin.answered[-1].raw in record.getMessage() for record in caplog.records)


# ---------------------------------------------------------------------- reading it back


@pytest.fixture
def spilled(at_work, tmp_path, monkeypatch):
    """A ledger with one attempt whose answer is in the journal alone; the journal and that line."""
    monkeypatch.setattr(ledger_module, "TRIES", 1)
    with at_work() as bench:
        number = bench.ledger.send(bench.lease, bench.campaign, REQUESTS[0], 100)
        with locked(tmp_path / "ledger.db"), pytest.raises(LedgerError):
            bench.ledger.fail(bench.lease, number, ReplyClass.RETRY, "answered 503", "<h1>503")
    journal = tmp_path / "ledger.db.spill.jsonl"
    return journal, journal.read_text()


def test_a_torn_last_line_is_put_aside_and_told(spilled, at_work, caplog):
    journal, line = spilled
    journal.write_text(line + line[: len(line) // 2])
    with caplog.at_level(logging.WARNING), at_work() as bench:
        assert [row["raw"] for row in trail(bench)] == ["<h1>503"]
    damaged = journal.with_name(f"{journal.name}.damaged")
    assert damaged.read_text() == line[: len(line) // 2] + "\n"
    assert stat.S_IMODE(damaged.stat().st_mode) == 0o600
    assert f"1 lines of {journal} cannot be read; they are in {damaged} now" in caplog.text
    assert journal.read_text() == ""


def test_a_reply_after_a_torn_line_has_a_line_of_its_own(tmp_path):
    (tmp_path / "journal").write_text('{"instrument": "tw')
    journal = Journal(tmp_path / "journal")
    journal.keep(JournalEntry("twin", 1, 1, {"raw": "one"}))
    with journal.open_content() as kept:
        assert [each.answer["raw"] for each in kept.replies] == ["one"]


def test_what_is_there_twice_is_entered_once(spilled, at_work):
    journal, line = spilled
    changed = line.replace("<h1>503", "<h1>another")
    journal.write_text(line + changed)
    with at_work() as bench:
        assert [row["raw"] for row in trail(bench)] == ["<h1>503"]
    journal.write_text(line)  # as if the process had died before it emptied the file
    with at_work() as bench:
        assert [row["raw"] for row in trail(bench)] == ["<h1>503"]
    assert journal.read_text() == ""


def test_a_reply_to_another_lease_is_not_taken_for_one_to_this(spilled, at_work):
    journal, line = spilled
    journal.write_text(json.dumps(json.loads(line) | {"token": 7}) + "\n")
    with at_work() as bench:
        assert [(row["verdict"], row["raw"]) for row in trail(bench)] == [("UNKNOWN", "")]


def test_a_reply_whose_attempt_was_given_up_meanwhile_is_kept_and_does_not_count(spilled, at_work):
    journal, line = spilled
    journal.write_text("")
    with at_work() as bench:
        assert [row["verdict"] for row in trail(bench)] == ["UNKNOWN"]
    journal.write_text(line)
    with at_work() as bench:
        (row,) = trail(bench)
        assert (row["verdict"], row["raw"]) == ("UNKNOWN", "<h1>503")
        assert row["reason"] == "its answer was written down too late to count"


def test_replies_of_another_instrument_wait_for_its_own_start(spilled, at_work, tmp_path, twin):
    journal, line = spilled
    with Ledger(tmp_path / "ledger.db") as book, book.hold("lamp", "test") as lease:
        other = book.register("lamp", "lamp", twin.space, {}, {}).id
        book.reconcile(lease, other)
        assert journal.read_text() == line
    with at_work() as bench:
        assert [row["raw"] for row in trail(bench)] == ["<h1>503"]


@pytest.mark.fault("I-13")
def test_a_stuck_reply_that_was_spilled_takes_the_one_before_with_it_once(at_work, twin, tmp_path):
    stack = contextlib.ExitStack()

    def repeat():
        twin.answered[-1] = type(twin.answered[0])(
            twin.answered[-1].applied, twin.answered[0].readings, twin.answered[0].raw
        )
        stack.enter_context(locked(tmp_path / "ledger.db"))

    twin.trouble = repeat
    with at_work() as bench, stack, pytest.raises(LedgerError):
        take_what_is_left(bench)
    with at_work() as bench:
        assert [row["verdict"] for row in trail(bench)] == ["SUSPECT", "SUSPECT"]
        take_what_is_left(bench)
        assert [row["verdict"] for row in trail(bench)] == ["SUSPECT"] * 2 + ["OK"] * 4


@pytest.mark.parametrize(
    "line", ["{}", "[]", "null", '{"instrument": "twin"}', "\x00", "[" * 100_000, '{"a": 1}'], ids=range(7)
)
def test_nonsense_in_the_journal_is_put_aside(spilled, at_work, line):
    journal, good = spilled
    journal.write_text(f"{line}\n{good}")
    with at_work() as bench:
        assert [row["raw"] for row in trail(bench)] == ["<h1>503"]


def test_columns_that_are_no_answer_are_refused(spilled, at_work):
    journal, line = spilled
    entry = json.loads(line)
    entry["answer"]["campaign"] = 7
    journal.write_text(json.dumps(entry) + "\n")
    with at_work() as bench:
        assert [row["verdict"] for row in trail(bench)] == ["UNKNOWN"]


@pytest.mark.fault("N-04")
def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "journal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match="cannot be kept"):
        Journal(tmp_path / "journal").keep(JournalEntry("twin", 1, 1, {"raw": ""}))
    assert not (tmp_path / "elsewhere").exists()
