"""A reply that finds the database locked, or its server gone, is kept beside it and entered later."""

import contextlib
import json
import stat

import pytest
from desk import REQUESTS, kept_once, locked, take_what_is_left, trail
from sqlalchemy import create_engine, text

from flows.engine.open_bench import open_bench
from sdl.campaign.sections import Plugin
from sdl.errors import LedgerError
from sdl.history import ReplyClass
from sdl.ledger import ledger as ledger_module
from sdl.ledger.journal import Journal, JournalEntry
from sdl.measurement import manual as by_hand


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
