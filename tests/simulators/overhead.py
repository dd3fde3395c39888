"""What a described instrument costs beside its raw client: ``python tests/simulators/overhead.py [READINGS]``.

Both take the same reading of the rig over the same protocol, by turns; medians of milliseconds a reading, and of what
the second of each pair took more, so that what else the machine does meanwhile counts for both.
"""

import json
import os
import queue
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import requests
from protocols import PROTOCOLS, SECRETS
from rig import CHANNELS, KNOBS, Rig

from sdl import plugins

SETTINGS = {"red": 1.5, "blue": 2.5}


@contextmanager
def raw_scpi(written):
    host, port = written["url"].removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as line, line.makefile("rb") as answers:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask(question):
            line.sendall(question.encode() + b"\n")
            return answers.readline()

        yield lambda: scpi_reading(lambda order: line.sendall(order.encode() + b"\n"), ask)


@contextmanager
def raw_visa(written):
    import pyvisa

    resource = pyvisa.ResourceManager("@py").open_resource(written["resource"])
    resource.read_termination = resource.write_termination = "\n"
    yield lambda: scpi_reading(resource.write, resource.query)
    resource.close()


def scpi_reading(write, ask):
    for name in KNOBS:
        write(f"FLOW {name},{SETTINGS[name]:.4f}")
    ask("SYST:ERR?")
    values = [float(ask(f"FLOW? {name}")) for name in KNOBS] + [float(ask(f"LIGHT? {name}")) for name in CHANNELS]
    ask("SYST:ERR?")
    return values


@contextmanager
def raw_rest(written):
    headers = {"Authorization": SECRETS["SDL_SECRET_RIG_TOKEN"]}

    def call(method, path, **options):
        answer = requests.request(method, written["url"] + path, headers=headers, timeout=5, **options)
        answer.raise_for_status()
        return answer.json()

    def read():
        for name in KNOBS:
            call("PUT", f"/pump/{name}", json={"flow": SETTINGS[name]})
        call("GET", "/errors")
        flows = [call("GET", f"/pump/{name}")["pump"]["flow"] for name in KNOBS]
        light = [each["mV"] for each in call("GET", "/light")["light"]]
        call("GET", "/errors")
        return flows + light

    yield read


@contextmanager
def raw_at_once(written):
    yield lambda: requests.post(written["url"] + "/measure", json={"settings": SETTINGS}, timeout=5).json()


@contextmanager
def raw_command(written):
    def read():
        given = json.dumps({"settings": SETTINGS}).encode()
        return json.loads(subprocess.run(written["program"], input=given, capture_output=True, check=True).stdout)

    yield read


@contextmanager
def raw_mqtt(written):
    from mqtt_device import PASSWORD, ROOT
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client, came, ready = Client(CallbackAPIVersion.VERSION2), queue.SimpleQueue(), queue.SimpleQueue()
    client.username_pw_set("lab", PASSWORD)
    client.on_message = lambda *message: came.put(message[2].payload)
    client.on_subscribe = lambda *_: ready.put(True)
    client.on_connect = lambda client, *_: client.subscribe(
        [(f"{ROOT}/flow/+", 1), (f"{ROOT}/light", 1), (f"{ROOT}/error", 1)]
    )
    client.connect("127.0.0.1", int(written["url"].rpartition(":")[2]))
    client.loop_start()
    ready.get(timeout=10)

    def publish(topic, payload=""):
        client.publish(f"{ROOT}/{topic}", payload, 1).wait_for_publish(5)

    def ask(topic):
        publish(f"ask/{topic}")
        return came.get(timeout=5)

    def read():
        for name in KNOBS:
            publish(f"set/{name}", repr(SETTINGS[name]))
        return [ask("error"), *(ask(f"flow/{name}") for name in KNOBS), json.loads(ask("light")), ask("error")]

    yield read
    client.disconnect()
    client.loop_stop()


@contextmanager
def raw_opcua(written):
    from asyncua.sync import Client

    with Client(written["url"]) as client:
        flows = {name: client.get_node(f"ns=2;s=flow.{name}") for name in KNOBS}
        light = [client.get_node(f"ns=2;s=light.{name}") for name in CHANNELS]

        def read():
            for name, node in flows.items():
                node.write_value(SETTINGS[name])
            return [node.read_value() for node in (*flows.values(), *light)]

        yield read


@contextmanager
def raw_ophyd(written):
    import asyncio

    from ophyd_devices import make

    devices, loop = make(), asyncio.new_event_loop()

    async def connect():
        for device in (*devices["pumps"].values(), devices["photometer"]):
            await device.connect()
        await devices["photometer"].stage()

    async def reading():
        for name, pump in devices["pumps"].items():
            await pump.set(SETTINGS[name])
        await devices["photometer"].trigger()
        return [await each.read() for each in (*devices["pumps"].values(), devices["photometer"])]

    loop.run_until_complete(connect())
    yield lambda: loop.run_until_complete(reading())
    loop.close()


@contextmanager
def raw_sila(written):
    from sila2.client import SilaClient

    host, _, port = written["url"].removeprefix("http://").partition(":")
    with SilaClient(host, int(port), insecure=True) as client:

        def read():
            client.PumpService.SetFlow("red", SETTINGS["red"])
            client.PumpService.SetBlue(SETTINGS["blue"])
            flows = [client.PumpService.RedFlow.get(), client.PumpService.BlueFlow.get()]
            measuring = client.Photometer.Measure()
            while not measuring.done:
                time.sleep(0.001)
            return [*flows, *measuring.get_responses()]

        yield read


CLIENTS = (raw_scpi, raw_visa, raw_rest, raw_at_once, raw_command, raw_mqtt, raw_opcua, raw_ophyd, raw_sila)
RAW = dict(zip(PROTOCOLS, CLIENTS, strict=True))


def timed(read):
    """Milliseconds by the clock, and those of the processor, which do not count what else the machine does."""
    started, worked = time.perf_counter(), time.process_time()
    read()
    return 1e3 * (time.perf_counter() - started), 1e3 * (time.process_time() - worked)


def compare_with_raw(protocol, readings):
    """Medians of raw client and driver, which take one reading after another by turns."""
    with ExitStack() as stack:
        written = stack.enter_context(PROTOCOLS[protocol](Rig()))
        raw = stack.enter_context(RAW[protocol](written))
        options = {key: value for key, value in written.items() if key != "plugin"}
        ours = plugins.build("sdl.instruments", written["plugin"], options | {"deadline_s": 10})
        stack.callback(ours.close)
        pairs = [(timed(raw), timed(lambda: ours.measure(SETTINGS))) for _ in range(readings + 5)][5:]
        found = dict[str, object]()
        for column, what in enumerate(("clock_ms", "processor_ms")):
            found[what] = [round(statistics.median(pair[side][column] for pair in pairs), 2) for side in (0, 1)]
            more = statistics.median(ours[column] - raw[column] for raw, ours in pairs)
            found[f"more_{what}"] = round(more, 2)
        return found


if __name__ == "__main__":
    os.environ |= SECRETS
    for protocol in PROTOCOLS:
        medians = compare_with_raw(protocol, int(sys.argv[1]) if len(sys.argv) > 1 else 200)
        print(json.dumps({"protocol": protocol} | medians))
