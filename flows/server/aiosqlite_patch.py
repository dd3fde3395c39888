"""A statement that failed is ended where it ran, so that Prefect's server on SQLite cannot stand still.

The driver that Prefect uses runs the statements of a connection in a thread, and forgets the cursor of one that failed.
Python's collector then ends it in the thread of the event loop, with the interpreter's lock in hand, and waits there
for that connection; which may be waiting, for up to a minute, for a transaction that only the event loop can end.
"""

from collections.abc import Callable
from typing import Any

from aiosqlite import Cursor


async def _execute(self: Cursor, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run something of the cursor in its connection's thread."""

    def run_or_end() -> Any:
        try:
            return fn(*args, **kwargs)
        except BaseException:
            self._cursor.close()
            raise

    return await self._conn._execute(run_or_end)  # type: ignore[no-untyped-call]


def end_them() -> None:
    """End them so in this process, from now on."""
    Cursor._execute = _execute  # type: ignore[method-assign]
