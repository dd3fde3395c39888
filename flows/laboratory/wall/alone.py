"""The wall by itself: for a laboratory on somebody else's Prefect server, on workers, or without any server."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import uvicorn
from prefect.settings import PREFECT_UI_URL
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from flows.laboratory.wall.app import SECRET, WALL, beside, make_wall
from flows.server.own_origin import refuse_strangers
from flows.server.server import listen
from flows.server.write_retry import App

GRACE_S = 3
"""Seconds in which answers under way are finished at the end."""


def serve_alone(
    where: str, directory: Path, port: int, ready: Callable[[str], None], names: Mapping[str, str] | None = None
) -> None:
    """Serve the wall at a port of this machine until Ctrl-C; Prefect's pages are those of ``PREFECT_API_URL``, if any.

    Args:
        where: File or URL of the ledger.
        directory: The data directory, in which reports are written.
        port: Where; 0 takes a free one.
        ready: Is called with the address of the page.
        names: Of the laboratory's instruments, by their identities.

    Raises:
        InvalidInput: if somebody else listens at the port.
    """
    if known := os.environ.get("PREFECT_API_AUTH_STRING"):  # who has to show it to that server shows it here too
        os.environ.setdefault(SECRET, known)
    api = os.environ.get("PREFECT_API_URL", "")
    app = refuse_strangers(
        beside(_lead_to(str(PREFECT_UI_URL.value()) if api else ""), make_wall(where, directory, api, names))
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=GRACE_S))
    with listen(port) as listener, suppress(KeyboardInterrupt):
        ready(f"http://127.0.0.1:{listener.getsockname()[1]}{WALL}")
        server.run(sockets=[listener])


def _lead_to(ui: str) -> App:
    """An ASGI application that leads to the same page of Prefect's UI, as the links of the wall mean it."""

    async def lead(request: Request) -> Response:
        return RedirectResponse(f"{ui.rstrip('/')}{request.url.path}" if ui else WALL)

    return Starlette(routes=[Route("/{path:path}", lead)])
