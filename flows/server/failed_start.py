"""A server of our own that does not start tells why in one sentence, the last line of its log, and ends.

Prefect's own ends there with tracebacks of several libraries, whose last line need not say what is wrong.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from flows.server.newer_database import ADVICE, is_newer
from flows.server.write_retry import App, Receive, Scope, Send
from sdl.errors import InvalidInput
from sdl.formatting import hide_password

REFUSED = 3
"""Exit code of a server that does not start for a reason that it tells."""


def tell_failed_start(app: App) -> App:
    """An ASGI application that ends its process with the reason where it cannot start."""

    async def start(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            if scope["type"] != "lifespan":
                raise
            _end(error)

    return start


@contextmanager
def told_failed_start() -> Iterator[None]:
    """End this process with the reason where the block fails."""
    try:
        yield
    except Exception as error:
        _end(error)


def _end(error: Exception) -> NoReturn:
    if not isinstance(error, InvalidInput) and not is_newer(error):
        traceback.print_exception(error)
    print(describe_failed_start(error), file=sys.stderr, flush=True)
    os._exit(REFUSED)


def describe_failed_start(error: Exception) -> str:
    """Return why a server does not start, in one line without a password."""
    if isinstance(error, InvalidInput):
        return "; ".join(error.faults)
    if is_newer(error):
        return ADVICE
    cause = getattr(error, "orig", None) or error
    words = " ".join(hide_password(str(cause)).split())
    return f"Prefect's server cannot start: {f'{type(cause).__name__}: {words}' if words else type(cause).__name__}"
