"""The driver of Claude-Light: what it sends, what it makes of an answer, and which instrument it says it is."""

import json
import socket
import threading

import pytest
from wire import DIM, GOOD, answering, driver, http, measure

from sdl import errors
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.protocol import Instrument


def test_it_is_an_instrument():
    assert isinstance(ClaudeLight("https://example.org/api"), Instrument)


def test_a_reading_comes_with_the_applied_settings_and_the_text_as_it_came():
    with answering(http(GOOD)) as url:
        reply = measure(url)
    assert reply.applied == DIM
    assert reply.readings == {"515nm": 31083}
    assert reply.raw == GOOD.decode()
    assert 0 < reply.seconds < 4


def test_the_driver_reads_from_the_server_what_the_twin_reads():
    with InstrumentServer(Twin(seed=3)) as server:
        served = measure(server.url)
    direct = Twin(seed=3).measure(DIM)
    assert (served.applied, served.readings) == (direct.applied, direct.readings)
    assert list(json.loads(served.raw)["out"]) == list(direct.readings)


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


def test_a_measurement_leaves_no_thread_behind_but_the_one_that_watches_all_deadlines():
    with answering(http(GOOD)) as url:
        before = set(threading.enumerate())
        measure(url, deadline_s=60.0)
        assert {thread.name for thread in set(threading.enumerate()) - before} <= {"watchdog"}


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
