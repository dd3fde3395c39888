"""Rows in workbooks: read as a CSV table is, from the page that has them, and refused where they might be misread."""

import csv
import zipfile
from datetime import datetime

import numpy as np
import pytest
from openpyxl import Workbook
from openpyxl.styles import numbers

from sdl.errors import InvalidInput
from sdl.interchange.export_import import export_campaign, import_campaign, read_data
from sdl.interchange.file_contents import read_contents
from sdl.interchange.formats import xlsx
from sdl.interchange.formats.jsonl import FileWords

ROWS = [["in.sugar", "in.acid", "out.brix", "out.pH"], [85, 5.3, 8.37, 3.36], [60, 2.5, 6.1, 3.7], [99.5, 4, 9.9, None]]


def workbook(path, **pages):
    book = Workbook()
    book.remove(book.active)
    for name, rows in pages.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
    book.save(path)
    return path


def test_a_page_is_read_as_a_csv_table_is(tmp_path):
    told = read_data(workbook(tmp_path / "recipes.xlsx", Sheet1=ROWS))
    text = "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in ROWS)
    (tmp_path / "recipes.csv").write_text(text)
    same = read_data(tmp_path / "recipes.csv")
    assert told.space == same.space
    np.testing.assert_array_equal(told.settings, same.settings)
    np.testing.assert_array_equal(told.readings, same.readings)
    assert list(told.lines) == list(same.lines) == [2, 3, 4]


def test_times_are_those_of_the_cells_and_notes_beside_the_table_are_nobodys(ledger, tmp_path):
    times = ["time", datetime(2026, 5, 1, 9), datetime(2026, 5, 1, 9, 30), None]
    notes = [None, "warm", None, None]
    rows = [[*row, time, None, note] for row, time, note in zip(ROWS, times, notes, strict=True)]
    entry = import_campaign(ledger, workbook(tmp_path / "may.xlsx", May=[[], *rows]), "may")
    sent = [row["sent_at"] for row in ledger.trail(entry.id)]
    assert sent == [1777626000.0, 1777627800.0, None]


def test_the_page_with_readings_is_found_and_the_others_are_named(tmp_path):
    path = workbook(tmp_path / "a.xlsx", notes=[["who"], ["Ann"]], May=ROWS, empty=[])
    assert read_contents(path).notes() == ["tables that are not used: notes (2 rows)"]
    both = workbook(tmp_path / "b.xlsx", May=ROWS, June=ROWS[:2])
    with pytest.raises(InvalidInput, match=r"which page.*'May', 'June' each may be meant"):
        read_contents(both)
    assert len(read_contents(both, words=FileWords(table="June")).rows) == 1
    with pytest.raises(InvalidInput, match=r"no page 'Jun' in it.*did you mean 'June'"):
        read_contents(both, words=FileWords(table="Jun"))


def test_columns_of_other_names_are_what_a_person_says(tmp_path):
    path = workbook(tmp_path / "a.xlsx", May=[["Sugar (g)", "Brix"], [85, 8.37], [60, 6.1]])
    contents = read_contents(path, words=FileWords({"Sugar (g)": "in.sugar", "Brix": "out.brix"}))
    assert (contents.space.knob_names, contents.space.channel_names) == (("sugar",), ("brix",))


def test_what_is_no_number_is_named_with_its_row_every_fault_at_once(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx", May=[["in.a", "out.y"], [1, "five"], [None], [2, "=A2*2"], [True, 3], [4, 0.05]]
    )
    book = xlsx.read_workbook("a", path.read_bytes(), xlsx.LARGEST)
    assert book["May"][3] == [2, "=A2*2"]
    with pytest.raises(InvalidInput) as refusal:
        read_contents(path)
    assert list(refusal.value.faults) == [
        "a.xlsx, row 2: out.y is 'five', not a number",
        "a.xlsx, row 4: out.y is the formula '=A2*2', which was never computed: save it in the spreadsheet",
        "a.xlsx, row 5: in.a is True, not a number",
    ]


def test_a_percentage_is_not_taken_for_a_part_of_one(tmp_path):
    book = Workbook()
    book.active.append(["in.a", "out.y"])
    book.active.append([1, 0.05])
    book.active["B2"].number_format = numbers.FORMAT_PERCENTAGE
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InvalidInput, match=r"row 2: out\.y is '5 %', not a number"):
        read_contents(tmp_path / "a.xlsx")


def test_what_is_no_workbook_or_too_large_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.xlsx").write_bytes(b"in.a,out.y\n1,2\n")
    with pytest.raises(InvalidInput, match=r"a\.xlsx is no sheet in XLSX"):
        read_contents(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("nothing.txt", "of the kind")
    with pytest.raises(InvalidInput, match=r"b\.xlsx is no sheet in XLSX"):
        read_contents(tmp_path / "b.xlsx")
    good = workbook(tmp_path / "c.xlsx", May=ROWS)
    good.rename(tmp_path / "c.csv")
    with pytest.raises(InvalidInput, match="is a zip archive"):
        read_contents(tmp_path / "c.csv")
    with pytest.raises(InvalidInput, match="is empty: its first line has to name knobs and channels"):
        read_contents(workbook(tmp_path / "d.xlsx", May=[]))
    monkeypatch.setattr(xlsx, "LARGEST", 1000)
    with pytest.raises(InvalidInput, match="unpacks to more than a sheet can be"):
        read_contents(workbook(tmp_path / "e.xlsx", May=ROWS))


def test_our_own_table_that_a_spreadsheet_kept_as_a_workbook_is_ours(ledger, tmp_path):
    import_campaign(ledger, workbook(tmp_path / "recipes.xlsx", Sheet1=ROWS), "recipes")
    export_campaign(ledger, "recipes", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = [[as_a_spreadsheet_has_it(cell) for cell in row] for row in csv.reader(file)]
    opened = read_contents(workbook(tmp_path / "out.xlsx", out=rows))
    assert opened.ours
    assert [row["settings"] for row in opened.rows] == [row[:2] for row in ROWS[1:]]
    with pytest.raises(InvalidInput, match=r"give \.jsonl, \.csv or \.parquet"):
        export_campaign(ledger, "recipes", tmp_path / "back.xlsx")


def as_a_spreadsheet_has_it(cell):
    """A cell of a CSV table as a spreadsheet opens it: numbers are such."""
    try:
        return float(cell)
    except ValueError:
        return cell or None
