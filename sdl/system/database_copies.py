"""Copies of databases that others write to meanwhile: by SQLite's online backup, and by PostgreSQL's own programs."""

import os
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from sdl.errors import LedgerError

BUSY_S = 30
"""Seconds to wait for another process to finish writing."""
WAIT = f"-c lock_timeout={BUSY_S}s"


def is_read_only(file: Path) -> bool:
    """Return whether a database is there to be read alone: its disk, or its owner, lets nobody write."""
    return file.is_file() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def read_only_address(file: Path) -> str:
    """Return a URI by which SQLite reads a file that another process may change, or that nobody can."""
    log = file.with_name(f"{file.name}-wal")
    fixed = is_read_only(file) and not (log.exists() and log.stat().st_size)
    return f"{file.absolute().as_uri()}?mode=ro{'&immutable=1' if fixed else ''}"


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database in a file as it is at one moment; what the target held is replaced, all of it or nothing.

    Raises:
        LedgerError: if the source is damaged, or one of them cannot be used.
    """
    new = not target.exists()
    try:
        if new:
            target.touch(mode=0o600)
        with (
            closing(sqlite3.connect(read_only_address(source), uri=True, timeout=BUSY_S)) as original,
            closing(sqlite3.connect(target, timeout=BUSY_S)) as copy,
        ):
            if (fault := original.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(fault)
            original.backup(copy)
            if new:
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, which a read-only disk can show too
    except (OSError, sqlite3.Error) as error:
        advice = "see that the one is whole and that there is room for the other"
        raise LedgerError(f"cannot copy {source} to {target}: {error}; {advice}") from error


def dump_postgresql(url: str, target: Path, tables: Sequence[str] = ()) -> None:
    """Write a database of a server to a file as it is at one moment.

    Args:
        url: Of the database, with or without a driver's name in it.
        target: The file, in PostgreSQL's own format.
        tables: Those that are written, as ``"schema"."name"``; by default all.

    Raises:
        LedgerError: with what PostgreSQL's program says.
    """
    chosen = [f"--table={table}" for table in tables]
    _run(["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}", *chosen], url)


def load_postgresql(source: Path, url: str) -> None:
    """Put what ``dump_postgresql`` wrote into a database, in place of the same tables; all of it or nothing.

    Raises:
        LedgerError: with what PostgreSQL's program says.
    """
    replace = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run(["pg_restore", *replace, str(source)], url)


def _run(command: Sequence[str], url: str) -> None:
    """Run one of PostgreSQL's programs; the password is in no list of processes."""
    parts = urlsplit(url)
    user, has_user, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    address = urlunsplit(parts._replace(scheme="postgresql", netloc=f"{name}{has_user}{host}"))
    secret = {"PGPASSWORD": unquote(password)} if password else {}
    try:
        subprocess.run(
            [*command, f"--dbname={address}"],
            env={**os.environ, "PGOPTIONS": WAIT, **secret},
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise LedgerError(
            f"there is no {command[0]} here, which copies a database of PostgreSQL: install its client programs "
            "(Debian's package 'postgresql-client'), of the server's version or a later one"
        ) from error
    except subprocess.CalledProcessError as error:
        words = " ".join(error.stderr.split()) or f"exit code {error.returncode}"
        raise LedgerError(f"{command[0]} failed at {address}: {words}") from error
