"""Databases of SQLite as people share them: read as they are, never changed, and nothing in them runs."""

import hashlib
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.export_import import import_campaign, read_data
from sdl.interchange.file_contents import read_contents
from sdl.interchange.formats.jsonl import FileWords

REPLY = {"in": [0.1, 0.2, 0.3], "out": {"445nm": 9974, "515nm": 14290, "clear": 65535}}
MADE = "CREATE TABLE measurements (id INTEGER PRIMARY KEY, data JSON)"
"""As the lamp's users share their readings, through libSQL."""


def database(path, *statements, rows=()):
    with closing(sqlite3.connect(path)) as made:
        for statement in statements:
            made.execute(statement)
        for row in rows:
            made.execute("INSERT INTO measurements(data) VALUES (?)", [row])
        made.commit()
    return path


def shared(path, *rows, more=()):
    texts = [row if isinstance(row, str | bytes | None) else json.dumps(row) for row in rows]
    return database(path, MADE, *more, rows=texts)


def test_a_column_of_replies_is_read_with_who_when_and_which(ledger, tmp_path):
    first = {"user": "ada", "hostname": "desk", "t0": 1753991056.85, "tag": "background", **REPLY}
    path = shared(tmp_path / "claude_light.db", first, {**REPLY, "in": [0, 0, 0]})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = import_campaign(ledger, path, "light")
    trail = ledger.trail(entry.id)
    assert entry.space == SPACE
    assert [row["settings"] for row in trail] == [[0.1, 0.2, 0.3], [0, 0, 0]]
    assert [row["sent_at"] for row in trail] == [1753991056.85, None]
    assert json.loads(trail[0]["raw"]) == first
    assert trail[0]["censored"][SPACE.channel_names.index("clear")]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest == entry.config["imported"]["sha256"]
    assert [each.name for each in tmp_path.glob("claude_light*")] == ["claude_light.db"], "nothing is left beside it"


@pytest.mark.parametrize("name", ["a.db", "a.sqlite", "a.SQLITE3"])
def test_a_table_of_columns_is_read_as_a_csv_is(tmp_path, name):
    path = database(
        tmp_path / name,
        'CREATE TABLE oven (number INTEGER, "in.T" REAL, "out.yield" REAL, time TEXT, note TEXT) ',
        "INSERT INTO oven VALUES (1, 300, 55.5, '2025-07-31T19:44:16Z', 'cold'), (2, 450, NULL, NULL, NULL)",
        "INSERT INTO oven VALUES (3, 500, 7, NULL, NULL)",
    )
    data = read_data(path)
    np.testing.assert_array_equal(data.settings, [[300], [450], [500]])
    np.testing.assert_array_equal(data.readings, [[55.5], [np.nan], [7]])
    assert data.times[0] == 1753991056.0
    assert data.notes == [
        "columns that are not used: 'number', 'note'; a knob is a column 'in.NAME', a channel 'out.NAME', "
        "a condition 'cond.NAME'"
    ]


def test_rows_that_somebody_still_has_in_the_journal_are_read(tmp_path):
    path = tmp_path / "open.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(MADE)
        writer.execute("INSERT INTO measurements(data) VALUES (?)", [json.dumps(REPLY)])
        writer.commit()
        assert len(read_data(path).settings) == 1


def test_other_tables_are_named_with_their_rows(ledger, tmp_path):
    more = ["CREATE TABLE weather (cloud REAL)", "INSERT INTO weather VALUES (0.5), (0.7)"]
    entry = import_campaign(ledger, shared(tmp_path / "a.db", REPLY, more=more), "a")
    assert entry.config["imported"]["notes"] == ["tables that are not used: weather (2 rows)"]


def test_of_two_tables_with_readings_a_person_says_which(tmp_path):
    more = ['CREATE TABLE "old \'one\'" (R, G, B, "515nm")', "INSERT INTO \"old 'one'\" VALUES (0, 0, 0, 5)"]
    path = shared(tmp_path / "a.db", REPLY, more=more)
    with pytest.raises(InvalidInput, match=r"which table\? of 'measurements', .*'sdl import --table NAME' says it"):
        read_data(path)
    with pytest.raises(InvalidInput, match="no table 'measurement' in it; did you mean 'measurements'"):
        import_named(path, "measurement")
    assert import_named(path, "old 'one'").rows[0]["out"] == {"515nm": 5}
    assert import_named(path, "measurements").rows[0]["out"] == REPLY["out"]


def import_named(path, table):
    return read_contents(path, words=FileWords(table=table))


def test_faults_are_named_by_their_row_and_may_be_left_out(ledger, tmp_path):
    rows = [REPLY, None, "{'in'}", b"\xff", {"in": [0, 0, 2], "out": {"515nm": 1}}, {**REPLY, "t0": "noon"}]
    path = shared(tmp_path / "a.db", *rows)
    with pytest.raises(InvalidInput) as refused:
        import_campaign(ledger, path, "a")
    assert [fault.split(":")[0] for fault in refused.value.faults] == [f"a.db, row {n}" for n in (2, 3, 4, 5, 6)]
    entry = import_campaign(ledger, path, "a", leave_out=True)
    assert len(ledger.trail(entry.id)) == 1
    notes = entry.config["imported"]["notes"]
    assert sum(int(note.split()[0]) for note in notes) == 5
    assert all("of 6 rows of the file" in note for note in notes)
    assert {place for place in ("2", "3", "4", "5", "6") for note in notes if place in note.split("(")[1]} == {*"23456"}


@pytest.mark.fault("N-06")
@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + b"\1" * 200, b"CREATE TABLE a", b"\x80\x04 a pickle"], ids=len
)
def test_what_is_no_database_is_refused(tmp_path, content):
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"a\.db"):
        read_data(path)


def test_what_a_stranger_wrote_into_the_schema_does_not_run(tmp_path):
    more = [
        "CREATE VIEW readings AS SELECT load_extension('evil') AS R, 0 AS G, 0 AS B, 1 AS \"515nm\"",
        "CREATE TRIGGER each_read AFTER INSERT ON measurements BEGIN DELETE FROM measurements; END",
        'CREATE TABLE "sly""; DROP TABLE measurements; --" (x)',
        "CREATE TABLE without (id INTEGER PRIMARY KEY, x) WITHOUT ROWID",
    ]
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute(MADE)
        made.execute("INSERT INTO measurements(data) VALUES (?)", [json.dumps(REPLY)])
        for statement in more:
            made.execute(statement)
        made.commit()
    data = read_data(path)
    assert len(data.settings) == 1
    assert data.notes == ['tables that are not used: sly"; DROP TABLE measurements; -- (0 rows), without (0 rows)']
