"""SCPI: lines of text over a socket, or over a serial port, USB or GPIB by way of VISA."""

import re
import socket
from contextlib import suppress
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from sdl.errors import BadReply
from sdl.instruments.configured import visa
from sdl.instruments.configured.definition import InstrumentDefinition, read_definition
from sdl.instruments.configured.driver import LONGEST, ConfiguredInstrument
from sdl.instruments.configured.templates import SAYS_ONE
from sdl.instruments.configured.transport import Deadline
from sdl.instruments.http.url_guard import GuardedUrl
from sdl.plugins import fill_secrets
from sdl.system.connections import limit_sending, take_back_unsent

PORTS = {"tcp": 5025}
"""The port that most instruments with SCPI listen on."""
PIECE = 8192


OPENS = re.compile(
    r"""(^|:)(passw\w*|pwd|passphrase|passcode|log[io]n|token|secret|auth\w*)(:\w+)*\s+\S
    |^:?pass\s+\S|:?(syst|lock|sec)\w*:pass(:\w+)*\s+\S|(sec|prot)\w*:code\s+\S|sec\w*:stat\w*\s+\w+\s*,""",
    re.IGNORECASE | re.VERBOSE,
)
"""An order with the word that opens something, as in ``SYST:PASS "abc"`` or ``CAL:SEC:STAT OFF,abc``."""


def _line(text: str) -> str:
    if not re.fullmatch(r"[ -~]+", text):
        raise ValueError("needs one line of ASCII")
    if any(OPENS.search(order.strip()) for order in text.split(";") if not set(order) & set("{}")):
        raise ValueError(SAYS_ONE)
    return text


Line = Annotated[str, AfterValidator(_line)]


class ScpiDefinition(InstrumentDefinition[Line]):
    """An instrument that speaks SCPI, or any other language of one line for a question and one for its answer."""

    url: str | None = None
    """Where it listens, such as ``tcp://192.168.1.20:5025``."""
    resource: str | None = None
    """Instead of ``url`` its VISA resource, such as ``ASRL/dev/ttyUSB0::INSTR``; takes the extra ``visa``."""
    visa: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Attributes of that resource, such as ``baud_rate``; ``library`` is ``@py`` unless it names another one."""
    allow_private: bool = False
    """Whether it may stand on this machine or a private network."""
    terminator: str = Field(default="\n", min_length=1, max_length=4)
    """What ends a line."""

    def faults(self) -> list[str]:
        """Return what of it does not go together, and what is wrong with its place."""
        faults = super().faults()
        if (self.url is None) == (self.resource is None):
            faults.append("url: give either url or resource")
        if self.url is not None:
            faults += GuardedUrl.faults(self.url, self.allow_private, PORTS)
        if self.resource is not None:
            faults += visa.resource_faults(self.resource, self.allow_private)
        elif self.visa:
            faults.append("visa: says more of a resource, and there is none")
        return faults


def scpi(**options: Any) -> ConfiguredInstrument[str]:
    """An instrument that speaks SCPI, by configuration."""
    definition = read_definition(ScpiDefinition, options, "scpi")
    if definition.resource is not None:
        line = visa.VisaLine(definition.resource, definition.visa, definition.terminator, definition.allow_private)
        return ConfiguredInstrument("scpi", definition, line)
    url = GuardedUrl.parse(definition.url or "", definition.allow_private, PORTS)
    return ConfiguredInstrument("scpi", definition, SocketLine(url, definition.terminator.encode()))


class SocketLine:
    """Lines over TCP, on a connection that stays open.

    Args:
        url: Where to connect to.
        terminator: What ends a line.
    """

    def __init__(self, url: GuardedUrl, terminator: bytes) -> None:
        self.place = url.canonical
        self._url, self._terminator = url, terminator
        self._socket: socket.socket | None = None

    def open(self, deadline: Deadline) -> bool:
        """Connect, unless a connection is there that nothing was said on unasked."""
        if self._socket is not None and self._is_quiet(self._socket):
            return False
        self.drop()
        self._url.check_resolved()
        self._socket = socket.create_connection((self._url.host, self._url.port), deadline.left)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        limit_sending(self._socket, deadline.left)
        self._url.check(str(self._socket.getpeername()[0]))  # the name may lead elsewhere by now
        return True

    def send(self, order: str, value: float | str | None, deadline: Deadline) -> None:
        """Send a line."""
        assert self._socket is not None
        self._socket.settimeout(deadline.left)
        self._socket.sendall(fill_secrets(order).encode() + self._terminator)

    def ask(self, order: str, deadline: Deadline) -> str:
        """Send a line and return the one that answers it."""
        assert self._socket is not None
        if not self._is_quiet(self._socket):
            raise BadReply(f"{self.place} sent more than it was asked for before {order}")
        take_back_unsent(self._socket)
        self.send(order, None, deadline)
        answer = bytearray()
        while self._terminator not in answer:
            piece = self._piece(bytes(answer), deadline)
            answer += piece
            if not piece:
                raise ConnectionError(f"it closed the connection after {bytes(answer[:100])!r}")
            if len(answer) > LONGEST:
                raise BadReply(f"{self.place} answered {order} with more than {LONGEST} bytes", raw=_text(answer))
        take_back_unsent(self._socket, on=False)  # what makes it safe is sent before the end, and is to arrive
        line, _, more = answer.partition(self._terminator)
        if more:
            raise BadReply(f"{self.place} answered {order} with more than one line", raw=_text(answer))
        return _text(line)

    def _piece(self, came: bytes, deadline: Deadline) -> bytes:
        """What comes next of an answer, after what came of it."""
        assert self._socket is not None
        try:
            self._socket.settimeout(deadline.left)
            return self._socket.recv(PIECE)
        except TimeoutError as error:
            if not came:
                raise
            end = self._terminator.decode()
            raise TimeoutError(f"{came[:100]!r} came, and no {end!r}, the terminator that ends a line") from error

    def drop(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    @staticmethod
    def _is_quiet(line: socket.socket) -> bool:
        """Whether nothing waits to be read: neither words nor the end of the connection."""
        line.setblocking(False)
        try:
            line.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


def _text(line: bytes | bytearray) -> str:
    return line.decode(errors="replace")
