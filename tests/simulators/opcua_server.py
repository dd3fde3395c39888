"""The rig behind an OPC-UA server."""

import asyncio
import threading
from contextlib import contextmanager

from rig import CHANNELS, HASTY, KNOBS, QUANTITIES


class OpcUaRig:
    """A server in a thread of its own, with a node for each pump and each colour."""

    def __init__(self, rig):
        self.rig, self.loop, self.ready, self.port = rig, asyncio.new_event_loop(), threading.Event(), 0
        rig.hang_s = 1.0  # meanwhile the server answers nobody

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.start())
        self.ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.server.stop())
        self.loop.close()

    async def start(self):
        from asyncua import Server, ua

        self.ua, self.server = ua, Server()
        await self.server.init()
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/rig")
        space = await self.server.register_namespace("rig")
        for name in KNOBS:
            node = await self.server.nodes.objects.add_variable(ua.NodeId(f"flow.{name}", space), name, 0.0)
            await node.set_writable()
            self.server.set_attribute_value_setter(node.nodeid, self.setter(name))
            self.server.set_attribute_value_callback(node.nodeid, self.getter(self.rig.read_back, name))
        for name in CHANNELS:
            node = await self.server.nodes.objects.add_variable(ua.NodeId(f"light.{name}", space), name, 0.0)
            self.server.set_attribute_value_callback(node.nodeid, self.getter(self.light, name))
        await self.server.start()
        self.port = self.server.bserver._server.sockets[0].getsockname()[1]

    def setter(self, name):
        def set_flow(node, attribute, value):
            self.rig.set(name, value.Value.Value)
            node.attributes[attribute].value = value

        return set_flow

    def getter(self, read, name):
        def get(node, attribute):
            value = read(name)
            bad = self.ua.StatusCodes.BadSensorFailure if self.rig.fault == "error" else self.ua.StatusCodes.Good
            return self.ua.DataValue(self.ua.Variant(value), StatusCode=self.ua.StatusCode(bad))

        return get

    def light(self, name):
        if self.rig.fault == "hang":
            self.rig.hang()
        if self.rig.fault == "drop":
            for client in list(self.server.bserver.clients):
                client.transport.abort()
        return self.rig.read(name)


@contextmanager
def served_opcua(rig):
    """Serve the rig; yields the table ``[instrument]``."""
    served = OpcUaRig(rig)
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    assert served.ready.wait(30)
    try:
        knobs = [
            knob | {"write": f"ns=2;s=flow.{knob['name']}", "readback": f"ns=2;s=flow.{knob['name']}"}
            for knob in QUANTITIES["knobs"]
        ]
        channels = [channel | {"query": f"ns=2;s=light.{channel['name']}"} for channel in QUANTITIES["channels"]]
        url = f"opc.tcp://127.0.0.1:{served.port}/rig"
        yield HASTY | {"plugin": "opcua", "url": url, "knobs": knobs, "channels": channels}
    finally:
        rig.closing.set()
        served.loop.call_soon_threadsafe(served.loop.stop)
        thread.join(20)
