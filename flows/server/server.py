"""A Prefect server for as long as one command runs, where none is running already.

Prefect's own ephemeral server outlives a killed command and may be stopped before its clients are done, which ends
in a long traceback. This one is a child that ends when its standard input does: with its parent, however that dies.
"""

import asyncio
import atexit
import gc
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from flows.environment import folder, keep_loopback_direct, log_file
from flows.server import service_lock as instance
from flows.server.newer_database import REFUSED, refuse_newer_database
from sdl.errors import InvalidInput
from sdl.system.atomic_files import describe_full_disk

START_S = 120
ALLOCATIONS = 100_000
"""Between two searches for garbage: at the usual 700 a seventh of Prefect's start goes into searching."""

Result = TypeVar("Result")


def api(directory: Path) -> str:
    """The URL of a Prefect API that answers: the configured one, that of 'sdl up', else of a child of this process.

    Call it before Prefect is imported, so that the child is stopped after Prefect's own last words.

    Raises:
        TimeoutError: if the child does not come up; its words are in ``prefect/server.log``.
    """
    keep_loopback_direct()
    configured = os.environ.get("PREFECT_API_URL")
    if configured and healthy(configured):
        return configured
    if configured:
        print(f"no Prefect server answers at {configured}: going on with one of our own", file=sys.stderr)
    if (up := instance.running(directory)) is not None and healthy(up.api):
        return up.api
    port = free_port()
    wait(child := launch(directory, port), port, directory)
    atexit.register(stop, child)
    return address(port)


def address(port: int) -> str:
    """The URL of the API of a server at a port of this machine."""
    return f"http://127.0.0.1:{port}/api"


def healthy(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a Prefect API answers there."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def run_with_server(flow_run: Coroutine[Any, Any, Result]) -> Result:
    """Run a flow from a program that has no event loop.

    Raises:
        TimeoutError: if Prefect's server went away meanwhile; what was measured is in the ledger.
    """
    import httpx  # what Prefect's client speaks

    try:
        return asyncio.run(_watched(flow_run))
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


def launch(directory: Path, port: int) -> subprocess.Popen[bytes]:
    """Start a server on the database of a data directory, as a child that ends with this process."""
    with log_file(folder(directory / "prefect") / "server.log") as words:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.server.server", str(port)],
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            # What Ctrl-C sends to the terminal's processes must not end the server before its clients.
            start_new_session=True,
            env={**os.environ, **_own_address(port), "PREFECT_API_URL": ""},
        )


def _own_address(port: int) -> dict[str, str]:
    """Settings by which the UI finds its server, and no other page may read from it."""
    names = (f"http://127.0.0.1:{port}", f"http://localhost:{port}")
    return {"PREFECT_UI_API_URL": address(port), "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(names)}


@dataclass
class KeptServer:
    """A server that is kept alive at its port."""

    child: subprocess.Popen[bytes]
    port: int

    def restart(self, directory: Path) -> None:
        """Start it again where it has died; what its clients had to say, they say again."""
        if self.child.poll() is not None:
            self.child = launch(directory, self.port)


def wait(child: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    """Wait until the server answers.

    Raises:
        InvalidInput: if a newer Prefect has written its database.
        TimeoutError: if it does not; its words are in ``prefect/server.log``.
    """
    deadline = time.monotonic() + START_S
    while not healthy(address(port)):
        if child.poll() is not None or time.monotonic() > deadline:
            stop(child)
            log = directory / "prefect" / "server.log"
            if child.returncode == REFUSED:
                raise InvalidInput(log.read_text(errors="replace").splitlines()[-1])
            raise TimeoutError(f"Prefect's server did not start; see {log}{describe_full_disk(directory)}")
        time.sleep(0.1)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End the server, gently at first."""
    assert child.stdin is not None
    child.stdin.close()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def taken(port: int) -> bool:
    """Whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _serve(port: int) -> None:
    gc.set_threshold(ALLOCATIONS)
    import uvicorn
    from prefect.server.api.server import create_app

    from flows.server.database_setup import make_database
    from flows.server.own_origin import refuse_strangers
    from flows.server.write_retry import retry_writes

    make_database()
    server = uvicorn.Server(
        uvicorn.Config(
            refuse_strangers(refuse_newer_database(retry_writes(create_app()))),
            host="127.0.0.1",
            port=port,
            log_level="error",
            timeout_graceful_shutdown=3,
        )
    )

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True
        time.sleep(5)
        os._exit(0)  # the services of Prefect's server may take longer to end than a person waits

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        server.run()
    finally:
        os._exit(0 if server.started else 1)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
