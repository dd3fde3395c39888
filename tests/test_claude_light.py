"""The driver over real sockets: what it says about every way in which a server can fail it."""

import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from typing import Any

import pytest
import requests

from sdl import errors
from sdl.instruments.claude_light import ClaudeLight
from sdl.instruments.faults import Faults
from sdl.instruments.protocol import Instrument, Reply
from sdl.instruments.server import InstrumentServer
from sdl.instruments.twin import Twin
from sdl.instruments.url_guard import address_fault

DIM = {"R": 0.12, "G": 0.45, "B": 1.0}
GOOD = b'{"in":[0.12,0.45,1.0],"out":{"515nm":31083}}'
PATIENT = {"connect_s": 2.0, "read_s": 4.0, "deadline_s": 5.0, "allow_private": True}
HASTY = {"read_s": 0.3, "deadline_s": 0.6}


def driver(url: str, **options: Any) -> ClaudeLight:
    return ClaudeLight(url, **{**PATIENT, **options})


def measure(url: str, **options: Any) -> Reply:
    return driver(url, **options).measure(DIM)


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request from each connection and hands the connection to ``serve``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.recv(65536)
                        serve(connection)

        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    with raw_server(lambda connection: connection.sendall(answer)) as url:
        yield url


def drip(connection: socket.socket, piece: bytes = b" ") -> None:
    for _ in range(200):
        connection.sendall(piece)
        time.sleep(0.05)


def reset(connection: socket.socket) -> None:
    time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_it_is_an_instrument():
    assert isinstance(ClaudeLight("https://example.org/api"), Instrument)


def test_a_reading_comes_with_the_applied_settings_and_the_text_as_it_came():
    with answering(http(GOOD)) as url:
        reply = measure(url)
    assert reply.applied == DIM
    assert reply.readings == {"515nm": 31083}
    assert reply.raw == GOOD.decode()
    assert 0 < reply.seconds < 4


@pytest.mark.fault("I-14", "I-16")
def test_one_request_in_its_own_connection_past_caches_and_proxies(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    requests_seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            requests_seen.append(connection.recv(65536))
            connection.sendall(http(GOOD))

        threading.Thread(target=serve, daemon=True).start()
        measure(f"http://localhost:{listener.getsockname()[1]}/api")
    (request,) = requests_seen
    assert request.startswith(b"GET /api?R=0.12&G=0.45&B=1.0 HTTP/1.1\r\n")
    for header in (b"Cache-Control: no-cache", b"User-Agent: sdl/", b"Accept-Encoding: identity", b"Connection: close"):
        assert header in request


@pytest.mark.parametrize(
    "settings",
    [
        {"R": float("nan"), "G": 0, "B": 0},
        {"R": float("inf"), "G": 0, "B": 0},
        {"R": 255, "G": 0, "B": 0},
        {"R": -0.001, "G": 0, "B": 0},
        {"R": 0.5, "G": 0},
        {"R": 0.5, "G": 0, "B": 0, "r": 0.5},
        {"R": "0.5", "G": 0, "B": 0},
        {"R": True, "G": 0, "B": 0},
    ],
    ids=str,
)
def test_what_the_server_would_garble_is_refused_before_sending(settings):
    with InstrumentServer(Twin()) as server:
        with pytest.raises(errors.InvalidInput):
            driver(server.url).measure(settings)
        assert server.requests == 0


@pytest.mark.fault("I-01")
def test_nobody_at_the_port_is_unavailable_and_was_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(errors.InstrumentUnavailable, match="Connection refused") as caught:
        measure(f"http://127.0.0.1:{port}/api")
    assert not caught.value.sent
    assert not isinstance(caught.value, errors.InstrumentSilent)


@pytest.mark.fault("I-01")
def test_an_unknown_host_is_unavailable_and_was_not_sent():
    with pytest.raises(errors.InstrumentUnavailable) as caught:
        measure("http://nowhere.invalid/api")
    assert not caught.value.sent


@pytest.mark.fault("I-01")
def test_a_connection_that_is_never_accepted_is_unavailable_and_was_not_sent():
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        with suppress(TimeoutError):
            while True:  # until its queue is full
                stack.enter_context(socket.create_connection(listener.getsockname(), timeout=0.05))
        with pytest.raises(errors.InstrumentUnavailable, match="timed out") as caught:
            driver(f"http://127.0.0.1:{listener.getsockname()[1]}/api", connect_s=0.2).measure(DIM)
    assert not caught.value.sent


@pytest.mark.fault("I-03")
def test_no_answer_is_silence_that_names_the_time_to_wait():
    with InstrumentServer(Twin(), faults=Faults.parse(["stall"])) as server:
        with pytest.raises(errors.InstrumentSilent) as caught:
            measure(server.url, quiet_s=42.0, **HASTY)
        assert server.requests == 1
    assert caught.value.sent
    assert caught.value.wait == 42.0


@pytest.mark.fault("I-04")
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n",
    ],
    ids=["status line", "headers", "body without end", "body"],
)
def test_a_drip_ends_at_the_deadline(start):
    def serve(connection: socket.socket) -> None:
        connection.sendall(start)
        drip(connection, b"x")

    with raw_server(serve) as url:
        started = time.monotonic()
        with pytest.raises(errors.InstrumentSilent):
            measure(url, **HASTY)
        assert 0.5 < time.monotonic() - started < 1.5


@pytest.mark.fault("I-04")
def test_a_chunked_drip_ends_at_the_deadline_and_keeps_what_came():
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        drip(connection, b"1\r\nx\r\n")

    with raw_server(serve) as url, pytest.raises(errors.InstrumentSilent) as caught:
        measure(url, **HASTY)
    assert caught.value.raw.startswith("xxx")


@pytest.mark.fault("I-04")
def test_a_tls_greeting_that_drips_ends_at_the_deadline():
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00")
        drip(connection, b"\x02")

    with raw_server(serve) as url:
        started = time.monotonic()
        with pytest.raises(errors.InstrumentUnavailable) as caught:
            measure(url.replace("http:", "https:"), **HASTY)
        assert 0.5 < time.monotonic() - started < 1.5
    assert not caught.value.sent


def test_a_slow_name_server_leaves_the_request_unsent(monkeypatch):
    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.2)
        return resolve(*arguments, **options)

    resolve = socket.getaddrinfo
    with InstrumentServer(Twin()) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        with pytest.raises(errors.InstrumentUnavailable, match="deadline") as caught:
            measure(server.url, deadline_s=0.1)
        assert not caught.value.sent
        assert server.requests == 0


def test_a_measurement_leaves_no_thread_behind():
    with answering(http(GOOD)) as url:
        before = threading.active_count()
        measure(url, deadline_s=60.0)
        assert threading.active_count() <= before


@pytest.mark.fault("I-02")
@pytest.mark.parametrize(
    ("start", "kept"),
    [(b"", ""), (b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n" + GOOD[:20], GOOD[:20].decode())],
    ids=["before the status line", "in the middle of the body"],
)
@pytest.mark.parametrize("how", [reset, lambda connection: None], ids=["reset", "closed"])
def test_a_broken_connection_is_unavailable_and_keeps_what_came(start, kept, how):
    def serve(connection: socket.socket) -> None:
        connection.sendall(start)
        how(connection)

    with raw_server(serve) as url, pytest.raises(errors.InstrumentUnavailable) as caught:
        measure(url)
    assert not isinstance(caught.value, errors.InstrumentSilent)
    assert caught.value.sent
    assert caught.value.raw == kept


@pytest.mark.fault("I-08", "N-05")
def test_nonsense_instead_of_a_status_line_is_kept_and_acts_on_no_terminal():
    nonsense = b"\x1b[2J\x1b]0;gone\x07 \xe2\x80\xae"
    with answering(nonsense + b"\r\n\r\n") as url, pytest.raises(errors.InstrumentUnavailable) as caught:
        measure(url)
    assert str(caught.value).isprintable()
    assert "\\x1b[2J" in str(caught.value)
    assert caught.value.raw.startswith("\x1b[2J")


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


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("busy", errors.InstrumentUnavailable),
        ("500", errors.InstrumentUnavailable),
        ("stall", errors.InstrumentSilent),
        ("drip", errors.InstrumentSilent),
        ("reset", errors.InstrumentUnavailable),
        ("truncated", errors.BadReply),
        ("json", errors.BadReply),
        ("html", errors.BadReply),
    ],
)
def test_after_a_fault_the_next_request_is_answered(word, error):
    with InstrumentServer(Twin(), faults=Faults.parse([f"{word}@2"])) as server:
        light = driver(server.url, read_s=0.5)
        light.measure(DIM)
        with pytest.raises(error) as caught:
            light.measure(DIM)
        assert type(caught.value) is error
        light.measure(DIM)
        assert (server.requests, server.most_in_flight) == (3, 1)


@pytest.mark.fault("N-08")
class TestGuard:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "instrument",
            "/api",
            "//host/api",
            "file:///etc/passwd",
            "ftp://host/api",
            "http://",
            "http:///api",
            "http://host:0/api",
            "http://host:99999/api",
            "http://host:port/api",
            "http://[::1/api",
            "http://[fe80::1%25eth0]/api",
            "http://ho%73t/api",
            "http://host/api?x=1",
            "http://host/api?",
            "http://host/api#x",
            "http://host /api",
            "http://host/a\tpi",
            "http://host\n/api",
            "http://host\\@other/api",
            "http://hóst/api",
            "http://１２７.0.0.1/api",  # full-width digits
            "http://-host/api",
            "http://host..org/api",
            f"http://{'a' * 64}.org/api",
            f"http://{'a.' * 130}org/api",
        ],
    )
    def test_a_url_that_cannot_be_is_refused_at_once(self, url):
        with pytest.raises(errors.InvalidInput, match=r"^url: "):
            ClaudeLight(url, allow_private=True)

    @pytest.mark.parametrize("url", ["http://user:word@host/api", "http://user:word@ho st/api", "http://:word@[/"])
    def test_a_password_is_refused_and_not_repeated(self, url):
        with pytest.raises(errors.InvalidInput) as caught:
            ClaudeLight(url)
        assert "word" not in str(caught.value).replace("password", "")

    @pytest.mark.parametrize(
        "host",
        [
            "169.254.169.254",
            "169.254.1.1",
            "2852039166",  # 169.254.169.254 as one number
            "0xA9FEA9FE",
            "0251.0376.0251.0376",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0",
            "[::]",
            "224.0.0.1",
            "[ff02::1]",
            "255.255.255.255",
        ],
    )
    def test_some_addresses_are_always_refused(self, host):
        with pytest.raises(errors.InvalidInput, match="never an instrument"):
            ClaudeLight(f"http://{host}/api", allow_private=True)

    @pytest.mark.parametrize(
        "host",
        ["localhost", "LOCALHOST.", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "[::1]",
         "[::ffff:127.0.0.1]", "10.0.0.1", "192.168.1.20", "172.16.0.1", "100.64.0.1", "[fd12::1]"],
    )  # fmt: skip
    def test_private_addresses_only_when_allowed(self, host):
        with pytest.raises(errors.InvalidInput, match="allow_private = true"):
            ClaudeLight(f"http://{host}/api")
        ClaudeLight(f"http://{host}/api", allow_private=True)

    @pytest.mark.parametrize("host", ["claude-light.cheme.cmu.edu", "8.8.8.8", "[2606:4700::1111]", "my_pi.example."])
    def test_public_hosts_pass_without_asking_a_name_server(self, host, monkeypatch):
        monkeypatch.delattr(socket, "getaddrinfo")
        ClaudeLight(f"https://{host}/api")

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1"])
    def test_a_name_that_leads_inside_is_refused_before_connecting(self, address, monkeypatch):
        infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in ("8.8.8.8", address)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)
        monkeypatch.delattr("urllib3.util.connection.create_connection")
        with pytest.raises(errors.InstrumentRefused, match=address) as caught:
            ClaudeLight("http://inside.example/api").measure(DIM)
        assert not caught.value.sent

    def test_a_name_that_leads_elsewhere_the_second_time_gets_no_request(self, monkeypatch):
        with InstrumentServer(Twin()) as server:
            answers = iter(["8.8.8.8", "127.0.0.1"])

            def rebinding(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

            monkeypatch.setattr(socket, "getaddrinfo", rebinding)
            with pytest.raises(errors.InstrumentRefused, match=r"127\.0\.0\.1"):
                ClaudeLight(f"http://rebound.example:{server.server_port}/api").measure(DIM)
            assert server.requests == 0

    def test_every_address_has_a_verdict(self):
        assert address_fault("fe80::1%eth0", allow_private=True)
        assert address_fault("1.1.1.1", allow_private=False) is None


@pytest.mark.parametrize(
    "other",
    ["HTTP://127.0.0.1:80/api", "http://localhost/api/", "http://LOCALHOST.:80/api", "http://127.1/api",
     "http://[::1]/api", "http://[::ffff:7f00:1]/api"],
)  # fmt: skip
def test_two_spellings_of_one_place_are_one_instrument(other):
    identity = driver("http://127.0.0.1/api").identity
    assert driver(other).identity == identity == "claude-light http://127.0.0.1:80/api"


@pytest.mark.parametrize("other", ["https://127.0.0.1/api", "http://127.0.0.1:81/api", "http://127.0.0.1/API"])
def test_two_places_are_two_instruments(other):
    assert driver(other).identity != driver("http://127.0.0.1/api").identity


def test_every_wrong_option_is_listed():
    wrong = {"connect_s": 0, "read_s": -1, "deadline_s": float("nan"), "quiet_s": 61.0, "attempts": 0}
    with pytest.raises(errors.InvalidInput) as caught:
        ClaudeLight("file:///x", **wrong)
    assert {fault.split(":")[0] for fault in caught.value.faults} == {*wrong, "url"}


class TestTls:
    """Against certificates of an authority that the driver is made to trust."""

    @pytest.fixture
    def serving(self, tmp_path, monkeypatch):
        x509 = pytest.importorskip("cryptography.x509")
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        def name(text):
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

        def certificate(subject, alternative, key, issuer, issuer_key, days):
            start = datetime.now(UTC) - timedelta(days=10)
            builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
            builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
            builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=days))
            authority = x509.BasicConstraints(ca=alternative is None, path_length=None)
            builder = builder.add_extension(authority, critical=True)
            if alternative is not None:
                builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

        authority_key = ec.generate_private_key(ec.SECP256R1())
        trusted = tmp_path / "authority.pem"
        trusted.write_bytes(certificate("authority", None, authority_key, "authority", authority_key, 100))
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(trusted))

        @contextmanager
        def serve(days=100, address="127.0.0.1", issuer="authority"):
            key = ec.generate_private_key(ec.SECP256R1())
            alternative = x509.IPAddress(ip_address(address))
            issuer_key = authority_key if issuer == "authority" else key
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            chain = tmp_path / "server.pem"
            chain.write_bytes(pem + certificate("server", alternative, key, issuer, issuer_key, days))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain)
            with InstrumentServer(Twin()) as server:
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
                yield server

        return serve

    def test_a_valid_certificate_is_trusted(self, serving):
        with serving() as server:
            assert measure(server.url.replace("http:", "https:")).applied == DIM

    @pytest.mark.fault("I-22")
    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            ({"days": 1}, "expired"),
            ({"address": "127.0.0.2"}, "mismatch"),
            ({"issuer": "server"}, "self-signed"),
        ],
        ids=["expired", "wrong host", "self-signed"],
    )
    def test_any_other_is_refused_before_sending(self, serving, wrong, reason):
        with serving(**wrong) as server:
            with pytest.raises(errors.InstrumentRefused, match=reason) as caught:
                measure(server.url.replace("http:", "https:"))
            assert server.requests == 0
        assert not caught.value.sent

    @pytest.mark.fault("I-22")
    def test_an_answer_in_the_clear_is_refused(self):
        with InstrumentServer(Twin()) as server, pytest.raises(errors.InstrumentRefused, match="TLS"):
            measure(server.url.replace("http:", "https:"))


def test_the_driver_reads_from_the_server_what_the_twin_reads():
    with InstrumentServer(Twin(seed=3)) as server:
        served = measure(server.url)
    direct = Twin(seed=3).measure(DIM)
    assert (served.applied, served.readings) == (direct.applied, direct.readings)
    assert list(json.loads(served.raw)["out"]) == list(direct.readings)
