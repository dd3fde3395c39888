"""A reply that finds the disk full has room held for it, and where nothing can be written a person is shown it."""

import contextlib
import errno
import json
import os
import subprocess

import pytest
from desk import HIT, kept_once, locked, take_what_is_left

from sdl.campaign.safety import SuspendPart
from sdl.errors import LedgerError
from sdl.ledger import journal as spill
from sdl.ledger import ledger as ledger_module
from sdl.ledger.journal import Journal, JournalEntry
from sdl.ledger.ledger import Ledger

UNWATCHED = SuspendPart(free_mb=0)  # as if the disk filled up faster than anybody looks


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


def fill(place):
    with open(place / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.fault("O-14")
def test_whoever_finds_no_room_is_told_that_the_disk_is_full(small_disk):
    with Ledger(small_disk / "ledger.db"):
        pass
    fill(small_disk)
    with pytest.raises(LedgerError, match=f"the disk of {small_disk} is full: make room there"):
        Ledger(small_disk / "ledger.db")


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
