"""A file of rows, read and entered into a ledger: what is taken for what, and each fault with its line."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdl.errors import InvalidInput
from sdl.history import ReplyClass, State
from sdl.instruments.claude_light.channels import SPACE
from sdl.interchange.export_import import export_campaign, import_campaign, read_data
from sdl.space import Channel, Knob, Space

OVEN = Space(
    knobs=(Knob(name="T, °C", low=20, high=900), Knob(name="=flow", low=-1, high=1)),
    channels=(Channel(name="yield", unit="%", floor=None, integral=False, ceiling=100.0), Channel(name="in.out")),
)
ONE = {"in": [0.1, 0.2, 0.3], "out": {"445nm": 9974, "515nm": 14290}, "time": 1753991056.85}


def plain(tmp_path, *lines, name="data.jsonl"):
    path = tmp_path / name
    path.write_bytes("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines).encode())
    return path


# ---------------------------------------------------------------------- what is taken


def test_the_papers_format_is_imported_and_screened(ledger, tmp_path):
    path = plain(
        tmp_path,
        ONE | {"tag": "night", "state": "CA"},
        {"in": [0, 0, 0], "out": {"clear": 65535, "515nm": 1}},
        {"in": [0.5, 0.5, 0.5], "out": {"515nm": -3}, "time": None},
    )
    entry = import_campaign(ledger, path, "Records of 2025")
    assert (entry.name, entry.title, entry.state) == ("records-of-2025", "Records of 2025", State.FINISHED)
    assert entry.space == SPACE
    trail = ledger.trail(entry.id)
    assert [row["verdict"] for row in trail] == [ReplyClass.OK, ReplyClass.OK_CENSORED, ReplyClass.SUSPECT]
    assert [row["sent_at"] for row in trail] == [1753991056.85, None, None]
    assert {row["purpose"] for row in trail} == {"imported"}
    assert json.loads(trail[0]["raw"])["tag"] == "night"
    history = ledger.history(entry.id)
    assert [round_.kind for round_ in history.rounds] == ["imported"]
    assert [each.readings[3] for each in history.observations] == [14290, 1]
    assert np.isnan(history.observations[1].readings[8])
    assert history.observations[1].censored[8]


@pytest.mark.fault("N-07")
def test_plain_csv_with_a_byte_order_mark_mixed_line_ends_and_other_columns(ledger, tmp_path):
    path = plain(
        tmp_path, "\ufeffB,R,G,515nm,who\r\n0.3,0.1,0.2,14290,me\n0,0,0,,you\r\n1e-1,+1,0,65535,\n\n", name="data.csv"
    )
    entry = import_campaign(ledger, path, "sheet")
    trail = ledger.trail(entry.id)
    assert [row["settings"] for row in trail] == [[0.1, 0.2, 0.3], [0, 0, 0], [1, 0, 0.1]]
    assert [row["out"] for row in trail] == [{"515nm": 14290}, {}, {"515nm": 65535}]
    assert json.loads(trail[0]["raw"])["who"] == "me"


@pytest.mark.fault("N-07")
def test_blanks_about_the_names_of_columns_and_lines_before_them_lose_none(tmp_path):
    path = plain(tmp_path, "\n\nR, G ,B, 515nm\n0.1, 0.2 ,0.3, 14290\n", name="data.csv")
    data = read_data(path)
    assert data.space == SPACE
    np.testing.assert_array_equal(data.settings, [[0.1, 0.2, 0.3]])


def test_unknown_names_make_a_space_of_their_own(tmp_path):
    path = plain(tmp_path, "in.T,in.x,out.yield,time", "300,0.2,55.5,", "450,0.9,,7", name="oven.csv")
    data = read_data(path)
    assert [(knob.name, knob.low, knob.high) for knob in data.space.knobs] == [("T", 300, 450), ("x", 0.2, 0.9)]
    assert [(channel.name, channel.ceiling) for channel in data.space.channels] == [("yield", None)]
    np.testing.assert_array_equal(data.settings, [[300, 0.2], [450, 0.9]])
    np.testing.assert_array_equal(data.readings, [[55.5], [np.nan]])
    np.testing.assert_array_equal(data.times, [np.nan, 7])


def test_numbers_beyond_all_measure_do_no_harm(ledger, tmp_path):
    path = plain(tmp_path, {"in": [0.5], "out": {"y": 10**400}}, {"in": [0.5], "out": {"y": 1e308}})
    entry = import_campaign(ledger, path, "huge")
    assert [row["verdict"] for row in ledger.trail(entry.id)] == [ReplyClass.SUSPECT, ReplyClass.OK]
    export_campaign(ledger, "huge", tmp_path / "huge.parquet")


def test_a_given_space_names_the_columns(tmp_path):
    path = plain(tmp_path, 'yield,=flow,"T, °C"', "55.5,0.2,300", name="oven.csv")
    np.testing.assert_array_equal(read_data(path, OVEN).settings, [[300, 0.2]])


def test_parquet_from_elsewhere(tmp_path):
    table = pa.table({"R": [0.1, 0.2], "G": [0.0, 0.0], "B": [0.0, 1.0], "515nm": [100, None]})
    pq.write_table(table, tmp_path / "data.parquet")
    np.testing.assert_array_equal(read_data(tmp_path / "data.parquet").readings[:, 3], [100, np.nan])


def test_names_are_made_safe_and_used_once(ledger, tmp_path):
    path = plain(tmp_path, ONE)
    assert import_campaign(ledger, path, "../../x").name == "x"
    with pytest.raises(InvalidInput, match="there is a campaign 'x'"):
        import_campaign(ledger, path, "x")
    with pytest.raises(InvalidInput, match="reserved"):
        import_campaign(ledger, path, "CON")


# ---------------------------------------------------------------------- what is refused


@pytest.mark.fault("N-07")
def test_a_knob_without_a_column_is_no_smaller_instrument(tmp_path):
    with pytest.raises(InvalidInput, match="line 1: no column for B, only for R, G"):
        read_data(plain(tmp_path, "R,G,b,515nm", "0.1,0.2,0.3,14290", name="data.csv"))


@pytest.mark.fault("N-07")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("R,G,B,R,515nm\n", r"line 1: every column needs a name of its own, found twice: R"),
        ("R,G,B,515nm\n0.1,0.2,0.3,\"31,083\"", r"line 2: 515nm is '31,083': write it without thousands separators"),
        ("R,G,B,515nm\n0.1,0.2,0.3,31_083", r"line 2: 515nm is '31_083': write it without thousands separators"),
        ("R,G,B,515nm\n\"0,25\",0.2,0.3,31083", r"line 2: R is '0,25': write it with a decimal point"),
        ("R;G;B;515nm\n0,25;0,2;0,3;31083", r"line 1: its columns are separated by .;.: write commas .* points"),
        ("R\tG\tB\t515nm\n0.25\t0.2\t0.3\t31083", r"line 1: its columns are separated by '\\t'"),
        ("R,G,B,515nm\n0,25,0.2,0.3,31083", r"line 2: needs 4 cells as in the header, got 5; a decimal comma"),
        ("R,G,B,515nm\n0.1,0.2,0.3", r"line 2: needs 4 cells as in the header, got 3"),
        ("R,G,B,515nm\n0.1,0.2,0.3,nan", r"line 2: 515nm is nan: leave the cell empty"),
        ("R,G,B,515nm\n0.1,inf,0.3,5", r"line 2: G is inf"),
        ("R,G,B,515nm\n0.1,,0.3,5", r"line 2: G is empty"),
        ("R,G,B,515nm\n0.1,x,0.3,5", r"line 2: G is 'x', not a number"),
        ("R,G,B,515nm\n0.1,1.2,0.3,5\n0,0,0,1", r"line 2: knob 'G' needs a number from 0.0 to 1.0, got 1.2"),
        ("R,G,B,515nm\n255,0,12,5\n0,128,3,9", r"line 2: settings go up to 255 .* look like 0-255 \(divide by 255\)"),
        ("R,G,B,515nm\n0,0,0,5\n0,0,0,6\n255,0,0,9", r"line 4: settings go up to 255 .* look like 0-255"),
        ("R,G,515nm\n0.1,0.2,3", r"line 1: no column for B, only for R, G"),
        ("in.R,in.G,out.515nm\n0.1,0.2,3", r"the knobs there are R, G, not R, G, B"),
        ("R,G,B,515nm\n", r"no record in it"),
        ("", r"data.csv is empty: its first line has to name knobs and channels"),
        ("R,G,B,515nm\n\"0.1,0,0,1", r"line 2: unexpected end of data"),
        ("R,G,B,515nm\n0,0,0,\u00b2\n".encode("latin-1"), r"is no text in UTF-8"),
    ],
)  # fmt: skip
def test_faults_of_a_csv_are_named_with_their_line(tmp_path, text, message):
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidInput, match=message):
        read_data(path, SPACE)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"in": [0.1, 0.2, 0.3], "out": {"515nm": NaN}}', "NaN is no reading, leave the channel out"),
        ('{"in": [0.1, 0.2, 0.3], "out": {"515nm": 1e999}}', "515nm is not finite"),
        ('{"in": [0.1, 0.2, 1e999], "out": {"515nm": 1}}', "in.2: input should be a finite number"),
        ('{"in": [0.1, 0.2], "out": {"515nm": 1}}', r"needs 3 settings \(R, G, B\), got \[0.1, 0.2\]"),
        ('{"in": [0.1, 0.2, "0.3"], "out": {"515nm": 1}}', "in.2: input should be a valid number, got '0.3'"),
        ('{"in": [0.1, 0.2, true], "out": {"515nm": 1}}', "in.2: input should be a valid number"),
        ('{"in": [0.1, 0.2, 0.3], "out": null}', "out: "),
        ('{"note": "no light"}', "in: field required"),
        ("[1, 2]", r"needs \{\"in\": \[numbers\]"),
        ("hello", "needs"),
        ("[" * 100_000, "needs"),
    ],
)
def test_faults_of_json_lines_are_named_with_their_line(ledger, tmp_path, line, message):
    with pytest.raises(InvalidInput, match=f"data.jsonl, line 3: .*{message}"):
        import_campaign(ledger, plain(tmp_path, ONE, "", line, ONE), "faulty")
    assert ledger.entries() == []


def test_faults_come_all_at_once_in_the_order_of_the_file(tmp_path):
    bad = ['{"in": [2, 0, 0], "out": {"515nm": 1}}', "x", '{"in": [0]}'] * 4
    with pytest.raises(InvalidInput) as error:
        read_data(plain(tmp_path, *[ONE] * 20, *bad))
    assert [fault.split(":")[0] for fault in error.value.faults[:10]] == [
        f"data.jsonl, line {n}" for n in range(21, 31)
    ]
    assert error.value.faults[10:] == ("and 2 more",)


@pytest.mark.fault("N-06")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.pkl", b"anything"),
        ("data.joblib", b"anything"),
        ("data.npz", b"anything"),
        ("data.csv", pickle.dumps([1])),
        ("data.jsonl", b"PK\x03\x04 and so on"),
        ("data.csv", b"\x1f\x8b\x08"),
        ("data.parquet", pickle.dumps({"R": 1})),
        ("data.parquet", b"PAR1 but not really"),
        ("data.xml", b"<data/>"),
        ("missing.csv", None),
    ],
)
def test_what_may_hold_code_and_what_is_unknown_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=name):
        read_data(tmp_path / name)
