"""Observations out of a ledger and into another one: nothing lost, nothing believed that should not be."""

import json
import os
import pickle
import stat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import DAYS as RECORDS

from sdl.errors import InvalidInput
from sdl.formatting import json_list, make_jsonable
from sdl.history import Purpose, ReplyClass, State
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.playback import Recorded
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import screen_reply
from sdl.interchange.export_import import export_campaign, import_campaign, read_data
from sdl.ledger.ledger import Ledger
from sdl.space import Channel, Knob, Space

SUFFIXES = [".jsonl", ".csv", ".parquet"]
OVEN = Space(
    knobs=(Knob(name="T, °C", low=20, high=900), Knob(name="=flow", low=-1, high=1)),
    channels=(Channel(name="yield", unit="%", floor=None, integral=False, ceiling=100.0), Channel(name="in.out")),
)
HOSTILE = [
    "=cmd()",
    "'=quoted",
    "+1",
    "-1",
    "@x",
    "\tt",
    "\r",
    "'",
    "''",
    "a\r\nb\rc",
    '","',
    "\x00",
    "\u202e",
    "é🜁",
    "None",
]

quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.sampled_from(HOSTILE) | st.text(max_size=8)
numbers = st.integers(-5, 70000) | st.floats(width=32) | st.sampled_from([65535, 100.0, 2**53 + 1, 1e308, True])
values = numbers | st.none() | texts | st.lists(st.integers(), max_size=2)


@st.composite
def trails(draw, space):
    """Rows as the ledger would hold them after such replies."""
    rows = []
    for index in range(draw(st.integers(1, 5))):
        asked = [draw(st.floats(knob.low, knob.high)) for knob in space.knobs]
        place = {"round": index // 3, "index": index, "replicate": draw(st.integers(0, 2))}
        place |= {"purpose": draw(st.sampled_from(list(Purpose))), "settings": asked}
        attempts = draw(st.integers(1, 3))
        rows += [place | {"attempt": k} | _attempt(draw, space, asked) for k in range(1, attempts + 1)]
    return rows


def _attempt(draw, space, asked):
    times = st.none() | st.floats(allow_nan=False, allow_infinity=False)
    row = {"raw": draw(texts), "reason": draw(texts), "sent_at": draw(times), "done_at": draw(times)}
    row |= {"seconds": draw(times), "applied": None, "out": None, "readings": None, "censored": None}
    if draw(st.booleans()):
        state, verdict = draw(
            st.sampled_from([("UNKNOWN", ReplyClass.UNKNOWN), ("FAILED", ReplyClass.RETRY), ("SENT", None)])
        )
        return row | {"state": state, "verdict": verdict}
    channels = st.sampled_from([*space.channel_names, "extra"])
    clean = {channel.name: 100 for channel in space.channels}
    out = clean if draw(st.booleans()) else draw(st.dictionaries(channels, values, max_size=4))
    applied = space.named_settings(asked) if draw(st.booleans()) else draw(st.dictionaries(texts, values, max_size=2))
    screened = screen_reply(space, np.array(asked), Reply(applied, out, ""))
    row |= {"state": "DONE", "verdict": screened.verdict, "applied": make_jsonable(applied), "out": make_jsonable(out)}
    return row | {"readings": json_list(screened.readings), "censored": screened.censored.tolist()}


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory):
    """Two ledgers and a folder, each example with names of its own."""
    folder = tmp_path_factory.mktemp("exchange")
    with Ledger(folder / "one.db") as one, Ledger(folder / "other.db") as other:
        yield one, other, folder


_names = iter(f"campaign-{number}" for number in range(10**9))


@pytest.mark.parametrize("space", [SPACE, OVEN], ids=["claude-light", "oven"])
@pytest.mark.parametrize("suffix", SUFFIXES)
@given(data=st.data())
@quick
def test_export_import_export_gives_the_same_bytes(ledgers, suffix, space, data):
    one, other, folder = ledgers
    name = next(_names)
    one.adopt(name, "twin", space, {}, data.draw(trails(space)))
    first, second = folder / f"{name}{suffix}", folder / f"{name}-again{suffix}"
    export_campaign(one, name, first)
    # A channel that never read anything is not in the JSON lines, so the oven's names have to be given there.
    import_campaign(other, first, name, space=space if suffix == ".jsonl" else None)
    export_campaign(other, name, second)
    assert first.read_bytes() == second.read_bytes()
    before, after = (ledger.history(ledger.entry(name).id).observations for ledger in (one, other))
    assert [each.key for each in before] == [each.key for each in after]
    if one.entry(name).space == other.entry(name).space:
        np.testing.assert_array_equal([each.readings for each in before], [each.readings for each in after])
        np.testing.assert_array_equal([each.censored for each in before], [each.censored for each in after])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_censored_readings_stay_censored_where_the_ceiling_is_not_known(ledgers, suffix):
    one, other, folder = ledgers
    name, source = next(_names), folder / "oven.jsonl"
    lines = [{"in": [500, 0.5], "out": {"yield": y, "in.out": 3}, "time": None} for y in (100.0, 42.5)]
    source.write_text("\n".join(map(json.dumps, lines)))
    import_campaign(one, source, name, space=OVEN)
    path = export_campaign(one, name, folder / f"{name}{suffix}")
    entry = import_campaign(other, path, name)
    first, second = other.history(entry.id).observations
    assert {channel.ceiling for channel in entry.space.channels} == {None}
    assert (first.verdict, second.verdict) == (ReplyClass.OK_CENSORED, ReplyClass.OK)
    assert first.censored.tolist() == [name == "yield" for name in entry.space.channel_names]
    assert entry.space.named_readings(first.readings) == {"in.out": 3}
    assert entry.space.named_readings(second.readings) == {"yield": 42.5, "in.out": 3}


def plain(tmp_path, *lines, name="data.jsonl"):
    path = tmp_path / name
    path.write_bytes("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines).encode())
    return path


ONE = {"in": [0.1, 0.2, 0.3], "out": {"445nm": 9974, "515nm": 14290}, "time": 1753991056.85}


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


@pytest.mark.skipif(not RECORDS.exists(), reason="the records are not in the project")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_records_survive_every_format(ledger, tmp_path, suffix):
    import_campaign(ledger, RECORDS, "records")
    path = export_campaign(ledger, "records", tmp_path / f"records{suffix}")
    was, is_ = read_data(RECORDS), read_data(path)
    assert is_.space == SPACE
    for name in ("settings", "readings", "censored", "times"):
        np.testing.assert_array_equal(getattr(was, name), getattr(is_, name))
    if suffix == ".jsonl":
        assert Recorded(path).space == SPACE


def test_an_unknown_attempt_is_exported_with_what_was_asked_and_no_reading(ledger, tmp_path):
    row = {"round": 0, "index": 0, "replicate": 0, "purpose": Purpose.DESIGN, "settings": [0.1, 0.2, 0.3], "attempt": 1}
    row |= {"state": "UNKNOWN", "verdict": ReplyClass.UNKNOWN, "reason": "silence", "raw": "", "sent_at": 5.0}
    row |= dict.fromkeys(["applied", "out", "readings", "censored", "done_at", "seconds"])
    ledger.adopt("lost", "twin", SPACE, {}, [row])
    line = json.loads(export_campaign(ledger, "lost", tmp_path / "lost.jsonl").read_text())
    assert (line["in"], line["out"], line["time"], line["state"]) == ([0.1, 0.2, 0.3], None, 5.0, "UNKNOWN")
    with pytest.raises(InvalidInput, match="none of 1 readings counts; the first: silence"):
        read_data(tmp_path / "lost.jsonl")


@pytest.mark.fault("N-05")
def test_a_spreadsheet_finds_no_formula_in_a_csv(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "formulas")
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("update attempts set reason = '=cmd()', raw = ?", ("@SUM(1)",))
    path = export_campaign(ledger, "formulas", tmp_path / "formulas.csv")
    assert ",'=cmd()," in path.read_text()
    assert ",'@SUM(1)," in path.read_text()
    entry = import_campaign(ledger, path, "formulas again")
    assert ledger.trail(entry.id)[0]["reason"] == "=cmd()"


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


@pytest.mark.fault("N-07")
def test_a_knob_without_a_column_is_no_smaller_instrument(tmp_path):
    with pytest.raises(InvalidInput, match="line 1: no column for B, only for R, G"):
        read_data(plain(tmp_path, "R,G,b,515nm", "0.1,0.2,0.3,14290", name="data.csv"))


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
        ("", r"line 1: no columns"),
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
        ('{"out": {"515nm": 1}}', "in: field required"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": {"515nm": -5}}, "it cannot be OK and DONE: 515nm is below 0"),
        ({"out": {"515nm": "9"}}, "it cannot be OK and DONE: 515nm is not a finite number"),
        ({"state": "UNKNOWN"}, "it cannot be OK and UNKNOWN"),
        ({"in": [0.9, 0.2, 0.3]}, r"'in' is \[0.9, 0.2, 0.3\], but applied is"),
        ({"settings": {"R": 0.1}}, "needs settings of R, G, B"),
        ({"verdict": "GREAT"}, "verdict: input should be"),
        ({"round": -1}, "round: "),
        ({"attempt": 1}, "attempt 1 at round 0, index 1, replicate 0 is there twice"),
        ({"purpose": "design"}, "is another measurement further up"),
        ({"model": "pickle"}, "model: extra inputs are not permitted"),
    ],
)
def test_a_changed_export_is_not_believed(ledger, tmp_path, change, message):
    import_campaign(ledger, plain(tmp_path, ONE), "true")
    line = json.loads(export_campaign(ledger, "true", tmp_path / "true.jsonl").read_text())
    changed = line | {"attempt": 2} | change
    with pytest.raises(InvalidInput, match=f"line 2: .*{message}"):
        import_campaign(ledger, plain(tmp_path, line, changed), "false")


def test_a_saturated_reading_called_ok_is_censored_all_the_same(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "true")
    line = json.loads(export_campaign(ledger, "true", tmp_path / "true.jsonl").read_text())
    data = read_data(plain(tmp_path, line | {"out": {"515nm": 65535}}))
    assert data.censored[0, 3]
    assert np.isnan(data.readings[0, 3])


def test_an_export_is_private_and_replaces_nothing_unasked(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    path = export_campaign(ledger, "mine", tmp_path / "mine.csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InvalidInput, match="exists"):
        export_campaign(ledger, "mine", path)
    assert export_campaign(ledger, "mine", path, force=True) == path


@pytest.mark.fault("O-14")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_that_fails_leaves_nothing_behind(ledger, tmp_path, monkeypatch, suffix):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InvalidInput, match="No space left"):
        export_campaign(ledger, "mine", folder / f"mine{suffix}")
    assert list(folder.iterdir()) == []


@pytest.mark.fault("N-04")
def test_an_export_replaces_a_link_and_does_not_follow_it(ledger, tmp_path):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    (tmp_path / "precious").write_text("precious")
    link = tmp_path / "mine.csv"
    link.symlink_to(tmp_path / "precious")
    with pytest.raises(InvalidInput, match="exists"):
        export_campaign(ledger, "mine", link)
    export_campaign(ledger, "mine", link, force=True)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "message"),
    [("no/folder/x.csv", "cannot write"), ("x.pkl", "no format"), ("x", "no format")],
)
def test_an_export_that_cannot_be_is_refused(ledger, tmp_path, path, message):
    import_campaign(ledger, plain(tmp_path, ONE), "mine")
    with pytest.raises(InvalidInput, match=message):
        export_campaign(ledger, "mine", tmp_path / path)


def test_names_are_made_safe_and_used_once(ledger, tmp_path):
    path = plain(tmp_path, ONE)
    assert import_campaign(ledger, path, "../../x").name == "x"
    with pytest.raises(InvalidInput, match="there is a campaign 'x'"):
        import_campaign(ledger, path, "x")
    with pytest.raises(InvalidInput, match="reserved"):
        import_campaign(ledger, path, "CON")
