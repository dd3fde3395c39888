"""What Prefect's server on SQLite could not write down for another's sake is tried again there, not by who asked.

A transaction that has read fails when it comes to write after another one has written. Prefect answers 503 then, and
its own clients ask again; a browser does not, and a person is told that something went wrong.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.metadata import version
from typing import Any

from packaging.specifiers import SpecifierSet

TRIED = SpecifierSet("<3.10")
"""Versions of Prefect whose server answers so."""
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BUSY = 503
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
WAITS_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Before each further try; after the last one the answer is passed on whatever it is."""


def retry_writes(app: App) -> App:
    """An ASGI application that does once more what its answer says it was too busy for."""
    if version("prefect") not in TRIED:
        return app

    turn = asyncio.Lock()  # those that were refused would refuse one another again

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in WRITES:
            return await app(scope, receive, send)
        body = await _body(receive)
        if await _done(app, scope, _from(body, receive), send):
            return None
        async with turn:
            for wait in WAITS_S:
                await asyncio.sleep(wait)
                if await _done(app, scope, _from(body, receive), send):
                    return None
            return await app(scope, _from(body, receive), send)

    return patient


async def _body(receive: Receive) -> list[Message]:
    parts = [await receive()]
    while parts[-1].get("more_body"):
        parts.append(await receive())
    return parts


def _from(body: list[Message], receive: Receive) -> Receive:
    """What was received, once more, and then what is yet to come."""
    left = iter(body)

    async def again() -> Message:
        part = next(left, None)
        return await receive() if part is None else part

    return again


async def _done(app: App, scope: Scope, receive: Receive, send: Send) -> bool:
    """Whether the answer was another one than that it is busy, which is kept back."""
    busy = False

    async def unless_busy(message: Message) -> None:
        nonlocal busy
        busy = busy or message.get("status") == BUSY
        if not busy:
            await send(message)

    try:
        await app(dict(scope), receive, unless_busy)  # a copy: the application notes in it how far it came
    except Exception:
        if not busy:  # what made it busy is raised after the answer too, for a log
            raise
    return not busy
