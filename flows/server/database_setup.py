"""The database of a Prefect server: copied while it works, and made, when there is none yet, in half the time.

A server that starts in an empty folder goes through all its migrations by an asynchronous driver, which hands each of
some 34,000 statements to another thread and waits; a person waits too. Here they go straight to the file. A file that
is there, a database server, another Prefect than this was tried with, and whatever fails here, are left to Prefect.
"""

import logging
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from packaging.specifiers import SpecifierSet

from flows.environment import set_up_prefect
from sdl.errors import LedgerError
from sdl.formatting import hide_password
from sdl.system.database_copies import copy_sqlite, dump_postgresql, load_postgresql

TRIED = SpecifierSet("<3.10")
"""Versions of Prefect whose server takes such a file for its own, and would make one slowly."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrefectDatabase:
    """The database of the Prefect server of a data directory: a file, or one of PostgreSQL."""

    url: sa.URL

    @classmethod
    def of(cls, directory: Path) -> Self:
        """The one that is configured."""
        set_up_prefect(directory)
        return cls(_configured_url())

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.url.get_backend_name()

    @property
    def file(self) -> Path | None:
        """The file that it lies in; None where that is a database server's matter, or it is in memory."""
        named = self.kind == "sqlite" and self.url.database and not self.url.database.startswith((":memory:", "file:"))
        return Path(self.url.database or "") if named else None

    def there(self) -> bool:
        """Whether there is anything in it; one in memory is nobody's to keep."""
        if self.kind == "sqlite":
            return self.file is not None and self.file.is_file()
        return self._answers("SELECT to_regclass('flow_run')") is not None

    def last_run(self) -> str:
        """When its last run began; empty if none did."""
        return str(self._answers("SELECT max(start_time) FROM flow_run") or "")

    def copy_to(self, file: Path) -> None:
        """Write all of it to a file as it is at one moment, while its server works."""
        if self.file is not None:
            copy_sqlite(self.file, file)
        else:
            dump_postgresql(self.url.render_as_string(hide_password=False), file)

    def replace_by(self, file: Path) -> None:
        """Hold what ``copy_to`` wrote instead."""
        if self.file is not None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy_sqlite(file, self.file)
        else:
            load_postgresql(file, self.url.render_as_string(hide_password=False))

    def _answers(self, question: str) -> Any:
        driver = "sqlite" if self.kind == "sqlite" else "postgresql+psycopg"
        engine = sa.create_engine(self.url.set(drivername=driver))
        try:
            with engine.connect() as connection:
                return connection.exec_driver_sql(question).scalar()
        except sa.exc.SQLAlchemyError as error:
            words = str(getattr(error, "orig", None) or error)
            shown = hide_password(self.url.render_as_string())
            raise LedgerError(f"cannot read Prefect's database at {shown}: {words}") from error
        finally:
            engine.dispose()


def _configured_url() -> sa.URL:
    from prefect.settings import Settings

    configured = Settings().server.database.connection_url
    return sa.make_url(configured.get_secret_value() if configured else "sqlite://")


def make_database() -> None:
    """Make the file of the configured database with everything that this version of Prefect wants in it.

    Returns without a word where that is not a file, or the file is there.
    """
    if version("prefect") not in TRIED:
        return
    file = PrefectDatabase(_configured_url()).file
    if file is None or file.exists():
        return
    draft = file.with_name(f".{file.name}-draft")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)  # of a process that was killed
        draft.touch(mode=0o600)
        _migrate(draft)
        os.link(draft, file)  # and not over one that came to be meanwhile
    except Exception as error:  # its inner parts may be others tomorrow; then it does this itself, only later
        log.warning("Prefect's database is not made ahead of it: %s", error)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _migrate(file: Path) -> None:
    """Take an empty file through all migrations, as Prefect's ``_migrations/env.py`` does."""
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext, MigrationStep
    from alembic.script import ScriptDirectory
    from prefect.server.database.alembic_commands import alembic_config
    from prefect.server.database.dependencies import provide_database_interface

    prefect, config = provide_database_interface(), alembic_config()
    script = ScriptDirectory.from_config(config)
    script.version_locations = [str(prefect.orm.versions_dir)]

    def every_revision(_empty: str, _context: MigrationContext) -> list[MigrationStep]:
        newest_first = list(script.walk_revisions())
        return [MigrationStep.upgrade_from_script(script.revision_map, each) for each in reversed(newest_first)]

    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with warnings.catch_warnings(), engine.connect() as connection:
            warnings.simplefilter("ignore", sa.exc.SAWarning)  # of indexes that cannot be reflected
            for pragma in ("foreign_keys=OFF", "synchronous=OFF", "journal_mode=MEMORY"):  # nobody else knows the file
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.commit()
            with EnvironmentContext(config, script, fn=every_revision) as environment:
                environment.configure(
                    connection=connection,
                    target_metadata=prefect.Base.metadata,
                    render_as_batch=True,
                    transaction_per_migration=True,
                    template_args={"dialect": "sqlite"},
                )
                with environment.begin_transaction():
                    environment.run_migrations()
            connection.commit()
    finally:
        engine.dispose()
    with file.open("rb+") as written:
        os.fsync(written.fileno())
