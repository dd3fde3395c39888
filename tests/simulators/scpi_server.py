"""The rig behind SCPI over a socket."""

import re
import socketserver
import threading
from contextlib import contextmanager

from rig import CHANNELS, HASTY, KNOBS, QUANTITIES


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            answer = self.server.rig_answer(line.decode().strip())
            if answer is None:
                return
            self.wfile.write(answer.encode())


class ScpiServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, rig, port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.rig = rig

    def rig_answer(self, line):
        """What a line brings; None for an end of the connection."""
        rig = self.rig
        if found := re.fullmatch(r"FLOW (red|blue),(\S+)", line):
            rig.set(found[1], float(found[2]))
            return ""
        if found := re.fullmatch(r"FLOW\? (red|blue)", line):
            return f"{rig.read_back(found[1]):.4f}\n"
        if found := re.fullmatch(r"LIGHT\? (\w+)", line):
            if rig.fault == "hang":
                rig.hang()
            return None if rig.fault == "drop" else f"{rig.read(found[1])}\n"
        if line == "SYST:ERR?":
            return f"{rig.next_error()}\n"
        if line in ("*CLS", "OUTP OFF"):
            rig.log.append((line, None))
            return ""
        rig.errors.append(f'-113,"Undefined header; {line}"')
        return ""


def scpi_orders():
    """The instrument without its place."""
    knobs = [
        knob | {"write": f"FLOW {knob['name']},{{value:.4f}}", "readback": f"FLOW? {knob['name']}", "resolution": 1e-3}
        for knob in QUANTITIES["knobs"]
    ]
    channels = [channel | {"query": f"LIGHT? {channel['name']}"} for channel in QUANTITIES["channels"]]
    return HASTY | {
        "knobs": knobs, "channels": channels, "prepare": ["*CLS"], "errors": "SYST:ERR?", "safe": ["OUTP OFF"],
    }  # fmt: skip


@contextmanager
def served_scpi(rig, port=0):
    """Serve the rig; yields the table ``[instrument]``."""
    assert {*KNOBS, *CHANNELS} >= {"red", "450nm"}
    with ScpiServer(rig, port) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield scpi_orders() | {"plugin": "scpi", "url": f"tcp://127.0.0.1:{server.server_address[1]}"}
        finally:
            rig.closing.set()
            server.shutdown()
