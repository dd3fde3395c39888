"""Two hosts of one name on this machine: network and process namespaces, clocks apart, and what may happen to them.

One PostgreSQL server and one instrument stand in network namespaces of their own, each with a line to each host that
can be cut. A host is the first process of its namespaces: it has all imported, and forks a controller when it is told.
"""

import heapq
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from postgres import programs, running

HOSTS = ("a", "b")
CONTROLLER = Path(__file__).with_name("controller.py")
DATABASE, LAMP = "10.77.0.1", "10.78.0.1"
LINES = {"pg": DATABASE, "lamp": LAMP}
"""Namespaces at the far ends of each host's lines, and the address that each has on both of them."""
SKEW_S = {"a": 0.0, "b": 60.0}
SOON_S = 240.0


def why_not() -> str | None:
    """Why this cannot be done here; None if it can."""
    if programs() is None:
        return "no PostgreSQL here: install Debian's package 'postgresql' to run this"
    if not all(map(shutil.which, ("ip", "nsenter", "unshare"))):
        return "no 'ip', 'nsenter' or 'unshare' here: install Debian's packages 'iproute2' and 'util-linux'"
    trial = ["unshare", "--net", "--uts", "--pid", "--mount", "--fork", "--mount-proc"]
    trial += ["ip", "link", "add", "type", "veth"]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    return f"no namespaces here, which takes root: {tried.stderr.strip()}" if tried.returncode else None


def inside(place: str) -> list[str]:
    """The words before a command that runs in a network namespace."""
    return ["nsenter", f"--net=/run/netns/{place}"]


class Wires:
    """The namespaces of one trial and their lines."""

    def __init__(self) -> None:
        # Of no other trial on this machine, also not of one that was killed and has left its namespaces.
        self.number = int.from_bytes(os.urandom(4))
        self.mark = f"sdl{self.number:08x}"

    def __enter__(self):
        self._undo = ExitStack()
        with self._undo:
            self._lay()
            self._undo = self._undo.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._undo.close()

    def _lay(self) -> None:
        for role in (*LINES, *HOSTS):
            _ip("netns", "add", self.place(role))
            self._undo.callback(_ip, "netns", "delete", self.place(role))
            _ip("-n", self.place(role), "link", "set", "dev", "lo", "up")
        for role, address in LINES.items():
            _ip("-n", self.place(role), "address", "add", f"{address}/32", "dev", "lo")
            for number, host in enumerate(HOSTS):
                far, near = (f"{address.rpartition('.0.')[0]}.{number + 1}.{end}" for end in (1, 2))
                hardware = f"02:00:00:00:{len(role):02x}:{number:02x}"
                _ip("link", "add", role, "netns", self.place(host), "type", "veth",
                    "peer", "name", host, "address", hardware, "netns", self.place(role))  # fmt: skip
                for place, device, own in ((host, role, near), (role, host, far)):
                    _ip("-n", self.place(place), "address", "add", f"{own}/30", "dev", device)
                    _ip("-n", self.place(place), "link", "set", "dev", device, "up")
                # Known for good: a host that asks for it anew keeps what it has to send until it is answered.
                _ip("-n", self.place(host), "neighbour", "add", far, "lladdr", hardware, "dev", role)
                _ip("-n", self.place(host), "route", "add", address, "via", far)

    def place(self, role: str) -> str:
        """The name of a namespace."""
        return f"{self.mark}-{role}"

    def connect(self, host: str, role: str, *, on: bool) -> None:
        """Cut the line between a host and the database or the instrument, or mend it: what is sent is lost silently."""
        _ip("-n", self.place(role), "link", "set", "dev", host, "up" if on else "down")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    """A host, and the controllers that run on it."""

    def __init__(self, name: str, wires: Wires, folder: Path, settings: dict, boot: str | None) -> None:
        self.name, self.wires, self.folder, self.settings, self.boot = name, wires, folder, settings, boot
        self.log = folder / f"{name}.log"
        self.folder.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Boot it."""
        result = {**self.settings, "host": self.name, "home": str(self.folder / self.name), "skew_s": SKEW_S[self.name]}
        boot = ""
        if self.boot is not None:
            file = self.folder / f"boot-{self.name}"
            file.write_text(f"{self.boot}\n")
            boot = f"mount --bind {file} /proc/sys/kernel/random/boot_id; "
        own = ["unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        begin = ["sh", "-c", f'hostname lab-pi; {boot}exec "$@"', "sh"]
        program = [sys.executable, "-P", CONTROLLER, json.dumps(result)]
        command = [*inside(self.wires.place(self.name)), *own, *begin, *program]
        with self.log.open("ab") as log:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True, "bufsize": 1}
            self.process = subprocess.Popen(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, **pipes)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.log.read_text()
        (self.first,) = children(self.process.pid)

    def end(self) -> None:
        """Switch it off, and with it all that runs on it."""
        with suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)
        self.process.wait(SOON_S)
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()

    def begin(self) -> None:
        """Start one more controller."""
        assert self.process.stdin is not None
        before = self.controllers
        self.process.stdin.write("\n")
        _until(lambda: set(self.controllers) - set(before))

    @property
    def controllers(self) -> list[int]:
        """Its controllers that live, by their numbers outside."""
        return children(self.first)


def children(parent: int) -> list[int]:
    """The numbers of the living processes that a process started."""
    try:
        words = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [
            pid
            for pid in map(int, words)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        ]
    except FileNotFoundError:
        return []


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass
class Night:
    """What happens, one event after another, at random but the same for the same seed."""

    hosts: dict[str, Host]
    wires: Wires
    database: object
    """The PostgreSQL server."""
    rng: np.random.Generator
    longest_s: float
    """The longest time for which something stands still."""
    counts: dict[str, int] = field(default_factory=dict)
    due: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    """What is to be taken back, and when."""
    numbers: itertools.count = field(default_factory=itertools.count)
    frozen: bool = False

    def pass_events(self, events: int, between_s: float) -> None:
        """Let so many events happen."""
        while sum(self.counts.values()) < events:
            for host in self.hosts.values():
                if not host.controllers:
                    self._count("start")
                    host.begin()
            self._wait(self.rng.exponential(between_s))
            self._happen()

    def settle(self) -> None:
        """Take back what stands still, and let every campaign that was begun come to its end."""
        while self.due:
            self._wait(0.1)
        for host in self.hosts.values():
            (host.folder.parent / "stop").touch()
            host.begin()  # also beside others, which may have been told to end
        for host in self.hosts.values():
            _until(lambda host=host: not host.controllers)

    def _happen(self) -> None:
        host = self.hosts[str(self.rng.choice(HOSTS))]
        kinds = {"kill": 24, "start": 12, "end": 10, "end twice": 3, "freeze": 12, "freeze long": 8, "host dies": 3,
                 "database restarts": 7, "database away": 4, "database frozen": 5, "cut off from the database": 8,
                 "cut off from the instrument": 4}  # fmt: skip
        kind = str(self.rng.choice(list(kinds), p=np.array(list(kinds.values())) / sum(kinds.values())))
        short_s, long_s = self.rng.uniform(0.05, 0.3) * self.longest_s, self.rng.uniform(0.5, 1.0) * self.longest_s
        pid = int(self.rng.choice(host.controllers)) if host.controllers else None
        if kind == "start":
            if len(host.controllers) >= 3:
                return
            host.begin()
        elif kind == "host dies":
            host.end()
            host.start()
        elif kind == "database restarts":
            self._thaw()
            self.database.stop()
            self.database.start()
        elif kind == "database away":
            if self.due:
                return
            self._thaw()
            self.database.stop()
            time.sleep(long_s)
            self.database.start()
        elif kind == "database frozen":
            self.frozen = True
            self.database.signal(signal.SIGSTOP)
            self._later(long_s if self.rng.random() < 0.3 else short_s, self._thaw)
        elif kind.startswith("cut off"):
            role = "pg" if kind.endswith("database") else "lamp"
            self.wires.connect(host.name, role, on=False)
            mend = lambda: self.wires.connect(host.name, role, on=True)  # noqa: E731
            self._later(long_s if role == "pg" and self.rng.random() < 0.5 else short_s, mend)
        elif pid is None:
            return
        elif kind.startswith("freeze"):
            _signal(pid, signal.SIGSTOP)
            self._later(long_s if kind.endswith("long") else short_s, lambda: _signal(pid, signal.SIGCONT))
        else:
            _signal(pid, signal.SIGKILL if kind == "kill" else signal.SIGTERM)
            if kind == "end twice":
                time.sleep(0.01)
                _signal(pid, signal.SIGTERM)
        self._count(kind)

    def _thaw(self) -> None:
        if self.frozen:
            self.database.signal(signal.SIGCONT)
            self.frozen = False

    def _count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def _later(self, seconds: float, undo: Callable[[], object]) -> None:
        heapq.heappush(self.due, (time.monotonic() + seconds, next(self.numbers), undo))

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.due and self.due[0][0] < until:
            moment, _, undo = heapq.heappop(self.due)
            time.sleep(max(moment - time.monotonic(), 0))
            undo()
        time.sleep(max(until - time.monotonic(), 0))


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@dataclass(frozen=True)
class Trial:
    """What a night left behind."""

    arrivals: list[dict]
    """What the instrument was asked, in the order of coming."""
    words: str
    """What the controllers said."""
    ledger: str
    """URL of the ledger, from here."""


@contextmanager
def lamp(wires: Wires, folder: Path):
    """The instrument, as a process; it writes down what comes."""
    record = folder / "arrivals.jsonl"
    command = [
        *inside(wires.place("lamp")),
        sys.executable,
        "-P",
        CONTROLLER,
        "lamp",
        LAMP,
        str(record),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    )
    try:
        port = int(process.stdout.readline())
        yield f"http://{LAMP}:{port}/api", record
    finally:
        process.kill()
        process.communicate()


@contextmanager
def two_hosts(folder: Path, haste: float, boots: dict[str, str | None]):
    """Two hosts, their lines, their database and their instrument.

    Args:
        folder: For what they write.
        haste: By how much all times of the program are shortened.
        boots: What each host takes for the number of its boot; None leaves that of this machine.
    """
    with ExitStack() as stack:
        wires = stack.enter_context(Wires())
        server = stack.enter_context(running(programs(), inside(wires.place("pg")), "10.77.0.0/16"))
        url, record = stack.enter_context(lamp(wires, folder))
        ledger = server.fresh()
        result = {"ledger": ledger.replace(f"?host={server.folder}&", "?").replace("@/", f"@{DATABASE}/"), "url": url,
                "haste": haste, "stop": str(folder / "stop")}  # fmt: skip
        hosts = {}
        for name in HOSTS:
            hosts[name] = Host(name, wires, folder / "hosts", result, boots[name])
            stack.callback(hosts[name].end)
        yield hosts, wires, server, ledger, record
