"""One HTTP request under limits that hold against a slow, a huge and a lying server.

``requests`` alone limits the time between two bytes, not the time of all; and even where it must not follow a redirect
it reads the whole body of one. So its adapter is used without its session. A proxy that the environment names
(``HTTPS_PROXY`` and its kin, less ``NO_PROXY``) is gone through: what a name leads to is for the proxy to judge then.
"""

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import BadStatusLine, RemoteDisconnected
from types import TracebackType
from typing import Any, Literal, Self

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from sdl import __version__
from sdl.errors import BadReply, InstrumentError, InstrumentRefused, InstrumentSilent, InstrumentUnavailable
from sdl.formatting import hide_password
from sdl.instruments.http.url_guard import GuardedUrl
from sdl.system import failpoints
from sdl.system.browsers import OURSELVES
from sdl.system.clock import moment
from sdl.system.connections import limit_sending, take_back_unsent
from sdl.system.watchdog import Watchdog

HEADERS = {
    "User-Agent": f"sdl/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # nothing is decompressed, so nothing can explode
    "Cache-Control": "no-cache",
    "Connection": "close",  # an idle connection that the server dropped would look like a lost reply
}
PIECE = 8192
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Variables that name a file of certificates to trust, in their order."""


_watchdog = Watchdog()
"""Cuts connections at their deadlines."""


@dataclass(frozen=True)
class Limits:
    """How long to wait for an instrument and how much to take from it."""

    connect_s: float
    """Longest time for connecting to one address, seconds; what is not sent after twice of that never is."""
    read_s: float
    """Longest silence after the request and between two pieces of the answer, seconds."""
    deadline_s: float
    """Longest time for all together, seconds; only a name server may stretch it."""
    quiet_s: float
    """How long the instrument may still be measuring after nobody waits any more, seconds."""
    body_bytes: int = 65536
    """Longest body."""
    ca_file: str | None = None
    """Certificates of the authorities to trust; by default those that the environment names, else the public ones."""

    @property
    def trusted(self) -> str | Literal[True]:
        """What ``requests`` is told to trust."""
        named = [self.ca_file, *(os.environ.get(name) for name in AUTHORITIES)]
        return next(filter(None, named), True)


@dataclass(frozen=True)
class HttpResponse:
    """What came back, of whatever status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as far as it is UTF-8."""
        return _text(self.body)


@dataclass(frozen=True)
class HttpRequest:
    """What is asked of a URL."""

    method: str = "GET"
    params: Mapping[str, float | str] = field(default_factory=dict)
    """The query."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside our own ones, or in their place."""
    body: str | None = None


def send_request(url: GuardedUrl, asked: HttpRequest, limits: Limits) -> HttpResponse:
    """Send one request; never a second one, wherever the answer points.

    Raises:
        InstrumentUnavailable: no connection, or it broke off.
        InstrumentSilent: the request went out and the answer was not complete in time.
        InstrumentRefused: an address that is not allowed, or a TLS fault.
        BadReply: the body is too long.
    """
    answer = bytearray()
    with _Link(url, limits) as link, closing(HTTPAdapter()) as adapter:
        try:
            _report_to(link, adapter)
            if isinstance(trusted := limits.trusted, str) and not os.path.exists(trusted):
                raise InstrumentRefused(f"there are no certificates to trust at {trusted}", sent=False)
            if not link.proxy:
                url.check_resolved()
            body = None if asked.body is None else asked.body.encode()
            headers = HEADERS | dict(asked.headers)
            request = requests.Request(asked.method, str(url), headers, data=body, params=asked.params).prepare()
            timeout = (limits.connect_s, limits.read_s)
            proxies = {url.scheme: link.proxy} if link.proxy else {}
            with adapter.send(request, stream=True, timeout=timeout, verify=trusted, proxies=proxies) as response:
                while piece := response.raw.read1(PIECE, decode_content=False):
                    answer += piece
                    if len(answer) > limits.body_bytes:
                        raise BadReply(f"{url} sent more than {limits.body_bytes} bytes", raw=_text(answer))
            if link.late:  # a connection that was cut looks like one that ended
                raise TimeoutError("cut at the deadline")
        except (requests.RequestException, HTTPError, OSError) as error:
            raise link.failure(error, _text(answer)) from error
    return HttpResponse(response.status_code, response.headers, bytes(answer))


class _Link:
    """One connection: guarded when it opens, cut at the deadline."""

    def __init__(self, url: GuardedUrl, limits: Limits) -> None:
        self.late = False
        self.ready = False  # whether the request may have gone out
        self._begun = moment()
        self._handled = sys.exception()  # what went wrong before, where this request is asked because of it
        self._url, self._limits = url, limits
        near = url.host in OURSELVES or url.host.startswith("127.")
        self.proxy = None if near else select_proxy(str(url), get_environ_proxies(str(url)))
        self._place = f"{url} through the proxy {hide_password(self.proxy)}" if self.proxy else str(url)
        self._handle: socket.socket | None = None
        self._watched = -1

    def __enter__(self) -> Self:
        self._watched = _watchdog.watch(self._limits.deadline_s, self._cut)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _watchdog.let_go(self._watched)
        if self._handle:
            if error is None:
                with suppress(OSError):
                    take_back_unsent(self._handle, on=False)
            self._handle.close()

    def opened(self, sock: socket.socket) -> socket.socket:
        """Take a handle on a new socket; raise if it is not where the guard lets us go."""
        try:
            # The name may have led elsewhere since it was checked (DNS rebinding).
            if not self.proxy:
                self._url.check(sock.getpeername()[0])
            # TLS takes the socket over and a reply outlives its connection; a duplicate reaches it throughout.
            self._handle = sock.dup()
            take_back_unsent(sock)
            limit_sending(sock, self._limits.deadline_s)
            if self.late:  # the name server took all the time
                raise TimeoutError("the deadline passed before it was open")
        except BaseException:
            sock.close()
            raise
        return sock

    def sending(self) -> None:
        """Refuse to send after a long sleep of this process: by now another one may hold the instrument."""
        if moment() - self._begun > 2 * self._limits.connect_s:
            self.ready = False
            raise TimeoutError("this process was held up for too long to ask it still")

    def failure(self, error: Exception, raw: str) -> InstrumentError:
        """Translate what went wrong into the error that says whether to try again."""
        reason = _root(error, self._handled)
        if not self.ready:
            if isinstance(error, requests.exceptions.SSLError) and not self.late:
                return InstrumentRefused(f"{self._place} failed the TLS check: {reason}", sent=False)
            return InstrumentUnavailable(f"no connection to {self._place}: {reason}", sent=False)
        if self.late or isinstance(error, (requests.Timeout, ReadTimeoutError)):
            message = f"{self._url} did not finish its answer in time: {reason}"
            return InstrumentSilent(message, raw=raw, wait=self._limits.quiet_s)
        if isinstance(reason, BadStatusLine) and not isinstance(reason, RemoteDisconnected):
            raw = str(reason)  # the line that came instead of one
        return InstrumentUnavailable(f"{self._url} broke off: {str(reason).strip()}", raw=raw)

    def _cut(self) -> None:
        self.late = True
        if self._handle:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)


def _report_to(link: _Link, adapter: HTTPAdapter) -> None:
    """Have the connections of an adapter of requests report to the link."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return link.opened(super()._new_conn())

        def connect(self) -> None:
            super().connect()
            link.ready = True

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            link.sending()  # nothing comes between this and the sending
            super().send(data)

        def getresponse(self) -> Any:  # what its two ancestors agree on
            failpoints.pass_failpoint("after-send")
            return super().getresponse()

    class Secure(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    managers = [adapter.poolmanager, *([adapter.proxy_manager_for(link.proxy)] if link.proxy else [])]
    for manager in managers:
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def _root(error: BaseException, handled: BaseException | None) -> BaseException:
    while (inner := error.__cause__ or error.__context__) and inner is not handled:
        error = inner
    return error


def _text(body: bytes | bytearray) -> str:
    return body.decode(errors="replace")
