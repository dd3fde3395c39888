"""The rig behind an MQTT broker: it obeys at one topic a pump, and answers at one topic a colour."""

import json
from contextlib import contextmanager

from mqtt_broker import Broker
from rig import CHANNELS, HASTY, QUANTITIES

ROOT = "lab/rig"
PASSWORD = "hunter2-at-the-broker"


def heed(rig, broker, client, message):
    """What the rig does about one message."""
    place, payload = message.topic.removeprefix(f"{ROOT}/"), message.payload.decode()
    if place.startswith("set/"):
        rig.set(place[4:], float(payload))
    elif place == "off":
        rig.log.append(("off", None))
    elif place.startswith("ask/flow/"):
        client.publish(f"{ROOT}/flow/{place[9:]}", json.dumps({"flow": rig.read_back(place[9:])}))
    elif place == "ask/light" and rig.fault == "drop":
        broker.cut("rig")
    elif place == "ask/light" and rig.fault != "hang":
        light = {name: rig.read(name) for name in CHANNELS}
        client.publish(f"{ROOT}/light", "#!$" if rig.fault == "garbage" else json.dumps(light))
    elif place == "ask/error":
        client.publish(f"{ROOT}/error", rig.next_error())


@contextmanager
def served_mqtt(rig):
    """Serve the rig; yields the table ``[instrument]``. The secret ``rig-password`` has to be in the environment."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    with Broker(PASSWORD) as broker:
        device = Client(CallbackAPIVersion.VERSION2)
        device.username_pw_set("rig", PASSWORD)
        device.on_connect = lambda client, *_: client.subscribe(
            [(f"{ROOT}/{each}", 1) for each in ("set/#", "ask/#", "off")]
        )
        device.on_message = lambda client, _, message: heed(rig, broker, client, message)
        device.connect("127.0.0.1", broker.port)
        device.loop_start()
        knobs = [
            knob
            | {
                "write": f"{ROOT}/set/{knob['name']}",
                "readback": {
                    "query": {"topic": f"{ROOT}/ask/flow/{knob['name']}", "answer": f"{ROOT}/flow/{knob['name']}"},
                    "at": "flow",
                },
            }
            for knob in QUANTITIES["knobs"]
        ]
        channels = [channel | {"at": [channel["name"]]} for channel in QUANTITIES["channels"]]
        try:
            yield HASTY | {
                "plugin": "mqtt", "url": f"mqtt://127.0.0.1:{broker.port}", "username": "lab",
                "password": {"secret": "rig-password"}, "knobs": knobs, "channels": channels,
                "query": {"topic": f"{ROOT}/ask/light", "answer": f"{ROOT}/light"},
                "errors": {"query": {"topic": f"{ROOT}/ask/error", "answer": f"{ROOT}/error"}},
                "safe": [{"topic": f"{ROOT}/off", "payload": "1"}],
            }  # fmt: skip
        finally:
            rig.closing.set()
            device.disconnect()
            device.loop_stop()
