"""Opening a ledger: made new for its owner, brought up to date, shared with others, or refused with advice."""

import contextlib
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from desk import Desk, reply, request, screened
from sqlalchemy import create_engine, text

from sdl.errors import (
    InvalidInput,
    LedgerError,
    SchemaMismatch,
)
from sdl.instruments.claude_light.channels import SPACE
from sdl.ledger.database import SCHEMA_VERSION, open_database
from sdl.ledger.ledger import Ledger


def in_sql(where, sentence):
    engine = create_engine(where if "://" in where else f"sqlite:///{where}")
    with engine.begin() as connection:
        connection.execute(text(sentence))
    engine.dispose()


def test_a_new_ledger_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "lab" / "ledger.db"
    with Ledger(path) as ledger:
        ledger.register("white", "light", SPACE, {}, {})
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


# ---------------------------------------------------------------------- of another version


@pytest.mark.fault("O-16")
def test_a_newer_ledger_is_not_touched(where):
    Ledger(where).close()
    later = SCHEMA_VERSION + 1
    in_sql(where, f"UPDATE about SET version = {later}")
    message = f"has schema {later}, this program writes schema {SCHEMA_VERSION}: install the version that wrote it"
    with pytest.raises(SchemaMismatch, match=message):
        Ledger(where)


@pytest.mark.fault("O-16")
def test_an_older_ledger_says_what_to_do(where):
    Ledger(where).close()
    in_sql(where, "UPDATE about SET version = 0")
    with pytest.raises(SchemaMismatch, match=r"has schema 0, .*: export it with the version that wrote it"):
        Ledger(where)


@pytest.mark.fault("O-16")
def test_a_ledger_of_the_first_schema_is_brought_up_to_date_and_its_copy_kept(where):
    with Ledger(where) as ledger:
        ledger.register("white", "light", SPACE, {"budget": 1}, {})
    in_sql(where, "DROP TABLE changes")
    in_sql(where, "UPDATE about SET version = 1")
    if "://" in where:  # nobody has a copy of it
        with pytest.raises(SchemaMismatch, match=r"nothing is changed: .* 'sdl upgrade --copied'"):
            Ledger(where)
        open_database(where, upgrade=True).dispose()
    for _ in range(2):
        with Ledger(where) as ledger, ledger.hold("light", "me") as lease:
            ledger.reconfigure(lease, ledger.entry("white").id, {"budget": 2})
            assert [row["before"] for row in ledger.account(ledger.entry("white").id)["changes"]] == [{"budget": 1}]
    if "://" not in where:
        copy = Path(f"{where}.schema-1")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT version FROM about").fetchall() == [(1,)]
            assert connection.execute("SELECT name FROM campaigns").fetchall() == [("white",)]


@pytest.mark.fault("O-46")
def test_who_reads_a_file_of_an_earlier_schema_leaves_it_as_it_is(tmp_path):
    where = tmp_path / "ledger.sqlite"
    with Ledger(where) as ledger:
        ledger.register("white", "light", SPACE, {"budget": 1}, {})
    in_sql(str(where), "DROP TABLE changes")
    in_sql(str(where), "UPDATE about SET version = 1")
    before = where.read_bytes()
    with Ledger(where) as reader, Ledger(where) as writer:
        assert [entry.name for entry in reader.entries()] == ["white"]
        assert reader.account(reader.entry("white").id)["changes"] == []
        assert where.read_bytes() == before
        assert not list(tmp_path.glob("*.schema-1"))
        with writer.hold("light", "me") as lease:
            writer.reconfigure(lease, writer.entry("white").id, {"budget": 2})
        assert Path(f"{where}.schema-1").exists()
        reader.register("blue", "light", SPACE, {"budget": 1}, {})  # a reader that comes to write
        assert {entry.name for entry in writer.entries()} == {"white", "blue"}


@pytest.mark.fault("O-46")
def test_the_command_that_means_it(sdl, where):
    Ledger(where).close()
    in_sql(where, "DROP TABLE changes")
    in_sql(where, "UPDATE about SET version = 1")
    if "://" in where:
        assert "copy the database first" in sdl("upgrade", "--ledger", where).said
        with pytest.raises(SchemaMismatch):
            Ledger(where)
    assert sdl("upgrade", "--copied", "--ledger", where).code == 0
    with Ledger(where) as ledger:
        assert ledger.entries() == []
    assert ("://" in where) or Path(f"{where}.schema-1").exists()


def test_a_ledger_without_a_version_is_refused(where):
    Ledger(where).close()
    in_sql(where, "DELETE FROM about")
    with pytest.raises(SchemaMismatch, match="has schema 0"):
        Ledger(where)


# ---------------------------------------------------------------------- what is no ledger


def test_a_ledger_that_cannot_be_read_any_more_says_so(where):
    with Ledger(where) as ledger:
        in_sql(where, "DROP TABLE notices")
        with pytest.raises(LedgerError, match=r"^cannot read the ledger at .*notices"):
            ledger.entries()


def test_a_database_of_somebody_else_is_left_alone(where):
    Path(where).parent.mkdir(parents=True, exist_ok=True) if "://" not in where else None
    in_sql(where, "CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(LedgerError, match=r"holds other tables \(recipes, \.\.\.\) and is no ledger"):
        Ledger(where)


@pytest.mark.fault("O-16")
@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused(tmp_path, content):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"cannot open the ledger at .*check that it is a ledger"):
        Ledger(path)
    assert path.read_bytes() == content


@pytest.mark.fault("O-16")
def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.register("white", "light", SPACE, {}, {})
    for extra in tmp_path.glob("*-*"):
        extra.unlink()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(LedgerError, match="cannot open the ledger"):
        Ledger(path)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mysql://u@h/d", "give a file or a URL such as postgresql"),
        ("nonsense://", "give a file or a URL such as postgresql"),
        ("/dev/null/ledger.db", "File exists.*give a file or a URL such as postgresql"),
        (
            "postgresql+psycopg://me:secret@127.0.0.1:1/lab",
            "cannot open the ledger at postgresql.*that the database server runs",
        ),
    ],
)
def test_a_place_that_cannot_be_says_what_to_give_instead(where, message):
    with pytest.raises((InvalidInput, LedgerError), match=message) as caught:
        Ledger(where)
    assert "secret" not in str(caught.value)


# ---------------------------------------------------------------------- many at once


@pytest.mark.fault("O-15")
def test_a_writer_waits_for_another_one(tmp_path):
    path = tmp_path / "ledger.db"
    desk = Desk(path)
    desk.plan(request(0))
    attempt = desk.send(request(0))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.3, other.execute, ["COMMIT"]).start()
    desk.ledger.receive(desk.lease, attempt, reply("kept"), screened())
    assert desk.trail[0]["raw"] == "kept"
    desk.close()
    other.close()


def test_many_may_open_a_new_ledger_at_once(where):
    code = "import sys; from sdl.ledger.ledger import Ledger; print(flush=True); sys.stdin.read(); Ledger(sys.argv[1])"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    children = [subprocess.Popen([sys.executable, "-c", code, where], **pipes) for _ in range(4)]
    for child in children:
        child.stdout.readline()  # it has its imports behind it
    for child in children:
        child.stdin.close()
    assert [(child.wait(), child.stderr.read()) for child in children] == [(0, b"")] * 4
    for child in children:
        child.stdout.close()
        child.stderr.close()
