"""Thousands of wrong files of data: each is refused in sentences, or gives rows that a fit may see."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import bent, holds, numbers, refused, sane, sizes, spoiled, words
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
@sizes(60, 1200)
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
@sizes(40, 800)
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
@sizes(40, 800)
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
@sizes(40, 800)
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
