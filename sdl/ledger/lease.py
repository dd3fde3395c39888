"""One controller an instrument: a row with an owner and a fencing token that only grows.

A process that was thought dead and wakes up finds a higher token and is refused (Kleppmann, "How to do
distributed locking", 2016). Whether an owner lives is judged by its process and by its heartbeat *moving*, not
by comparing clocks, so a clock that jumps neither steals nor blocks an instrument.
"""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Row, Update, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sdl.errors import LeaseHeld, LeaseLost
from sdl.ledger.tables import leases
from sdl.system import failpoints
from sdl.system.clock import now
from sdl.system.processes import is_dead, process_name

BEAT_S = 2.0
TTL_S = 15.0
"""Age of a heartbeat, seconds, from which on its owner is watched for a sign of life."""
_LEASE = select(leases).where(leases.c.instrument == bindparam("instrument")).with_for_update()


@dataclass(frozen=True)
class Lease:
    """The right to use an instrument, as long as nobody holds a higher token."""

    instrument: str
    token: int

    def check(self, connection: Connection) -> None:
        """Refuse to go on in this transaction if another process holds the instrument by now.

        Raises:
            LeaseLost: naming the one that does.
        """
        row = connection.execute(_LEASE, {"instrument": self.instrument}).one()
        if row.token != self.token:
            raise LeaseLost(
                f"{self.instrument} was taken over by {row.owner} {_ago(row.since)}: this process no longer writes"
            )


@contextmanager
def hold_lease(engine: Engine, instrument: str, owner: str) -> Iterator[Lease]:
    """Hold an instrument for the length of the block, with a heartbeat in the background.

    Raises:
        LeaseHeld: naming the holder and since when.
    """
    lease = _acquire(engine, instrument, owner)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(engine, lease, ended), daemon=True)
    beating.start()
    failpoints.pass_failpoint("lease-held")
    try:
        yield lease
    finally:
        ended.set()
        beating.join()
        _write(engine, lease, owner="")


@dataclass(frozen=True)
class Holder:
    """Who holds an instrument; in words, with the moment from which on."""

    owner: str
    """What it says of itself."""
    process: str
    host: str
    since: float
    """Seconds since 1970, by the clock of its host; so is the next."""
    beat_at: float
    """Its last sign of life."""

    def __str__(self) -> str:
        return f"{self.owner} ({self.process} on {self.host}) {_ago(self.since)}"


def lease_holders(connection: Connection) -> dict[str, Holder]:
    """Return the holder of each instrument that is held; one whose process is known to be gone holds nothing."""
    rows = connection.execute(select(leases).where(leases.c.owner != ""))
    return {
        row.instrument: Holder(row.owner, row.process.split("@")[0], row.host, row.since, row.beat_at)
        for row in rows
        if not is_dead(row.host, row.process)
    }


def lease_holder(engine: Engine, instrument: str) -> str | None:
    """Say who holds the instrument and since when, in words; None if it is free."""
    with engine.connect() as connection:
        holder = lease_holders(connection).get(instrument)
    return None if holder is None else str(holder)


def _acquire(engine: Engine, instrument: str, owner: str) -> Lease:
    identity = {"owner": owner, "host": platform.node(), "process": process_name(os.getpid())}
    with engine.execution_options(writes=True).begin() as connection:
        row = connection.execute(_LEASE, {"instrument": instrument}).one_or_none()
    if row is not None and row.owner and not is_dead(row.host, row.process) and not _is_silent(engine, row):
        raise LeaseHeld(
            f"{instrument} is held by {lease_holder(engine, instrument)}, "
            f"last sign of life {now() - row.beat_at:.0f} s ago; wait for it to end, or end it with 'sdl stop'",
            instrument,
        )
    token = row.token + 1 if row else 1
    fresh = {"token": token, "since": now(), "beat": 0, "beat_at": now(), **identity}
    take: Insert | Update = insert(leases).values(instrument=instrument, **fresh)
    if row is not None:
        still = (leases.c.instrument == instrument) & (leases.c.token == row.token) & (leases.c.owner == row.owner)
        take = update(leases).where(still).values(**fresh)
    message = f"{instrument} was taken by another process a moment ago; try again when it is done"
    refusal = LeaseHeld(message, instrument)
    try:
        with engine.execution_options(writes=True).begin() as connection:
            changed = connection.execute(take).rowcount
            if row is not None and changed != 1:  # of an insert PostgreSQL tells no number
                raise refusal
    except IntegrityError:
        raise refusal from None
    return Lease(instrument, token)


def _beat(engine: Engine, lease: Lease, ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        if not _write(engine, lease, beat=leases.c.beat + 1, beat_at=now()):
            return


def _write(engine: Engine, lease: Lease, **values: object) -> bool:
    """Write to the lease's row; False if it is no longer ours. A busy database is tried at the next beat."""
    own_row = (leases.c.instrument == lease.instrument) & (leases.c.token == lease.token)
    try:
        with engine.execution_options(writes=True).begin() as connection:
            return connection.execute(update(leases).where(own_row).values(**values)).rowcount == 1
    except SQLAlchemyError:
        return True


def _is_silent(engine: Engine, row: Row[Any]) -> bool:
    """Whether the holder's heartbeat is old and does not move while we watch."""
    if abs(now() - row.beat_at) < TTL_S:
        return False
    until = time.monotonic() + 2.5 * BEAT_S
    while time.monotonic() < until:
        time.sleep(BEAT_S / 4)
        with engine.connect() as connection:
            query = select(leases.c.token, leases.c.beat).where(leases.c.instrument == row.instrument)
            if tuple(connection.execute(query).one()) != (row.token, row.beat):
                return False
    return True


def _ago(moment: float) -> str:
    return f"since {datetime.fromtimestamp(moment):%Y-%m-%d %H:%M:%S}"
