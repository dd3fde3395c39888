"""A laboratory as a service, in a data directory of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import requests

from flows.server import service_lock as instance
from sdl.ledger.ledger import Ledger

SOON_S = 300
"""A hang ends here; a machine that is busy with other work takes its time."""


ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


def secret_headers(api, auth=None):
    """The secret that a Prefect server gives to its own page and to programs of this machine, as headers."""
    result = requests.get(f"{api}/csrf-token", params={"client": "tests"}, auth=auth, timeout=20)
    return {"Prefect-Csrf-Token": result.json()["token"], "Prefect-Csrf-Client": "tests"} if result.ok else {}


class Lab:
    """One data directory, its service, and its API."""

    def __init__(self, home):
        self.home = home
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
        self.environment = {**clean, "SDL_HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}

    def sdl(self, *words):
        command = [Path(sys.executable).with_name("sdl"), *map(str, words)]
        options = {"capture_output": True, "text": True, "check": False, "timeout": SOON_S}
        return subprocess.run(command, env=self.environment, **options)

    def up(self, *words):
        done = self.sdl("up", "--port", 0, "--detach", "--json", *words)
        assert done.returncode == 0, done.stdout + done.stderr + self.words
        self.service = json.loads(done.stdout)

    def start(self, *words):
        """Start a command, as a process to wait for."""
        command = [Path(sys.executable).with_name("sdl"), *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=self.environment, **pipes)

    def front(self, *words):
        """Start it at a terminal, as a process to wait for."""
        self.process = self.start("up", "--port", 0, *words)
        assert "Ctrl-C ends it" in self.process.stdout.readline()
        self.service = {"api": instance.running(self.home).api}

    @property
    def words(self):
        return (self.home / "up.log").read_text()

    def ask(self, path, body=None, method=None):
        method = method or ("GET" if body is None else "POST")
        for _ in range(20):
            options = {"json": body, "headers": self._secret(), "auth": self._auth, "timeout": 20}
            answer = requests.request(method, self.service["api"] + path, **options)
            if answer.status_code != 503:
                break
            time.sleep(0.5)  # its database is busy: Prefect's own clients ask again too
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _secret(self):
        """The headers without which the server of a laboratory obeys nobody, as its own page gets them."""
        return secret_headers(self.service["api"], self._auth)

    @property
    def _auth(self):
        name, _, secret = self.environment.get("PREFECT_API_AUTH_STRING", "").partition(":")
        return (name, secret) if secret else None

    def deployment(self, flow, name="twin"):
        return self.ask(f"/deployments/name/{flow}/{name}")

    def trigger(self, flow, parameters=None, name="twin", **more):
        body = {"parameters": parameters or {}, "state": {"type": "SCHEDULED"}, **more}
        return self.ask(f"/deployments/{self.deployment(flow, name)['id']}/create_flow_run", body)["id"]

    def until(self, run, states):
        deadline = time.monotonic() + SOON_S
        while (found := self.ask(f"/flow_runs/{run}"))["state"]["type"] not in states:
            assert time.monotonic() < deadline, found["state"]
            time.sleep(0.1)
        return found["state"]

    def trail(self, name):
        with Ledger(self.home / "ledger.sqlite") as book:
            return book.trail(next(each.id for each in book.entries() if each.name == name))

    def processes(self):
        """Every living process that was started for this data directory."""
        mark, found = f"SDL_HOME={self.home}".encode(), []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (each / "environ").read_bytes().split(b"\0"):
                    found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found

    def gone(self):
        deadline = time.monotonic() + SOON_S
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left
