"""The rig behind each protocol that an instrument may speak by configuration."""

from contextlib import contextmanager

import pytest
from rest_server import TOKEN, served_at_once, served_command, served_rest
from scpi_server import served_scpi


@contextmanager
def served_visa(rig):
    """Serve the rig as a VISA resource."""
    pytest.importorskip("pyvisa_py", reason="needs the extra 'visa'")
    with served_scpi(rig) as written:
        port = written.pop("url").rpartition(":")[2]
        yield written | {"resource": f"TCPIP::127.0.0.1::{port}::SOCKET"}


@contextmanager
def served_mqtt(rig):
    pytest.importorskip("paho.mqtt", reason="needs the extra 'mqtt'")
    from mqtt_device import served_mqtt

    with served_mqtt(rig) as written:
        yield written


@contextmanager
def served_opcua(rig):
    pytest.importorskip("asyncua", reason="needs the extra 'opcua'")
    from opcua_server import served_opcua

    with served_opcua(rig) as written:
        yield written


@contextmanager
def served_ophyd(rig):
    pytest.importorskip("ophyd_async", reason="needs the extra 'ophyd'")
    from ophyd_devices import served_ophyd

    with served_ophyd(rig) as written:
        yield written


@contextmanager
def served_sila(rig):
    pytest.importorskip("sila2", reason="needs the extra 'sila'")
    from sila_server import served_sila

    with served_sila(rig) as written:
        yield written


PROTOCOLS = {
    "scpi": served_scpi,
    "visa": served_visa,
    "rest": served_rest,
    "rest, all at once": served_at_once,
    "command": served_command,
    "mqtt": served_mqtt,
    "opcua": served_opcua,
    "ophyd": served_ophyd,
    "sila": served_sila,
}
SECRETS = {"SDL_SECRET_RIG_TOKEN": TOKEN, "SDL_SECRET_RIG_PASSWORD": "hunter2-at-the-broker"}
"""What the environment has to hold."""
