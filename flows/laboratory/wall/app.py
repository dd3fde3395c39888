"""The wall as an application beside Prefect's: its page, what is new, what is asked, and reports.

It stands behind ``flows.server.own_origin`` like all that this server answers: no page of a stranger and no forged
host reaches it. Who has to show a name and a secret to Prefect shows them here too.
"""

import asyncio
import base64
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from hmac import compare_digest
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from flows.laboratory.wall import actions
from flows.laboratory.wall.board import harmless
from flows.laboratory.wall.feed import Feed
from flows.laboratory.wall.prefect_runs import PrefectRuns
from flows.laboratory.wall.reports import current_report
from flows.server.write_retry import App, Receive, Scope, Send
from sdl.errors import InvalidInput, NotAllowed, SdlError
from sdl.ledger.people.tokens import Tokens

WALL = "/wall"
SECRET = "PREFECT_SERVER_API_AUTH_STRING"
"""Variable with the name and the secret that Prefect's server asks its clients for."""
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
LONGEST = 20_000
"""Bytes of what somebody asks."""
OWN = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and do: nothing that does not come from here, and in no frame of another page."""
REPORT = "sandbox allow-scripts allow-popups; frame-ancestors 'none'"
"""A report holds words of strangers: whatever it did, it would do as a page of nowhere."""
Answer = Callable[[Request], Awaitable[Response]]


def beside(app: App, wall: App) -> App:
    """An ASGI application that serves the wall below its own path and another one elsewhere."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        own = scope["type"] == "http" and (path == WALL or path.startswith(f"{WALL}/"))
        await (wall if own else app)(scope, receive, send)

    return either


def make_wall(where: str, directory: Path, api: str = "", names: Mapping[str, str] | None = None) -> App:
    """Return the wall of a laboratory.

    Args:
        where: File or URL of its ledger.
        directory: Its data directory.
        api: URL of the API of Prefect's server, by which runs are linked; empty for none.
        names: Of its instruments, by their identities; by default those of the 'sdl up' of the data directory.
    """
    pages = _Pages(Feed(where, directory, PrefectRuns(api), names))
    page = files("flows.laboratory.wall").joinpath("page")
    contents = {each.name: each.read_bytes() for each in page.iterdir() if each.name.endswith(tuple(KINDS))}

    async def static(request: Request) -> Response:
        name = request.path_params.get("name", "wall.html")
        if name not in contents:
            return Response("there is no such page", 404, media_type="text/plain")
        return Response(contents[name], headers=_headers(OWN), media_type=KINDS[Path(name).suffix])

    async def home(_: Request) -> Response:
        return RedirectResponse(WALL)

    routes = [
        Route(WALL, static),
        Route(f"{WALL}/", home),
        Route(f"{WALL}/api/news", _answered(pages.news)),
        Route(f"{WALL}/api/approval", _answered(pages.approval)),
        Route(f"{WALL}/api/who", _answered(pages.who), methods=["POST"]),
        Route(f"{WALL}/api/ask", _answered(pages.ask), methods=["POST"]),
        Route(f"{WALL}/report/{{campaign}}", _answered(pages.report)),
        Route(f"{WALL}/{{name}}", static),
    ]
    return Starlette(routes=routes)


class _Pages:
    """What is answered, from one feed."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self._tokens: Tokens | None = None

    async def news(self, request: Request) -> Response:
        asked = request.query_params
        try:
            version, serial = int(asked.get("board", 0)), int(asked.get("reading", 0))
        except ValueError:
            raise InvalidInput("board and reading are whole numbers") from None
        news = await self.feed.news(asked.get("life", ""), version, serial)
        return Response(news, headers=_headers(OWN), media_type="application/json")

    async def approval(self, request: Request) -> Response:
        name = request.query_params.get("campaign", "")
        return _json(await asyncio.to_thread(lambda: actions.waiting_approval(self.feed.open(), name)))

    async def who(self, request: Request) -> Response:
        asked = await _read(request)
        holder = await asyncio.to_thread(lambda: self.tokens().identify(str(asked.get("token", ""))[:200]))
        return _json(harmless({"name": holder.name, "kind": holder.kind.value, "role": holder.role.value}))

    async def ask(self, request: Request) -> Response:
        try:
            asked = actions.Asked.model_validate(await _read(request))
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            raise InvalidInput(faults) from None
        said = await asyncio.to_thread(lambda: actions.ask(self.feed.open(), self.tokens(), asked))
        self.feed.hurry()
        return _json(harmless({"said": said}))

    async def report(self, request: Request) -> Response:
        ledger = await asyncio.to_thread(self.feed.open)
        file = await current_report(ledger, request.path_params["campaign"], self.feed.directory)
        return FileResponse(file, headers=_headers(REPORT), media_type="text/html")

    def tokens(self) -> Tokens:
        """Those of the ledger, with what was tried already."""
        if self._tokens is None or self._tokens.ledger is not self.feed.open():
            self._tokens = Tokens(self.feed.open())
        return self._tokens


def _answered(answer: Answer) -> Answer:
    """An answer for who may see it; what goes wrong is a sentence."""

    @wraps(answer)
    async def answered(request: Request) -> Response:
        if not _is_known(request.headers.get("authorization", "")):
            return Response("your name and secret, please", 401, headers={"www-authenticate": 'Basic realm="wall"'})
        try:
            return await answer(request)
        except NotAllowed as error:
            return _json(harmless({"fault": str(error)}), 403)
        except InvalidInput as error:
            return _json(harmless({"fault": str(error)}), 400)
        except SdlError as error:
            return _json(harmless({"fault": str(error)}), 503)

    return answered


def _is_known(shown: str) -> bool:
    """Whether a request shows what this server asks its clients for, if it does."""
    wanted = os.environ.get(SECRET, "")
    return not wanted or compare_digest(shown.encode(), b"Basic " + base64.b64encode(wanted.encode()))


async def _read(request: Request) -> dict[str, object]:
    """The object of JSON that was sent; no form of a page can send one.

    Raises:
        InvalidInput: if it is none.
    """
    kind, body = request.headers.get("content-type", ""), b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise InvalidInput(f"at most {LONGEST} bytes can be asked")
    if kind.partition(";")[0].strip() == "application/json":
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            asked = None
        if isinstance(asked, dict):
            return asked
    raise InvalidInput("what is asked has to be an object in JSON")


def _json(content: object, status: int = 200) -> Response:
    return JSONResponse(content, status, headers=_headers(OWN))


def _headers(policy: str) -> dict[str, str]:
    return {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
    }
