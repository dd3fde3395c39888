"""What the journal holds is in the ledger at the next start, once, and what cannot be read of it is put aside."""

import contextlib
import json
import logging
import stat

import pytest
from desk import REQUESTS, locked, take_what_is_left, trail

from sdl.errors import LedgerError
from sdl.history import ReplyClass
from sdl.ledger import ledger as ledger_module
from sdl.ledger.journal import Journal, JournalEntry
from sdl.ledger.ledger import Ledger


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
