"""Sheets come back as spreadsheets write them, and numbers as people type them."""

import datetime

import numpy as np
import pytest
from openpyxl import Workbook, load_workbook

from sdl.errors import InvalidInput
from sdl.history import Purpose, Request
from sdl.ledger.people.samples import Edition, Sample
from sdl.measurement.quantities import has_decimal_comma, read_quantity
from sdl.measurement.sheets import read_sheet, write_sheet
from sdl.space import Channel, Knob, Space

SPACE = Space(
    knobs=(Knob(name="red", high=5, unit="ml"), Knob(name="=blue", high=5)),
    channels=(Channel(name="A450", unit="µV", floor=None, integral=False), Channel(name="pH", unit="")),
)


def sample(number, *editions):
    return Sample(number, Request(0, number, 0, Purpose.DESIGN, np.array([0.1 + 0.2, number])), 1, editions)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_sheet_that_is_filled_in_comes_back_with_what_was_written(kind, tmp_path):
    path = tmp_path / f"sheet.{kind}"
    write_sheet(path, SPACE, [sample(0), sample(1, Edition({"pH": 6.5}))])
    sheet = read_sheet(path, SPACE)
    assert [row.sample for row in sheet.rows] == ["r0-0-0", "r0-1-0"]
    first, second = ({name: float(cell) for name, cell in row.cells.items()} for row in sheet.rows)
    assert first == {"red": 0.3, "=blue": 0.0}
    assert second == {"red": 0.3, "=blue": 1.0, "pH": 6.5}
    with pytest.raises(InvalidInput, match="exists"):  # somebody may have filled it in
        write_sheet(path, SPACE, [sample(0)])


def test_no_cell_of_a_sheet_is_a_formula(tmp_path):
    write_sheet(tmp_path / "sheet.xlsx", SPACE, [sample(0)])
    cells = [cell for row in load_workbook(tmp_path / "sheet.xlsx").active for cell in row]
    assert "'=blue" in [cell.value for cell in cells]
    assert "f" not in {cell.data_type for cell in cells}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "sample,A450 [µV],pH\nr0-0-0,1.5,7\n"),
        ("cp1252", "sample;A450 [µV];pH\nr0-0-0;1,5;7\n"),
        ("utf-16", "Sample\tA450\tpH\nr0-0-0\t1,5\t7\n"),
        ("utf-16-le", "sample\tA450\tpH\nr0-0-0\t1,5\t7\n"),
        ("utf-16-be", "sample;A450;pH\nr0-0-0;1,5;7\n"),
        ("cp1252", "Monday, by Ada, in room 5\n\nsample;A450;pH\nr0-0-0;1,5;7\n"),
        ("utf-8", "sep=;\r\nSAMPLE;a450;PH;weather\r\n\r\nr0-0-0;1,5;7;rain\r\n;;;\r\n"),
    ],
)
def test_what_spreadsheets_write_is_read(encoding, text, tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_bytes(text.encode(encoding))
    sheet = read_sheet(path, SPACE)
    (row,) = sheet.rows
    assert row.sample == "r0-0-0"
    assert read_quantity(row.cells["A450"], "µV", comma=sheet.comma) == 1.5
    assert row.cells["pH"] == "7"
    assert list(sheet.unread) == (["weather"] if "weather" in text else [])


def test_a_heading_may_say_another_unit_and_what_is_no_unit_is_a_column_of_ones_own(tmp_path):
    (tmp_path / "sheet.csv").write_text("sample,A450 (mV),A450 [raw],pH [K]\nr0-0-0,1.5,7,9\n")
    sheet = read_sheet(tmp_path / "sheet.csv", SPACE)
    assert (sheet.units, list(sheet.unread)) == ({"A450": "mV"}, ["A450 [raw]", "pH [K]"])
    assert sheet.rows[0].cells == {"A450": "1.5"}
    assert read_quantity("1.5", "µV", typed_in=sheet.units["A450"]) == 1500
    assert read_quantity("1.5 V", "µV", typed_in=sheet.units["A450"]) == 1.5e6


def workbook(folder, *rows, cover=False):
    book = Workbook()
    page = book.active
    if cover:
        book.create_sheet("cover", 0).append(["Monday, by Ada"])
    for cells in rows:
        page.append(cells)
    for row in page:
        for cell in row:
            cell.number_format = "0.0%" if cell.value == 0.05 else cell.number_format
    book.save(folder / "sheet.xlsx")
    return folder / "sheet.xlsx"


@pytest.mark.parametrize(
    ("cell", "unit", "why"),
    [
        (datetime.datetime(2026, 12, 1), "mV", "needs a number in mV, got 'the date 2026-12-01 00:00:00'"),
        (datetime.time(1, 30), "h", "needs a number in h, got 'the time 01:30:00'"),
        ("=1+1", "mV", r"needs a number in mV, got '=1\+1'"),  # which nobody has computed
        (0.05, "mV", "is expected in mV, got '%'"),
    ],
)
def test_a_workbook_keeps_numbers_and_what_is_shown_as_something_else_is_none(cell, unit, why, tmp_path):
    sheet = workbook(tmp_path, ["sample", "A450", "pH"], ["r0-0-0", 1.5, cell], [None, None, None])
    (row,) = read_sheet(sheet, SPACE).rows
    assert row.cells["A450"] == 1.5
    with pytest.raises(ValueError, match=why):
        read_quantity(row.cells["pH"], unit)


def test_a_percentage_counts_as_it_is_shown(tmp_path):
    (row,) = read_sheet(workbook(tmp_path, ["sample", "pH"], ["r0-0-0", 0.05]), SPACE).rows
    assert read_quantity(row.cells["pH"], "%") == 5


def test_a_title_and_a_cover_are_passed_over(tmp_path):
    sheet = workbook(tmp_path, ["Monday"], ["sample", "pH"], ["r0-0-0", 7.5], cover=True)
    assert [(row.place, row.cells) for row in read_sheet(sheet, SPACE).rows] == [("line 3", {"pH": 7.5})]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_category_whose_name_a_spreadsheet_would_compute_comes_back(kind, tmp_path):
    space = Space(knobs=(Knob(name="end", values=("-OH", "=O")),), channels=SPACE.channels)
    asked = Sample(0, Request(0, 0, 0, Purpose.DESIGN, np.array([1.0])), 1, ())
    write_sheet(tmp_path / f"sheet.{kind}", space, [asked])
    (row,) = read_sheet(tmp_path / f"sheet.{kind}", space).rows
    assert row.cells == {"end": "=O"}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("sheet.csv", b"A450,pH\n1,2\n", "needs a column 'sample'"),
        ("sheet.csv", b"sample,A450,a450\nr0-0-0,1,2\n", "'A450' is there twice"),
        ("sheet.csv", b"", "needs a column 'sample'"),
        ("sheet.xlsx", b"PK\x03\x04 no archive", "is no sheet in XLSX"),
        ("sheet.json", b"{", "is not JSON"),
        ("sheet.json", b'[{"sample": "r0-0-0", "reading": {}}, 3]', "unknown key 'reading'; did you mean 'readings'?"),
        ("sheet.ods", b"", "needs a name that ends in .csv, .xlsx, .json"),
    ],
)
def test_what_is_no_sheet_is_refused_with_the_reason(name, content, why, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        read_sheet(tmp_path / name, SPACE)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "unit", "comma", "value"),
    [
        ("12,5", "", False, 12.5),
        (" 12.5mV ", "V", False, 0.0125),
        ("3 ml/min", "l/min", False, 0.003),
        ("1,234", "", True, 1.234),
        ("1.234", "", False, 1.234),
        ("0,125", "", False, 0.125),
        ("0.125", "", True, 0.125),
        ("1.234.567,5", "", False, 1234567.5),
        ("1'234.5", "", False, 1234.5),
        ("1 234,5", "", False, 1234.5),
        ("−3 °C", "°C", False, -3.0),
        ("5e-3", "", False, 0.005),
        ("5 μg", "mg", False, 0.005),
        ("50 %", "%", False, 50.0),
        ("3 mL/min", "ml/min", False, 3.0),
        ("3 ul", "mL", False, 0.003),
        ("25 ºC", "°C", False, 25.0),
        ("１２．５ ℃", "°C", False, 12.5),
        ("5,0 1/s", "1/s", False, 5.0),
    ],
)
def test_numbers_are_read_as_people_type_them(typed, unit, comma, value):
    assert read_quantity(typed, unit, comma=comma) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("typed", "unit", "comma", "why"),
    [
        ("1,234", "", False, "may be 1.234 or 1234"),
        ("1.234", "", True, "may be 1.234 or 1234"),
        ("12O", "", False, "without a unit, got 'O'"),
        ("5 K", "mV", False, "in mV, got 'K'"),
        ("5 MV", "mV", False, "in mV, got 'MV'"),
        ("5 ml", "mm", False, "in mm, got 'ml'"),
        ("5 mm2", "cm2", False, "in cm2, got 'mm2'"),
        ("1,2,3", "", False, "needs a number"),
        ("12..5", "", False, "needs a number"),
        ("12 5", "", False, "needs a number"),
        ("", "mV", False, "needs a number in mV"),
        ("1e999", "", False, "finite"),
        ("<5", "", False, "needs a number"),
    ],
)
def test_what_may_be_two_numbers_or_none_is_a_sentence(typed, unit, comma, why):
    with pytest.raises(ValueError, match=why):
        read_quantity(typed, unit, comma=comma)


def test_a_decimal_comma_is_known_where_nothing_else_explains_it():
    known = [text for text in ("12,5", "0,125", "1.234,56", "1,234", "12.5", "a, b", "7") if has_decimal_comma(text)]
    assert known == ["12,5", "0,125", "1.234,56"]
