"""Devices of ophyd-async by configuration: what they are sent and asked, and what a file may not say of them."""

import asyncio

import pytest

from sdl import plugins
from sdl.errors import InstrumentUnavailable, InvalidInput

pytest.importorskip("ophyd_async", reason="needs the extra 'ophyd'")

from ophyd_devices import made


@pytest.fixture
def instrument():
    """Makes an instrument of one knob and one channel, whose device answers."""
    opened = []

    def make(knob="older", channel="older", **options):
        stated = {"name": "k", "high": 5, "write": knob} | options.pop("of_knob", {})
        written = {
            "devices": "ophyd_devices:make_others",
            "knobs": [stated],
            "channels": [{"name": "c", "query": channel}],
        }
        opened.append(plugins.build("sdl.instruments", "ophyd", written | options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_a_device_of_the_older_kind_is_set_and_read_too(instrument):
    reply = instrument().measure({"k": 1.5})
    assert (dict(reply.applied), dict(reply.readings)) == ({"k": 1.5}, {"c": 3.0})
    assert made[-1].older.stands == 1.5


@pytest.mark.parametrize(
    ("device", "of_knob", "setting", "value"),
    [
        ("steps", {"whole": True}, 3.0, 3),
        ("switch", {"values": [0, 1], "high": 1}, 1.0, True),
        ("solvent", {"values": ["water", "toluene"], "high": 1}, 1.0, "toluene"),
    ],
)
def test_a_setting_is_of_the_kind_that_the_device_describes(instrument, device, of_knob, setting, value):
    readback = {} if device == "solvent" else {"readback": device}
    reply = instrument(device, of_knob=of_knob | readback).measure({"k": setting})
    signal = getattr(made[-1], device)
    assert asyncio.run(signal.get_value()) == value
    assert reply.applied["k"] == setting


def test_what_does_not_arrive_in_time_is_stopped(instrument):
    slow = instrument("stuck", deadline_s=0.3, quiet_s=0.0)
    with pytest.raises(InstrumentUnavailable, match="in time"):
        slow.measure({"k": 1.0})
    slow.close()
    assert made[-1].stuck.stopped


def test_a_device_that_is_not_there_is_said(instrument):
    with pytest.raises(InstrumentUnavailable, match=r"there is no device 'stage.x': nothing is called 'stage' there"):
        instrument("stage.x").measure({"k": 1.0})


@pytest.mark.parametrize(
    ("devices", "fault"),
    [
        ("ophyd_devices", "devices: needs a function as package.module:function"),
        ("ophyd_devices:nothing", "devices: needs a function .* AttributeError"),
        ("no_such_package:make", "devices: needs a function .* ModuleNotFoundError"),
        ("ophyd_devices:made", "devices: needs a function .* got 'ophyd_devices:made'"),
    ],
)
def test_a_function_that_makes_none_is_refused_before_anything_is_asked(instrument, devices, fault):
    with pytest.raises(InvalidInput, match=fault):
        instrument(devices=devices)


def test_orders_without_a_value_are_refused(instrument):
    with pytest.raises(InvalidInput, match="prepare: a device takes one value"):
        instrument(prepare=["older"])
    with pytest.raises(InvalidInput, match=r"needs the path of a device such as stage\.x"):
        instrument("stage x")
