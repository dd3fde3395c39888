"""A database that a newer Prefect has written is refused in one sentence that says what to do.

Prefect's own server ends there with a traceback about a revision that it cannot locate.
"""

import os
import sys
from importlib.metadata import version

from flows.server.write_retry import App, Receive, Scope, Send

REFUSED = 3
"""Exit code of a server that does not start for this reason; the last line of its log is the sentence."""


def refuse_newer_database(app: App) -> App:
    """An ASGI application that ends its process with ``REFUSED`` where its database is newer than this Prefect."""
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    async def start(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except CommandError as error:
            if not isinstance(error.__cause__, ResolutionError):
                raise
            print(_advice(), file=sys.stderr, flush=True)
            os._exit(REFUSED)

    return start


def _advice() -> str:
    return (
        f"Prefect's database was written by a newer Prefect than the {version('prefect')} installed here: bring this "
        "one up to date (pip install --upgrade prefect), or put the database aside (prefect.db in the folder 'prefect' "
        "of the data directory) and a new one is made; all that was measured is in the ledger, not there"
    )
