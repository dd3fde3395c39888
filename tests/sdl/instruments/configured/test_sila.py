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


@pytest.fixture(scope="module")
def guarded():
    rig = Rig()
    server = started(rig, guarded=True)
    server.rig, server.url = rig, f"http://{server.wire.address}"
    yield server
    rig.closing.set()
    server.wire.close()
    server.stop()


LOGIN = {"username": "admin", "password": {"secret": "sila-password"}}
LOCK = {"lock": {"secret": "sila-lock"}}


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("SDL_SECRET_SILA_PASSWORD", "admin")
    monkeypatch.setenv("SDL_SECRET_SILA_LOCK", "bench-12")


def test_a_server_is_logged_in_to_and_locked_as_long_as_it_is_in_use(guarded, secrets):
    one = told(url=guarded.url, **LOGIN, **LOCK)
    try:
        for red in (1.0, 2.0):
            assert one.measure({"red": red}).applied == {"red": red}
        assert guarded.lock.lock.token == "bench-12"
        guarded.wire.cut()
        while not one.transport._channel.is_lost:
            pass
        assert one.measure({"red": 3.0}).applied == {"red": 3.0}, "the lock that is left is known for its own"
        assert guarded.lock.lock is not None
    finally:
        one.close()
    assert guarded.lock.lock is None


def test_a_lock_is_taken_back_at_the_end_and_one_of_somebody_else_keeps_us_out(guarded, secrets):
    one = told(url=guarded.url, **LOGIN, **LOCK)
    one.measure({"red": 1.0})
    one.close()
    assert guarded.lock.lock is None
    guarded.lock.LockServer("theirs", 60, metadata=None)
    number, two = guarded.rig.number, told(url=guarded.url, **LOGIN, **LOCK)
    try:
        with pytest.raises(InstrumentUnavailable, match="InvalidLockIdentifier"):
            two.measure({"red": 2.0})
    finally:
        two.close()
    assert guarded.lock.lock.token == "theirs"
    assert guarded.rig.number == number
    guarded.lock.lock = None


def test_who_does_not_log_in_is_told_how_and_a_password_that_is_wrong_is_refused(guarded, secrets, monkeypatch):
    with pytest.raises(InstrumentRefused, match="it wants a login, or its lock, with each call: see 'username'"):
        told(url=guarded.url).measure({"red": 1.0})
    monkeypatch.setenv("SDL_SECRET_SILA_PASSWORD", "swordfish")
    with pytest.raises(InstrumentUnavailable, match="AuthenticationFailed") as failed:
        told(url=guarded.url, **LOGIN).measure({"red": 1.0})
    assert "swordfish" not in str(failed.value)


def test_a_token_that_has_run_out_is_asked_for_again(guarded, secrets):
    one = told(url=guarded.url, **LOGIN, **LOCK)
    try:
        one.measure({"red": 1.0})
        guarded.feature_servicers["AuthenticationService"].implementation.active_tokens.clear()
        with pytest.raises(InstrumentUnavailable, match="InvalidAccessToken"):
            one.measure({"red": 1.0})
        assert one.measure({"red": 2.0}).applied == {"red": 2.0}
    finally:
        one.close()
    assert guarded.lock.lock is None


def test_a_server_without_locks_and_logins_is_not_asked_for_them(instrument, secrets):
    with pytest.raises(InstrumentRefused) as refused:
        instrument(**LOGIN, **LOCK).measure({"red": 1.0})
    for fault in ("username: it has no AuthenticationService.Login", "lock: it has no LockController.LockServer"):
        assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file: needs a file of certificates, and there is none at /nowhere/ca.pem"),
        ({"url": "https://127.0.0.1:50052/lab"}, "url: a SiLA 2 server has no path, got /lab"),
        ({"query": "pump.flow"}, "query.call: needs a feature and what is called of it, such as PumpService.SetFlow"),
        ({"query": {"call": "A.B", "parameters": {"AuthToken": "x"}}}, "AuthToken must not stand in the file"),
        ({"errors": "PumpService.lastError"}, "errors.query.call: needs a feature"),
        ({"username": "admin"}, "username: goes with a password, and that with it"),
        ({"lock": "bench-12"}, "lock: must not stand in the file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(options, fault):
    with pytest.raises(InvalidInput) as refused:
        told(**{"url": "http://127.0.0.1:50052"} | options)
    assert any(fault in each for each in refused.value.faults), refused.value.faults
