"""One controller an instrument: a row with an owner and a fencing token that only grows.

A process that was thought dead and wakes up finds a higher token and is refused (Kleppmann, "How to do
distributed locking", 2016). Whether an owner lives is judged by its process where that can be seen, and else by its
heartbeat *moving*, not by comparing clocks: a clock that jumps or runs ahead neither steals nor blocks an instrument.

A campaign has no lease of its own: whoever works on it holds the instrument that the ledger books it on, and its
instrument is changed by nobody who does not hold both (``Ledger.move``).
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sdl.errors import LeaseHeld, LeaseLost, LedgerError
from sdl.formatting import format_duration
from sdl.ledger.database import answered
from sdl.ledger.tables import leases
from sdl.system import failpoints
from sdl.system.clock import now
from sdl.system.processes import is_dead, process_name, this_host

BEAT_S = 2.0
TTL_S = 15.0
"""Seconds for which a heartbeat may stand still; an owner that is silent for longer, while we watch, is overtaken."""
UNKNOWN_TOKENS = 1_000_000
"""More than an instrument is held in its life, where nobody knows how often it was."""
_LEASE = select(leases).where(leases.c.instrument == bindparam("instrument")).with_for_update()
_own = set[tuple[str, int, float]]()
"""What this process holds: instrument, token, and since when. A database may be away when it lets go of one."""
_watched = dict[tuple[str, str], "_Stillness"]()
"""Heartbeats that look old, by ledger and instrument, as this process has watched them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lease:
    """The right to use an instrument, as long as nobody holds a higher token."""

    instrument: str
    token: int
    abandoned: bool = False
    """Whether the one who held it before ended without letting go of it."""
    members: tuple["Lease", ...] = ()
    """Those of the instruments that it is made of or asks beside itself, where there are such."""

    @property
    def instruments(self) -> set[str]:
        """All that it is the right to use."""
        return {self.instrument, *(member.instrument for member in self.members)}

    def of(self, instrument: str) -> "Lease":
        """The right to use one of its members, for as long as it is a right itself.

        Args:
            instrument: Identity of the member.
        """
        member = next(member for member in self.members if member.instrument == instrument)
        return replace(member, members=(self,))

    def check(self, connection: Connection) -> None:
        """Refuse to go on in this transaction if another process holds the instrument by now, or one of its members.

        Raises:
            LeaseLost: naming the one that does.
        """
        for member in self.members:
            member.check(connection)
        row = connection.execute(_LEASE, {"instrument": self.instrument}).one()
        if row.token != self.token:
            by = row.owner or "one who let go of it again"
            words = f"{self.instrument} was taken over by {by} {_ago(row.since)}: this process no longer writes"
            raise LeaseLost(words, self.instrument)


@contextmanager
def hold_lease(engine: Engine, instrument: str, owner: str) -> Iterator[Lease]:
    """Hold an instrument for the length of the block, with a heartbeat in the background.

    Raises:
        LeaseHeld: naming the holder and since when.
    """
    lease, since = _acquire(engine, instrument, owner)
    own = (instrument, lease.token, since)
    _own.add(own)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(engine, lease, ended), daemon=True)
    beating.start()
    failpoints.pass_failpoint("lease-held")
    try:
        yield lease
    finally:
        ended.set()
        beating.join()
        _own.discard(own)
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

    @property
    def sign_of_life(self) -> str:
        """When it gave the last sign of life, in words."""
        age = now() - self.beat_at
        if age < -BEAT_S:
            return f"by a clock that is {format_duration(-age)} ahead of ours"
        return f"{max(age, 0):.0f} s ago" if age < 100 else f"{format_duration(age)} ago"


@dataclass(frozen=True)
class _Stillness:
    """A heartbeat that looked old and has stood still while we watched it."""

    beat: tuple[int, int]
    """Token and number."""
    seen_s: float
    """Seconds of watching; a pause of our own counts no more than one beat, since it may have been everybody's."""
    looked_at: float
    """When we last looked, by the monotonic clock."""


def lease_holders(connection: Connection) -> dict[str, Holder]:
    """Return the holder of each instrument that is held; one that is known to be dead or silent holds nothing."""
    rows = connection.execute(select(leases).where(leases.c.owner != "")).all()
    return {row.instrument: _holder(row) for row in rows if _lives(connection, row) is not False}


def lease_holder(engine: Engine, instrument: str) -> Holder | None:
    """Return who holds the instrument; None if it is free. One whose heartbeat looks old is watched first."""
    announced = False
    while True:
        with answered(engine), engine.connect() as connection:
            row = connection.execute(select(leases).where(leases.c.instrument == instrument)).one_or_none()
            lives = row is not None and bool(row.owner) and _lives(connection, row)
        if lives is not None:
            return _holder(row) if row is not None and lives else None
        assert row is not None
        if not announced and _seen_still_s(engine, row) > 2.5 * BEAT_S:  # else its clock, rather than its heart, is off
            log.warning("%s was held by %s, last sign of life %s; watching for %.0f s whether there is another one",
                        instrument, _holder(row), _holder(row).sign_of_life, _silence_s())  # fmt: skip
            announced = True
        time.sleep(BEAT_S / 4)


def read_tokens(connection: Connection) -> dict[str, int]:
    """Return the highest token that each instrument was ever held with."""
    return {row.instrument: row.token for row in connection.execute(select(*leases.c["instrument", "token"]))}


def fence_off(connection: Connection, tokens: Mapping[str, int]) -> None:
    """Free every instrument, at a token beyond those that were given out: in a ledger that was restored.

    Who held one by the ledger before, and sleeps, is refused when it wakes.
    """
    for instrument, token in read_tokens(connection).items():
        beyond = max(token, tokens.get(instrument, token + UNKNOWN_TOKENS)) + 1
        free = update(leases).where(leases.c.instrument == instrument).values(owner="", token=beyond)
        connection.execute(free)


def _acquire(engine: Engine, instrument: str, owner: str) -> tuple[Lease, float]:
    """Take an instrument; return the lease and since when it holds."""
    holder = lease_holder(engine, instrument)
    if holder is not None:
        raise LeaseHeld(
            f"{instrument} is held by {holder}, last sign of life {holder.sign_of_life}; wait for it to end, or end it "
            "with 'sdl stop'",
            instrument,
        )
    message = f"{instrument} was taken by another process a moment ago; try again when it is done"
    refusal = LeaseHeld(message, instrument)
    try:
        with answered(engine, "write"), engine.execution_options(writes=True).begin() as connection:
            row = connection.execute(_LEASE, {"instrument": instrument}).one_or_none()
            if row is not None and row.owner and _lives(connection, row) is not False:
                raise refusal
            own: dict[str, Any] = {"instrument": instrument, "token": row.token + 1 if row else 1, "owner": owner}
            own |= {"host": this_host(), "process": process_name(os.getpid())}
            own |= {"since": now(), "beat": 0, "beat_at": now()}
            take = insert(leases) if row is None else update(leases).where(leases.c.instrument == instrument)
            connection.execute(take.values(**own))
    except LedgerError as error:
        if isinstance(error.__cause__, IntegrityError):
            raise refusal from None
        raise
    return Lease(instrument, own["token"], abandoned=row is not None and bool(row.owner)), own["since"]


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


def _silence_s() -> float:
    """Seconds for which a heartbeat has to stand still, while we watch, before its owner counts as gone."""
    return max(TTL_S, 2.5 * BEAT_S)


def _seen_still_s(engine: Engine, row: Row[Any]) -> float:
    """Seconds for which we have seen a heartbeat stand still."""
    watched = _watched.get((str(engine.url), row.instrument))
    return watched.seen_s if watched else 0.0


def _lives(connection: Connection, row: Row[Any]) -> bool | None:
    """Whether the owner of a lease lives; None as long as only watching on can tell."""
    if is_dead(row.host, row.process):
        return False
    ours = (row.host, row.process) == (this_host(), process_name(os.getpid()))
    if ours and (row.instrument, row.token, row.since) not in _own:
        return False
    place, beat, moment = (str(connection.engine.url), row.instrument), (row.token, row.beat), time.monotonic()
    if abs(now() - row.beat_at) < TTL_S:
        _watched.pop(place, None)
        return True
    before = _watched.get(place)
    if before is None or before.beat != beat:
        _watched[place] = _Stillness(beat, 0.0, moment)
        return None if before is None else True
    seen_s = before.seen_s + min(moment - before.looked_at, BEAT_S)
    _watched[place] = _Stillness(beat, seen_s, moment)
    return False if seen_s >= _silence_s() else None


def _holder(row: Row[Any]) -> Holder:
    return Holder(row.owner, row.process.split("@")[0], row.host.partition(" (")[0], row.since, row.beat_at)


def _ago(moment: float) -> str:
    return f"since {datetime.fromtimestamp(moment):%Y-%m-%d %H:%M:%S}"
