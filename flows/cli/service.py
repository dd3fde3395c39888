"""Commands about the laboratory as a service: up, down, wall, deploy, doctor."""

import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows import environment
from flows.cli.documentation import pages_about
from flows.cli.options import AsJson, Home, LedgerOption
from flows.laboratory import service
from flows.laboratory.definition import TWIN_PORT, Laboratory
from flows.server import server
from flows.server import service_lock as instance
from flows.server.configured_server import ServerFault, adopt_files, examine_server, find_server
from flows.server.service_lock import AlreadyUp, Service
from flows.terminal import err, plain_table, show
from sdl.errors import InvalidInput
from sdl.ledger.ledger import Ledger

START_S = 150.0
END_S = 60.0
WRONG = 3
EXAMPLE = "http://127.0.0.1:4200/api"
MARKS = {"ok": "✓", "warning": "!", "fault": "✗"}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("up")(start_laboratory)
    app.command("down")(end_laboratory)
    app.command("wall")(serve_wall)
    app.command("deploy")(deploy_laboratory)
    app.command("doctor")(examine_setup)


def start_laboratory(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The laboratory file (TOML); by default a laboratory with a twin alone.", show_default=False
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of Prefect's UI; 0 takes a free one.", min=0, max=65535)] = 4200,
    twin: Annotated[bool, typer.Option("--twin", help="Serve a twin of the instrument as well.")] = False,
    twin_port: Annotated[
        int | None,
        typer.Option(
            help="Port of the twin; 0 takes a free one. By default that of the laboratory file, or 5005.",
            min=0,
            max=65535,
            show_default=False,
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background until 'sdl down'.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Start Prefect's server and UI on this machine, with all flows of the laboratory."""
    directory = environment.home(home)
    where = environment.ledger(ledger, directory)
    laboratory = Laboratory.read(file) if file is not None else None
    if twin and laboratory is not None:
        twin_port = laboratory.twin_port(twin_port)
    adopt_files(directory / "prefect")
    find_server()  # tells here, and not in a log alone, where it cannot be used
    Ledger(where).close()  # one that cannot be used is told here and not by every run
    if (running := instance.running(directory)) is not None:
        raise AlreadyUp(f"'sdl up' runs already for {directory}: {running}; 'sdl down' ends it")
    served = (TWIN_PORT if twin_port is None else twin_port) if twin else None
    request = service.ServiceRequest(
        str(directory), where, port, str(file.absolute()) if file else None, served, not detach
    )
    process = service.start_service(request)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager asks like a person at the terminal
    try:
        with err.status("starting Prefect"):
            ready = _ready(process, directory)
        hint = "'sdl down' ends it" if detach else "Ctrl-C ends it"
        lines = [f"UI {ready.ui} ({hint})"]
        wall = ready.wall or "is not on a server that is not ours: 'sdl wall' serves it"
        lines += [f"{name} {said}" for name, said in (("wall", wall), ("twin", ready.twin)) if said]
        shown = {"ui": ready.ui, "wall": ready.wall, "api": ready.api, "twin": ready.twin, "pid": ready.pid}
        show(shown, as_json, *lines)
        if not detach and process.wait():
            raise TimeoutError(f"it ended by itself; see {directory / 'up.log'}")
    except KeyboardInterrupt:
        _end(process)
    except BaseException:
        _end(process)
        raise


def _end(process: service.Process) -> None:
    """End the service in order; at once if a person insists."""
    process.terminate()
    with err.status("ending the runs under way"):
        try:
            process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()


def end_laboratory(home: Home = None, as_json: AsJson = False) -> None:
    """End what 'sdl up' started; the measurement under way is finished and kept."""
    directory = environment.home(home)
    ended = instance.end(directory, END_S)
    line = f"ended: {ended}" if ended else f"nothing runs for {directory}"
    show({"ended": ended.pid if ended else None}, as_json, line)


def serve_wall(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The laboratory file (TOML), for its instruments; by default those of 'sdl up' and those at work.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 4201,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Serve the page for the wall by itself, where 'sdl up' has no Prefect server of its own, or does not run."""
    directory = environment.home(home)
    where = environment.ledger(ledger, directory)
    Ledger(where).close()
    adopt_files(directory / "prefect")
    environment.set_up_prefect(directory)
    laboratory = Laboratory.read(file) if file is not None else None
    names = {laboratory.identity(name): name for name in laboratory.instruments} if laboratory else None
    from flows.laboratory.wall.alone import serve_alone

    ready = lambda url: show({"wall": url}, as_json, f"wall {url} (Ctrl-C ends it)")  # noqa: E731
    serve_alone(where, directory, port, ready, names)


def deploy_laboratory(
    file: Annotated[Path, typer.Argument(help="The laboratory file (TOML).", show_default=False)],
    pool: Annotated[str, typer.Option(help="Name of the work pool, made if it does not exist.")] = "laboratory",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put all flows of a laboratory on the server of PREFECT_API_URL, for workers."""
    laboratory, directory = Laboratory.read(file), environment.home(home)
    adopt_files(directory / "prefect")
    url = os.environ.get("PREFECT_API_URL", "")
    fault = examine_server(url) if url else ServerFault("PREFECT_API_URL names no Prefect server", "set it")
    if isinstance(fault, ServerFault):
        advice = "set PREFECT_API_URL to the address of the one that the workers use"
        raise InvalidInput(f"{fault.words}: {fault.advice}; {advice}, such as {EXAMPLE}")
    environment.set_up_prefect(directory)
    from flows.laboratory.deployments import define_deployments
    from flows.laboratory.work_pool import enrol_deployments

    offered = list(define_deployments(laboratory))
    lacks = server.run_with_server(enrol_deployments(offered, pool, laboratory.notify))
    names = [f"{each.run}/{each.name}" for each in offered]
    line = f"{len(names)} deployments for the workers of pool {pool!r}: prefect worker start --pool {pool}"
    done = {"pool": pool, "deployments": names, "ui": url.removesuffix("/api"), "lacks": lacks}
    show(done, as_json, line, *([lacks] if lacks else []))


def examine_setup(
    file: Annotated[
        Path | None,
        typer.Argument(help="A campaign or laboratory file to check, with its instruments.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(help="Port at which 'sdl up' would listen.", min=1, max=65535)] = 4200,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> int:
    """Say what is wrong with this installation, and what to do about it."""
    from flows.laboratory.doctor import (  # plug-ins and their libraries are imported, which takes seconds
        Setup,
        examine_laboratory,
    )

    directory = environment.home(home)
    adopt_files(directory / "prefect")
    findings = list(examine_laboratory(Setup(directory, environment.ledger(ledger, directory), port, file)))
    rows = [[MARKS[finding.state], finding.what, finding.found, finding.advice] for finding in findings]
    pages = pages_about(finding.found for finding in findings if finding.state == "fault")
    table = plain_table(["", "what", "found", "what to do"], rows)
    show([asdict(finding) for finding in findings], as_json, table, *(f"more in {page}" for page in pages))
    return WRONG if any(finding.state == "fault" for finding in findings) else 0


def _ready(process: service.Process, directory: Path) -> Service:
    """Wait until the deployments are there.

    Raises:
        AlreadyUp: if another 'sdl up' was faster.
        TimeoutError: if it does not come up, with its own words.
    """
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        running = instance.running(directory)
        if running is not None and running.ready and running.pid == process.pid:
            return running
        time.sleep(0.05)
    if (running := instance.running(directory)) is not None and running.pid != process.pid:
        raise AlreadyUp(f"'sdl up' runs already for {directory}: {running}; 'sdl down' ends it")
    words = (directory / "up.log").read_text(errors="replace").strip().splitlines()
    raise TimeoutError(
        f"'sdl up' did not start: {words[-1] if words else 'it said nothing'}; see {directory / 'up.log'}"
    )
