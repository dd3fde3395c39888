"""Pages of ours as a browser would make them out, with all sections and nothing strange that runs; and a browser."""

import base64
import hashlib
import itertools
import json
import shutil
import socket
import subprocess
import time
import urllib.request
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from html.parser import HTMLParser

from websockets.sync.client import connect

SECTIONS = [
    "verdict",
    "targets",
    "parity",
    "data",
    "uncertainty",
    "background",
    "requests",
    "decisions",
    "models",
    "configuration",
]
"""Those of a report."""


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.ids, self.words, self.pictures = [], [], [], [], []
        self.scripts = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        self.ids += [value for name, value in attributes if name == "id"]
        self.pictures += [value for name, value in attributes if (tag, name) == ("img", "src")]

    def handle_data(self, data):
        (self.scripts if self.tags[-1:] == ["script"] and data.strip() else self.words).append(data)

    def handle_endtag(self, tag):
        self.tags.append(f"/{tag}")

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def svg(address):
    kind, content = address.split(",")
    assert kind == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(content))


def check(html, sections=SECTIONS):
    """The page has all its sections, nothing in it loads, and nothing runs but what its policy knows to be ours."""
    page = Page(html)
    assert page.ids == sections
    assert {"iframe", "object", "embed", "link", "form", "base"}.isdisjoint(page.tags)
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert len(page.scripts) == any(name == "data-marks" for _, name, _ in page.attributes)
    for script in page.scripts:
        known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert policy.endswith(f"; script-src 'sha256-{known}'")
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "srcset", "style", "action", "background")
        assert name != "src" or (tag == "img" and value.startswith("data:image/"))
    assert "url(" not in html
    assert "@import" not in html
    for address in page.pictures:
        for element in svg(address).iter():
            assert not element.tag.endswith(("script", "foreignObject"))
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith(("#", "data:image/png;base64,"))
    return page


# ---------------------------------------------------------------------- Chromium, without a window

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

    def resize(self, width, height, theme="light"):
        """Be a window of that size, on a device with that theme; a narrow one is a phone."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def run(self, script):
        """The value of an expression in the page; of a promise, what comes of it."""
        answer = self._ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def look(self, width, theme="light", medium="screen"):
        """See pages from now on so many pixels wide, in a theme, on a screen or in print."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self._ask("Emulation.setEmulatedMedia", media=medium, features=features)

    def press(self, key, code=39):
        """Press a key; an arrow to the right, if nothing is said."""
        for kind in ("rawKeyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def point(self, x, y):
        """Move the mouse there."""
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self):
        """The whole page as a PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def pdf(self):
        """The page as it is printed on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
        return base64.b64decode(self._ask("Page.printToPDF", **paper)["data"])

    def _ask(self, method, **parameters):
        number = next(self._numbers)
        self.devtools.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            result = json.loads(self.devtools.recv(timeout=SOON_S))
            if result.get("id") == number:
                assert "error" not in result, result
                return result["result"]
            if result["method"] == "Log.entryAdded":
                self.console.append(result["params"]["entry"]["text"])


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
