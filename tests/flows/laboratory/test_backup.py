"""A backup made while campaigns run: put back, they go on and reproduce; nobody replaces what is newer unasked."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from services import ENDED, SOON_S, Lab
from sqlalchemy import create_engine

from flows.engine.opening import open_session
from flows.laboratory.backup import make_backup, restore_backup
from flows.server import service_lock
from flows.server.service_lock import AlreadyUp
from flows.studies.reproduce import reproduce_bundle
from sdl.errors import InvalidInput, LeaseHeld, LeaseLost, LedgerError, SchemaMismatch
from sdl.interchange.bundle_writer import write_bundle
from sdl.ledger.journal import JournalEntry
from sdl.ledger.ledger import Ledger
from sdl.system.database_copies import dump_postgresql

AT = 7
"""Request during which the backup is made."""


@pytest.fixture
def lab(home):
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def written(paper):
    return paper | {"instrument": {"plugin": "twin", "seed": 2, "daylight": 1500.0}}


@pytest.fixture
def kept(lab, where, written, drive):
    """A backup from the middle of a campaign, with one request under way; the campaign went on to its end."""
    with open_session(written, lab, where) as session:
        instrument, made = session.bench.instrument, []
        measure = instrument.measure

        def backed_up(settings):
            if len(made) == AT - 1:
                made.append(make_backup(lab, where))
            else:
                made.append(None)
            return measure(settings)

        instrument.measure = backed_up
        assert drive(session)["verified"]
    return made[AT - 1]


def rows(where):
    with Ledger(where) as book:
        return [(row["settings"], row["raw"], row["state"]) for row in book.trail(book.entry("paper").id)]


@pytest.mark.fault("O-51")
def test_put_back_a_campaign_goes_on_and_reproduces(kept, lab, where, written, drive, tmp_path):
    whole = rows(where)
    done = restore_backup(kept, lab, where, force=True)
    assert (done.campaigns, done.prefect) == (1, False)
    assert rows(where) == [*whole[: AT - 1], (whole[AT - 1][0], "", "SENT")]
    with open_session(written, lab, where) as session:
        assert drive(session)["verified"]
        bundle = write_bundle(session.ledger, "paper", tmp_path / "paper.zip")
    after = rows(where)
    assert after[: AT - 1] == whole[: AT - 1]
    assert [state for _, _, state in after].count("UNKNOWN") == 1
    assert reproduce_bundle(bundle)["agrees"]


@pytest.mark.fault("O-51")
def test_what_is_newer_is_named_and_replaced_only_if_that_is_said_and_then_it_is_kept(kept, lab, where):
    whole = rows(where)
    more = len(whole) - AT
    with pytest.raises(
        InvalidInput, match=rf"hold what the backup of .* lacks: .*{more} attempts.* of 'paper'. Nothing"
    ):
        restore_backup(kept, lab, where)
    assert rows(where) == whole
    before = restore_backup(kept, lab, where, force=True).before
    assert len(rows(where)) == AT
    assert restore_backup(before, lab, where).before is not None  # it has all that the ledger has now
    assert rows(where) == whole


@pytest.mark.fault("O-51")
def test_a_campaign_of_the_same_name_that_was_begun_anew_is_another_one(kept, lab, where, written, drive):
    restore_backup(kept, lab, where, force=True)
    with Ledger(where) as book, book.writing() as connection:
        connection.exec_driver_sql("UPDATE campaigns SET created = created + 1")
    with pytest.raises(InvalidInput, match=r"lacks: campaign 'paper'\. Nothing"):
        restore_backup(kept, lab, where)


@pytest.mark.fault("O-51")
def test_a_backup_that_is_not_as_it_was_written_is_refused(kept, lab, where):
    whole = rows(where)
    for file in sorted(kept.iterdir()):
        content = file.read_bytes()
        for wrong in (content[:-9], content.replace(b"a", b"b", 1)):
            file.write_bytes(wrong)
            with pytest.raises(InvalidInput, match=r"no whole backup|is not as it was written"):
                restore_backup(kept, lab, where, force=True)
        file.unlink()
        with pytest.raises(InvalidInput, match="no whole backup"):
            restore_backup(kept, lab, where, force=True)
        file.write_bytes(content)
    about = json.loads((kept / "manifest.json").read_text())
    (kept / "manifest.json").write_text(json.dumps(about | {"files": about["files"] | {"../ledger": "0"}}))
    with pytest.raises(InvalidInput, match="is not as it was written"):
        restore_backup(kept, lab, where, force=True)
    assert rows(where) == whole


@pytest.mark.fault("O-51")
def test_a_backup_of_a_newer_program_is_refused(kept, lab, where):
    about = json.loads((kept / "manifest.json").read_text())
    about["ledger"]["schema"] += 1
    (kept / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(SchemaMismatch, match="newer version of this program"):
        restore_backup(kept, lab, where, force=True)


@pytest.mark.fault("O-51")
def test_nothing_is_put_back_under_who_is_at_work(kept, lab, where):
    with Ledger(where) as book, book.hold("twin-2", "me"), pytest.raises(LeaseHeld, match="twin-2 is held by me"):
        restore_backup(kept, lab, where, force=True)
    with service_lock.alone(lab), pytest.raises(AlreadyUp, match="'sdl down' first"):
        restore_backup(kept, lab, where, force=True)


@pytest.mark.fault("O-51")
def test_who_held_an_instrument_and_sleeps_is_fenced_off(kept, lab, where):
    with Ledger(where) as book:
        for _ in range(3):
            with book.hold("twin-2", "who falls asleep") as asleep:
                pass
    restore_backup(kept, lab, where, force=True)
    with (
        Ledger(where) as book,
        book.hold("twin-2", "the next one") as lease,
        pytest.raises(LeaseLost),
        book.writing(asleep),
    ):
        pass
    assert lease.token > asleep.token


@pytest.mark.fault("O-51")
def test_a_reply_that_the_ledger_did_not_take_yet_is_in_the_backup(kept, lab, where, written):
    restore_backup(kept, lab, where, force=True)
    with Ledger(where, lab) as book:
        row = book.trail(book.entry("paper").id)[-1]
        answer = {"state": "DONE", "verdict": "SUSPECT", "reason": "late", "raw": "kept", "done_at": time.time()}
        reply = JournalEntry("twin-2", token_of(book, row), row["seq"], answer)
        book.journal.keep(reply)
    with_reply = make_backup(lab, where)
    with Ledger(where, lab) as book:
        book.journal.path.unlink()
    restore_backup(with_reply, lab, where)
    with open_session(written, lab, where) as session:
        assert session.ledger.trail(session.entry.id)[AT - 1]["raw"] == "kept"


def token_of(book, row):
    with book.reading() as connection:
        return connection.exec_driver_sql(f"SELECT token FROM attempts WHERE id = {row['seq']}").scalar_one()


@pytest.mark.fault("O-51")
@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", ["no database", "half of it", "gone"])
def test_a_damaged_ledger_is_put_aside_if_that_is_said(kept, lab, where, fault):
    file, whole = Path(where), Path(where).read_bytes()
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    if fault == "gone":
        file.unlink()
        assert restore_backup(kept, lab, where).before is None
        assert len(rows(where)) == AT
        return
    damaged = b"no database" * 99 if fault == "no database" else whole[: len(whole) // 2]
    file.write_bytes(damaged)
    with pytest.raises(InvalidInput, match="lacks: a ledger that cannot be read"):
        restore_backup(kept, lab, where)
    before = restore_backup(kept, lab, where, force=True).before
    assert (before / file.name).read_bytes() == damaged
    assert len(rows(where)) == AT


@pytest.mark.fault("O-51")
def test_without_its_programs_or_its_server_a_sentence_without_the_password(tmp_path, monkeypatch):
    url = "postgresql+psycopg://ada:se%2Fcret@127.0.0.1:1/lab"
    with pytest.raises(LedgerError, match=r"pg_dump failed at postgresql://ada@127.0.0.1:1/lab: ") as result:
        dump_postgresql(url, tmp_path / "dump")
    assert "cret" not in str(result.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LedgerError, match="there is no pg_dump here"):
        dump_postgresql(url, tmp_path / "dump")


@pytest.mark.fault("O-51")
@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_prefects_database_on_a_server_is_backed_up_and_put_back(kept, lab, where, postgres, monkeypatch):
    postgres.execute("CREATE DATABASE prefects")
    url = postgres.url.replace("/postgres?", "/prefects?")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", url.replace("+psycopg", "+asyncpg"))
    server = create_engine(url, isolation_level="AUTOCOMMIT")

    def execute(sentence):
        with server.connect() as connection:
            return connection.exec_driver_sql(sentence)

    execute("CREATE EXTENSION pg_trgm")
    execute("CREATE TABLE flow_run (name text, start_time timestamptz)")
    execute("CREATE INDEX names ON flow_run USING gin (name gin_trgm_ops)")
    execute("INSERT INTO flow_run VALUES ('first', '2026-11-23 22:00:00Z')")
    backup = make_backup(lab, where)
    execute("INSERT INTO flow_run VALUES ('second', '2026-11-24 22:00:00Z')")
    with pytest.raises(InvalidInput, match="lacks: a run of Prefect's that began at 2026-11-24 22:00"):
        restore_backup(backup, lab, where)
    assert restore_backup(backup, lab, where, force=True).prefect
    with server.connect() as connection:
        assert connection.exec_driver_sql("SELECT name FROM flow_run").scalars().all() == ["first"]
    server.dispose()


def test_the_commands_say_where_it_is_and_what_was_there(sdl, kept, lab, where, monkeypatch, tmp_path):
    monkeypatch.setenv("SDL_LEDGER", where)
    folder = tmp_path / "mine"
    assert sdl("backup", folder).said == f"{folder}; 'sdl restore' puts it back"
    assert sdl("backup", folder).said == f"{folder} exists: a backup is a new folder"
    assert sdl("restore", kept).code == 2
    result = sdl("restore", kept, "--force", "--json").json
    assert (result["campaigns"], result["prefect"]) == (1, False)
    assert Path(result["before"]).parent == lab / "backups"
    assert f"the ledger with 1 campaign is as it was in {folder}" in sdl("restore", folder).said


@pytest.mark.slow
@pytest.mark.fault("O-51")
def test_a_laboratory_that_was_lost_while_a_campaign_ran_is_what_it_was(tmp_path):
    """Service, campaign and Prefect's runs: backed up at work, deleted, put back, gone on with, reproduced."""
    lab, folder = Lab(tmp_path / "home"), tmp_path / "backup"
    lab.home.mkdir(mode=0o700)
    lab.up("--twin", "--twin-port", 0)
    try:
        config = lab.deployment("campaign")["parameters"]["config"] | {"name": "nightly"}
        run = lab.trigger("campaign", {"config": config})
        until = time.monotonic() + SOON_S
        while not (lab.home / "ledger.sqlite").exists() or not begun(lab):
            assert time.monotonic() < until
        done = lab.sdl("backup", folder)
        assert done.returncode == 0, done.stderr
        lab.until(run, ENDED)
    finally:
        lab.sdl("down")
    shutil.rmtree(lab.home)
    restored = lab.sdl("restore", folder, "--json")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout) == {"campaigns": 1, "prefect": True, "before": None}
    lab.up("--twin", "--twin-port", 0)
    try:
        assert lab.until(run, ENDED | {"PAUSED"})["type"] in ENDED  # a run of the past, whose process is gone
        again = lab.trigger(
            "campaign", {"config": lab.deployment("campaign")["parameters"]["config"] | {"name": "nightly"}}
        )
        assert lab.until(again, ENDED)["type"] == "COMPLETED"
    finally:
        lab.sdl("down")
    bundle = tmp_path / "nightly.zip"
    assert lab.sdl("bundle", "nightly", bundle).returncode == 0
    assert lab.sdl("reproduce", bundle).returncode == 0


def begun(lab):
    """Whether a few replies of the campaign are in the ledger."""
    try:
        with closing(sqlite3.connect(f"file:{lab.home / 'ledger.sqlite'}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM attempts WHERE state = 'DONE'").fetchone()[0] >= 3
    except sqlite3.OperationalError:
        return False
