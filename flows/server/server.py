"""A Prefect server for as long as one command runs, where none is running already.

Prefect's own ephemeral server outlives a killed command and may be stopped before its clients are done, which ends
in a long traceback. This one is a child that ends when its standard input does: with its parent, however that dies.
"""

import asyncio
import atexit
import errno
import gc
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from flows.environment import WALL, folder, keep_loopback_direct, log_file, settings_of_persons
from flows.server import service_lock as instance
from flows.server.configured_server import find_server, read_settings
from flows.server.failed_start import REFUSED, tell_failed_start, told_failed_start
from flows.server.write_retry import App
from sdl.errors import Interrupted, InvalidInput
from sdl.system.atomic_files import describe_full_disk

START_S = 120
PORT_S = 7.0
"""A server whose parent was killed needs a moment to leave its port."""
BACKLOG = 2048
"""Connections that may wait to be taken, as many as Prefect's own server lets wait."""
ALLOCATIONS = 100_000
"""Between two searches for garbage: at the usual 700 a seventh of Prefect's start goes into searching."""

Result = TypeVar("Result")


def api(directory: Path) -> str:
    """The URL of a Prefect API that answers: the configured one, that of 'sdl up', else of a child of this process.

    Call it before Prefect is imported, so that the child is stopped after Prefect's own last words.

    Raises:
        TimeoutError: if the child does not come up; its words are in ``prefect/server.log``.
        InvalidInput: if the configured one is there and cannot be used.
    """
    keep_loopback_direct()
    if (configured := find_server()) is not None:
        return configured
    if (up := instance.running(directory)) is not None and healthy(up.api):
        os.environ[WALL] = up.wall.removeprefix(up.ui)
        return up.api
    own = OwnServer(directory)
    own.wait()
    atexit.register(own.stop)
    return own.api


def address(port: int) -> str:
    """The URL of the API of a server at a port of this machine."""
    return f"http://127.0.0.1:{port}/api"


def healthy(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a Prefect API answers there."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200 and answer.read(10).strip() == b"true")
    except (urllib.error.URLError, OSError, ValueError, HTTPException):
        return False


def run_with_server(flow_run: Coroutine[Any, Any, Result]) -> Result:
    """Run a flow from a program that has no event loop.

    Raises:
        TimeoutError: if Prefect's server went away or refused something; what was measured is in the ledger.
        Interrupted: if somebody cancelled the run in Prefect's UI.
    """
    import httpx  # what Prefect's client speaks
    from prefect.exceptions import CancelledRun

    try:
        return asyncio.run(_watched(flow_run))
    except CancelledRun as error:
        raise Interrupted(str(error)) from error
    except httpx.HTTPStatusError as error:
        answer = f"{error.response.status_code} {error.response.reason_phrase}"
        raise TimeoutError(
            f"Prefect's server answered {answer} to {error.request.method} {error.request.url.path}; everything "
            "measured is kept: see what 'sdl doctor' says of that server, and run this again to go on"
        ) from error
    except httpx.TransportError as error:
        raise TimeoutError(
            f"Prefect's server no longer answers ({error}); everything measured is kept, run this again to go on"
        ) from error


async def _watched(flow_run: Coroutine[Any, Any, Result]) -> Result:
    """Say what became of runs whose process was killed, and let the next one know which process this is."""
    from prefect.context import AsyncClientContext

    from flows.server import housekeeping

    async with AsyncClientContext() as shared:
        await housekeeping.bury(shared.client)
        with housekeeping.known_by_its_process():
            return await flow_run


@dataclass
class OwnServer:
    """A server on the database of a data directory, as a child that ends with this process.

    It is given a socket that listens already, so that whoever answers at its port is it and nobody else.

    Raises:
        InvalidInput: if somebody else listens at the port, or this process could not show what the server asks for.
    """

    directory: Path
    port: int = 0
    """Where it answers; 0 takes a free one."""
    program: str = "flows.server.server"
    """Module that calls ``serve`` with the socket whose number it is given."""
    child: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        shown, asked = map(os.environ.get, ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"))
        if asked and shown != asked:
            raise InvalidInput(
                "PREFECT_API_AUTH_STRING is not what PREFECT_SERVER_API_AUTH_STRING has a server of our own ask for: "
                "set both alike, or the latter alone"
            )
        self._start()

    @property
    def api(self) -> str:
        """The URL of its API."""
        return address(self.port)

    def _start(self) -> None:
        with listen(self.port) as listener, log_file(folder(self.directory / "prefect") / "server.log") as words:
            self.port = int(listener.getsockname()[1])
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-m", self.program, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=words,
                pass_fds=[listener.fileno()],
                # What Ctrl-C sends to the terminal's processes must not end the server before its clients.
                start_new_session=True,
                env={**os.environ, **_own_address(self.port), "PREFECT_API_URL": ""},
            )

    def restart(self) -> None:
        """Start it again where it has died; what its clients had to say, they say again."""
        if self.child.poll() is not None:
            self._start()

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            InvalidInput: if it ends with a reason: a newer Prefect has written its database, a setting is faulty.
            TimeoutError: if it does not; its words are in ``prefect/server.log``.
        """
        deadline = time.monotonic() + START_S
        while not healthy(self.api):
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                log = self.directory / "prefect" / "server.log"
                if self.child.returncode == REFUSED:
                    reason = log.read_text(errors="replace").splitlines()[-1]
                    stated = ", ".join(settings_of_persons(self.directory))
                    raise InvalidInput(f"{reason} (stated in the environment: {stated})" if stated else reason)
                raise TimeoutError(f"Prefect's server did not start; see {log}{describe_full_disk(self.directory)}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, gently at first."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        try:
            self.child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def _own_address(port: int) -> dict[str, str]:
    """Settings by which the UI and we find the server, and no other page may read from it."""
    names = ",".join((f"http://127.0.0.1:{port}", f"http://localhost:{port}"))
    return {
        "PREFECT_UI_API_URL": address(port),
        "PREFECT_SERVER_API_BASE_PATH": "/api",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": names,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": names,  # the same by its other name
    }


def listen(port: int) -> socket.socket:
    """Return a socket that listens at a port of this machine; 0 takes a free one.

    Raises:
        InvalidInput: if somebody else listens there.
    """
    until = time.monotonic() + PORT_S
    while True:
        try:
            return socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InvalidInput(f"cannot listen at port {port}: {error.strerror}; give another --port") from error
            if time.monotonic() > until:
                whose = "another Prefect server" if healthy(address(port)) else "another program"
                raise InvalidInput(
                    f"{whose} listens at port {port}: give another --port, or set PREFECT_API_URL to use that server"
                ) from error
        time.sleep(0.2)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def taken(port: int) -> bool:
    """Whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def serve(listener: socket.socket, beside: Callable[[App], App] | None = None) -> None:
    """Serve Prefect's API and UI until standard input ends, and with it this process.

    Args:
        listener: A socket that listens already.
        beside: What makes of Prefect's application one that serves something else as well.
    """
    gc.set_threshold(ALLOCATIONS)
    with told_failed_start():
        read_settings()
        import uvicorn
        from prefect.server.api.server import create_app

        from flows.server.database_setup import make_database
        from flows.server.own_origin import refuse_strangers
        from flows.server.write_retry import retry_writes

        make_database()
        app = tell_failed_start(retry_writes(create_app()))
        guarded = refuse_strangers(beside(app) if beside else app)
        server = uvicorn.Server(uvicorn.Config(guarded, log_level="error", timeout_graceful_shutdown=3))

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True
        time.sleep(5)
        os._exit(0)  # the services of Prefect's server may take longer to end than a person waits

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        server.run(sockets=[listener])
    finally:
        os._exit(0 if server.started else 1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
