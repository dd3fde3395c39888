"""The rig behind a SiLA 2 server: a command of two parameters, one of one, properties, and an observable command."""

import socket
import threading
from contextlib import contextmanager, suppress
from queue import Queue
from types import SimpleNamespace

from rig import CHANNELS, HASTY, KNOBS, QUANTITIES
from sila2.features.authenticationservice import AuthenticationServiceFeature
from sila2.features.authorizationservice import AuthorizationServiceFeature
from sila2.features.lockcontroller import LockControllerFeature
from sila2.framework import DefinedExecutionError, Feature
from sila2.server import FeatureImplementationBase, SilaServer
from sila2.server.default_feature_implementations.authenticationservice_impl import AuthenticationServiceImpl
from sila2.server.default_feature_implementations.authorizationservice_impl import AuthorizationServiceImpl
from sila2.server.default_feature_implementations.lockcontroller_impl import LockControllerImpl

COLOURS = dict(zip(CHANNELS, ("Blue", "Green", "Red"), strict=True))


def described(kind, name, inside):
    return f"<{kind}><Identifier>{name}</Identifier><DisplayName>{name}</DisplayName><Description/>{inside}</{kind}>"


def basic(kind):
    return f"<DataType><Basic>{kind}</Basic></DataType>"


def command(name, parameters, responses=None, observable="No", errors=""):
    inside = f"<Observable>{observable}</Observable>"
    inside += "".join(described("Parameter", each, kind) for each, kind in parameters.items())
    inside += "".join(described("Response", each, kind) for each, kind in (responses or {}).items())
    if errors:
        inside += f"<DefinedExecutionErrors><Identifier>{errors}</Identifier></DefinedExecutionErrors>"
    return described("Command", name, inside)


def prop(name, kind, observable="No"):
    return described("Property", name, f"<Observable>{observable}</Observable>{kind}")


def feature(name, *members):
    return Feature(
        '<Feature SiLA2Version="1.0" FeatureVersion="1.0" Originator="org.rig" Category="rig"'
        ' xmlns="http://www.sila-standard.org">'
        f"<Identifier>{name}</Identifier><DisplayName>{name}</DisplayName><Description/>{''.join(members)}</Feature>"
    )


FLOW = (
    "<DataType><Constrained><DataType><Basic>Real</Basic></DataType><Constraints>"
    "<MaximalInclusive>8</MaximalInclusive></Constraints></Constrained></DataType>"
)
PUMPS = feature(
    "PumpService",
    command("SetFlow", {"Pump": basic("String"), "Flow": FLOW}),
    command("SetBlue", {"Flow": FLOW}),
    command("SetSteps", {"Steps": basic("Integer")}),
    command("Open", {"Valve": basic("Boolean")}),
    command("Fill", {"Solvent": basic("String")}),
    prop("RedFlow", basic("Real")),
    prop("BlueFlow", basic("Real"), observable="Yes"),
    prop("Steps", basic("Integer")),
    prop("Valve", basic("Boolean")),
    prop("Solvent", basic("String")),
)
LIGHT = {"Blue": basic("String"), "Green": basic("Real"), "Red": basic("Real")}
PHOTOMETER = feature(
    "Photometer",
    command("Measure", {}, LIGHT, "Yes", "LampOut"),
    described("DefinedExecutionError", "LampOut", ""),
)


class Pumps(FeatureImplementationBase):
    def __init__(self, server, rig):
        super().__init__(server)
        self.rig, self._BlueFlow_producer_queue = rig, Queue()
        self._BlueFlow_producer_queue.put(0.0)
        self.others = SimpleNamespace(steps=0, valve=False, solvent="water")

    def SetFlow(self, pump, flow, *, metadata):  # noqa: N802
        self.rig.set(pump, flow)

    def SetBlue(self, flow, *, metadata):  # noqa: N802
        self.rig.set("blue", flow)

    def SetSteps(self, steps, *, metadata):  # noqa: N802
        self.others.steps = steps

    def Open(self, valve, *, metadata):  # noqa: N802
        self.others.valve = valve

    def Fill(self, solvent, *, metadata):  # noqa: N802
        self.others.solvent = solvent

    def get_RedFlow(self, *, metadata):  # noqa: N802
        return self.rig.read_back("red")

    def BlueFlow_on_subscription(self, *, metadata):  # noqa: N802
        self.told = Queue()
        self.told.put(self.rig.read_back("blue"))
        return self.told

    def get_Steps(self, *, metadata):  # noqa: N802
        return self.others.steps

    def get_Valve(self, *, metadata):  # noqa: N802
        return self.others.valve

    def get_Solvent(self, *, metadata):  # noqa: N802
        return self.others.solvent


class Photometer(FeatureImplementationBase):
    def __init__(self, server, rig):
        super().__init__(server)
        self.rig = rig

    def Measure(self, *, metadata, instance):  # noqa: N802
        if self.rig.fault == "hang":
            self.rig.hang()
        if self.rig.fault == "drop":
            self.parent_server.wire.cut()
        if self.rig.fault == "error":
            raise DefinedExecutionError(PHOTOMETER.defined_execution_errors["LampOut"], "the lamp is out")
        blue, *others = (self.rig.read(name) for name in CHANNELS)
        return (str(blue), *(float("nan") if isinstance(each, str) else each for each in others))


class Wire:
    """What lies between client and server, and can be cut."""

    def __init__(self, port):
        self.port, self.ends = port, list[socket.socket]()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                there = socket.create_connection(("127.0.0.1", self.port))
                self.ends += [here, there]
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, source, sink):
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        self.end(source, sink)

    def end(self, *ends):
        for each in ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self):
        self.end(*self.ends)
        self.ends.clear()

    def close(self):
        self.end(self.listener)
        self.cut()


class Lock(LockControllerImpl):
    """Of sila2, for what moves and measures."""

    def get_calls_affected_by_LockIdentifier(self):  # noqa: N802
        return [PUMPS, PHOTOMETER]


def started(rig, certificate=None, guarded=False):
    """A server that runs, by TLS where there is a certificate with its key, with the wire to it.

    Where it is guarded, each call takes a login as admin and, while it is locked, the identifier of that lock.
    """
    server = SilaServer("rig", "Rig", "Two pumps and a photometer", "1.0", "https://example.org")
    server.pumps = Pumps(server, rig)
    server.set_feature_implementation(PUMPS, server.pumps)
    server.set_feature_implementation(PHOTOMETER, Photometer(server, rig))
    if guarded:
        server.set_feature_implementation(AuthenticationServiceFeature, AuthenticationServiceImpl(server))
        server.lock = Lock(server)
        server.set_feature_implementation(LockControllerFeature, server.lock)
        server.set_feature_implementation(AuthorizationServiceFeature, AuthorizationServiceImpl(server))
    ports, grpc_server = [], server.grpc_server

    def noting(add):
        return lambda *given, **options: ports.append(add(*given, **options))

    grpc_server.add_insecure_port = noting(grpc_server.add_insecure_port)  # the library does not say which it was given
    grpc_server.add_secure_port = noting(grpc_server.add_secure_port)
    if certificate is None:
        server.start_insecure("127.0.0.1", 0, enable_discovery=False)
    else:
        server.start("127.0.0.1", 0, certificate, certificate, enable_discovery=False)
    server.wire = Wire(ports[0])
    return server


@contextmanager
def served_sila(rig):
    """Serve the rig; yields the table ``[instrument]``."""
    server = started(rig)
    try:
        red, blue = QUANTITIES["knobs"]
        knobs = [
            red
            | {"write": {"call": "PumpService.SetFlow", "parameters": {"Pump": KNOBS[0], "Flow": "{value}"}}}
            | {"readback": "PumpService.RedFlow"},
            blue | {"write": "PumpService.SetBlue", "readback": "PumpService.BlueFlow"},
        ]
        blue_light, *others = QUANTITIES["channels"]
        channels = [blue_light | {"pattern": '"Blue": "(.*?)"'}]
        channels += [channel | {"at": COLOURS[channel["name"]]} for channel in others]
        yield HASTY | {
            "plugin": "sila", "url": f"http://{server.wire.address}",
            "query": "Photometer.Measure", "knobs": knobs, "channels": channels,
        }  # fmt: skip
    finally:
        rig.closing.set()
        server.wire.close()
        server.stop()
