"""The rig as devices of ophyd-async, in this process: pumps that are set, a photometer that is triggered and read."""

import asyncio
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from ophyd_async.core import AsyncStatus, NotConnectedError, StandardReadable, soft_signal_rw
from rig import CHANNELS, HASTY, KNOBS, QUANTITIES, Rig

rigs = []
"""The rig that is served."""


class Pump(StandardReadable):
    """A pump: the flow that it was set to stands in a signal."""

    def __init__(self, rig, colour):
        self.rig, self.colour = rig, colour
        with self.add_children_as_readables():
            self.flow = soft_signal_rw(float, name="flow")
        super().__init__(name=colour)

    @AsyncStatus.wrap
    async def set(self, value):
        self.rig.set(self.colour, value)
        await self.flow.set(self.rig.read_back(self.colour))


class Photometer(StandardReadable):
    """A photometer that takes all colours at a trigger."""

    def __init__(self, rig):
        self.rig, self.staged, self.taken = rig, False, {}
        super().__init__(name="photometer")

    async def connect(self, mock=False, timeout=10.0, force_reconnect=False):
        if self.rig.closing.is_set():
            raise NotConnectedError("the photometer is not there")

    @AsyncStatus.wrap
    async def stage(self):
        self.staged = True

    @AsyncStatus.wrap
    async def unstage(self):
        self.staged = False

    @AsyncStatus.wrap
    async def trigger(self):
        assert self.staged
        if self.rig.fault == "hang":
            await asyncio.to_thread(self.rig.hang)
        if self.rig.fault == "drop":
            raise ConnectionResetError("the photometer hung up")
        if self.rig.fault == "error":
            raise RuntimeError("the lamp of the photometer is out")
        self.taken = {f"photometer-{name}": self.rig.read(name) for name in CHANNELS}

    async def read(self):
        if self.rig.fault == "garbage":
            return self.taken
        return {name: {"value": value, "timestamp": time.time()} for name, value in self.taken.items()}


def make():
    """The devices, as a laboratory of Bluesky has them."""
    (rig,) = rigs
    return {"pumps": {colour: Pump(rig, colour) for colour in KNOBS}, "photometer": Photometer(rig)}


@contextmanager
def served_ophyd(rig):
    """Serve the rig; yields the table ``[instrument]``."""
    rigs[:] = [rig]
    try:
        knobs = [
            knob | {"write": f"pumps.{knob['name']}", "readback": f"pumps.{knob['name']}"}
            for knob in QUANTITIES["knobs"]
        ]
        channels = [channel | {"at": [f"photometer-{channel['name']}"]} for channel in QUANTITIES["channels"]]
        limits = {name: value for name, value in HASTY.items() if name != "allow_private"}
        yield limits | {
            "plugin": "ophyd", "devices": "ophyd_devices:make", "query": "photometer", "knobs": knobs,
            "channels": channels,
        }  # fmt: skip
    finally:
        rig.closing.set()


class Stuck(Pump):
    """A pump that never arrives, and says so when it is stopped."""

    def __init__(self, rig, colour):
        super().__init__(rig, colour)
        self.stopped = False

    @AsyncStatus.wrap
    async def set(self, value):
        await asyncio.sleep(3600)

    async def stop(self, success=True):
        self.stopped = not success


class Done:
    """A status of the older Bluesky: somebody waits for it in a thread."""

    done = True

    def wait(self, timeout=None):
        pass


class Older:
    """A device of the older Bluesky, whose methods answer at once."""

    def __init__(self):
        self.stands = 0.0

    def wait_for_connection(self, timeout):
        assert timeout > 0

    def set(self, value):
        self.stands = value
        return Done()

    def trigger(self):
        return Done()

    def read(self):
        return {"older": {"value": np.float32(2 * self.stands), "timestamp": 0.0}}


made = []
"""What ``make_others`` made, the latest last."""


def make_others():
    """Devices of other kinds."""
    devices = SimpleNamespace(
        stuck=Stuck(Rig(), "red"), steps=soft_signal_rw(int, name="steps"), older=Older(),
        switch=soft_signal_rw(bool, name="switch"), solvent=soft_signal_rw(str, name="solvent"),
    )  # fmt: skip
    made.append(devices)
    return devices
