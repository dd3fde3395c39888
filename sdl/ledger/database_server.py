"""What a database server may do to us, and for how long: restart, stand still, keep a lock for one who sleeps."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from sdl.errors import Interrupted, LedgerAway
from sdl.formatting import format_duration

AWAY_S = 3600.0
"""Seconds for which a campaign at work waits for a server that does not answer."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 10.0
"""Seconds before it is tried again, at first and at most."""
ANSWER_S = 60.0
"""Seconds in which a statement has to be answered before its connection is given up; none of ours takes so long."""
LOCK_S = 30
"""Seconds for which a statement waits for a lock."""
IDLE_S = 20
"""Seconds of silence within a transaction after which the server ends it, and with it the locks of a frozen holder."""
CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""How a connection is opened, and when one that is cut off is given up (libpq's words; the last in milliseconds)."""
LIMITS = (
    f"SET lock_timeout = '{LOCK_S}s'",
    f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'",
)
PASSING = ("08", "40", "53300", "55P03", "57", "25P03")
"""How the numbers of errors begin that pass: connections, deadlocks, too many connections, locks, restarts."""


Result = TypeVar("Result")
log = logging.getLogger(__name__)


def limit_server(engine: Engine) -> None:
    """Have every connection to a PostgreSQL server keep these limits."""
    event.listen(engine, "connect", _set_limits)
    watch = _Watch()
    event.listen(engine, "before_cursor_execute", lambda connection, *_: watch.begin(connection))
    event.listen(engine, "after_cursor_execute", lambda connection, *_: watch.end(connection))
    event.listen(engine, "commit", watch.begin)
    event.listen(engine.pool, "reset", lambda *_: watch.end(None))
    event.listen(engine, "handle_error", lambda _: watch.end(None))


def wait_for_answer(attempt: Callable[[], Result], patience_s: float, interrupted: threading.Event) -> Result:
    """Try until a database server answers, at least twice: the first connection may have broken while it was idle.

    Args:
        attempt: What is tried.
        patience_s: Seconds after which to give up.
        interrupted: Set it to end the wait.

    Raises:
        LedgerAway: if it did not answer for so long.
        Interrupted: if that was asked for.
    """
    begun, wait_s, tries = time.monotonic(), FIRST_WAIT_S, 0
    while True:
        tries += 1
        try:
            result = attempt()
        except LedgerAway as error:
            waited_s = time.monotonic() - begun
            if tries == 1:
                continue
            if waited_s >= patience_s:
                raise
            if tries == 2:
                log.warning("%s. Waiting up to %s for it; nothing is lost", error, format_duration(patience_s))
            if interrupted.wait(wait_s):
                raise Interrupted(f"interrupted while it waited: {error}; run the campaign again to go on") from error
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        else:
            if tries > 2:
                log.warning("the ledger's database answers again, after %s", format_duration(time.monotonic() - begun))
            return result


def may_pass(error: BaseException) -> bool:
    """Return whether an error of a database server may pass by itself: it restarts, is not reached, holds a lock."""
    if not isinstance(error, DBAPIError) or not type(error.orig).__module__.startswith("psycopg"):
        return False
    state = getattr(error.orig, "sqlstate", None)
    broken_off = type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError")
    return error.connection_invalidated or (broken_off if state is None else state.startswith(PASSING))


def _set_limits(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        for limit in LIMITS:
            cursor.execute(limit)
    connection.commit()


class _Watch:
    """Cuts off a connection on which an answer does not come: a server that stands still never does that itself."""

    def __init__(self) -> None:
        self._asked = dict[int, tuple[float, Any]]()
        """By thread: since when it waits, and on which connection."""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, connection: Connection) -> None:
        """Note that an answer is waited for."""
        self._asked[threading.get_ident()] = (time.monotonic(), connection.connection.driver_connection)
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, daemon=True)
                self._thread.start()

    def end(self, _: object) -> None:
        """Note that it came, or never will."""
        self._asked.pop(threading.get_ident(), None)

    def _look(self) -> None:
        idle_since = time.monotonic()
        while self._asked or time.monotonic() - idle_since < ANSWER_S:
            time.sleep(min(ANSWER_S / 10, 1.0))
            for since, connection in list(self._asked.values()):
                idle_since = time.monotonic()
                if idle_since - since > ANSWER_S:
                    _cut_off(connection)


def _cut_off(connection: Any) -> None:
    """End a connection from outside the thread that waits for it."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
    except Exception:  # it is closed already
        return
