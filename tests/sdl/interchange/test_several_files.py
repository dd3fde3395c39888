"""Rows of several people in one ledger: each with its source and licence, and every row that is left out is named."""

import json
import sqlite3
from contextlib import closing

import pytest

from flows import environment
from sdl.errors import InvalidInput
from sdl.interchange.export_import import Provenance, import_campaign, import_campaigns
from sdl.interchange.formats.jsonl import FileWords
from sdl.ledger.ledger import Ledger

LINE = {"in": [0.1, 0.2, 0.3], "out": {"515nm": 14290}, "time": 1753991056.5, "source": "ada"}
SHEET = "R,G,B,I_445,I_515,weather,date\n0.5,0.5,0.5,16053,33563,1,2025-10-29\n0,0.4,0.5,16024,27142,1,\n"
"""As people keep the lamp's readings who fit models to them."""


@pytest.fixture
def files(tmp_path):
    """What three people keep: JSON lines, a table, a database."""
    lines, sheet, base = tmp_path / "Ada's lines.jsonl", tmp_path / "ben.csv", tmp_path / "cleo.db"
    lines.write_text("".join(json.dumps({**LINE, "in": [0.1 * n, 0, 0], "time": n}) + "\n" for n in range(3)))
    sheet.write_text("in.R,in.G,in.B,out.445nm,weather\n0.5,0.5,0.5,16053,1\n")
    with closing(sqlite3.connect(base)) as made:
        made.execute("CREATE TABLE measurements (id INTEGER PRIMARY KEY, data JSON)")
        rows = [{"in": [0, 0, 0], "out": {"515nm": 9}, "t0": 1.0, "user": "cleo"}, {**LINE, "in": [0, 0, 0], "time": 0}]
        made.executemany("INSERT INTO measurements(data) VALUES (?)", [(json.dumps(row),) for row in rows])
        made.commit()
    return [lines, sheet, base]


def test_each_is_a_campaign_with_source_licence_and_what_is_not_used(ledger, files):
    entries = import_campaigns(ledger, files, provenance=Provenance("the lamp's users", "MIT"))
    assert [entry.name for entry in entries] == ["ada-s-lines", "ben", "cleo"]
    assert [len(ledger.trail(entry.id)) for entry in entries] == [3, 1, 2]
    known = [entry.config["imported"] for entry in entries]
    assert {(each["source"], each["licence"]) for each in known} == {("the lamp's users", "MIT")}
    assert [each.get("sources") for each in known] == [{"ada": 3}, None, {"ada": 1}]
    assert known[1]["notes"] == [
        "columns that are not used: 'weather'; a knob is a column 'in.NAME', a channel 'out.NAME', "
        "a condition 'cond.NAME'"
    ]
    assert len({entry.space.channel_names for entry in entries}) == 1, "all are of one instrument"


def test_a_row_that_somebody_else_has_too_is_told(ledger, files):
    *_, cleo = import_campaigns(ledger, files)
    assert cleo.config["imported"]["notes"] == [
        "1 row of the file, by settings, readings and time: in 'ada-s-lines' already"
    ]


def test_no_row_is_entered_before_all_files_are_right(ledger, files, tmp_path):
    (tmp_path / "bad.csv").write_text("in.R,out.515nm\nx,1\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "ben.csv").write_text("in.x,out.y\n1,2\n")
    with pytest.raises(InvalidInput) as refused:
        import_campaigns(ledger, [*files, tmp_path / "bad.csv", tmp_path / "more" / "ben.csv", tmp_path / "none.db"])
    assert len(refused.value.faults) == 3
    for part in ("bad.csv, line 2: in.R is 'x'", "would both be 'ben'", "cannot read"):
        assert any(part in fault for fault in refused.value.faults)
    assert ledger.entries() == []


def test_the_same_call_enters_what_lacks_and_nothing_twice(ledger, files):
    import_campaigns(ledger, files[:2])
    assert len(import_campaigns(ledger, files)) == 3
    assert len(ledger.entries()) == 3
    files[1].write_text("in.R,in.G,in.B,out.445nm\n0.5,0.5,0.5,1\n")
    with pytest.raises(InvalidInput, match=r"there is a campaign 'ben' in this ledger already: give .*ben\.csv with"):
        import_campaigns(ledger, files)


def test_columns_have_other_names_there(ledger, tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text(SHEET)
    with pytest.raises(InvalidInput, match="no columns of knobs and channels"):
        import_campaign(ledger, path, "sheet")
    words = FileWords({"I_445": "445nm", "I_515": "515nm", "date": "time"})
    entry = import_campaign(ledger, path, "sheet", words=words)
    trail = ledger.trail(entry.id)
    assert [row["out"] for row in trail] == [{"445nm": 16053, "515nm": 33563}, {"445nm": 16024, "515nm": 27142}]
    assert [row["sent_at"] for row in trail] == [1761696000.0, None]
    assert json.loads(trail[0]["raw"])["I_445"] == "16053", "what is kept is what stood there"
    assert entry.config["imported"]["notes"][0].startswith("columns that are not used: 'weather';")
    with pytest.raises(InvalidInput, match="no column 'I_44' in it; did you mean 'I_445'"):
        import_campaign(ledger, path, "other", words=FileWords({"I_44": "445nm", "I_515": "515nm"}))


def test_names_within_lines_may_be_others_too(ledger, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"in": {"red": 0.1, "G": 0, "B": 0}, "out": {"green": 5, "R": 6}}\n' * 2)
    words = FileWords({"red": "R", "green": "515nm", "R": "630nm"})
    entry = import_campaign(ledger, path, "lines", words=words)
    assert [row["out"] for row in ledger.trail(entry.id)] == [{"515nm": 5, "630nm": 6}] * 2
    assert entry.space.knob_names == ("R", "G", "B")


@pytest.mark.fault("N-07")
def test_rows_with_faults_are_left_out_only_when_asked_and_each_is_named(ledger, tmp_path):
    path = tmp_path / "data.csv"
    lines = [
        "0.1,0,0,5,1",
        "x,0,0,5,2",
        "0.2,0,0,,3",
        "0.3,0,0,7.5,4",
        "0,0,1.5,5,5",
        "0,0,0",
        "y,0,0,1,7",
        "0,0,0,1,8",
    ]
    path.write_text("\n".join(["R,G,B,515nm,time", *lines]))
    with pytest.raises(InvalidInput) as refused:
        import_campaign(ledger, path, "data")
    assert len(refused.value.faults) == 4
    entry = import_campaign(ledger, path, "data", leave_out=True)
    trail = ledger.trail(entry.id)
    assert [row["sent_at"] for row in trail] == [1, 3, 4, 8]
    notes = entry.config["imported"]["notes"]
    assert notes[:3] == [
        "2 of 8 rows of the file are left out (lines 3, 8): R is 'x', not a number",
        "1 of 8 rows of the file is left out (line 6): knob 'B' needs a number from 0.0 to 1.0, got 1.5",
        "1 of 8 rows of the file is left out (line 7): needs 5 cells as in the header, got 3",
    ]
    unread = [row for row in trail if row["readings"] is None]
    named = sum(int(note.split()[0]) for note in notes)
    assert named + len(trail) - len(unread) == 8, "each row is entered and counts, or is named"


def test_a_file_of_faults_alone_is_refused_all_the_same(ledger, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("R,G,B,515nm\nx,0,0,5\n2,0,0,5\n")
    with pytest.raises(InvalidInput, match="line 2: R is 'x'"):
        import_campaign(ledger, path, "data", leave_out=True)


def test_times_that_count_from_1900_are_told(ledger, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"in": [0, 0, 0], "out": {"515nm": 5}, "t0": 3.962965456853578e9}))
    (note,) = import_campaign(ledger, path, "data").config["imported"]["notes"]
    assert "if they count from 1900, as Mathematica's do" in note


def test_the_command_takes_them_and_says_what_came_of_each(sdl, home, files, tmp_path):
    result = sdl("import", *files, "--source", "the lamp's users", "--license", "MIT")
    told = zip(files, ("3 rows of {} are", "1 row of {} is", "2 rows of {} are"), strict=True)
    assert [f"{words.format(file)} campaign" in result.said for file, words in told] == [True] * 3
    assert "columns that are not used: 'weather'" in result.said
    assert sdl("import", *files, "--name", "x").code == 2
    (tmp_path / "sheet.csv").write_text(SHEET + "x,0,0,0,0,0,\n")
    words = ("--column", "I_445=445nm", "--column", "I_515=515nm", "--column", "date=time")
    assert sdl("import", tmp_path / "sheet.csv", *words).code == 2
    told = sdl("import", tmp_path / "sheet.csv", *words, "--leave-out", "--license", "CC-BY-4.0", "--json").json
    assert (told["campaign"], told["rows"], told["licence"]) == ("sheet", 2, "CC-BY-4.0")
    assert "1 of 3 rows of the file is left out (line 4): R is 'x', not a number" in told["notes"]
    assert sdl("import", tmp_path / "sheet.csv", "--column", "I_445").code == 2
    with Ledger(environment.ledger(None, home)) as ledger:
        assert {entry.name for entry in ledger.entries()} == {"ada-s-lines", "ben", "cleo", "sheet"}
