"""The tables of the ledger, and how its database is opened: SQLite in a file, or PostgreSQL by URL."""

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from sdl.errors import InvalidInput, LedgerError, SchemaMismatch
from sdl.system import failpoints as killpoints
from sdl.system.atomic_files import lack_of_room

VERSION = 4
BUSY_S = 30
"""Seconds to wait for another process to finish writing."""

MAKING = 5_351_441
"""Number of PostgreSQL's lock for making the tables; its first processes come one after another."""


class _Words(TypeDecorator[str]):
    """Text from outside: neither NUL, which PostgreSQL does not take, nor half a surrogate pair, which nobody does."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else value.replace("\0", "\u2400").encode(errors="replace").decode()


metadata = MetaData()

about = Table("about", metadata, Column("version", Integer, nullable=False))

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("title", _Words, nullable=False),
    Column("instrument", _Words, nullable=False),
    Column("space", JSON, nullable=False),
    Column("config", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", _Words, nullable=False),
    Column("control", String, nullable=False, server_default="run"),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

rounds = Table(
    "rounds",
    metadata,
    Column("campaign", ForeignKey("campaigns.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("target", String),
    Column("facts", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("replicate", Integer, nullable=False),
    Column("purpose", String, nullable=False),
    Column("settings", JSON, nullable=False),
    UniqueConstraint("campaign", "round", "idx", "replicate"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("request", ForeignKey("requests.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("verdict", String),
    Column("reason", _Words, nullable=False),
    Column("applied", JSON),
    Column("out", JSON),
    Column("readings", JSON),
    Column("censored", JSON),
    Column("raw", _Words, nullable=False),
    Column("sent_at", Float),
    Column("done_at", Float),
    Column("seconds", Float),
    UniqueConstraint("request", "attempt"),
)

exams = Table(
    "exams",
    metadata,
    Column("campaign", ForeignKey("campaigns.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("target", String, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("model", String, nullable=False),
    Column("replicates", Integer, nullable=False),
    Column("background", JSON, nullable=False),
    Column("uncertainty", JSON, nullable=False),
    Column("looks", JSON),
    Column("at", Float, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("round", Integer, nullable=False),
    Column("target", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("sentence", _Words, nullable=False),
    Column("settings", JSON),
    Column("facts", JSON, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("campaign", "round", "target"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("sent", Integer, nullable=False),
    Column("before", JSON, nullable=False),
    Column("at", Float, nullable=False),
)
"""What a campaign's configuration was until so many requests were sent; the present one stands with the campaign."""

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("text", _Words, nullable=False),
    Column("by", _Words, nullable=False),
    Column("at", Float, nullable=False),
)
"""What persons asked for and what was suspended, in words, each after so many requests."""

approvals = Table(
    "approvals",
    metadata,
    Column("campaign", ForeignKey("campaigns.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("why", _Words, nullable=False),
    Column("granted", Boolean),
    Column("by", _Words, nullable=False),
    Column("at", Float, nullable=False),
)
"""Rounds whose settings a person has to see before they are sent; ``granted`` is empty until somebody answered."""

leases = Table(
    "leases",
    metadata,
    Column("instrument", String, primary_key=True),
    Column("token", Integer, nullable=False),
    Column("owner", String, nullable=False),
    Column("host", String, nullable=False),
    Column("process", String, nullable=False),
    Column("since", Float, nullable=False),
    Column("beat", Integer, nullable=False),
    Column("beat_at", Float, nullable=False),
)


def open_database(where: str | Path) -> Engine:
    """Open the ledger's database and make its tables if it is new.

    Args:
        where: A file for SQLite, or a database URL such as ``postgresql+psycopg://user@host/name``.

    Raises:
        SchemaMismatch: if another version of this program wrote it.
        LedgerError: if it cannot be opened, or is no ledger.
    """
    engine = _engine(str(where))
    try:
        with engine.execution_options(writes=True).begin() as connection:
            _prepare(connection)
    except DatabaseError as error:
        cause = str(error.orig).splitlines()[0] if error.orig else str(error)
        if engine.url.get_backend_name() == "sqlite" and engine.url.database:
            cause += lack_of_room(Path(engine.url.database).parent)
        raise LedgerError(
            f"cannot open the ledger at {engine.url.render_as_string()}: {cause}; "
            "check that it is a ledger, that its folder can be written and has room, and that the database server runs"
        ) from error
    return engine


def _engine(where: str) -> Engine:
    try:
        url = make_url(where if "://" in where else f"sqlite:///{Path(where).absolute()}")
        sqlite = url.get_backend_name() == "sqlite"
        if sqlite and url.database:
            Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(url.database).touch(mode=0o600)
        engine = create_engine(url, connect_args={"timeout": BUSY_S} if sqlite else {})
    except (ArgumentError, ModuleNotFoundError, OSError) as error:
        raise InvalidInput(
            f"ledger {where!r}: {error}; give a file or a URL such as postgresql+psycopg://user@host/name "
            "(PostgreSQL needs the extra: pip install 'inverse-sdl[postgresql]')"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _tune_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not at the first write
    _log_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; of the first processes of a new file one does, and the others wait for it."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:  # this alone does not heed the timeout of the connection
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MAKING)))
    tables = inspect(connection).get_table_names()
    if "about" not in tables:
        if tables:
            raise LedgerError(
                f"{connection.engine.url.render_as_string()} holds other tables ({', '.join(tables[:3])}, ...) and is "
                "no ledger; give the ledger a file or a database of its own"
            )
        metadata.create_all(connection)
        killpoints.passing("in-schema")
        connection.execute(insert(about).values(version=VERSION))
    found = connection.execute(select(about.c.version)).scalar_one_or_none() or 0
    if 0 < found < VERSION:
        found = _migrate(connection, found)
    if found != VERSION:
        advice = (
            "install the version that wrote it, or a newer one (pip install --upgrade inverse-sdl)"
            if found > VERSION
            else "export it with the version that wrote it"
        )
        raise SchemaMismatch(f"the ledger has schema {found}, this program writes schema {VERSION}: {advice}")


def _migrate(connection: Connection, found: int) -> int:
    """Bring a ledger of an earlier schema up to date: something is added, and nothing that it holds is touched."""
    if connection.dialect.name == "sqlite" and connection.engine.url.database:
        _keep_copy(Path(connection.engine.url.database), found)
    if "looks" not in {column["name"] for column in inspect(connection).get_columns("exams")}:
        connection.exec_driver_sql("ALTER TABLE exams ADD COLUMN looks JSON")
    metadata.create_all(connection)
    killpoints.passing("in-schema")
    connection.execute(update(about).values(version=VERSION))
    return VERSION


def _keep_copy(ledger: Path, schema: int) -> None:
    """Put a copy of a ledger beside it, as it was before its schema changed.

    Raises:
        LedgerError: if there is no room for it.
    """
    copy, draft = (ledger.with_name(f"{ledger.name}.schema-{schema}{end}") for end in ("", ".part"))
    try:
        draft.touch(mode=0o600)
        with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(draft)) as target:
            source.backup(target)
        draft.replace(copy)
    except (OSError, sqlite3.Error) as error:
        draft.unlink(missing_ok=True)
        raise LedgerError(
            f"no copy of the ledger could be kept at {copy}, so its schema stays as it is: {error}"
        ) from error


def journal_path(url: URL, beside: Path | None) -> Path | None:
    """Where replies go that the database could not take; None if no folder is known for it.

    Args:
        url: Of the database.
        beside: Folder for that of a database server; it is named by the URL without its password.
    """
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}.spill.jsonl") if url.database else None
    digest = hashlib.sha256(url.set(password=None).render_as_string().encode()).hexdigest()
    return beside / f"ledger-{digest[:12]}.spill.jsonl" if beside else None


def now() -> float:
    """Seconds since 1970; for people to read, never for a decision."""
    return time.time()
