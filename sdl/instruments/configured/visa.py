"""Lines over VISA: a serial port, USB, GPIB or VXI-11, by PyVISA and PyVISA-py (extra ``visa``)."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sdl.errors import InstrumentRefused
from sdl.instruments.configured.definition import missing_extra
from sdl.instruments.configured.transport import Deadline
from sdl.instruments.http.url_guard import address_fault
from sdl.plugins import fill_secrets

LIBRARY = "@py"


def resource_faults(resource: str, allow_private: bool) -> list[str]:
    """Return why a VISA resource cannot be used, without asking for it; none if it can."""
    if lacking := missing_extra("resource", "pyvisa", "visa"):
        return [lacking]
    import pyvisa

    try:
        host = _host(resource)
    except pyvisa.rname.InvalidResourceName as error:
        return [f"resource: {' '.join(str(error).split())}; write it like ASRL/dev/ttyUSB0::INSTR"]
    try:
        fault = address_fault(host, allow_private) if host else None
    except ValueError:  # a name, which is asked for when it is connected to
        return []
    return [f"resource: {host} is {fault}"] if fault else []


class VisaLine:
    """Lines by way of VISA, on a session that stays open.

    Args:
        resource: Name of the VISA resource.
        attributes: Of the session, such as ``baud_rate``; ``library`` is the VISA library.
        terminator: What ends a line.
        allow_private: Whether it may stand on this machine or a private network.
    """

    def __init__(self, resource: str, attributes: Mapping[str, Any], terminator: str, allow_private: bool) -> None:
        self.place = resource
        self._attributes = {key: value for key, value in attributes.items() if key != "library"}
        self._library = str(attributes.get("library", LIBRARY))
        self._terminator, self._allow_private = terminator, allow_private
        self._session: Any = None

    def open(self, deadline: Deadline) -> bool:
        """Open a session, unless one is open."""
        if self._session is not None:
            return False
        import pyvisa

        if host := _host(self.place):
            for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
                if fault := address_fault(str(address[0]), self._allow_private):
                    raise InstrumentRefused(f"{self.place} leads to {address[0]}: {fault}", sent=False)
        with _as_os_errors():
            session: Any = pyvisa.ResourceManager(self._library).open_resource(
                self.place, open_timeout=round(1000 * deadline.left)
            )
            try:
                session.read_termination = session.write_termination = self._terminator
                for name, value in self._attributes.items():
                    setattr(session, name, value)
                with suppress(pyvisa.errors.VisaIOError, NotImplementedError):  # not every kind can be cleared
                    session.clear()
            except BaseException:
                session.close()
                raise
        self._session = session
        return True

    def send(self, order: str, value: float | str | None, deadline: Deadline) -> None:
        """Send a line."""
        with self._timed(deadline):
            self._session.write(fill_secrets(order))

    def ask(self, order: str, deadline: Deadline) -> str:
        """Send a line and return the one that answers it."""
        with self._timed(deadline):
            return str(self._session.query(fill_secrets(order)))

    def drop(self) -> None:
        """Close the session."""
        if self._session is not None:
            with suppress(Exception):  # a session of a line that is gone
                self._session.close()
            self._session = None

    @contextmanager
    def _timed(self, deadline: Deadline) -> Iterator[None]:
        with _as_os_errors():
            self._session.timeout = round(1000 * deadline.left)
            yield


@contextmanager
def _as_os_errors() -> Iterator[None]:
    import pyvisa

    try:
        yield
    except pyvisa.errors.VisaIOError as error:
        if error.error_code == pyvisa.constants.StatusCode.error_timeout:
            raise TimeoutError(str(error)) from error
        raise ConnectionError(str(error)) from error
    except (pyvisa.errors.Error, ValueError, AttributeError) as error:  # PyVISA-py raises what its libraries raise
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _host(resource: str) -> str:
    """The host of a resource on a network; empty for a port of this machine."""
    from pyvisa.rname import ResourceName

    return str(getattr(ResourceName.from_string(resource), "host_address", ""))
