"""REST of any shape: what is sent, and what its statuses mean."""

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote

import pytest
from rest_server import TOKEN, served_rest
from rig import HASTY, Rig
from wire import http, raw_server

from sdl import plugins
from sdl.errors import BadReply, InstrumentRefused, InstrumentUnavailable, InvalidInput
from sdl.measurement.driver_call import ask_driver

SHAPE = {
    "knobs": [{"name": "red", "high": 5}],
    "channels": [{"name": "x", "at": "x"}],
    "query": {"method": "POST", "path": "/go", "body": {"red": "{red}"}},
}


def rest(url, **options):
    return plugins.build("sdl.instruments", "rest", {"url": url, **HASTY, **SHAPE, **options})


@contextmanager
def answering(answer):
    with raw_server(lambda connection: connection.sendall(answer)) as url:
        yield rest(url)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("429 Too Many Requests", InstrumentUnavailable),
        ("503 Service Unavailable", InstrumentUnavailable),
        ("404 Not Found", InstrumentRefused),
        ("401 Unauthorized", InstrumentRefused),
        ("302 Found", InstrumentRefused),
        ("206 Partial Content", BadReply),
    ],
)
@pytest.mark.fault("I-05", "I-06", "I-07")
def test_a_status_means_what_it_means_for_the_lamp(status, error):
    result = http(b'{"x": 1}', status, Retry_After="7", Location="http://elsewhere.example/?token=x")
    with answering(result) as instrument, pytest.raises(error, match=f"answered {status[:3]}") as caught:
        instrument.measure({"red": 0.5})
    assert json.loads(caught.value.raw) == {"x": 1}
    assert "token" not in str(caught.value)
    if status.startswith("429"):
        assert caught.value.wait == HASTY["longest_wait_s"]


class _Job(BaseHTTPRequestHandler):
    """A measurement that is begun by one request, takes a while, and is asked for by another."""

    def do_POST(self):
        self.server.asked = [json.loads(self.rfile.read(int(self.headers["Content-Length"])))]
        self.answer({"job": 17}, 202)

    def do_GET(self):
        self.server.asked.append(self.path)
        busy = self.path == "/state" and self.server.asked.count("/state") < 3
        self.answer({"job": {"state": "running" if busy else "done"}} if self.path == "/state" else {"x": 7.5})

    def answer(self, content, status=200):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


def test_a_measurement_that_takes_a_while_is_waited_for_and_then_asked_for():
    state = {"query": {"path": "/state"}, "at": "job.state", "answer": "done|failed", "every_s": 0.02}
    channels = [{"name": "x", "at": "x", "query": {"path": "/result"}}]
    with HTTPServer(("127.0.0.1", 0), _Job) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        job = rest(f"http://127.0.0.1:{server.server_port}", ready=state, channels=channels)
        assert job.measure({"red": 0.5}).readings == {"x": 7.5}
        assert server.asked == [{"red": 0.5}, "/state", "/state", "/state", "/result"]
        server.shutdown()


@pytest.mark.fault("I-09")
def test_a_channel_that_is_not_there_is_missing_and_of_another_kind_is_kept_as_it_came():
    with answering(http(b'{"y": 1}')) as instrument:
        assert instrument.measure({"red": 0.5}).readings == {}
    with answering(http(b'{"x": "7"}')) as instrument:
        assert instrument.measure({"red": 0.5}).readings == {"x": "7"}


@pytest.mark.fault("I-06")
def test_a_secret_header_is_sent_and_hidden_where_the_instrument_repeats_it(monkeypatch):
    rig = Rig()
    with served_rest(rig) as written:
        options = {key: value for key, value in written.items() if key != "plugin"}
        monkeypatch.setenv("SDL_SECRET_RIG_TOKEN", TOKEN)
        assert plugins.build("sdl.instruments", "rest", options).measure({"red": 1, "blue": 1}).readings
        monkeypatch.setitem(os.environ, "SDL_SECRET_RIG_TOKEN", "Bearer swordfish")
        with pytest.raises(InstrumentRefused) as refused:
            ask_driver(plugins.build("sdl.instruments", "rest", options), {"red": 1, "blue": 1})
    assert refused.value.raw == '{"error": "not allowed with ***"}'
    assert rig.stands == {"red": 1, "blue": 1}


@pytest.mark.parametrize("path", ["light", "/light?x=1", "/a b", "/#x"])
def test_a_path_is_nothing_but_a_path(path):
    with pytest.raises(InvalidInput, match=r"query\.path: needs a path such as /api/led"):
        rest("http://127.0.0.1", query={"path": path})


@pytest.mark.fault("N-12")
@pytest.mark.parametrize("part", ["params", "body"])
def test_a_secret_in_what_is_asked_goes_to_the_instrument_alone(monkeypatch, part):
    came = list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append(self.path + self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.wfile.write(http(b'{"x": 1, "you said": "pear/t0ken"}'))

        def log_message(self, *_):
            pass

    monkeypatch.setenv("SDL_SECRET_LAB_TOKEN", "pear/t0ken")
    query = {"method": "POST", "path": "/go", "body": {"red": "{red}"}}
    query[part] = {"red": "{red}", "api_key": {"secret": "lab-token"}}
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reply = ask_driver(rest(f"http://127.0.0.1:{server.server_port}", query=query), {"red": 1.0})
        server.shutdown()
    assert "pear/t0ken" in unquote(came[0])
    assert reply.readings == {"x": 1}
    assert "pear" not in reply.raw
    assert "***" in reply.raw


@pytest.mark.fault("N-12")
@pytest.mark.parametrize(
    "query",
    [{"params": {"api_key": "pear"}}, {"body": {"a": [{"Password": "pear"}]}}, {"headers": {"X-Key": "pear"}}],
)
def test_one_that_stands_in_the_file_is_refused_and_not_repeated(query):
    with pytest.raises(InvalidInput, match=r"must not stand in the file: write .* = { secret =") as caught:
        rest("http://127.0.0.1", query={"method": "POST", "path": "/{red}", **query})
    assert "pear" not in str(caught.value)
