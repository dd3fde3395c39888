"""A PostgreSQL server of our own for the length of a test run: unprivileged, on a socket, gone afterwards."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

USER = "sdl"
SOON_S = 30.0


def programs() -> Path | None:
    """Where ``initdb`` and ``postgres`` lie: the newest of Debian's, else those of the path."""
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name))
    found = shutil.which("initdb")
    places = [*reversed(debians), *([Path(found).resolve().parent] if found else [])]
    return next((each for each in places if (each / "initdb").exists() and (each / "postgres").exists()), None)


class Server:
    """A server, from which every test takes an empty place of its own."""

    def __init__(self, folder: Path, command: list, options: dict) -> None:
        self.folder, self._numbers = folder, itertools.count(1)
        self._command, self._options = command, options
        self.url = f"postgresql+psycopg://{USER}@/postgres?host={folder}"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stderr=log, **self._options)
        until = time.monotonic() + SOON_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except OperationalError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, whoever uses it."""
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(SOON_S / 10)
        except subprocess.TimeoutExpired:  # one that waits for the first word of a client who was cut off hears nothing
            for pid in _children(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(SOON_S)

    def signal(self, number: int) -> None:
        """Send a signal to it and to all of its processes: SIGSTOP freezes them, SIGCONT lets them go on."""
        for pid in [self.process.pid, *_children(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def fresh(self) -> str:
        """The URL of a new empty schema, which is as good as a database and much sooner made."""
        name = f"lab_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url}&options=-csearch_path%3D{name}"

    def execute(self, sentence: str) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(sentence))
        finally:
            engine.dispose()


@contextmanager
def running(programs: Path, inside: Sequence[str] = (), network: str = "") -> Iterator[Server]:
    """Start a server in a fresh folder; end it and remove the folder afterwards.

    Args:
        programs: Where its programs lie.
        inside: Words before its command, which root alone may give, such as those that enter a namespace.
        network: From where it may be asked too, such as ``10.77.0.0/16``.
    """
    folder = Path(tempfile.mkdtemp(prefix="sdl-pg-"))  # not pytest's: its path is long and closed to other users
    unprivileged = _unprivileged(folder)
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, **unprivileged}
    options = [
        "-c",
        f"listen_addresses={'*' if network else ''}",
        "-c",
        f"unix_socket_directories={folder}",
        "-c",
        "fsync=off",
    ]
    try:
        make = [programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(make, check=True, **quiet)
        command = [programs / "postgres", "-D", data, *options]
        if network:
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {network} trust\n")
        if inside:
            user = ["setpriv", f"--reuid={quiet.pop('user')}", f"--regid={quiet.pop('group')}", "--clear-groups"]
            quiet.pop("extra_groups")
            command = [*inside, *user, *command]
        server = Server(folder, command, quiet)
        try:
            yield server
        finally:
            server.signal(signal.SIGCONT)
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children(parent: int) -> list[int]:
    return list(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))


def _unprivileged(folder: Path) -> dict:
    """How to start a process that is not root, which PostgreSQL refuses to be; the folder becomes its own."""
    if os.geteuid() != 0:
        return {}
    known = {each.pw_name: each for each in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
