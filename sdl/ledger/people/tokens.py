"""Who persons, agents and services are to the ledger: named tokens, of which it keeps salted hashes alone.

They lie in its database, and not in a file beside it: what a token may do is then looked up in the transaction that
does it, and all machines with one ledger know the same people. A ledger without tokens asks nobody for one.
"""

import hashlib
import re
import secrets
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from hmac import compare_digest

from sqlalchemy import Connection, Row, insert, select, update

from sdl.errors import InvalidInput, NotAllowed
from sdl.formatting import format_value, shows_whole
from sdl.history import PROPOSAL
from sdl.ledger import statements
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.look_alikes import look_alike
from sdl.ledger.tables import approvals, tokens
from sdl.system.clock import now

WRITTEN = re.compile(r"sdl-(\d{1,9})-([\w-]{43})", re.ASCII)
"""How a token is written: the number of its row, and 256 bits that nobody guesses."""
COST = {"n": 2**14, "r": 8, "p": 1}
"""Of scrypt: some hundredths of a second and 16 MB for each token that is tried."""
LONGEST_NAME = 60


class Kind(StrEnum):
    """Who has a token."""

    PERSON = "person"
    AGENT = "agent"
    SERVICE = "service"


class Role(StrEnum):
    """What the holder of a token may do; each also what those before it may."""

    VIEWER = "viewer"
    """Read."""
    OPERATOR = "operator"
    """Propose, pause, stop; and, except for agents, resume and extend."""
    APPROVER = "approver"
    """Approve, and let others in; for persons alone."""

    def covers(self, other: "Role") -> bool:
        """Return whether this role may do what another one may."""
        return list(Role).index(self) >= list(Role).index(other)


@dataclass(frozen=True)
class Identity:
    """The holder of a token."""

    id: int
    name: str
    kind: Kind
    role: Role
    hourly: int
    """Proposals that it may make within an hour."""
    daily: int
    """Requests that what it proposes within 24 hours may need, all together."""
    at: float
    """Since when, seconds since 1970."""
    ended: float | None
    """Until when; None if it still counts."""

    @property
    def known(self) -> str:
        """How somebody with this token is known, for the record."""
        return f"token {self.id} of a{'n' if self.kind is Kind.AGENT else ''} {self.kind}, {self.role}"


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a ledger."""

    ledger: Ledger
    _tried: dict[bytes, str] = field(default_factory=dict)
    """Hashes of tokens that were right, by a digest of them: scrypt is slow, and an agent calls often."""
    _trying: threading.Lock = field(default_factory=threading.Lock)
    """Held while one is tried: who guesses keeps one core busy, and no more."""

    def issue(
        self, name: str, kind: Kind, role: Role, by: Identity | None = None, *, hourly: int = 6, daily: int = 200
    ) -> str:
        """Let somebody in, and return the token, which nobody can read again.

        Args:
            name: Of the holder, for the record; no other token ever has it.
            kind: Who that is.
            role: What it may do.
            by: Who asks: a person who may approve, but for the first token, which is that of such a person.
            hourly: Proposals within an hour.
            daily: Requests that proposals within 24 hours may need.

        Raises:
            InvalidInput: for a name that cannot be had, or a role that this kind cannot have.
            NotAllowed: if whoever asks may let nobody in.
        """
        faults = []
        if not (shows_whole(name) and name == name.strip() and 1 <= len(name) <= LONGEST_NAME):
            faults.append(f"a name needs 1 to {LONGEST_NAME} letters that show, got {format_value(name)}")
        if role is Role.APPROVER and kind is not Kind.PERSON:
            faults.append(f"only a person may approve: give the {kind} another role")
        if min(hourly, daily) < 0:
            faults.append(f"limits are whole numbers from 0 on, got {hourly} an hour and {daily} a day")
        if faults:
            raise InvalidInput(faults)
        secret, salt = secrets.token_urlsafe(32), secrets.token_hex(16)
        row: dict[str, object] = {"name": name, "kind": kind, "role": role, "salt": salt, "hash": _hash(secret, salt)}
        row |= {"hourly": hourly, "daily": daily, "by": by.name if by else "", "at": now()}
        with self.ledger.writing() as connection:
            if is_guarded(connection):
                require_person(connection, by, Role.APPROVER)
            elif role is not Role.APPROVER:
                raise NotAllowed(
                    "the first token is that of a person who may approve: 'sdl who add NAME --role approver'"
                )
            for known in connection.execute(select(tokens.c.name)).scalars():
                if look_alike(known, name):
                    raise InvalidInput(
                        f"there is, or was, a token of {format_value(known)}, which looks like {format_value(name)}: "
                        "give another name"
                    )
            number = statements.inserted_id(connection.execute(insert(tokens).values(**row)))
        return f"sdl-{number}-{secret}"

    def end(self, name: str, by: Identity | None) -> None:
        """Have a token count no more; that of the last person who may approve goes last of all.

        Raises:
            InvalidInput: if nobody of that name has one, or others would be left without who approves.
            NotAllowed: if it is another one's, and whoever asks may not approve.
        """
        with self.ledger.writing() as connection:
            ending = next((holder for holder in _holders(connection) if holder.name == name), None)
            if ending is None:
                raise InvalidInput(f"nobody called {format_value(name)} has a token: 'sdl who' lists who has")
            require_person(connection, by, Role.APPROVER)
            left = [holder for holder in _holders(connection) if holder.id != ending.id]
            if left and not any(holder.role is Role.APPROVER for holder in left):
                raise InvalidInput(f"{name!r} is the last who may approve: end the tokens of all others first")
            connection.execute(update(tokens).where(tokens.c.id == ending.id).values(ended=now()))

    def identify(self, token: str) -> Identity:
        """Return whose token that is.

        Raises:
            NotAllowed: if it is nobody's, or does not count any more.
        """
        written = WRITTEN.fullmatch(token.strip())
        if written is not None:
            number, secret = int(written[1]), written[2]
            with self.ledger.reading() as connection:
                row = connection.execute(select(tokens).where(tokens.c.id == number)).one_or_none()
            if row is not None and row.ended is None:
                digest = hashlib.sha256(token.strip().encode()).digest()
                if (right := self._tried.get(digest)) is None:
                    with self._trying:
                        right = _hash(secret, row.salt)
                if compare_digest(right, row.hash):
                    self._tried[digest] = right
                    return _identity(row)
        raise NotAllowed("this token is nobody's, or was ended: ask who may approve for another one ('sdl who add')")

    def holders(self) -> list[Identity]:
        """Return everybody whose token counts, in the order in which they were let in."""
        with self.ledger.reading() as connection:
            return _holders(connection)


def is_guarded(connection: Connection) -> bool:
    """Return whether there is a person who may approve, so that no approval counts without such a token."""
    return any(holder.role is Role.APPROVER for holder in _holders(connection))


def present(connection: Connection, identity: Identity) -> Identity:
    """Return the holder of a token as it is now, with its row locked until the transaction ends.

    Raises:
        NotAllowed: if the token was ended since.
    """
    query = select(tokens).where(tokens.c.id == identity.id, tokens.c.ended.is_(None)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotAllowed(f"the token of {identity.name!r} was ended")
    return _identity(row)


def require_person(connection: Connection, identity: Identity | None, role: Role, campaign: int | None = None) -> None:
    """Refuse who has no person's token of a role, or proposed the campaign that this is about.

    Raises:
        NotAllowed: with whose token it takes.
    """
    needed = f"this takes a person's token of the role {role}"
    if identity is None:
        raise NotAllowed(f"{needed}: set SDL_TOKEN ('sdl who' lists who has one)")
    holder = present(connection, identity)
    if holder.kind is not Kind.PERSON or not holder.role.covers(role):
        raise NotAllowed(f"{needed}, and {holder.name!r} has {holder.known}")
    if campaign is not None and holder.id == proposer_of(connection, campaign):
        raise NotAllowed(f"{holder.name!r} proposed this: another person has to answer")


def proposer_of(connection: Connection, campaign: int) -> int | None:
    """Return the number of the token that proposed a campaign; None if nobody had to."""
    of_campaign = (approvals.c.campaign == campaign) & (approvals.c.round == PROPOSAL)
    return connection.execute(select(approvals.c.proposer).where(of_campaign)).scalar_one_or_none()


def _holders(connection: Connection) -> list[Identity]:
    rows = connection.execute(select(tokens).where(tokens.c.ended.is_(None)).order_by(tokens.c.id))
    return [_identity(row) for row in rows]


def _identity(row: Row[tuple[object, ...]]) -> Identity:
    values = {name: getattr(row, name) for name in ("id", "name", "hourly", "daily", "at", "ended")}
    return Identity(kind=Kind(row.kind), role=Role(row.role), **values)


def _hash(secret: str, salt: str) -> str:
    return hashlib.scrypt(secret.encode(), salt=bytes.fromhex(salt), dklen=32, **COST).hex()
