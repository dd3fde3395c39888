"""Only programs of this machine and our own UI are answered: no page of a stranger drives an instrument by a browser.

Prefect's server allows every origin, and a name server may lead any name to this machine (DNS rebinding).
"""

from flows.server.write_retry import App, Receive, Scope, Send
from sdl.system.browsers import stranger_fault

FORBIDDEN = 403
POLICY_VIOLATION = 1008
API = ("/api", "/wall/api")
"""Below which no page lies, so that no link of a stranger leads there."""


def refuse_strangers(app: App) -> App:
    """An ASGI application that answers no request that a page of another origin sent, or that has another host."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not (fault := stranger_fault(headers, is_page=not scope["path"].startswith(API))):
            return await app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        body = f"refused: {fault}; only this laboratory's own page and programs of this machine are answered".encode()
        kind = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": FORBIDDEN, "headers": kind})
        return await send({"type": "http.response.body", "body": body})

    return guarded
