"""Thousands of wrong files of data: each is refused in sentences, or gives rows that a fit may see."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import bent, holds, numbers, refused, sane, sizes, spoiled, unused_rows, words
from hypothesis import strategies as st
from problems import twin_rows, written

from sdl.interchange import bundle_reader as unbundling
from sdl.interchange import bundle_writer as bundle
from sdl.interchange import export_import as exchange
from sdl.interchange.evidence import parse_evidence
from sdl.ledger.ledger import Ledger


def only_sane_rows(path):
    """A file is refused in sentences, or gives rows that a fit may see."""

    def look():
        data = exchange.read_data(path)
        sane(data.space, data.readings)
        assert np.all(np.isfinite(data.settings))
        assert np.all(data.space.contains(data.settings))

    return refused(look)


@pytest.fixture(scope="module")
def tables(sandbox):
    """The same rows in each format, as the laboratory writes them and as others do."""
    source = written(sandbox / "rows.jsonl", *reversed(twin_rows(3)))
    with Ledger(sandbox / "home" / "tables.sqlite") as book:
        exchange.import_campaign(book, source, "rows")
        made = {
            f"ours{suffix}": exchange.export_campaign(book, "rows", sandbox / f"ours{suffix}")
            for suffix in exchange.FORMATS
        }
        made["ours.zip"] = bundle.write_bundle(book, "rows", sandbox / "ours.zip")
    theirs = "R,G,B,515nm,630nm,time\n0.1,0.2,0.3,1000,2000,1.5\n0.4,0.5,0.6,65535,,\n"
    contents = {name: path.read_bytes() for name, path in made.items()}
    return contents | {"theirs.jsonl": source.read_bytes(), "theirs.csv": theirs.encode()}


@pytest.mark.fault("N-07", "I-10")
@sizes(60, 150)
def test_a_spoiled_file_is_refused_or_its_rows_are_sane(examples, sandbox, tables):
    def claim(given):
        name, content = given
        path = sandbox / f"spoiled{Path(name).suffix}"
        path.write_bytes(content)
        if path.suffix == ".zip":
            refused(lambda: parse_evidence(unbundling.read_bundle(path)))
        else:
            only_sane_rows(path)

    each = [spoiled(content).map(lambda data, name=name: (name, data)) for name, content in tables.items()]
    holds(claim, st.one_of(each), examples)


@pytest.mark.fault("N-07", "I-10")
@sizes(40, 100)
def test_a_bent_record_is_refused_or_its_rows_are_sane(examples, sandbox, tables):
    path = sandbox / "bent.jsonl"

    def claim(records):
        path.write_text("".join(json.dumps(each) + "\n" for each in records))
        only_sane_rows(path)

    lines = [json.loads(line) for name in ("ours.jsonl", "theirs.jsonl") for line in tables[name].splitlines()]
    holds(
        claim, st.lists(st.sampled_from(lines).flatmap(bent) | st.sampled_from(lines), min_size=1, max_size=4), examples
    )


ODD = ["1.5", "0.5", "255", "1,5", "1 000", "65535", "1e5", "-3", "", "0x1F", "١٢"]
HEADERS = ["R", "G", "B", "515nm", "630nm", "time", "in.R", "in.", "out.515nm", "x", "", "raw", "state"]
cells = numbers.map(str) | words | st.sampled_from(ODD)
headers = st.sampled_from(HEADERS) | words


@pytest.mark.fault("N-07")
@sizes(40, 100)
def test_any_table_of_text_is_refused_or_its_rows_are_sane(examples, sandbox):
    path = sandbox / "any.csv"

    def claim(given):
        header, rows, end = given
        lines = [",".join(row) for row in [header, *rows]]
        path.write_bytes(end.join(lines).encode(errors="replace"))
        only_sane_rows(path)

    rows = st.lists(st.lists(cells, min_size=4, max_size=6), max_size=4)
    usual = st.just(["R", "G", "B", "515nm"])
    ends = st.sampled_from(["\n", "\r\n", "\r", "\n\r\n"])
    holds(claim, st.tuples(usual | st.lists(headers, max_size=6), rows, ends), examples)


KINDS = {
    pa.float64(): st.floats(0, 1) | st.floats() | st.none(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.none(),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.bool_(): st.booleans() | st.none(),
    pa.string(): words.filter(lambda word: "\ud800" not in word),
    pa.binary(): st.binary(max_size=4),
    pa.timestamp("us"): st.integers(-(2**62), 2**62),
    pa.date32(): st.integers(-(2**31), 2**31 - 1),
    pa.duration("ns"): st.integers(-(2**62), 2**62),
    pa.decimal128(9, 2): st.decimals(-9, 9, places=2),
    pa.list_(pa.float64()): st.lists(st.floats(), max_size=2),
    pa.struct([("a", pa.float64())]): st.fixed_dictionaries({"a": st.floats()}),
    pa.null(): st.none(),
}
"""Every kind of column that somebody may write, and what stands in it."""
columns = st.one_of(
    st.lists(values, min_size=2, max_size=2).map(lambda pair, kind=kind: pa.array(pair, kind))
    for kind, values in KINDS.items()
)


@pytest.mark.fault("N-07", "N-06")
@sizes(40, 100)
def test_any_parquet_is_refused_or_its_rows_are_sane(examples, sandbox):
    path = sandbox / "any.parquet"

    def claim(given):
        names, arrays = given
        buffer = io.BytesIO()
        pq.write_table(pa.table(arrays, names), buffer)
        path.write_bytes(buffer.getvalue())
        only_sane_rows(path)

    plain = st.lists(st.text("RGB515nm.inout", max_size=9) | headers, min_size=5, max_size=5)
    names = st.just(["R", "G", "B", "515nm", "time"]) | plain.map(
        lambda given: [name.encode(errors="replace").decode() for name in given]
    )
    holds(claim, st.tuples(names, st.lists(columns, min_size=5, max_size=5)), examples)


# ---------------------------------------------------------------------- other people's rows

QUANTITIES = st.decimals(-999, 999, places=3).map(str) | st.sampled_from(["1e-9", "532.003", "2.5e6", "0", "-0.0"])
WRONG = [
    "", " ", "50%", "1.234,5", "3’000", "<0.5", "−5", "7_0", "#N/A", "true", "nan", "inf", "1,5", "9" * 400, "-1e400",
    "x", " 7 ", "+3", "0x1F", "1_0",
]  # fmt: skip


@st.composite
def others(draw):
    """Rows of somebody else's laboratory: any knobs and channels, and here and there a cell that is wrong."""
    knobs = [f"in.{name}" for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))]
    channels = [f"out.{name}" for name in draw(st.lists(st.sampled_from("wxyz"), min_size=1, max_size=3, unique=True))]
    header = [*knobs, *channels, *draw(st.sampled_from([[], ["time"], ["note"], ["a", "in"], ["Time", ""]]))]
    rows = [[draw(QUANTITIES) for _ in header] for _ in range(draw(st.integers(2, 8)))]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        row = draw(st.sampled_from(rows))
        row[draw(st.integers(0, len(header) - 1))] = " ".join(
            draw(st.sampled_from(WRONG) | words).splitlines()
        )  # a cell of lines moves those below it
    return header, rows, draw(st.sampled_from([".csv", ".jsonl", ".parquet"]))


def as_file(folder, header, rows, suffix):
    """The table in one of the formats, cells as text in CSV and as numbers, where they are any, elsewhere."""
    path = folder / f"others{suffix}"
    if suffix == ".csv":
        with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path
    values = [[_number(cell) for cell in row] for row in rows]
    if suffix == ".jsonl":
        lines = []
        for row in values:
            named = dict(zip(header, row, strict=True))
            line = {"in": {}, "out": {}}
            for name, value in named.items():
                place, _, key = name.partition(".")
                if key:
                    line[place][key] = value
                else:
                    line[place] = value
            lines.append(json.dumps(line))
        path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
        return path
    columns = {}
    for place, name in enumerate(header):
        column = [row[place] for row in values]
        plain = all(value is None or isinstance(value, float) for value in column)
        texts = [None if value is None else str(value).encode(errors="replace").decode() for value in column]
        columns[name] = pa.array(column, pa.float64()) if plain else pa.array(texts, pa.string())
    pq.write_table(pa.table(columns), path)
    return path


def _number(cell):
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


def _stripped(cell):
    return cell.strip() if isinstance(cell, str) else cell


def _has_settings(header, row):
    """Whether a row has a setting: a reading without any is counted, and no measurement of the ledger."""
    return any(cell and cell.strip() for name, cell in zip(header, row, strict=True) if name.startswith("in."))


@pytest.mark.fault("N-07", "I-26")
@sizes(60, 125)
def test_of_other_peoples_rows_none_is_lost_in_silence_and_none_is_changed(examples, sandbox):
    """Each row is used as it was written, counted among those that are not, or the file is refused in sentences."""
    names = (f"others-{examples}-{number}" for number in range(10**9))

    def claim(given):
        header, rows, suffix = given
        path = as_file(sandbox, header, rows, suffix)
        if refused(exchange.read_data, path):
            return
        data = exchange.read_data(path)
        assert len(data.settings) + unused_rows(data.notes) == sum(any(row) for row in rows)
        assert data.space.contains(data.settings).all()
        first = int(suffix == ".csv") + 1
        for line, settings, readings in zip(data.lines, data.settings, data.readings, strict=True):
            written = dict(zip(header, map(_number, rows[line - first]), strict=True))
            shown = data.space.shown_settings(settings)
            assert shown == {name: _stripped(written[f"in.{name}"]) for name in data.space.knob_names}
            expected = [written.get(f"out.{name}") for name in data.space.channel_names]
            for value, wanted in zip(readings, expected, strict=True):
                assert np.isnan(value) or value == wanted
                assert not np.isnan(value) or not isinstance(wanted, float) or data.censored.any()
        if len(rows) > 2:
            return
        with Ledger(sandbox / "home" / "others.sqlite") as book:
            entry = exchange.import_campaign(book, path, next(names))
            assert len(book.trail(entry.id)) == sum(_has_settings(header, row) for row in rows)
            assert len(book.history(entry.id).observations) == len(data.settings)

    holds(claim, others(), examples)
