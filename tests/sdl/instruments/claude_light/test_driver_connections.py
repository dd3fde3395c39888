"""Claude-Light out of reach, silent or cut off: what the driver says of connections that fail it."""

import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from wire import DIM, GOOD, HASTY, answering, driver, http, measure, raw_server

from sdl import errors
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer


def drip(connection: socket.socket, piece: bytes = b" ") -> None:
    for _ in range(200):
        connection.sendall(piece)
        time.sleep(0.05)


def reset(connection: socket.socket) -> None:
    time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---------------------------------------------------------------------- before anything is sent


@pytest.mark.fault("I-01")
def test_nobody_at_the_port_is_unavailable_and_was_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(errors.InstrumentUnavailable, match="Connection refused") as caught:
        measure(f"http://127.0.0.1:{port}/api")
    assert not caught.value.sent
    assert not isinstance(caught.value, errors.InstrumentSilent)


def test_asked_again_because_of_a_fault_it_says_what_went_wrong_this_time():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    try:
        raise errors.CampaignSuspended("what went wrong before")
    except errors.CampaignSuspended:
        with pytest.raises(errors.InstrumentUnavailable, match=r"refused$"):
            measure(f"http://127.0.0.1:{port}/api")


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


# ---------------------------------------------------------------------- after it was sent


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


# ---------------------------------------------------------------------- what is given up is taken back


@contextmanager
def waiting():
    """A server that answers nothing: its URL, and a queue of how each connection ended."""
    ended = Queue()

    def serve(connection):
        try:
            ended.put("closed" if connection.recv(1) == b"" else "went on")
        except ConnectionResetError:
            ended.put("taken back")

    with raw_server(serve) as url:
        yield url, ended


@pytest.mark.fault("I-27")
def test_a_request_that_is_given_up_is_taken_back():
    with waiting() as (url, ended), pytest.raises(errors.InstrumentSilent):
        driver(url, **HASTY).measure(DIM)
    assert ended.get(timeout=60) == "taken back"


@pytest.mark.fault("I-27")
def test_so_is_that_of_a_process_that_is_killed():
    with waiting() as (url, ended):
        ask = f"from sdl.instruments.claude_light.driver import ClaudeLight as C; C({url!r}, allow_private=True)"
        process = subprocess.Popen([sys.executable, "-c", f"{ask}.measure({DIM})"])
        while ended.empty() and process.poll() is None and not asked(process.pid, url):
            time.sleep(0.05)
        process.kill()
        process.wait()
        assert ended.get(timeout=60) == "taken back"


def asked(pid, url):
    """Whether a process has a connection there."""
    port = f":{int(url.rpartition(':')[2].partition('/')[0]):04X}"
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()
    return any(port in line.split()[2] and line.split()[3] == "01" for line in lines[1:])


def test_an_answer_that_came_ends_its_connection_as_usual():
    ended = Queue()

    def serve(connection):
        connection.sendall(http(GOOD))
        try:
            ended.put(connection.recv(1))
        except ConnectionResetError:
            ended.put("taken back")

    with raw_server(serve) as url:
        assert measure(url).readings
    assert ended.get(timeout=60) == b""
