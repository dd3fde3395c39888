"""The database of a Prefect server, when there is none yet: made by Prefect's own migrations, in half the time.

A server that starts in an empty folder goes through all its migrations by an asynchronous driver, which hands each of
some 34,000 statements to another thread and waits; a person waits too. Here they go straight to the file. A file that
is there, a database server, another Prefect than this was tried with, and whatever fails here, are left to Prefect.
"""

import logging
import os
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa
from packaging.specifiers import SpecifierSet

TRIED = SpecifierSet("<3.10")
"""Versions of Prefect whose server takes such a file for its own, and would make one slowly."""

log = logging.getLogger(__name__)


def make_database() -> None:
    """Make the file of the configured database with everything that this version of Prefect wants in it.

    Returns without a word where that is not a file, or the file is there.
    """
    if version("prefect") not in TRIED:
        return
    from prefect.settings import get_current_settings

    configured = get_current_settings().server.database.connection_url
    url = sa.make_url(configured.get_secret_value() if configured else "sqlite://")
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":memory:", "file:")):
        return
    file = Path(url.database)
    draft = file.with_name(f".{file.name}-draft")
    if file.exists():
        return
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
