"""Devices of ophyd-async, or of anybody's that move and read as Bluesky has it (extra ``ophyd``).

References:
    bluesky.protocols, of Bluesky 1.14: what ``Movable``, ``Readable``, ``Triggerable`` and ``Stageable`` promise
"""

import asyncio
import inspect
import json
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from pkgutil import resolve_name
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, field_validator

from sdl.errors import InstrumentUnavailable
from sdl.formatting import format_value
from sdl.instruments.configured.definition import InstrumentDefinition, read_definition
from sdl.instruments.configured.driver import ConfiguredInstrument
from sdl.instruments.configured.transport import Deadline

FAREWELL_S = 2.0
"""Seconds that devices are given to be unstaged, and to stop."""
PLAIN: Mapping[str, Callable[[float], float]] = {"integer": round, "boolean": bool}
"""What a device takes for a number, by the kind that it describes."""

Result = TypeVar("Result")


def _device_path(text: str) -> str:
    if re.fullmatch(r"\w+(\.\w+)*", text) is None:
        raise ValueError("needs the path of a device such as stage.x, from what 'devices' returns")
    return text


DevicePath = Annotated[str, AfterValidator(_device_path)]


class OphydDefinition(InstrumentDefinition[DevicePath]):
    """An instrument of devices: an order is the path of one, which is set or, after a trigger if it has one, read."""

    one_value_each = "a device"

    devices: str
    """The function that makes them, ``package.module:function``, called without arguments: what it returns has them as
    attributes or by name. It is called again after a fault that broke the line."""

    @field_validator("devices")
    @classmethod
    def _can_be_made(cls, devices: str) -> str:
        _function(devices)
        return devices

    @property
    def written(self) -> list[str]:
        """The paths of the devices that are set."""
        return [knob.write for knob in self.knobs if knob.write is not None]

    @property
    def read(self) -> list[str]:
        """The paths of the devices that are read."""
        asked = [self.query, *(channel.query for channel in self.channels)]
        asked += [knob.readback.query for knob in self.knobs if knob.readback is not None]
        return list(dict.fromkeys(path for path in asked if path is not None))


def _function(devices: str) -> Callable[[], Any]:
    """The function that makes the devices.

    Raises:
        ValueError: if there is none.
    """
    form = "needs a function as package.module:function, in a package that is installed here"
    try:
        function = resolve_name(devices) if re.fullmatch(r"[\w.]+:[\w.]+", devices) else None
    except Exception as error:  # somebody's module may do anything at import
        raise ValueError(f"{form}; {format_value(devices)}: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise ValueError(f"{form}, got {format_value(devices)}")
    return function  # type: ignore[no-any-return]


def ophyd(**options: Any) -> ConfiguredInstrument[str]:
    """An instrument of ophyd-async devices, by configuration."""
    definition = read_definition(OphydDefinition, options, "ophyd")
    return ConfiguredInstrument("ophyd", definition, DeviceLine(definition))


class DeviceLine:
    """Devices that are made, connected and staged, and the event loop of their own in which they live.

    Args:
        definition: With the function that makes them.
    """

    def __init__(self, definition: OphydDefinition) -> None:
        self._definition = definition
        self.place = definition.devices
        self._devices: dict[str, Any] | None = None
        self._kinds = dict[str, str]()
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, deadline: Deadline) -> bool:
        """Make, connect and stage the devices, unless that is done."""
        if self._devices is not None:
            return False
        self.drop()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._wait("connecting", self._make(deadline), deadline)
        return True

    def send(self, order: str, value: float | str | None, deadline: Deadline) -> None:
        """Set a device, and wait until it has arrived."""
        assert self._devices is not None
        assert value is not None, "a definition whose orders have no value is refused"
        plain = PLAIN.get(self._kinds.get(order, ""), float)
        meant = value if isinstance(value, str) else plain(value)
        self._wait(order, self._set(self._devices[order], meant), deadline)

    def ask(self, order: str, deadline: Deadline) -> str:
        """Read a device: JSON of its values by their names, or of the value if it has one alone."""
        assert self._devices is not None
        return self._wait(order, _read(self._devices[order]), deadline)

    def drop(self) -> None:
        """Unstage the devices and forget them."""
        devices, loop, self._devices, self._loop = self._devices, self._loop, None, None
        self._kinds.clear()
        if loop is None:
            return
        with suppress(Exception):  # of devices that are gone
            asyncio.run_coroutine_threadsafe(_unstage(devices or {}), loop).result(FAREWELL_S)
        loop.call_soon_threadsafe(loop.stop)

    async def _make(self, deadline: Deadline) -> None:
        """Make the devices anew: what belongs to a loop that has ended is of no use in another one."""
        made, definition = await _settled(_function(self._definition.devices)()), self._definition
        devices = {path: _find(made, path) for path in (*definition.written, *definition.read)}
        for device in _distinct(devices.values()):
            if hasattr(device, "connect"):
                await _settled(device.connect(timeout=deadline.left))
            elif hasattr(device, "wait_for_connection"):
                await asyncio.to_thread(device.wait_for_connection, timeout=deadline.left)
        for path in definition.written:
            if hasattr(devices[path], "describe"):
                described = list((await _settled(devices[path].describe())).values())
                self._kinds[path] = described[0]["dtype"] if len(described) == 1 else ""
        self._devices = devices
        for device in _distinct(devices[path] for path in definition.read):
            if hasattr(device, "stage"):
                await _settled(device.stage())

    async def _set(self, device: Any, value: float | str) -> None:
        try:
            await _settled(device.set(value))
        except asyncio.CancelledError:
            if hasattr(device, "stop"):  # it must not move on towards what nobody waits for any more
                await _settled(device.stop(success=False))
            raise

    def _wait(self, what: str, work: Coroutine[Any, Any, Result], deadline: Deadline) -> Result:
        """Let the loop do something, until the deadline."""
        assert self._loop is not None
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result(deadline.left)
        except TimeoutError:
            doing.cancel()
            raise TimeoutError(f"{what} takes longer than it may") from None
        except OSError:
            raise
        except Exception as error:  # a device is anybody's code
            words = " ".join(str(error).split()) or "no words"
            raise InstrumentUnavailable(f"{self.place}, {what}: {type(error).__name__}: {words}") from error


def _find(made: Any, path: str) -> Any:
    """The device at a path."""
    for name in path.split("."):
        there = made.get(name) if isinstance(made, Mapping) else getattr(made, name, None)
        if there is None:
            raise LookupError(f"there is no device {path!r}: nothing is called {name!r} there")
        made = there
    return made


def _distinct(devices: Any) -> Iterator[Any]:
    yield from {id(device): device for device in devices}.values()


async def _settled(result: Any) -> Any:
    """What a device returns, once it is done: at once, awaited, or by a status with a ``wait``."""
    if inspect.isawaitable(result):
        return await result
    if hasattr(result, "wait") and hasattr(result, "done"):
        return await asyncio.to_thread(result.wait)
    return result


async def _read(device: Any) -> str:
    if hasattr(device, "trigger"):
        await _settled(device.trigger())
    answer = await _settled(device.read())
    try:
        values = {name: _number(reading["value"]) for name, reading in answer.items()}
    except (AttributeError, KeyError, TypeError):
        return repr(answer)  # where no number will be found
    return json.dumps(next(iter(values.values())) if len(values) == 1 else values, default=_plain)


def _number(value: Any) -> Any:
    """A switch as a number, and whatever else as it is."""
    return int(value) if isinstance(value, bool) else value


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


async def _unstage(devices: Mapping[str, Any]) -> None:
    for device in _distinct(devices.values()):
        if hasattr(device, "unstage"):
            await _settled(device.unstage())
