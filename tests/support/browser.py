"""Chromium without a window, asked over its DevTools protocol."""

import itertools
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager

from websockets.sync.client import connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
SOON_S = 60.0


class Browser:
    """One page of a browser, and what its console says."""

    def __init__(self, devtools):
        self.devtools, self.console, self._numbers = devtools, [], itertools.count(1)
        for domain in ("Runtime", "Log", "Page"):
            self._ask(f"{domain}.enable")

    def open(self, address):
        """Go to an address, and wait until its page is loaded."""
        self._ask("Page.navigate", url=address)
        until = time.monotonic() + SOON_S
        while self.run("document.readyState + ' ' + location.href") == "complete about:blank":
            assert time.monotonic() < until, address
            time.sleep(0.05)
        while not self.run("document.readyState").startswith("complete"):
            assert time.monotonic() < until, address
            time.sleep(0.05)

    def run(self, script):
        """The value of an expression in the page; of a promise, what comes of it."""
        answer = self._ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _ask(self, method, **parameters):
        number = next(self._numbers)
        self.devtools.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self.devtools.recv(timeout=SOON_S))
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]
            if told["method"] == "Log.entryAdded":
                self.console.append(told["params"]["entry"]["text"])


@contextmanager
def browsing(profile, *flags):
    """A browser with a profile of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--no-proxy-server"]
    command = [PROGRAM, *quiet, f"--remote-debugging-port={port}", *flags, "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_page(port), max_size=None, proxy=None) as devtools:
                yield Browser(devtools)
        finally:
            process.terminate()


def _page(port):
    until = time.monotonic() + SOON_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                return next(each["webSocketDebuggerUrl"] for each in json.load(answer) if each["type"] == "page")
        except (OSError, StopIteration):
            assert time.monotonic() < until, "the browser does not start"
            time.sleep(0.1)
