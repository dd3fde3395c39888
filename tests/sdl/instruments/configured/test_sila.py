"""A SiLA 2 server by configuration: what it is sent and asked, and what a file may not say of it."""

import pytest
from rig import Rig
from wire import Authority

from sdl import plugins
from sdl.errors import InstrumentRefused, InstrumentUnavailable, InvalidInput

pytest.importorskip("sila2", reason="needs the extra 'sila'")

from sila_server import started

SET_RED = {"call": "PumpService.SetFlow", "parameters": {"Pump": "red", "Flow": "{value}"}}
RED = {"name": "red", "high": 5, "write": SET_RED, "readback": "PumpService.RedFlow"}
LIGHT = {"name": "650nm", "query": "Photometer.Measure", "at": "Red"}


def told(**options):
    """The instrument that a file describes."""
    written = {"allow_private": True, "knobs": [RED], "channels": [LIGHT], "first_wait_s": 0.01}
    return plugins.build("sdl.instruments", "sila", written | options)


@pytest.fixture(scope="module")
def server():
    rig = Rig()
    server = started(rig)
    server.rig = rig
    yield server
    rig.closing.set()
    server.wire.close()
    server.stop()


@pytest.fixture
def instrument(server):
    """Makes an instrument at the server."""
    opened = []

    def make(**options):
        opened.append(told(url=f"http://{server.wire.address}", **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    ("write", "readback", "knob", "setting", "value"),
    [
        ("PumpService.SetSteps", "PumpService.Steps", {"whole": True, "high": 5}, 3.0, 3),
        ("PumpService.Open", "PumpService.Valve", {"values": [0, 1]}, 1.0, True),
        ("PumpService.Fill", "PumpService.Solvent", {"values": ["water", "toluene"]}, 1.0, "toluene"),
    ],
)
def test_a_setting_is_of_the_kind_that_the_server_describes(instrument, server, write, readback, knob, setting, value):
    reply = instrument(knobs=[{"name": "k", "write": write, "readback": readback} | knob]).measure({"k": setting})
    assert getattr(server.pumps.others, readback.partition(".")[2].lower()) == value
    assert reply.applied["k"] == setting


def test_what_the_server_does_not_have_or_take_is_said_at_once_and_nothing_is_sent(instrument, server):
    before = len(server.rig.log)
    knobs = [
        RED | {"name": "far", "high": 9},
        RED | {"name": "typo", "write": {"call": "PumpService.SetFlow", "parameters": {"Pmp": "x", "Flow": "{value}"}}},
        RED | {"name": "short", "write": "PumpService.SetFlow"},
        RED | {"name": "read", "write": "PumpService.RedFlow"},
        RED | {"name": "gone", "readback": "PumpService.Flow"},
        {"name": "named", "values": ["one", "two"], "write": "PumpService.SetSteps"},
    ]
    wrong = instrument(knobs=knobs, channels=[LIGHT | {"query": "Spectrometer.Measure"}], query="PumpService.RedFlow")
    with pytest.raises(InstrumentRefused) as refused:
        wrong.measure({"far": 1, "typo": 1, "short": 1, "read": 1, "gone": 1, "named": 0})
    for fault in (
        "knobs.0.write: Parameter value rejected: Constraint violated: MaximalInclusive(8.0) (9.0)",
        "knobs.1.write: PumpService.SetFlow also wants Pump",
        "knobs.2.write: PumpService.SetFlow also wants Flow, Pump",
        "knobs.3.write: PumpService.RedFlow is a property, which is only read",
        "knobs.4.readback.query: it has no PumpService.Flow",
        "knobs.5.write: ",
        "channels.0.query: it has no Spectrometer.Measure",
    ):
        assert str(refused.value).count(fault) == 1, (fault, str(refused.value))
    assert not refused.value.sent
    assert len(server.rig.log) == before


def test_an_error_that_the_server_names_is_told_by_its_name(instrument, server):
    failing = instrument()
    server.rig.faults = {server.rig.number + 1: "error"}
    with pytest.raises(InstrumentUnavailable, match="reports LampOut: the lamp is out"):
        failing.measure({"red": 1.0})


def test_a_server_that_was_away_meanwhile_is_prepared_again(instrument, server):
    """Its connection comes back by itself, and whoever answers then may have been started anew."""
    prepare = [{"call": "PumpService.SetSteps", "parameters": {"Steps": 5}}]
    one = instrument(prepare=prepare)
    one.measure({"red": 1.0})
    assert server.pumps.others.steps == 5
    server.pumps.others.steps = 0
    one.measure({"red": 2.0})
    assert server.pumps.others.steps == 0
    server.wire.cut()
    while not one.transport._channel.is_lost:
        pass
    one.measure({"red": 1.0})
    assert server.pumps.others.steps == 5


def test_an_encrypted_server_is_one_whom_the_file_trusts(tmp_path):
    authority = Authority(tmp_path)
    authority.context()
    rig = Rig()
    server = started(rig, (tmp_path / "server.pem").read_bytes())
    url = f"https://{server.wire.address}"
    trusting, strange = told(url=url, ca_file=authority.file), told(url=url, connect_s=1)
    try:
        assert trusting.measure({"red": 1.0}).applied == {"red": 1.0}
        number = rig.number
        with pytest.raises(InstrumentUnavailable, match="no connection to"):
            strange.measure({"red": 2.0})
        assert rig.number == number
    finally:
        trusting.close()
        strange.close()
        server.wire.close()
        server.stop()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file: needs a file of certificates, and there is none at /nowhere/ca.pem"),
        ({"url": "https://127.0.0.1:50052/lab"}, "url: a SiLA 2 server has no path, got /lab"),
        ({"query": "pump.flow"}, "query.call: needs a feature and what is called of it, such as PumpService.SetFlow"),
        ({"query": {"call": "A.B", "parameters": {"AuthToken": "x"}}}, "AuthToken must not stand in the file"),
        ({"errors": "PumpService.lastError"}, "errors.query.call: needs a feature"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(options, fault):
    with pytest.raises(InvalidInput) as refused:
        told(**{"url": "http://127.0.0.1:50052"} | options)
    assert any(fault in each for each in refused.value.faults), refused.value.faults
