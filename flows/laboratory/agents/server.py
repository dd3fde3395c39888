"""A laboratory over the Model Context Protocol: the tools of a desk, for the holder of a token."""

import asyncio
import socket
from collections.abc import Callable
from functools import wraps
from inspect import getdoc, isfunction
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.dependencies import get_access_token
from mcp_types import ToolAnnotations

from flows.environment import LOOPBACK
from flows.laboratory.agents.desk import Desk
from flows.laboratory.agents.marking import INSTRUCTIONS, NOTE, mark
from flows.laboratory.definition import Laboratory
from sdl import __version__
from sdl.errors import NotAllowed, SdlError
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.tokens import Identity, Tokens


def serve_at_pipes(laboratory: Laboratory, ledger: Ledger, token: str) -> None:
    """Serve one agent over standard input and output until it closes them.

    Raises:
        NotAllowed: if the token is nobody's.
    """
    tokens = Tokens(ledger)
    tokens.identify(token)
    desk = Desk(laboratory, ledger, lambda: tokens.identify(token))
    _build(desk).run("stdio", show_banner=False, log_level="ERROR")


def serve_at_port(laboratory: Laboratory, ledger: Ledger, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve any number of agents over HTTP, each with a token of its own in every request.

    Args:
        laboratory: The laboratory.
        ledger: Its ledger.
        host: Address to listen at.
        port: Port; 0 takes a free one.
        ready: Called with the address once it listens.
    """
    tokens = Tokens(ledger)
    server = _build(Desk(laboratory, ledger, lambda: tokens.identify(_shown())), _Verifier(tokens))
    with socket.create_server((host, port)) as listening:
        ready(f"http://{host}:{listening.getsockname()[1]}/mcp")
        asyncio.run(
            server.run_http_async(
                show_banner=False,
                host=host,
                log_level="ERROR",
                path="/mcp",
                stateless_http=True,  # a call stands on its own token, and on no session that another one began
                host_origin_protection=host in LOOPBACK,
                sockets=[listening],
                uvicorn_config={"access_log": False},
            )
        )


class _Verifier(TokenVerifier):
    """Refuses a request without a token that counts, before anything else of it is looked at."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self.tokens = tokens

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            identity: Identity = await asyncio.to_thread(self.tokens.identify, token)
        except NotAllowed:
            return None
        return AccessToken(token=token, client_id=str(identity.id), scopes=[])


def _shown() -> str:
    token = get_access_token()
    return "" if token is None else token.token


def _build(desk: Desk, auth: TokenVerifier | None = None) -> FastMCP:
    server: FastMCP = FastMCP("laboratory", INSTRUCTIONS, version=__version__, auth=auth, mask_error_details=True)
    for name in (name for name, made in vars(Desk).items() if isfunction(made) and not name.startswith("_")):
        reads, tool = not name.startswith("propose"), getattr(desk, name)
        notes = ToolAnnotations(read_only_hint=reads, destructive_hint=False, open_world_hint=False)
        server.tool(_guarded(desk, tool), description=f"{getdoc(tool)}\n\n{NOTE}", annotations=notes)
    return server


def _guarded(desk: Desk, tool: Callable[..., Any]) -> Callable[..., Any]:
    """The tool for holders of a token alone; whatever it answers, its errors too, is marked."""

    @wraps(tool)
    def called(*given: Any, **named: Any) -> Any:
        try:
            desk.identify()
            return mark(tool(*given, **named))
        except SdlError as error:
            raise ToolError(mark(str(error))) from None

    return called
