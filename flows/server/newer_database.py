"""A database that a newer Prefect has written is refused in one sentence that says what to do.

Prefect's own server ends there with a traceback about a revision that it cannot locate.
"""

import sqlite3
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ADVICE = (
    f"Prefect's database was written by a newer Prefect than the {version('prefect')} installed here: bring this "
    "one up to date (pip install --upgrade prefect), or put the database aside (prefect.db in the folder 'prefect' "
    "of the data directory) and a new one is made; all that was measured is in the ledger, not there"
)


def is_newer(error: Exception) -> bool:
    """Whether an error of Prefect's start says that its database has a revision which this Prefect does not know."""
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    return isinstance(error, CommandError) and isinstance(error.__cause__, ResolutionError)


def examine_database(file: Path) -> tuple[str, str] | None:
    """Return why the database of a server of our own cannot be used, and what to do; None if it can, or is not there.

    Args:
        file: In which it lies.
    """
    aside = f"put {file} aside and a new one is made: the ledger has all that was measured"
    if not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error as error:
        unfinished = isinstance(error, sqlite3.OperationalError)  # it is at work, or about to be made
        return None if unfinished else (f"is damaged: {error}", f"{aside}; or 'sdl restore' a backup")
    package = find_spec("prefect")
    assert package is not None
    assert package.origin is not None
    known = Path(package.origin).parent / "server" / "database" / "_migrations" / "versions" / "sqlite"
    if all(next(known.glob(f"*_{revision}_*.py"), None) for (revision,) in revisions):
        return None
    words = f"was written by a newer Prefect than the {version('prefect')} installed here"
    return words, f"bring this one up to date (pip install --upgrade prefect), or {aside}"
