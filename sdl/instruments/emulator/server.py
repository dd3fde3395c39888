"""Any instrument behind Claude-Light's own API, with that API's faults, and more on request."""

import json
import math
import socket
import struct
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from sdl.errors import InvalidInput, SdlError
from sdl.instruments.emulator.fault_injection import Faults, bent_readings, far_settings
from sdl.instruments.protocol import HasLamp, Instrument
from sdl.system.browsers import stranger_fault

TRIES = 50
LAMP = 4000.0  # counts at 515nm
PAGE = "<!doctype html>\n<html lang=en>\n<title>{0}</title>\n<h1>{0}</h1>\n"
YEAR_S = 3.2e7
"""No wait of a server is longer."""


class InstrumentServer(ThreadingHTTPServer):
    """``GET /api?R=0.1&G=0.2&B=0.3`` for any instrument, faults of the original included.

    A missing, empty or misspelt knob stands at its low end; a value beyond the bounds is clamped without a word; what
    is not a number is a 500 with a page; NaN holds the instrument for ``hold_s`` and then is a 500. One measurement at
    a time: others ask again 50 times within ``hold_s``, in no order, and then get a 500.

    Use it as a context manager to serve in the background, or ``serve_forever`` to serve until interrupted.

    Args:
        instrument: What is served; it stays open when the server closes.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        faults: What goes wrong at which request; may be replaced at any time, also by ``POST /faults``.
        hold_s: How long one request may hold the instrument or wait for it, seconds.
        stall_s: How long a stalled answer takes, seconds.
        drip_s: Time between two bytes of a dripping answer, seconds.
        seed: Seed of the faults that come at random.

    Raises:
        InvalidInput: the address cannot be listened on.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        instrument: Instrument,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults = Faults(),  # noqa: B008  it is frozen
        hold_s: float = 50.0,
        stall_s: float = 120.0,
        drip_s: float = 1.0,
        seed: int = 0,
    ) -> None:
        waits = {"hold_s": hold_s, "stall_s": stall_s, "drip_s": drip_s}
        faulty = [
            f"{name}: needs seconds from 0 to a year, got {s}" for name, s in waits.items() if not 0 <= s < YEAR_S
        ]
        if faulty:
            raise InvalidInput(faulty)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InvalidInput(f"cannot listen on {host}:{port}: {error}; choose another --host or --port") from error
        self.instrument, self.faults = instrument, faults
        self.hold_s, self.stall_s, self.drip_s, self.seed = hold_s, stall_s, drip_s, seed
        self.requests = 0
        """Requests for a measurement that arrived so far."""
        self.most_in_flight = 0
        """The most that had arrived and were not measured yet, at one moment."""
        self._in_flight = 0
        self._counting, self._pins, self._closing = threading.Lock(), threading.Lock(), threading.Event()
        self._last: dict[str, Any] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        host = str(self.server_address[0])
        own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"http://{f'[{own}]' if ':' in own else own}:{self.server_port}/api"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error of a request, but pass over a client that hangs up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def arrived(self) -> frozenset[str]:
        """Count a request, and return what goes wrong at it."""
        with self._counting:
            self.requests += 1
            return self.faults.at(self.requests, self.seed)

    def wait(self, seconds: float) -> None:
        """Sleep, or until the server closes."""
        self._closing.wait(seconds)

    def measured(self, query: str, faults: frozenset[str]) -> dict[str, Any]:
        """Measure at the settings of a query, and return the answer with its faults.

        Raises:
            ValueError: a value that is not a number, or the instrument is held by others.
            SdlError: from the instrument.
        """
        settings = self._clamped(query)
        with self._flying(), self._held():
            if not all(map(math.isfinite, settings.values())):
                self.wait(self.hold_s)
                raise ValueError("the pins cannot take NaN")
            with self._lamp("lamp" in faults) as own_lamp:
                reply = self.instrument.measure(settings)
            space, bending = self.instrument.space, faults - {"lamp"} if own_lamp else faults
            applied = far_settings(space, settings) if "echo" in faults else reply.applied
            if "stuck" not in faults or self._last is None:
                self._last = bent_readings(space, reply.readings, bending)
            return {"in": list(applied.values()), "out": self._last}

    def _clamped(self, query: str) -> dict[str, float]:
        values = parse_qs(query)
        # The order of min and max lets NaN through, as the original does.
        return {
            knob.name: max(min(float(values.get(knob.name, [knob.low])[0]), knob.high), knob.low)
            for knob in self.instrument.space.knobs
        }

    @contextmanager
    def _flying(self) -> Iterator[None]:
        with self._counting:
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self._counting:
                self._in_flight -= 1

    @contextmanager
    def _held(self) -> Iterator[None]:
        for _ in range(TRIES):
            if self._pins.acquire(blocking=False):
                break
            self.wait(self.hold_s / TRIES)
        else:
            raise ValueError("the pins are in use")
        try:
            yield
        finally:
            self._pins.release()

    @contextmanager
    def _lamp(self, on: bool) -> Iterator[bool]:
        """Shine the instrument's own lamp, if it has one; say whether it has."""
        if not isinstance(self.instrument, HasLamp):
            yield False
            return
        before = self.instrument.lamp
        self.instrument.lamp += LAMP * on
        try:
            yield True
        finally:
            self.instrument.lamp = before


class _Handler(BaseHTTPRequestHandler):
    server: InstrumentServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if self._refuses_stranger():
            return None
        if path != "/api":
            return self._page(HTTPStatus.NOT_FOUND)
        faults = self.server.arrived()
        if "busy" in faults:
            return self._page(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
        if "500" in faults:
            return self._page(HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            answer = self.server.measured(query, faults)
        except (ValueError, SdlError):
            return self._page(HTTPStatus.INTERNAL_SERVER_ERROR)
        if "stall" in faults:
            self.server.wait(self.server.stall_s)
        if "html" in faults:
            return self._page(HTTPStatus.OK)
        text = '{"status":"ok"}' if "json" in faults else json.dumps(answer, separators=(",", ":")) + "\n"
        self._send(HTTPStatus.OK, text[: len(text) // 2] if "truncated" in faults else text, faults=faults)

    def do_POST(self) -> None:
        """Take other faults from now on: ``POST /faults`` with a JSON list, from this machine only."""
        self.close_connection = True  # whatever is left of the body would be read as the next request
        if self._refuses_stranger():
            return None
        if self.path != "/faults" or not ip_address(self.client_address[0]).is_loopback:
            return self._page(HTTPStatus.NOT_FOUND)
        try:
            # A page in somebody's browser cannot send this type unasked.
            if self.headers.get_content_type() != "application/json":
                raise ValueError("expected application/json")
            specs = json.loads(self.rfile.read(max(0, min(int(self.headers["Content-Length"] or 0), 65536))))
            if not isinstance(specs, list) or not all(isinstance(spec, str) for spec in specs):
                raise ValueError('expected a list such as ["stall@4"]')
            self.server.faults = Faults.parse(specs)
        except ValueError as error:
            return self._send(HTTPStatus.BAD_REQUEST, json.dumps({"error": str(error)}))
        self._send(HTTPStatus.OK, json.dumps(specs))

    def _refuses_stranger(self) -> bool:
        """Whether a stranger's page sent this through somebody's browser; then it is answered so."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = stranger_fault(headers, loopback=ip_address(str(self.server.server_address[0])).is_loopback)
        if fault:
            self._send(HTTPStatus.FORBIDDEN, json.dumps({"error": f"refused: {fault}"}))
        return bool(fault)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing; the ledger holds what was asked and answered."""

    def _page(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, PAGE.format(f"{status.value} {status.phrase}"), "text/html; charset=utf-8", headers)

    def _send(
        self,
        status: HTTPStatus,
        text: str,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
        faults: Collection[str] = (),
    ) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if "reset" in faults:
            self._reset_after(body[: len(body) // 2])
        elif "drip" in faults:
            self._drip(body)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.server.wait(self.server.drip_s)

    def _reset_after(self, body: bytes) -> None:
        self.wfile.write(body)
        time.sleep(0.05)  # so that it is read before the reset overtakes it
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())
        self.close_connection = True
