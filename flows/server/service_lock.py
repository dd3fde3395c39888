"""The one service of a data directory that 'sdl up' started: who it is, where it answers, how it is ended.

A file lock says whether it lives, so that nothing a killed one left behind can be taken for it.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sdl.errors import InvalidInput, SdlError
from sdl.formatting import format_time
from sdl.system.atomic_files import write_atomically
from sdl.system.processes import this_host

PROBE_S = 0.5
"""Longer than another process holds the lock to see whether it is free."""


class AlreadyUp(SdlError):
    """Another process serves this data directory."""


@dataclass(frozen=True)
class Service:
    """What a service says of itself."""

    pid: int
    api: str = ""
    """URL of Prefect's API that it uses."""
    twin: str | None = None
    """URL of the twin that it serves."""
    since: float = 0.0
    ready: bool = False
    """Whether its deployments are there and watched."""
    wall: str = ""
    """URL of the page for the wall; empty where Prefect's server is not its own, so that there is none."""
    instruments: Mapping[str, str] = field(default_factory=dict)
    """Names of the laboratory's instruments by their identities."""

    @property
    def ui(self) -> str:
        """Where a person looks."""
        return self.api.removesuffix("/api")

    def __str__(self) -> str:
        return f"process {self.pid} since {format_time(self.since)} UTC, {self.ui or 'about to start'}"


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be the service of a data directory for the length of the block.

    Raises:
        AlreadyUp: naming the one that is.
        InvalidInput: what lies in the place of its lock is none.
    """
    with _usable(directory) as lock:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + PROBE_S
        while not _locked(handle):
            if time.monotonic() > until:
                raise AlreadyUp(f"'sdl up' runs already for {directory}: {running(directory)}; 'sdl down' ends it")
            time.sleep(0.02)
        try:
            yield
        finally:
            _about(directory).unlink(missing_ok=True)
    finally:
        os.close(handle)


def describe_owner(directory: Path) -> str:
    """Name the service of a data directory among those of all machines, as Prefect shows who serves a deployment."""
    return f"'sdl up' on {this_host()} for {directory}"


def former_owner(directory: Path) -> str:
    """What the service of a data directory called itself before: in another boot, or container, by another name."""
    with _usable(directory) as lock:
        return lock.read_text(encoding="utf-8", errors="replace")


def keep_owner(directory: Path, owner: str) -> None:
    """Keep what the service of a data directory calls itself, for its successor."""
    with _usable(directory) as lock:
        lock.write_text(owner, encoding="utf-8")


@contextmanager
def _usable(directory: Path) -> Iterator[Path]:
    """The lock of a data directory, to be opened in the block; a sentence where that cannot be."""
    try:
        yield directory / "up.lock"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InvalidInput(f"{directory / 'up.lock'}: {why}, where 'sdl up' keeps its lock: move it away") from error


def tell(directory: Path, service: Service) -> None:
    """Say what this service is; only the one that is alone may."""
    with write_atomically(_about(directory), force=True) as file:
        file.write(json.dumps(asdict(service)).encode())


def running(directory: Path) -> Service | None:
    """The service of a data directory; None if there is none."""
    try:
        handle = os.open(directory / "up.lock", os.O_RDWR)
    except OSError:
        return None
    try:
        if _locked(handle):
            return None
    finally:
        os.close(handle)
    with suppress(OSError, ValueError, TypeError):
        return Service(**json.loads(_about(directory).read_text()))
    return Service(pid=0)  # between its lock and its first words, or its last words and the end


def end(directory: Path, within_s: float) -> Service | None:
    """End the service of a data directory and wait for it; None if there was none.

    Raises:
        TimeoutError: if it has not ended in that time.
    """
    found = None
    until = time.monotonic() + within_s
    while (now := running(directory)) is not None or (found is not None and _lives(found.pid)):
        if now is not None and now.pid and (found is None or found.pid != now.pid):
            with suppress(ProcessLookupError):
                os.kill(now.pid, signal.SIGTERM)
            found = now
        if time.monotonic() > until:
            raise TimeoutError(f"it has not ended in {within_s:.0f} s: {now or found}; see {directory / 'up.log'}")
        time.sleep(0.1)
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _about(directory: Path) -> Path:
    return directory / "up.json"
