"""Rows as other people write them: taken for what they are, or refused with a sentence, and none lost in silence."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import unused_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.export_import import export_campaign, import_campaign, import_campaigns, read_data
from sdl.interchange.formats.times import parse_time
from sdl.space import Channel, Knob, Space

MOMENT = datetime(2025, 7, 31, 19, 44, 16, 850000, UTC)


def file(tmp_path, *lines, name="data.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines))
    return path


def bounds(data):
    return [(knob.name, knob.low, knob.high) for knob in data.space.knobs]


def test_a_file_of_which_no_reading_counts_is_entered_by_nobody(tmp_path, ledger):
    empty = file(tmp_path, "in.x,out.y", "1,", "2,", name="a.csv")
    with pytest.raises(InvalidInput, match="none of 2 readings counts; the first: y is missing"):
        import_campaign(ledger, empty, "a")
    with pytest.raises(InvalidInput, match="none of 2 readings counts"):
        import_campaigns(ledger, [file(tmp_path, "in.x,out.y", "1,3", "2,4", name="b.csv"), empty])
    assert ledger.entries() == []


# ---------------------------------------------------------------------- knobs


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-6), (0.0, 0.08), (0.2, 0.9), (-5.0, -1.0), (531.997, 532.003)])
def test_a_knob_goes_as_far_as_the_rows(tmp_path, low, high):
    rows = [f"{low},1", f"{(low + high) / 2},2", f"{high},3"]
    assert bounds(read_data(file(tmp_path, "in.x,out.y", *rows, name="a.csv"))) == [("x", low, high)]


def test_a_range_that_is_stated_is_taken_and_kept(tmp_path, ledger):
    path = file(tmp_path, "in.T,in.flow,out.y", "300,1,5", "310,2,6", name="a.csv")
    assert bounds(read_data(path, ranges={"T": (250, 400)})) == [("T", 250, 400), ("flow", 1, 2)]
    assert import_campaign(ledger, path, "a", ranges={"T": (250, 400)}).space.high.tolist() == [400, 2]


@pytest.mark.parametrize(
    ("ranges", "fault"),
    [
        ({"flaw": (0, 1)}, "unknown knob 'flaw'; did you mean 'flow'?"),
        ({"T": (400, 300)}, "knob 'T' needs low < high, got low=400.0, high=300.0"),
        ({"T": (305, 400)}, "a.csv, line 2: knob 'T' needs a number from 305.0 to 400.0, got 300.0"),
    ],
)
def test_a_range_that_cannot_be_is_a_fault(tmp_path, ranges, fault):
    path = file(tmp_path, "in.T,in.flow,out.y", "300,1,5", "310,2,6", name="a.csv")
    with pytest.raises(InvalidInput) as raised:
        read_data(path, ranges=ranges)
    assert raised.value.faults[0] == fault


def test_three_settings_of_somebody_else_are_not_red_green_and_blue(tmp_path):
    path = file(tmp_path, {"in": [300, 0.2, 7], "out": {"yield": 5}}, {"in": [310, 0.4, 8], "out": {"yield": 6}})
    assert bounds(read_data(path)) == [("x1", 300, 310), ("x2", 0.2, 0.4), ("x3", 7, 8)]
    assert read_data(file(tmp_path, {"in": [0.3, 0.2, 0.7], "out": {"515nm": 5}})).space == SPACE


def test_settings_may_have_names(tmp_path):
    path = file(
        tmp_path,
        {"in": {"T": 300, "flow": 0.2}, "out": {"yield": 5}},
        {"in": {"flow": 0.4, "T": 310}, "out": {"yield": 6}},
    )
    data = read_data(path)
    assert bounds(data) == [("T", 300, 310), ("flow", 0.2, 0.4)]
    np.testing.assert_array_equal(data.settings, [[300, 0.2], [310, 0.4]])
    lamp = file(tmp_path, {"in": {"B": 0.3, "R": 0.1, "G": 0.2}, "out": {"515nm": 5}}, name="lamp.jsonl")
    np.testing.assert_array_equal(read_data(lamp).settings, [[0.1, 0.2, 0.3]])


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ({"T": 1, "x": 2}, {"T": 1}, "'in' is an object of T, x in the first line, got {'T': 1}"),
        ({"T": 1, "x": 2}, [1, 2], "'in' is an object of T, x in the first line, got [1, 2]"),
        ([1, 2], {"T": 1, "x": 2}, "'in' is a list in the first line, got {'T': 1, 'x': 2}"),
        ({"T": 1, "x": 2}, {"T": 1, "x": "2"}, "in.x: input should be a valid number, got '2'"),
    ],
)
def test_settings_that_are_named_otherwise_than_in_the_first_line_are_a_fault(tmp_path, first, second, fault):
    path = file(tmp_path, *({"in": settings, "out": {"y": 1}} for settings in (first, second)))
    with pytest.raises(InvalidInput) as raised:
        read_data(path)
    assert raised.value.faults == (f"data.jsonl, line 2: {fault}",)


@pytest.mark.parametrize(
    "line",
    ['{"in": [1, 2], "in": [3, 4], "out": {"y": 1}}', '{"in": {"a": 1, "a": 2}, "out": {"y": 1}}',
     '{"in": [1, 2], "out": {"y": 1, "y": 2}}'],
)  # fmt: skip
def test_a_key_that_is_there_twice_is_a_fault(tmp_path, line):
    with pytest.raises(InvalidInput, match=r"line 1: .* every key needs a name of its own, found twice: "):
        read_data(file(tmp_path, line))


# ---------------------------------------------------------------------- times


@pytest.mark.parametrize(
    "written",
    [
        1753991056.85, 1753991056850, 1753991056850000, 1753991056850000000, "1753991056.85", "1753991056850",
        "2025-07-31T19:44:16.850Z", "2025-07-31 19:44:16.85", "2025-07-31T15:44:16.850-04:00",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["time", "timestamp"])
def test_times_are_seconds_however_they_are_written(tmp_path, written, key):
    lines = file(tmp_path, {"in": [1, 2], "out": {"y": 1}, key: written})
    table = file(tmp_path, f"in.a,out.y,{key}", f"1,2,{written}", name="a.csv")
    for path in (lines, table):
        assert read_data(path).times == pytest.approx([MOMENT.timestamp()], abs=1e-3)


def test_times_of_a_parquet_table(tmp_path):
    table = pa.table({"in.a": [1.0, 2.0], "out.y": [1.0, 2.0], "time": pa.array([MOMENT, None])})
    pq.write_table(table, tmp_path / "a.parquet")
    np.testing.assert_allclose(read_data(tmp_path / "a.parquet").times, [MOMENT.timestamp(), np.nan])


@pytest.mark.parametrize("written", ["yesterday", True, [1], "nan", "31/07/2025"])
def test_a_time_that_is_none_is_a_fault(tmp_path, written):
    with pytest.raises(InvalidInput, match=r"line 1: time is .*, give seconds since 1970 or a time"):
        read_data(file(tmp_path, {"in": [1], "out": {"y": 1}, "time": written}))


@given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)))
def test_every_clock_says_the_same(moment):
    seconds = moment.replace(tzinfo=UTC).timestamp()
    for said in (seconds, round(1e3 * seconds), round(1e6 * seconds), moment, moment.isoformat(), f"{moment}Z"):
        assert parse_time(said) == pytest.approx(seconds, abs=1e-3)


# ---------------------------------------------------------------------- rows that do not count


def test_rows_that_do_not_count_are_counted_and_named(tmp_path, ledger):
    good = [{"in": [0.1 * k, 0, 0], "out": {"515nm": 100 * k}} for k in range(4)]
    odd = [{"in": [0, 0, 1], "out": {"515nm": value}} for value in (7.5, 8.25, True, -3, "9")]
    path = file(tmp_path, *good, *odd)
    data = read_data(path)
    assert data.lines.tolist() == [1, 2, 3, 4]
    assert list(data.notes) == [
        "2 of 9 rows of the file do not count (lines 5, 6): 515nm is not a whole count: 7.5",
        "2 of 9 rows of the file do not count (lines 7, 9): 515nm is not a finite number: True",
        "1 of 9 rows of the file does not count (line 8): 515nm is below 0: -3",
    ]
    assert import_campaign(ledger, path, "odd").config["imported"]["notes"] == list(data.notes)
    again = read_data(export_campaign(ledger, "odd", tmp_path / "odd.csv"))
    assert sum(int(note.split()[0]) for note in again.notes) == 5


def test_many_rows_that_do_not_count_are_one_note(tmp_path):
    rows = [{"in": [0, 0, 0.5], "out": {"515nm": k + 0.5}} for k in range(20)]
    data = read_data(file(tmp_path, {"in": [0, 0, 0], "out": {"515nm": 1}}, *rows))
    assert list(data.notes) == [
        "20 of 21 rows of the file do not count (lines 2, 3, 4, 5, 6 and 15 more): 515nm is not a whole count: 0.5"
    ]


READINGS = st.one_of(
    st.integers(-3, 70_000), st.floats(-1e6, 1e6), st.booleans(), st.sampled_from(["9", "", None, [1], {"a": 1}])
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from(["515nm", "630nm", "lux"]), READINGS, max_size=3), max_size=12))
def test_whatever_stands_in_a_file_no_row_is_lost_in_silence(tmp_path, rows):
    lines = [{"in": [k / 20, 0, 0], "out": row} for k, row in enumerate([{"515nm": 7}, *rows])]
    data = read_data(file(tmp_path, *lines))
    unused = unused_rows(data.notes)
    assert len(data.settings) + unused == len(lines)
    assert sorted({*data.lines.tolist()}) == data.lines.tolist()
    assert data.space.contains(data.settings).all()


@pytest.mark.parametrize(
    ("header", "row", "note"),
    [
        (
            "in.a,b,out.y",
            "{},2,3",
            "columns that are not used: 'b'; a knob is a column 'in.NAME', a channel",
        ),
        ("in.a,In.b,out.y,Time", "{},2,3,4", "columns that are not used: 'In.b', 'Time'; a knob is"),
        (",in.a,out.y", "7,{},3", "columns that are not used: ''; a knob is"),
        ("in.a,out.y,time", "{},3,45869.25", "times from 45869.2 to 45869.2 are taken for seconds: if a spreadsheet"),
    ],
)
def test_what_a_table_holds_beside_its_rows_and_is_not_used_is_told(tmp_path, header, row, note):
    data = read_data(file(tmp_path, header, *(row.format(k) for k in range(4)), name="a.csv"))
    assert data.space.knob_names == ("a",)
    assert [told.startswith(note) for told in data.notes] == [True]


def test_a_channel_without_a_number_is_told(tmp_path):
    rows = [{"in": [k], "out": {"y": k, "z": "5", "w": [1, 2]}} for k in range(4)]
    data = read_data(file(tmp_path, *rows))
    assert data.space.channel_names == ("y",)
    assert data.notes == ["no number was read from 'z', 'w', so it is no channel here"]


def test_what_a_spreadsheet_leaves_empty_is_nothing(tmp_path):
    data = read_data(file(tmp_path, "in.a,out.y,,", "1,2,,", "3,4,,", ",,,", name="a.csv"))
    assert (data.settings.tolist(), data.notes) == ([[1], [3]], [])


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1_0", "not a number"),
        ("1.234,5", "not a decimal comma"),
        ("3’000.5", "without thousands separators"),
        ("50%", "not a number"),
        ("<0.5", "not a number"),
    ],
)
def test_a_number_in_a_way_of_its_own_is_refused_and_not_guessed(tmp_path, cell, words):
    with pytest.raises(InvalidInput, match=words):
        read_data(file(tmp_path, "in.a,out.y", "1,2", f'"{cell}",3', name="a.csv"))


# ---------------------------------------------------------------------- off


def test_only_an_instrument_that_states_it_has_its_knobs_off_somewhere(tmp_path, ledger):
    oven = Space(
        knobs=(Knob(name="T", low=20, high=900, off=25),), channels=(Channel(name="y", floor=None, integral=False),)
    )
    table = file(tmp_path, "in.T,out.y", "25,1", "300,5", name="a.csv")
    assert read_data(table).off is None, "the lowest row of a synthesis is a row like others"
    assert read_data(table, oven).off.tolist() == [25]
    assert read_data(file(tmp_path, {"in": [0, 0, 0], "out": {"515nm": 5}})).off.tolist() == [0, 0, 0]


# ---------------------------------------------------------------------- readings without settings


@pytest.mark.parametrize(
    "path",
    [
        ("a.csv", "in.T,in.x,out.y,out.z", "1,2,3,4", ",,5,", "2,3,4,5", ",,7,8"),
        (
            "a.jsonl",
            '{"in": {"T": 1, "x": 2}, "out": {"y": 3, "z": 4}}',
            '{"in": null, "out": {"y": 5}}',
            '{"in": {"T": 2, "x": 3}, "out": {"y": 4, "z": 5}}',
            '{"out": {"y": 7, "z": 8}}',
        ),
    ],
    ids=["csv", "jsonl"],
)
def test_readings_whose_settings_are_not_known_are_kept_apart_from_rows_and_named(tmp_path, ledger, path):
    name, *lines = path
    first = len(lines) - 2  # a table has a header
    found = file(tmp_path, *lines, name=name)
    data = read_data(found).with_quantities({"ratio": "z / y"})
    assert data.settings.tolist() == [[1, 2], [2, 3]]
    np.testing.assert_array_equal(data.unpartnered.readings, [[5, np.nan, np.nan], [7, 8, 8 / 7]])
    assert data.unpartnered.lines.tolist() == [first, first + 2]
    words = "2 of 4 rows of the file have readings and no settings"
    assert [note for note in data.notes if note.startswith(words)] == [
        f"{words} (lines {first}, {first + 2}): nothing is fitted to them"
    ]
    entry = import_campaign(ledger, found, "theirs")
    assert len(ledger.history(entry.id).observations) == 2
    assert words in str(entry.config["imported"])


def test_a_reading_without_settings_that_cannot_be_believed_is_passed_over_by_name(tmp_path):
    lines = ("in.R,in.G,in.B,out.515nm", "0.1,0.2,0.3,100", ",,,0.5", ",,,200")
    data = read_data(file(tmp_path, *lines, name="a.csv"))
    assert data.unpartnered.lines.tolist() == [4]
    assert any("line 3 has readings and no settings, and does not count: 515nm is not a whole" in n for n in data.notes)


def test_half_of_the_settings_or_readings_alone_make_no_row(tmp_path):
    with pytest.raises(InvalidInput, match=r"line 3: in\.x is empty"):
        read_data(file(tmp_path, "in.T,in.x,out.y", "1,2,3", "1,,3", name="a.csv"))
    with pytest.raises(InvalidInput, match="no record in it has settings"):
        read_data(file(tmp_path, "in.T,in.x,out.y", ",,3", name="b.csv"))
