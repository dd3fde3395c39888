"""Replies of Claude-Light that are no reading: refusals, redirects and bodies that nobody should trust."""

import gzip
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from wire import GOOD, answering, http, measure, raw_server

from sdl import errors
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer

# ---------------------------------------------------------------------- by their status


@pytest.mark.fault("I-05")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_unavailable(status):
    with answering(http(b"<h1>no</h1>", f"{status} no")) as url, pytest.raises(errors.InstrumentUnavailable) as caught:
        measure(url)
    assert caught.value.sent
    assert caught.value.wait == 0
    assert caught.value.raw == "<h1>no</h1>"


@pytest.mark.fault("I-05")
@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("86400", 60.0),
        ("9" * 5000, 60.0),
        ("-5", 0.0),
        ("nan", 0.0),
        ("soon", 0.0),
        ("²", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 60.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", 0.0),
    ],
    ids=lambda value: str(value)[:32],
)
def test_retry_after_is_honoured_up_to_the_longest_wait(header, wait):
    answer = http(b"", "503 busy", Retry_After=header.encode().decode("latin-1"))
    with answering(answer) as url, pytest.raises(errors.InstrumentUnavailable) as caught:
        measure(url, longest_wait_s=60.0)
    assert caught.value.wait == pytest.approx(wait)


@pytest.mark.fault("I-05")
def test_retry_after_takes_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answer = http(b"", "503 busy", Retry_After=date)
    with answering(answer) as url, pytest.raises(errors.InstrumentUnavailable) as caught:
        measure(url)
    assert 27 < caught.value.wait <= 30


@pytest.mark.fault("I-06")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
def test_any_other_refusal_is_final(status):
    with answering(http(b"no", f"{status} no")) as url:
        with pytest.raises(errors.InstrumentRefused, match=str(status)) as caught:
            measure(url)
        assert url in str(caught.value)
    assert caught.value.raw == "no"


@pytest.mark.fault("I-07")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_aim_is_named_without_secrets(status):
    with InstrumentServer(Twin()) as elsewhere:
        aim = elsewhere.url.replace("http://", "http://user:word@") + "?token=secret"
        there = http(b"", f"{status} there", Location=aim)
        with answering(there) as url, pytest.raises(errors.InstrumentRefused, match=elsewhere.url) as caught:
            measure(url)
        assert elsewhere.requests == 0
    assert "word" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.fault("I-07", "I-04")
def test_the_endless_body_of_a_redirect_is_not_read():
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 there\r\nLocation: http://[\r\n\r\n" + bytes(10**6))

    with raw_server(serve) as url, pytest.raises(errors.BadReply, match="65536 bytes"):
        measure(url)


# ---------------------------------------------------------------------- by their body


@pytest.mark.fault("I-08")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Hello</body></html>",
        GOOD[:-5],
        GOOD + b"x",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        b'{"in":[0.12,0.45,1.0],"out":{"\xe9":1}}',
        b'{"in":[0,0,0],"in":[0.12,0.45,1.0],"out":{}}',
        b'{"in":[0,0,0],"out":{"515nm":1,"515nm":2}}',
        b'{"in":[0,0,0]}',
        b'{"in":[0,0],"out":{}}',
        b'{"in":{"R":0,"G":0,"B":0},"out":{}}',
        b'{"in":[0,0,0],"out":[1,2]}',
        b'{"in":[0,0,0],"out":null}',
        b"null",
        b'"in out"',
        b'{"status":"ok"}',
        b"[" * 60000,
        b'{"in":[0,0,0],"out":{"515nm":' + b"1" * 5000 + b"}}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_a_reading_is_a_bad_reply_and_kept(body):
    with answering(http(body)) as url, pytest.raises(errors.BadReply) as caught:
        measure(url)
    assert caught.value.raw == body.decode(errors="replace")


@pytest.mark.fault("I-08")
def test_an_empty_success_is_a_bad_reply():
    with answering(b"HTTP/1.1 204 No Content\r\n\r\n") as url, pytest.raises(errors.BadReply, match="204"):
        measure(url)


def test_readings_that_cannot_be_pass_so_that_one_place_judges_them_all():
    body = b'{"in":["0.1",null,NaN],"out":{"515nm":Infinity,"445nm":-1,"x":"123","clear":[1],"nir":null,"y":true}}'
    with answering(http(body)) as url:
        reply = measure(url)
    assert reply.applied["R"] == "0.1"
    assert reply.readings["515nm"] == float("inf")
    assert reply.readings["x"] == "123"
    assert reply.readings["y"] is True


@pytest.mark.fault("I-08")
@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000000000\r\n\r\n", b"Content-Encoding: gzip\r\n\r\n", b"\r\n"],
    ids=["announced", "compressed", "without end"],
)
def test_a_huge_body_is_not_read_to_its_end(head):
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        while True:
            connection.sendall(bytes(65536))

    with raw_server(serve) as url, pytest.raises(errors.BadReply, match="65536 bytes") as caught:
        measure(url)
    assert 65536 < len(caught.value.raw) < 65536 + 8193


@pytest.mark.fault("I-08")
def test_a_small_body_that_would_unpack_to_a_huge_one_is_not_unpacked():
    bomb = gzip.compress(bytes(30_000_000))
    with answering(http(bomb, Content_Encoding="gzip")) as url, pytest.raises(errors.BadReply):
        measure(url)
