"""SiLA 2: a command or a property for each knob and each channel, by sila2 (extra ``sila``).

References:
    SiLA 2 Part (A), 1.1: commands and properties, observable or not; execution errors
    SiLA 2 Part (B), 1.1: gRPC, certificates
    SiLA 2 core features: AuthenticationService, AuthorizationService, LockController
"""

import json
import math
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from sdl.campaign.section import Section
from sdl.errors import BadReply, InstrumentError, InstrumentRefused, InstrumentUnavailable, suggest_nearest
from sdl.formatting import keep_secret
from sdl.instruments.configured.definition import InstrumentDefinition, Secret, missing_extra, read_definition
from sdl.instruments.configured.driver import ConfiguredInstrument
from sdl.instruments.configured.templates import VALUE, fill_places, refuse_open_secrets, show_json, write_json
from sdl.instruments.configured.transport import Deadline
from sdl.instruments.http.url_guard import GuardedUrl

if TYPE_CHECKING:
    from sila2.client import SilaClient

PORTS = {"https": 50052, "http": 50052}
POLL_S = 0.002
"""Between two looks at whether an observable command is done, which its server tells by itself."""
LOCK_S = 3600
"""After so long without a request a lock of ours ends by itself, where its holder died."""
FAREWELL_S = 2.0
"""Seconds that a server is given to be unlocked."""
NO_PINGS_MS = 600_000
"""Far between, since servers hang up on clients that ping often."""


def _call(text: str) -> str:
    if re.fullmatch(r"[A-Z]\w*\.[A-Z]\w*", text, re.ASCII) is None:
        raise ValueError("needs a feature and what is called of it, such as PumpService.SetFlow")
    return text


class SilaOrder(Section):
    """A command that is run, or a property that is read."""

    call: Annotated[str, AfterValidator(_call)]
    """Feature and command, or feature and property, by their identifiers, such as ``PumpService.SetFlow``."""
    parameters: Annotated[dict[str, Any], AfterValidator(refuse_open_secrets)] = Field(default_factory=dict)
    """Of the command, by their identifiers; a text that is only ``{NAME}`` becomes a number. By default the setting
    of the knob is the one parameter."""

    def __str__(self) -> str:
        """The order for people."""
        return f"{self.call} {show_json(self.parameters)}" if self.parameters else self.call


Order = Annotated[SilaOrder, BeforeValidator(lambda order: {"call": order} if isinstance(order, str) else order)]


class SilaDefinition(InstrumentDefinition[Order]):
    """An instrument behind a SiLA 2 server."""

    url: str
    """Of the server, such as ``https://192.168.1.20:50052``; ``http`` is without encryption."""
    allow_private: bool = False
    """Whether the server may stand on this machine or a private network."""
    ca_file: Path | None = None
    """Certificates of the authority that signed the server's own, or that one; by default the public authorities."""
    username: str | None = None
    """Logs in with it and the password at its AuthenticationService, for a token that goes with every call."""
    password: Secret | None = None
    access_token: Secret | None = None
    """Goes with every call instead, where somebody has given one out."""
    lock: Secret | None = None
    """Identifier by which the server is locked, by its LockController, as long as it is connected to; if somebody
    locked it by the same one already, that is their lock and stays. It goes with every call."""

    def faults(self) -> list[str]:
        """Return what of it does not go together, and what is wrong with the server's URL."""
        faults = [*super().faults(), *GuardedUrl.faults(self.url, self.allow_private, PORTS)]
        if (path := urlsplit(self.url).path.rstrip("/")) and not faults:
            faults.append(f"url: a SiLA 2 server has no path, got {path}")
        if self.ca_file is not None and not self.ca_file.is_file():
            faults.append(f"ca_file: needs a file of certificates, and there is none at {self.ca_file}")
        if (self.username is None) != (self.password is None):
            faults.append("username: goes with a password, and that with it")
        if self.username is not None and self.access_token is not None:
            faults.append("access_token: comes from the login: leave it out, or username and password")
        if lacking := missing_extra("plugin", "sila2", "sila"):
            faults.append(lacking)
        return faults


def sila(**options: Any) -> ConfiguredInstrument[SilaOrder]:
    """An instrument behind a SiLA 2 server, by configuration."""
    definition = read_definition(SilaDefinition, options, "sila")
    return ConfiguredInstrument("sila", definition, ServerLine(definition))


class ServerLine:
    """A connection to a server that stays open, and what the server said of its features.

    Args:
        definition: With the server.
    """

    def __init__(self, definition: SilaDefinition) -> None:
        self._definition = definition
        self._url = GuardedUrl.parse(definition.url, definition.allow_private, PORTS)
        self.place = self._url.canonical
        self._channel: _TimedChannel | None = None
        self._client: SilaClient | None = None
        self._credentials = list[Any]()
        """What goes with every call: the access token and the identifier of the lock."""
        self._locked = False
        """Whether it is locked by us, as far as is known."""

    def open(self, deadline: Deadline) -> bool:
        """Connect, ask what the server can do, and compare it with the file; unless that is done."""
        if self._client is not None and self._channel is not None and not self._channel.is_lost:
            return False
        self.drop()
        began = time.monotonic()
        from sila2.client import SilaClient

        deadline.extend(time.monotonic() - began)  # the library builds itself at its first import
        channel = self._channel = _TimedChannel(self._connect(deadline), deadline)

        class Client(SilaClient):
            _channel: Any = property(lambda _: channel, lambda _, theirs: theirs.close())

        with self._as_ours():
            self._client = Client(self._url.host, self._url.port, insecure=True)  # it asks by our channel alone
        if faults := {key: fault for key, fault in reversed([*self._order_faults()])}:
            sentences = "; ".join(f"{key}: {fault}" for key, fault in reversed(faults.items()))
            raise InstrumentRefused(f"{self.place} does not offer what the file asks: {sentences}", sent=False)
        with self._as_ours():
            self._gain_access(self._client)
        return True

    def send(self, order: SilaOrder, value: float | str | None, deadline: Deadline) -> None:
        """Run a command, until it is done."""
        self._call(order, value, deadline)

    def ask(self, order: SilaOrder, deadline: Deadline) -> str:
        """Run a command or read a property: JSON of the answer's parts by their names, or of the one part alone."""
        answer = _plain(self._call(order, None, deadline))
        if isinstance(answer, dict) and len(answer) == 1:
            (answer,) = answer.values()
        return answer if isinstance(answer, str) else json.dumps(answer, default=str)

    def drop(self) -> None:
        """Close the connection, which cancels what is under way."""
        channel, client = self._channel, self._client
        self._channel = self._client = None
        if channel is None:
            return
        if client is not None and self._locked and self._definition.lock is not None:
            channel.deadline = Deadline(FAREWELL_S)
            with suppress(Exception):  # of a server that is gone, or that somebody else has locked since
                key = self._definition.lock.get_secret_value()
                server: Any = client
                server.LockController.UnlockServer(LockIdentifier=key, metadata=self._credentials[:-1])
                self._locked = False
        self._credentials = []
        channel.close()

    def _gain_access(self, client: Any) -> None:
        """Log in and lock the server, as far as the file says so."""
        definition, token = self._definition, self._definition.access_token
        if definition.username is not None and definition.password is not None:
            features = {order.call.partition(".")[0] for _, order, _ in _tried(definition)}
            login = client.AuthenticationService.Login(
                UserIdentification=definition.username,
                Password=definition.password.get_secret_value(),
                RequestedServer=client.SiLAService.ServerUUID.get(),
                RequestedFeatures=[str(getattr(client, each).fully_qualified_identifier) for each in sorted(features)],
            )
            keep_secret(login.AccessToken)
            token = SecretStr(login.AccessToken)
        if token is not None:
            self._credentials.append(client.AuthorizationService.AccessToken(token.get_secret_value()))
        if definition.lock is not None:
            key = definition.lock.get_secret_value()
            if not client.LockController.IsLocked.get(metadata=self._credentials):
                client.LockController.LockServer(LockIdentifier=key, Timeout=LOCK_S, metadata=self._credentials)
                self._locked = True
            self._credentials.append(client.LockController.LockIdentifier(key))

    def _connect(self, deadline: Deadline) -> Any:
        """A channel to the address that the name leads to just now, and that is judged."""
        import grpc

        self._url.check_resolved()
        with socket.create_connection((self._url.host, self._url.port), deadline.left) as probe:
            address = str(probe.getpeername()[0])
        self._url.check(address)
        target = f"[{address}]:{self._url.port}" if ":" in address else f"{address}:{self._url.port}"
        silent_ms = max(math.ceil(1000 * self._definition.deadline_s), 1)
        options: list[tuple[str, Any]] = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),  # each order is sent once
            ("grpc.use_local_subchannel_pool", 1),  # a new connection, and not another one's waiting for its next try
            ("grpc.keepalive_time_ms", NO_PINGS_MS),
            ("grpc.keepalive_timeout_ms", silent_ms),  # with it, what does not arrive for so long is given up by TCP
        ]
        if self._url.scheme == "http":
            return grpc.insecure_channel(target, options)
        if address != self._url.host:
            options.append(("grpc.ssl_target_name_override", self._url.host))
        authorities = self._definition.ca_file and self._definition.ca_file.read_bytes()
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(authorities), options)

    def _call(self, order: SilaOrder, value: float | str | None, deadline: Deadline) -> Any:
        assert self._client is not None
        assert self._channel is not None
        self._channel.deadline = deadline
        feature, _, name = order.call.partition(".")
        called = getattr(getattr(self._client, feature), name)
        with self._as_ours():
            metadata = [] if feature == "SiLAService" else self._credentials  # which nobody may be kept from
            if hasattr(called, "get"):
                return called.get(metadata=metadata)
            answer = called(**self._given(order, value), metadata=metadata)
            return self._responses(answer, deadline) if hasattr(answer, "get_responses") else answer

    def _responses(self, running: Any, deadline: Deadline) -> Any:
        """What an observable command answers when it is done."""
        try:
            while not running.done:
                if self._channel is None or self._channel.is_lost:
                    raise ConnectionError("the connection ended")
                time.sleep(min(POLL_S, deadline.left))
            return running.get_responses()
        finally:
            running.cancel_execution_info_subscription()

    def _given(self, order: SilaOrder, value: float | str | None) -> dict[str, Any]:
        """The parameters of a command, each of the kind that the server describes."""
        feature, _, name = order.call.partition(".")
        described = {_name(each): each for each in getattr(self._client, feature)[name].parameters}
        given = json.loads(write_json(order.parameters))  # with its secrets
        if not given and value is not None and len(described) == 1:
            given = dict.fromkeys(described, value)
        if missing := described.keys() - given.keys():
            raise ValueError(f"{order.call} also wants {', '.join(sorted(missing))}")
        if unknown := given.keys() - described.keys():
            nearest = (f"{name}{suggest_nearest(name, described)}" for name in sorted(unknown))
            raise ValueError(f"{order.call} has no parameter {', '.join(nearest)}")
        return {name: _of_kind(described[name].data_type, each) for name, each in given.items()}

    def _order_faults(self) -> Iterator[tuple[str, str]]:
        """By their keys the orders that the server does not have, or would not take at an end of a knob's range."""
        definition = self._definition
        wanted = {
            "username": ("AuthenticationService.Login", definition.username),
            "access_token": ("AuthorizationService.AccessToken", definition.access_token or definition.username),
            "lock": ("LockController.LockServer", definition.lock),
        }
        for key, (call, said) in wanted.items():
            feature, _, name = call.partition(".")
            if said is not None and not hasattr(getattr(self._client, feature, None), name):
                yield key, f"it has no {call}"
        for key, order, value in _tried(definition):
            feature, _, name = order.call.partition(".")
            there: Any = getattr(self._client, feature, None)
            try:
                if not hasattr(there, name):
                    yield key, f"it has no {order.call}"
                elif hasattr(getattr(there, name), "get"):
                    if order.parameters or key.endswith("write"):
                        yield key, f"{order.call} is a property, which is only read and has no parameters"
                else:
                    there[name].parameters.to_message(**self._given(order, value))
            except Exception as error:  # the library's types raise what they raise at a value that they do not take
                yield key, str(error)

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        """Tell what the library raises in the classes of this program."""
        import grpc
        from sila2.framework import FrameworkError, InvalidMetadata, SilaConnectionError, SilaError, ValidationError

        try:
            yield
        except SilaConnectionError as error:
            cause: Any = error.exception
            if not isinstance(cause, grpc.RpcError):
                raise cause from None  # Ctrl-C, or our own deadline, which the library takes for the server's fault
            if cause.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError("the server does not answer") from error
            raise ConnectionError(f"{cause.code().name}: {cause.details()}") from error
        except ValidationError as error:
            if error.parameter_fully_qualified_identifier is None:  # found by the library, and mostly of an answer
                raise BadReply(f"{self.place} does not keep to its own features: {error.message}") from error
            raise InstrumentRefused(f"{self.place} refused: {error}") from error
        except InvalidMetadata as error:
            words = "it wants a login, or its lock, with each call: see 'username', 'access_token' and 'lock'"
            raise InstrumentRefused(f"{self.place} refused: {error.message}; {words}") from error
        except FrameworkError as error:
            raise InstrumentRefused(f"{self.place} refused: {error}") from error
        except SilaError as error:
            raise InstrumentUnavailable(f"{self.place} reports {error}") from error
        except (OSError, InstrumentError):
            raise
        except Exception as error:  # whatever the library raises at what a server says of itself
            words = " ".join(str(error).split()) or "no words"
            raise BadReply(f"{self.place} cannot be understood: {type(error).__name__}: {words}") from error


class _TimedChannel:
    """A channel of gRPC whose calls all have a deadline, which the library does not know of.

    Args:
        channel: Of gRPC.
        deadline: Of the calls.
    """

    def __init__(self, channel: Any, deadline: Deadline) -> None:
        self._channel, self.deadline = channel, deadline
        self._was_ready = self._was_lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended; gRPC would open the next one by itself, to whoever answers by then."""
        import grpc

        state = self._channel._channel.check_connectivity_state(False)  # only its channel of asyncio says so publicly
        is_ready = state == grpc.ChannelConnectivity.READY.value[0]
        self._was_ready |= is_ready
        self._was_lost |= self._was_ready and not is_ready  # and stays so: whatever asks next would connect again
        return self._was_lost

    def unary_unary(self, method: str, *args: Any, **options: Any) -> Callable[..., Any]:
        """A call with one answer."""
        return self._timed(self._channel.unary_unary(method, *args, **options))

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Callable[..., Any]:
        """A call with many answers; news of a command are listened to until somebody cancels that."""
        call = self._channel.unary_stream(method, *args, **options)
        return self._timed(call, ends=not method.endswith("_Info"))

    def _timed(self, call: Callable[..., Any], ends: bool = True) -> Callable[..., Any]:
        def ask(request: Any, **given: Any) -> Any:
            if self.is_lost:
                raise ConnectionError("the connection ended")
            return call(request, **({"timeout": self.deadline.left} if ends else {}), **given)

        return ask


def _tried(definition: SilaDefinition) -> Iterator[tuple[str, SilaOrder, float | str | None]]:
    """Every order with its key, as it is sent at both ends of the ranges, and the value that it sets, if it is one."""
    for end in ("low", "high"):
        shown = {knob.name: knob.shown(getattr(knob, end)) for knob in definition.knobs}
        for i, knob in enumerate(definition.knobs):
            if knob.write is not None:
                value = shown[knob.name]
                yield f"knobs.{i}.write", fill_places(knob.write, {**shown, VALUE: value}), value
        for key, order in _others(definition):
            yield key, fill_places(order, shown), None


def _others(definition: SilaDefinition) -> Iterator[tuple[str, SilaOrder]]:
    """The orders that set no single knob."""
    orders = {"write": definition.write, "query": definition.query}
    orders |= {f"prepare.{i}": order for i, order in enumerate(definition.prepare)}
    orders |= {f"safe.{i}": order for i, order in enumerate(definition.safe)}
    orders |= {"errors.query": definition.errors.query if definition.errors else None}
    orders |= {"ready.query": definition.ready.query if definition.ready else None}
    orders |= {
        f"knobs.{i}.readback.query": knob.readback.query for i, knob in enumerate(definition.knobs) if knob.readback
    }
    orders |= {f"channels.{i}.query": channel.query for i, channel in enumerate(definition.channels)}
    yield from ((key, order) for key, order in orders.items() if order is not None)


def _name(described: Any) -> str:
    return str(described.fully_qualified_identifier).rpartition("/")[2]


def _of_kind(kind: Any, value: Any) -> Any:
    """A setting as SiLA's type wants it: whole for an Integer, true or false for a Boolean."""
    while hasattr(kind, "base_type") or hasattr(kind, "data_type"):
        kind = getattr(kind, "base_type", None) or kind.data_type
    plain: Mapping[str, Callable[[Any], Any]] = {"Integer": round, "Boolean": bool, "String": str}
    return plain.get(type(kind).__name__, lambda same: same)(value) if isinstance(value, int | float) else value


def _plain(answer: Any) -> Any:
    """Structures by the names of their elements, however deep they lie, and a switch as a number."""
    if isinstance(answer, bool):
        return int(answer)
    if isinstance(answer, tuple) and hasattr(answer, "_asdict"):
        return {name: _plain(each) for name, each in answer._asdict().items()}
    return [_plain(each) for each in answer] if isinstance(answer, list) else answer
