"""Thousands of wrong replies over HTTP: each is kept, nothing of it that is wrong is in a fit, and no traceback."""

import json
import math
import socketserver
import threading

import numpy as np
import pytest
from hostile import NUMBERS, bent, holds, refused, sane, sizes, spoiled, words
from hypothesis import strategies as st

from sdl.history import Purpose, Request, Round, RoundKind
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench

ASKED = {"R": 0.25, "G": 0.5, "B": 0.75}
REPLY = {"in": list(ASKED.values()), "out": dict(Twin(seed=1).measure(ASKED).readings)}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"


class Liar(socketserver.ThreadingTCPServer):
    """Answers whatever it is asked with the same bytes, and hangs up."""

    allow_reuse_address, daemon_threads, answer = True, True, b""

    def finish_request(self, request, _):
        request.recv(65536)
        request.sendall(self.answer)

    def handle_error(self, *_):
        """A client that has had enough is no news."""


@pytest.fixture(scope="module")
def liar():
    with Liar(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def bench(liar, tmp_path_factory):
    """A bench on a real ledger, with an instrument that answers what the liar says."""
    url = f"http://127.0.0.1:{liar.server_address[1]}/api"
    hasty = {"read_s": 0.5, "deadline_s": 1.0, "quiet_s": 0.0, "first_wait_s": 0.0, "attempts": 1}
    instrument = ClaudeLight(url, allow_private=True, **hasty)
    with Ledger(tmp_path_factory.mktemp("replies") / "ledger.sqlite") as book:
        entry = book.register("replies", instrument.identity, instrument.space, {}, {})
        with book.hold(instrument.identity, "the test") as lease:
            yield Bench(book, lease, entry.id, instrument, 10**6, needed=["515nm"])


def body(content):
    """A whole answer with this body."""
    return HEAD % len(content) + content


def mended(tree):
    """As JSON, with what hypothesis makes of numbers that JSON does not know."""
    return json.dumps(tree, allow_nan=True).encode()


@st.composite
def readings(draw):
    """A valid reply with other values in some of its channels, or in what was applied."""
    out = dict(REPLY["out"])
    for name in draw(st.lists(st.sampled_from(sorted(out)), max_size=4)):
        out[name] = draw(counts)
    return mended(draw(st.sampled_from([REPLY, REPLY | {"in": [0.25, 0.5, draw(counts)]}])) | {"out": out})


counts = st.sampled_from([*NUMBERS, 65534, 65535, 65535.0, 65536, 0.5, -1, True, None, "123", [1], {}]) | st.floats()
bodies = readings() | bent(REPLY).map(mended) | spoiled(bent(REPLY).map(mended)) | st.binary(max_size=40)
HEADERS = [
    "Content-Length",
    "Transfer-Encoding",
    "Content-Encoding",
    "Retry-After",
    "Location",
    "Connection",
    "Content-Type",
]
VALUES = [
    "0",
    "-1",
    "10",
    "9" * 400,
    "chunked",
    "gzip",
    "deflate",
    "Sat, 99 Nov 2026",
    "http://[",
    "//x",
    "1e3",
    "",
    "\u0663",
]


@st.composite
def answers(draw):
    """Heads of answers that no server should send, before a body that may be right."""
    status = draw(
        st.sampled_from([b"200", b"200 OK", b"204", b"304", b"429", b"503", b"404", b"999", b"0", b"-1", b"", b"1e3"])
    )
    header = st.tuples(st.sampled_from(HEADERS) | words, st.sampled_from(VALUES) | words).map(": ".join)
    lines = [line.encode(errors="replace") for line in draw(st.lists(header, max_size=3))]
    first = draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/9.9 ", b"ICY ", b""])) + status
    return b"\r\n".join([first, *lines, b"", draw(bodies)])


@pytest.mark.fault("I-08", "I-09", "I-10", "I-11", "I-12")
@sizes(60, 250)
def test_nothing_wrong_in_a_reply_is_in_a_fit(examples, bench, liar):
    ledger, asked = bench.ledger, np.array(list(ASKED.values()))

    def claim(answer):
        liar.answer, index = answer, ledger.sent(bench.campaign)
        request = Request(0, index, 0, Purpose.DESIGN, asked)
        ledger.plan(bench.lease, bench.campaign, Round(0, RoundKind.DESIGN), [request])
        bench._before = None  # else a second right answer would be a stuck sensor
        said = refused(bench.measure, [request])
        (row,) = ledger.trail(bench.campaign, [index + 1])
        assert row["state"] in ("DONE", "FAILED", "UNKNOWN"), "whatever came is in the ledger"
        assert row["raw"] or row["state"] != "DONE"
        seen = np.array([math.nan if value is None else value for value in row["readings"] or []], float)
        sane(bench.instrument.space, seen if seen.size else np.full(bench.instrument.space.p, math.nan))
        if said:
            assert not np.isfinite(seen).any() or row["verdict"] not in ("OK", "OK_CENSORED")
        else:
            assert list(row["applied"].values()) == pytest.approx(asked, abs=1e-6)

    holds(claim, bodies.map(body) | answers() | spoiled(body(mended(REPLY))), examples)
    known = ledger.history(bench.campaign).observations
    for each in known:
        sane(bench.instrument.space, each.readings)
    assert known, "a right answer among them counts"
