"""Observations out of a ledger and into another one, in every format: nothing lost, nothing added."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import DAYS as RECORDS

from sdl.formatting import json_list, make_jsonable
from sdl.history import Purpose, ReplyClass
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.playback import Recorded
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import screen_reply
from sdl.interchange.export_import import export_campaign, import_campaign, read_data
from sdl.ledger.imported_rows import ImportedRows
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
    ImportedRows("twin", space, data.draw(trails(space)), {}).enter(one, name)
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
