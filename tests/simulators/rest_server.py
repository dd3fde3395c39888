"""The rig behind REST: a path for each knob, one for the light, and one that sets and reads all at once."""

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rig import CHANNELS, HASTY, KNOBS, QUANTITIES

TOKEN = "Bearer hunter2-at-the-pumps"
PROGRAM = Path(__file__).with_name("rig_program.py")


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self):
        if self.headers["Authorization"] != TOKEN:
            return self.answer({"error": f"not allowed with {self.headers['Authorization']}"}, 403)
        self.server.rig.set(self.path.rpartition("/")[2], self.body()["flow"])
        self.answer({}, 202)

    def do_GET(self):
        rig, (place, _, name) = self.server.rig, self.path[1:].partition("/")
        if place == "errors":
            entry = rig.next_error()
            return self.answer([] if entry.startswith("0") else [entry])
        if place == "pump":
            return self.answer({"pump": {"name": name, "flow": rig.read_back(name)}})
        self.read(lambda light: {"light": [{"name": name, "mV": light[name]} for name in CHANNELS]})

    def do_POST(self):
        rig, settings = self.server.rig, self.body().get("settings", {})
        if not settings:
            rig.log.append(("off", None))
            return self.answer({})
        for name in KNOBS:
            rig.set(name, settings[name])
        if rig.next_error()[0] != "0":
            return self.answer({"error": "out of range"}, 503)
        self.read(lambda light: {"applied": {name: rig.read_back(name) for name in KNOBS}, "readings": light})

    def read(self, shape):
        rig = self.server.rig
        if rig.fault == "hang":
            rig.hang()
        if rig.fault not in ("hang", "drop"):
            light = {name: rig.read(name) for name in CHANNELS}
            self.answer("#!$" if rig.fault == "garbage" else shape(light))

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "{}")

    def answer(self, content, status=200):
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Whoever waited for a late answer has gone."""


@contextmanager
def _served(rig):
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.rig = rig
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            rig.closing.set()
            server.shutdown()


@contextmanager
def served_rest(rig):
    """Serve the rig; yields the table ``[instrument]``. The secret ``rig-token`` has to be in the environment."""
    with _served(rig) as url:
        knobs = [
            knob
            | {
                "write": {"method": "PUT", "path": f"/pump/{knob['name']}", "body": {"flow": "{value}"}},
                "readback": {"query": {"path": f"/pump/{knob['name']}"}, "at": "pump.flow"},
            }
            for knob in QUANTITIES["knobs"]
        ]
        channels = [channel | {"at": ["light", i, "mV"]} for i, channel in enumerate(QUANTITIES["channels"])]
        yield HASTY | {
            "plugin": "rest", "url": url, "headers": {"Authorization": {"secret": "rig-token"}}, "knobs": knobs,
            "channels": channels, "query": {"path": "/light"},
            "errors": {"query": {"path": "/errors"}, "none": r"\[\]"},
            "safe": [{"method": "POST", "path": "/off", "body": {}}],
        }  # fmt: skip


@contextmanager
def served_at_once(rig):
    """Serve the rig as one request that sets and reads all."""
    with _served(rig) as url:
        knobs = [knob | {"readback": {"at": f"applied.{knob['name']}"}} for knob in QUANTITIES["knobs"]]
        channels = [channel | {"at": ["readings", channel["name"]]} for channel in QUANTITIES["channels"]]
        body = {"settings": {name: f"{{{name}}}" for name in KNOBS}}
        yield HASTY | {
            "plugin": "rest", "url": url, "knobs": knobs, "channels": channels,
            "query": {"method": "POST", "path": "/measure", "body": body},
            "safe": [{"method": "POST", "path": "/off", "body": {}}],
        }  # fmt: skip


@contextmanager
def served_command(rig):
    """Serve the rig behind a program that is started for each reading."""
    with _served(rig) as url:
        knobs = [knob | {"readback": {"at": ["applied", knob["name"]]}} for knob in QUANTITIES["knobs"]]
        hasty = {key: value for key, value in HASTY.items() if key != "allow_private"} | {"deadline_s": 2.0}
        yield hasty | {
            "plugin": "command", "program": [sys.executable, "-S", str(PROGRAM), url], "knobs": knobs,
            "channels": QUANTITIES["channels"], "safe": [{"input": {}}],
        }  # fmt: skip
