"""What compose sets up, in namespaces of this machine: of each part one is killed, frozen, and cut off.

Prefect's server and PostgreSQL stand on one host, four instruments on another, and a worker on each of two hosts that
have one name. All commands are the real ones; a person asks once more for what a dead worker left.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from places import DEPLOYMENTS
from postgres import programs, running
from two_hosts import CONTROLLER, DATABASE, LAMP, Wires, children, inside, why_not

from flows.engine.outcome import summarize_outcome
from flows.studies.reproduce import reproduce_bundle, summarise_reproduction
from sdl.history import State
from sdl.interchange.bundle_writer import write_bundle
from sdl.ledger.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

LAMPS = {"north": 5101, "east": 5102, "south": 5103, "west": 5104}
"""The instruments, and where each listens."""
PORT = 4200
API = f"http://{DATABASE}:{PORT}/api"
"""Prefect's server, as the two hosts reach it."""
READING_S = 0.5
SOON_S = 300.0
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
LIMITS = "connect_s = 1\nread_s = 2.5\ndeadline_s = 3\nquiet_s = 0.5\nattempts = 12\nfirst_wait_s = 0.2\n"
OURS = re.compile(r'File "[^"]*/(?:sdl|strategies|flows)/[^"]*"')
"""A line of a traceback that is in a file of ours."""


def until(true, what):
    deadline = time.monotonic() + SOON_S
    while not (found := true()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)
    return found


def kill(process):
    """Kill a process with all that it started."""
    for pid in (*family(process.pid), process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(SOON_S)


def family(pid):
    return [each for child in children(pid) for each in (child, *family(child))]


class Parts:
    """The parts of the laboratory, each of which may be killed, frozen, cut off, and brought back.

    Args:
        folder: For what they write.
        wires: Their namespaces.
        database: The PostgreSQL server.
        ledger: URL of the ledger, from another host.
        server: Address of the host of Prefect's server, from where the test runs.
    """

    def __init__(self, folder, wires, database, ledger, server):
        self.folder, self.wires, self.database = folder, wires, database
        self.api = f"http://{server}:{PORT}/api"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
        lines = [line.partition("=") for line in (DEPLOYMENTS / "lab.env.example").read_text().splitlines()]
        stated = {name: value for name, equals, value in lines if equals and name[0] != "#" and "CHANGE" not in value}
        stated.pop("POSTGRES_USER"), stated.pop("POSTGRES_DB")
        own = {"PREFECT_API_URL": API, "SDL_LEDGER": ledger, "OPENBLAS_NUM_THREADS": "1"}
        own["PREFECT_API_DATABASE_CONNECTION_URL"] = f"postgresql+asyncpg://sdl@/prefect?host={database.folder}"
        self.environment = clean | stated | own
        self.running = {}

    def begin(self, name):
        """Start a part, or start it anew."""
        program = Path(sys.executable).with_name
        if name == "server":
            words = [*inside(self.wires.place("pg")), program("prefect"), "server", "start", "--host", "0.0.0.0"]
        elif name in LAMPS:
            record = self.folder / f"{name}.jsonl"
            words = [*inside(self.wires.place("lamp")), sys.executable, "-P", CONTROLLER, "lamp", LAMP, record]
            words += [LAMPS[name], READING_S]
        else:
            words = [*self.on_host(name), program("prefect"), "worker", "start", "--pool", "laboratory"]
        with (self.folder / f"{name}.log").open("ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": self.folder}
            self.running[name] = subprocess.Popen(list(map(str, words)), env=self.environment_of(name), **options)

    def environment_of(self, name):
        """That of a part, with a home of its own."""
        return self.environment | dict.fromkeys(("SDL_HOME", "PREFECT_HOME"), str(self.folder / name))

    def on_host(self, name):
        """The words before a command of one of the two hosts, which have one name, and processes of their own."""
        own = ["unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        return [*inside(self.wires.place(name)), *own, "sh", "-c", 'hostname lab-pi; exec "$@"', "sh"]

    def kill(self, name, away_s):
        """Kill a part, and start it anew some seconds later."""
        kill(self.running[name])
        time.sleep(away_s)
        self.begin(name)

    def freeze(self, name, seconds):
        """Let a part, with all that it started, stand still for some seconds."""
        stopped = [self.running[name].pid, *family(self.running[name].pid)]
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(seconds * (number == signal.SIGSTOP))

    def cut(self, host, role, seconds):
        """Cut a host off from the servers or from the instruments for some seconds."""
        self.wires.connect(host, role, on=False)
        time.sleep(seconds)
        self.wires.connect(host, role, on=True)

    def end(self):
        for process in self.running.values():
            kill(process)

    @property
    def words(self):
        return "\n".join(file.read_text(errors="replace") for file in sorted(self.folder.glob("*.log")))

    def ask(self, path, body=None):
        method = "GET" if body is None else "POST"
        for _ in range(60):  # the server may be on its way back
            with suppress(requests.ConnectionError, requests.Timeout):
                session = requests.Session()
                token = session.get(f"{self.api}/csrf-token?client=test", timeout=5).json().get("token", "")
                session.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})
                answer = session.request(method, self.api + path, json=body, timeout=20)
                if answer.status_code < 500:
                    assert answer.ok, answer.text
                    return answer.json()
            time.sleep(1)
        raise AssertionError(self.words)

    def trigger(self, lamp):
        deployment = self.ask(f"/deployments/name/campaign/{lamp}")["id"]
        return self.ask(f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]


@contextmanager
def operator(wires):
    """A line from where the test runs to the servers; yields their address at its far end.

    Its two addresses are drawn with the namespaces' mark, and no route is added: another run on the same machine, and
    what one that was killed has left behind, are not in its way.
    """
    name, place = wires.mark, wires.place("pg")
    third, quarter = divmod(wires.number % (254 * 64), 64)
    far, near = (f"169.254.{third + 1}.{4 * quarter + end}" for end in (1, 2))

    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    ip("link", "add", name, "type", "veth", "peer", "name", "operator", "netns", place)
    try:
        ip("-n", place, "address", "add", f"{far}/30", "dev", "operator")
        ip("-n", place, "link", "set", "dev", "operator", "up")
        ip("address", "add", f"{near}/30", "dev", name)
        ip("link", "set", "dev", name, "up")
        yield far
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


@pytest.fixture
def parts(tmp_path):
    with (
        Wires() as wires,
        running(programs(), inside(wires.place("pg")), "10.77.0.0/16") as database,
        operator(wires) as server,
    ):
        database.execute("CREATE DATABASE prefect")
        url = database.fresh()
        remote = url.replace(f"?host={database.folder}&", "?").replace("@/", f"@{DATABASE}/")
        made = Parts(tmp_path, wires, database, remote, server)
        try:
            yield made, url
        finally:
            made.end()


def arrivals(parts, lamp):
    file = parts.folder / f"{lamp}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.fault("O-18", "O-52")
def test_of_each_part_one_is_killed_frozen_and_cut_off_and_every_campaign_ends_as_it_would_have(parts, tmp_path):
    lab, ledger = parts
    for part in ("server", *LAMPS):
        lab.begin(part)
    until(lambda: lab.ask("/health"), lambda: lab.words)
    text = [f'[instruments.{lamp}]\nplugin = "claude-light"\nurl = "http://{LAMP}:{port}/api"\nallow_private = true\n'
            for lamp, port in LAMPS.items()]  # fmt: skip
    (tmp_path / "lab.toml").write_text("\n".join(part + LIMITS for part in text))
    deploy = [*lab.on_host("a"), Path(sys.executable).with_name("sdl"), "deploy", tmp_path / "lab.toml"]
    words = list(map(str, deploy))
    done = subprocess.run(words, env=lab.environment_of("a"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for host in ("a", "b"):
        lab.begin(host)
    runs = {lamp: lab.trigger(lamp) for lamp in LAMPS}
    until(lambda: all(len(arrivals(lab, lamp)) >= 2 for lamp in LAMPS), lambda: lab.words)

    lab.database.signal(signal.SIGSTOP)
    time.sleep(3)
    lab.database.signal(signal.SIGCONT)
    lab.cut("a", "pg", 3)
    lab.freeze("north", 2)
    lab.cut("b", "lamp", 3)
    lab.kill("east", 1)
    lab.freeze("b", 3)
    lab.database.stop()
    lab.database.start()
    lab.kill("a", 1)
    lab.freeze("server", 3)
    lab.kill("server", 1)

    def settled():
        """Whether every campaign is finished; a person starts what no run is at work on any more."""
        with Ledger(ledger) as book:
            states = {entry.title.removeprefix("campaign "): entry.state for entry in book.entries()}
        left = [lamp for lamp in LAMPS if states.get(lamp) is not State.FINISHED]
        for lamp in left:
            if lab.ask(f"/flow_runs/{runs[lamp]}")["state"]["type"] in ENDED:
                runs[lamp] = lab.trigger(lamp)
        return not left

    until(settled, lambda: lab.words)
    with Ledger(ledger) as book:
        entries = book.entries()
        assert {entry.title.removeprefix("campaign ") for entry in entries} == {*LAMPS}
        for entry in entries:
            outcome = summarize_outcome(book, entry.name)
            assert outcome["verified"], outcome
            result = reproduce_bundle(write_bundle(book, entry.name, tmp_path / f"{entry.name}.zip"))
            assert result["agrees"], summarise_reproduction(result)
    for lamp in LAMPS:
        assert [line for line in arrivals(lab, lamp) if line["busy"]] == []
    assert OURS.findall(lab.words) == []
