"""The process behind 'sdl up': Prefect's server, the deployments, and a twin on request, until it is told to end.

It is a process of its own so that Ctrl-C at a terminal reaches 'sdl up' alone, which then ends all of it in order.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from flows import environment
from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import define_deployments
from flows.run_policy.import_path import leave_project
from flows.run_policy.interrupts import SERVICE
from flows.server import server
from flows.server import service_lock as instance
from flows.server.configured_server import adopt_files, find_server, read_settings
from flows.server.service_lock import Service
from sdl.errors import SdlError
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer

REFUSED = 2
WALL = "/wall"
"""Where our own server has the page for the wall."""

Process: TypeAlias = subprocess.Popen[bytes]


@dataclass(frozen=True)
class ServiceRequest:
    """What 'sdl up' is asked to start."""

    home: str
    ledger: str
    port: int
    laboratory: str | None = None
    """The laboratory file."""
    twin_port: int | None = None
    """Where to serve a twin; None serves none."""
    attached: bool = False
    """Whether to end when standard input does."""

    @property
    def directory(self) -> Path:
        """The data directory."""
        return Path(self.home)


def start_service(request: ServiceRequest) -> Process:
    """Start the service as a process; what it prints goes to ``up.log`` in the data directory."""
    with environment.log_file(request.directory / "up.log") as words:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.laboratory.service", json.dumps(asdict(request) | {"ledger": ""})],
            env={
                **os.environ,
                "SDL_LEDGER": request.ledger,
            },  # it may hold a password, which every user of the machine saw
            stdin=subprocess.PIPE if request.attached else subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )


def main() -> None:
    """Serve as the argument says; the exit code is that of 'sdl up'."""
    request = ServiceRequest(**(json.loads(sys.argv[1]) | {"ledger": os.environ["SDL_LEDGER"]}))
    gc.set_threshold(server.ALLOCATIONS)
    try:
        with instance.alone(request.directory):
            _serve(request)
    except (SdlError, TimeoutError) as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(REFUSED)
    os._exit(0)  # else Prefect tries for long to say its last words to a server that is gone


def _serve(request: ServiceRequest) -> None:
    os.environ |= {"SDL_HOME": request.home, "SDL_LEDGER": request.ledger, SERVICE: str(os.getpid())}
    with ExitStack() as stack:
        os.environ.setdefault("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "true")  # a secret no other page is given
        adopt_files(request.directory / "prefect")
        environment.set_up_prefect(request.directory)
        own_server = None
        if find_server() is None:
            own_server = server.OwnServer(request.directory, request.port, program="flows.laboratory.wall")
            stack.callback(own_server.stop)
            os.environ["PREFECT_API_URL"] = own_server.api
        service = Service(os.getpid(), os.environ["PREFECT_API_URL"], since=time.time())
        if own_server is not None:
            os.environ[environment.WALL] = WALL  # runs link to it
            service = replace(service, wall=f"{service.ui}{WALL}")
        instance.tell(request.directory, service)
        service = replace(service, twin=stack.enter_context(_twin(request.twin_port)))
        file = Path(request.laboratory) if request.laboratory else None
        laboratory = Laboratory.read(file) if file else Laboratory.of_a_twin(service.twin)
        # Prefect and the flows are imported while the server starts.
        read_settings()
        from flows.laboratory.registration import import_flow
        from flows.laboratory.runner import serve_deployments

        service = replace(service, instruments={laboratory.identity(name): name for name in laboratory.instruments})
        offered = list(define_deployments(laboratory))
        for definition in offered:
            import_flow(definition)
        if own_server is not None:
            own_server.wait()
        leave_project(environment.folder(request.directory / "prefect"))
        serving = serve_deployments(
            offered, service, request.directory, own_server, attached=request.attached, notify=laboratory.notify
        )
        asyncio.run(serving)


@contextmanager
def _twin(port: int | None) -> Iterator[str | None]:
    """Serve a twin and say where; None if none is asked for."""
    if port is None:
        yield None
        return
    with InstrumentServer(Twin(), port=port) as served:
        yield served.url


if __name__ == "__main__":
    main()
