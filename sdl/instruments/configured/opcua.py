"""OPC-UA: a node for each knob and each channel, by asyncua (extra ``opcua``)."""

import json
import logging
import re
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator

from sdl.errors import BadReply, InstrumentRefused
from sdl.instruments.configured.definition import InstrumentDefinition, Secret, missing_extra, read_definition
from sdl.instruments.configured.driver import ConfiguredInstrument
from sdl.instruments.configured.transport import Deadline
from sdl.instruments.http.url_guard import GuardedUrl
from sdl.plugins import fill_secrets
from sdl.system.connections import take_back_unsent

if TYPE_CHECKING:
    from asyncua.client.client import Client
    from asyncua.sync import ThreadLoop

PORTS = {"opc.tcp": 4840}
FAREWELL_S = 2.0
"""Seconds that a server is given to end a session."""
SESSION_MS = 600_000
"""Silence after which a server may end a session, milliseconds."""
REFUSALS = (
    *("BadNodeIdUnknown", "BadNodeIdInvalid", "BadNotWritable", "BadNotReadable", "BadUserAccessDenied"),
    *("BadTypeMismatch", "BadOutOfRange", "BadIdentityTokenRejected", "BadIdentityTokenInvalid"),
)
"""What a server answers again to the same request."""

Result = TypeVar("Result")


def _node(text: str) -> str:
    if re.fullmatch(r"(ns=\d+;)?[isgb]=[^\s].*", text) is None:
        raise ValueError("needs the id of a node such as ns=2;s=Pump1.Flow")
    return text


NodeName = Annotated[str, AfterValidator(_node)]


class OpcUaDefinition(InstrumentDefinition[NodeName]):
    """An instrument behind an OPC-UA server: an order is the id of a node, which is written or read."""

    one_value_each = "a node"

    url: str
    """Of the server, such as ``opc.tcp://192.168.1.20:4840/lab``."""
    username: str | None = None
    password: Secret | None = None
    allow_private: bool = False
    """Whether the server may stand on this machine or a private network."""

    def faults(self) -> list[str]:
        """Return what of it does not go together, and what is wrong with the server's URL."""
        faults = [*super().faults(), *GuardedUrl.faults(self.url, self.allow_private, PORTS)]
        if lacking := missing_extra("plugin", "asyncua", "opcua"):
            faults.append(lacking)
        return faults


def opcua(**options: Any) -> ConfiguredInstrument[str]:
    """An instrument behind an OPC-UA server, by configuration."""
    definition = read_definition(OpcUaDefinition, options, "opcua")
    return ConfiguredInstrument("opcua", definition, SessionLine(definition))


class SessionLine:
    """A session at a server that stays open.

    Args:
        definition: With the server.
    """

    def __init__(self, definition: OpcUaDefinition) -> None:
        self._definition = definition
        self._url = GuardedUrl.parse(definition.url, definition.allow_private, PORTS)
        self.place = self._url.canonical
        self._client: Client | None = None
        self._loop: ThreadLoop | None = None
        self._types = dict[str, Any]()

    def open(self, deadline: Deadline) -> bool:
        """Open a session, unless one is open."""
        from asyncua.client.client import Client
        from asyncua.sync import ThreadLoop

        if self._client is not None and self._is_open(self._client):
            return False
        self.drop()
        self._url.check_resolved()
        self._loop = ThreadLoop()
        self._loop.daemon = True  # it must not outlive us where nobody closes it
        self._loop.start()
        logging.getLogger("asyncua").setLevel(logging.ERROR)  # what it warns of, our own errors say
        client = self._client = Client(fill_secrets(str(self._url), quote), timeout=deadline.left)
        client.session_timeout = SESSION_MS
        if self._definition.username is not None:
            client.set_user(fill_secrets(self._definition.username))
        if self._definition.password is not None:
            client.set_password(self._definition.password.get_secret_value())
        self._wait(client.connect(), deadline)
        line: Any = client.uaclient.protocol
        self._url.check(str(line.transport.get_extra_info("peername")[0]))  # the name may lead elsewhere by now
        take_back_unsent(line.transport.get_extra_info("socket"))  # all that counts is answered before the end
        return True

    def send(self, order: str, value: float | str | None, deadline: Deadline) -> None:
        """Write the value of a node."""
        assert value is not None, "a definition whose orders have no value is refused"
        self._wait(self._write(order, value), deadline)

    def ask(self, order: str, deadline: Deadline) -> str:
        """Read the value of a node."""
        assert self._client is not None
        found: Any = self._wait(
            self._client.get_node(fill_secrets(order)).read_data_value(raise_on_bad_status=False), deadline
        )
        if not found.StatusCode.is_good():
            kind = InstrumentRefused if found.StatusCode.name in REFUSALS else BadReply
            raise kind(f"{self.place} says of {order}: {found.StatusCode.name}", raw=str(found))
        value = found.Value.Value
        return value if isinstance(value, str) else json.dumps(value, default=str)

    def drop(self) -> None:
        """End the session."""
        client, loop, self._client, self._loop = self._client, self._loop, None, None
        self._types.clear()
        if loop is not None:
            if client is not None:
                loop.timeout = FAREWELL_S
                with suppress(Exception):  # of a server that is gone
                    loop.post(client.disconnect())
            loop.stop()

    async def _write(self, order: str, value: float | str) -> None:
        from asyncua import ua

        assert self._client is not None
        node = self._client.get_node(fill_secrets(order))
        if order not in self._types:
            self._types[order] = await node.read_data_type_as_variant_type()
        kind = self._types[order]
        whole = "Int" in kind.name or kind.name in ("Byte", "SByte")
        if isinstance(value, str):
            await node.write_value(ua.DataValue(ua.Variant(value, ua.VariantType.String)))
            return
        typed = round(value) if whole else bool(value) if kind.name == "Boolean" else value
        await node.write_value(ua.DataValue(ua.Variant(typed, kind)))

    def _wait(self, work: Coroutine[Any, Any, Result], deadline: Deadline) -> Result:
        """Let the loop do something, until the deadline."""
        from asyncua import ua

        assert self._loop is not None
        self._loop.timeout = deadline.left
        try:
            return self._loop.post(work)
        except (TimeoutError, ua.uaerrors.BadTimeout) as error:
            raise TimeoutError("the server does not answer") from error
        except ua.uaerrors.UaError as error:
            name = type(error).__name__
            if name in REFUSALS:
                raise InstrumentRefused(f"{self.place} refused: {name}: {error}") from error
            raise ConnectionError(f"{name}: {error}") from error

    @staticmethod
    def _is_open(client: "Client") -> bool:
        protocol = client.uaclient.protocol
        return protocol is not None and protocol.state.name == "OPEN"
