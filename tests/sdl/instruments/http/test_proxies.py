"""An instrument is asked through the proxy that the environment names, and without one where it says so."""

import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sdl.errors import InstrumentUnavailable
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer

DIM = {"R": 0.1, "G": 0.2, "B": 0.3}
VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


class _Proxy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        query = self.path.partition("?")[2]
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.server.aim}?{query}") as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@contextmanager
def proxy(aim):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Proxy) as server:
        server.aim, server.asked = aim, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.fault("I-24")
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_it_is_asked_through_the_proxy_that_is_named(monkeypatch, variable):
    with InstrumentServer(Twin(seed=1)) as lamp, proxy(lamp.url) as through:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{through.server_port}")
        driver = ClaudeLight("http://light.example/api")
        assert driver.measure(DIM).applied == DIM
        assert [path.partition("?")[0] for path in through.asked] == ["http://light.example:80/api"]
        assert lamp.requests == 1


@pytest.mark.fault("I-24")
@pytest.mark.parametrize("exempt", ["127.0.0.1", "127.0.0.0/8", "*"])
def test_it_is_asked_directly_where_the_environment_says_so(monkeypatch, exempt):
    with InstrumentServer(Twin(seed=1)) as lamp, proxy(lamp.url) as through:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{through.server_port}")
        monkeypatch.setenv("NO_PROXY", exempt)
        assert ClaudeLight(lamp.url, allow_private=True).measure(DIM).applied == DIM
        assert through.asked == []


@pytest.mark.fault("I-24")
def test_a_proxy_that_is_not_there_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:hushhush@127.0.0.1:9")
    with pytest.raises(InstrumentUnavailable, match=r"through the proxy http://me:\*\*\*@127\.0\.0\.1:9") as caught:
        ClaudeLight("http://light.example/api").measure(DIM)
    assert "hushhush" not in str(caught.value)
    assert not caught.value.sent
