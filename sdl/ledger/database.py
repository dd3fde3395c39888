"""How the ledger's database is opened, made and brought up to date: SQLite in a file, or PostgreSQL by URL."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.pool import StaticPool

from sdl.errors import InvalidInput, LedgerAway, LedgerError, SchemaMismatch
from sdl.formatting import hide_password
from sdl.ledger.database_server import CONNECT, limit_server, may_pass
from sdl.ledger.tables import about, approvals, attempts, campaigns, exams, metadata, notices
from sdl.system import failpoints
from sdl.system.atomic_files import describe_full_disk
from sdl.system.database_copies import is_read_only, read_only_address

SCHEMA_VERSION = 9
BUSY_S = 30
"""Seconds to wait for another process to finish writing."""
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
"""How the URL of a ledger begins."""
MAKING = 5_351_441
"""Number of PostgreSQL's lock for making the tables; its first processes come one after another."""


ADDED = (
    *((exams, "looks", "JSON"), (attempts, "instrument", "TEXT"), (attempts, "uptime", "TEXT")),
    *((notices, "known", "TEXT"), (approvals, "known", "TEXT"), (approvals, "proposer", "INTEGER")),
    *((attempts, "sample", "TEXT"), (attempts, "conditions", "JSON")),
)
"""Columns that tables of earlier schemas lack."""


def open_database(where: str | Path, upgrade: bool = False) -> Engine:
    """Open the ledger's database and make its tables if it is new.

    A file of an earlier schema is brought up to date for who is going to write, and is else read as a copy that is so.

    Args:
        where: A file for SQLite, or a database URL such as ``postgresql+psycopg://user@host/name``.
        upgrade: Whether it may be brought up to date.

    Raises:
        SchemaMismatch: if another version of this program wrote it, and it is not brought up to date.
        LedgerError: if it cannot be opened, or is no ledger.
    """
    engine = _engine(str(where))
    try:
        file = Path(engine.url.database or "")
        on_file = engine.url.get_backend_name() == "sqlite" and bool(engine.url.database)
        if on_file and is_read_only(file):
            with engine.connect() as connection:
                older = _is_older(connection)
                None if older else _check_version(connection)
            return _current_copy(engine) if older else engine
        with engine.execution_options(writes=True).begin() as connection:
            older = _prepare(connection, upgrade)
            if older and not on_file:
                raise SchemaMismatch(
                    f"the ledger has an earlier schema than {SCHEMA_VERSION}, which this program reads and writes; "
                    "nothing is changed: end what uses it, copy the database (pg_dump), then 'sdl upgrade --copied'"
                )
        if older:
            return _current_copy(engine)
    except DatabaseError as error:
        cause = str(error.orig).splitlines()[0] if error.orig else str(error)
        if engine.url.get_backend_name() == "sqlite" and engine.url.database:
            cause += describe_full_disk(Path(engine.url.database).parent)
        raise (LedgerAway if may_pass(error) else LedgerError)(
            f"cannot open the ledger at {hide_password(engine.url.render_as_string())}: {cause}; "
            "check that it is a ledger, that its folder can be written and has room, and that the database server runs"
        ) from error
    return engine


@contextmanager
def answered(engine: Engine, wish: str = "read") -> Iterator[None]:
    """Say in a sentence what a database answers that does not do what the block asks.

    Args:
        engine: Of the ledger.
        wish: What it was to do: ``read`` or ``write``.

    Raises:
        LedgerAway: if that may pass by itself.
        LedgerError: if it will not.
    """
    try:
        yield
    except (DBAPIError, NoConnectionFree) as error:
        raise explain_error(engine, error, wish) from error


def begin_transaction(engine: Engine) -> Connection:
    """Return a connection in a transaction in which its server has answered; to close it takes back all not committed.

    Raises:
        LedgerAway: if there is no answer.
        LedgerError: if the database cannot be used.
    """
    with answered(engine):
        connection = engine.connect()
        try:
            connection.begin()
            if connection.dialect.name == "postgresql":  # what was left open may be broken since
                connection.exec_driver_sql("SELECT 1")
        except BaseException:
            connection.close()
            raise
    return connection


def explain_error(engine: Engine, error: SQLAlchemyError, wish: str = "read") -> LedgerError:
    """Return the error of ours that a database's own becomes; ``wish`` as for ``answered``."""
    where, words = hide_password(engine.url.render_as_string()), str(getattr(error, "orig", None) or error)
    cause = words.partition("\nDETAIL:")[0].strip()  # what follows repeats the row
    if may_pass(error) or isinstance(error, NoConnectionFree):
        return LedgerAway(f"the ledger's database at {where} does not answer: {' '.join(cause.split())}")
    if wish == "read":
        return LedgerError(f"cannot read the ledger at {where}: {cause}")
    return LedgerError(
        f"the ledger at {where} could not be written: {cause}; see whether "
        "another program holds it or its disk is full, and run the campaign again"
    )


def _engine(where: str) -> Engine:
    try:
        url = _parse_url(where) if "://" in where else URL.create("sqlite", database=str(Path(where).absolute()))
        sqlite, server = (url.get_backend_name() == name for name in ("sqlite", "postgresql"))
        file = Path(url.database) if sqlite and url.database else None
        if file is not None and is_read_only(file):
            return create_engine(url, creator=lambda: _open_read_only(file))
        if file is not None:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.touch(mode=0o600)
        engine = create_engine(url, connect_args={"timeout": BUSY_S} if sqlite else CONNECT if server else {})
    except (ArgumentError, ModuleNotFoundError, OSError) as error:
        raise InvalidInput(
            f"ledger {hide_password(where)!r}: {hide_password(str(error))}; give a file or a URL such as "
            "postgresql+psycopg://user@host/name (PostgreSQL needs the extra: pip install 'inverse-sdl[postgresql]')"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    if server:
        limit_server(engine)
    return engine


def _parse_url(where: str) -> URL:
    """Read a database's URL.

    Raises:
        ArgumentError: if it is none of a database that a ledger may lie in.
    """
    try:
        url = make_url(where)
    except ValueError:
        raise ArgumentError("its port is no number") from None
    if url.drivername not in DRIVERS:
        raise ArgumentError("a ledger lies in SQLite or PostgreSQL, by psycopg")
    if {"password", "sslpassword"} & {key.lower() for key in url.query}:
        raise ArgumentError("a password stands between the user and the host, where it is kept from being shown")
    return url


def _open_read_only(file: Path) -> sqlite3.Connection:
    """Open a file that nobody can change, or whose changes another process has kept beside it."""
    return sqlite3.connect(read_only_address(file), uri=True, timeout=BUSY_S, check_same_thread=False)


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


def _prepare(connection: Connection, upgrade: bool) -> bool:
    """Make the tables where there are none; return whether they are of an earlier schema, and stay so."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MAKING)))
    tables = inspect(connection).get_table_names()
    if "about" not in tables:
        if tables:
            raise LedgerError(
                f"{hide_password(connection.engine.url.render_as_string())} holds other tables "
                f"({', '.join(tables[:3])}, ...) and is "
                "no ledger; give the ledger a file or a database of its own"
            )
        metadata.create_all(connection)
        failpoints.pass_failpoint("in-schema")
        connection.execute(insert(about).values(version=SCHEMA_VERSION))
    if _is_older(connection):
        if not upgrade:
            return True
        version = connection.execute(select(about.c.version)).scalar_one()
        if connection.dialect.name == "sqlite" and connection.engine.url.database:
            _keep_copy(Path(connection.engine.url.database), version)
        _migrate(connection)
        failpoints.pass_failpoint("in-schema")
    _check_version(connection)
    return False


def _is_older(connection: Connection) -> bool:
    return 0 < (connection.execute(select(about.c.version)).scalar_one_or_none() or 0) < SCHEMA_VERSION


def _current_copy(engine: Engine) -> Engine:
    """Return a copy of a file in memory, to be read alone, in this program's schema; the file stays as it is."""
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    copy.isolation_level = None
    with closing(engine.raw_connection()) as source:
        source.driver_connection.backup(copy)  # type: ignore[union-attr]
    engine.dispose()
    made = create_engine(engine.url, creator=lambda: copy, poolclass=StaticPool)
    with made.begin() as connection:
        _migrate(connection)
    copy.execute("PRAGMA query_only=ON")
    return made.execution_options(is_copy=True)


def _check_version(connection: Connection) -> None:
    """Refuse a ledger of another schema than this program's."""
    version = connection.execute(select(about.c.version)).scalar_one_or_none() or 0
    if version != SCHEMA_VERSION:
        advice = (
            "install the version that wrote it, or a newer one (pip install --upgrade inverse-sdl)"
            if version > SCHEMA_VERSION
            else "export it with the version that wrote it"
        )
        raise SchemaMismatch(f"the ledger has schema {version}, this program writes schema {SCHEMA_VERSION}: {advice}")


def _migrate(connection: Connection) -> None:
    """Bring a ledger of an earlier schema up to date: something is added, and nothing that it holds is touched."""
    metadata.create_all(connection)
    for table, column, kind in ADDED:
        if column not in {present["name"] for present in inspect(connection).get_columns(table.name)}:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column} {kind}")
    for index in attempts.indexes:
        index.create(connection, checkfirst=True)
    own = select(campaigns.c.instrument).where(campaigns.c.id == attempts.c.campaign).scalar_subquery()
    unanswered = update(attempts).where(attempts.c.state == "SENT", attempts.c.instrument.is_(None))
    connection.execute(unanswered.values(instrument=own))  # somebody may wait for the instrument to be done with them
    connection.execute(update(about).values(version=SCHEMA_VERSION))


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
    """Return where replies go that the database could not take; None if no folder is known for it.

    Args:
        url: Of the database.
        beside: Folder for that of a database server; it is named by the URL without its password.
    """
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}.spill.jsonl") if url.database else None
    digest = hashlib.sha256(url.set(password=None).render_as_string().encode()).hexdigest()
    return beside / f"ledger-{digest[:12]}.spill.jsonl" if beside else None
