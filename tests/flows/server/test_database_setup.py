"""Prefect's database, made before its server starts: what its own migrations make, and left to them where it is not."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from flows import environment

MAKE = "from flows.server import database_setup; database_setup.make_database()"


def run(home, *command, **more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
    clean |= environment.SETTINGS | {"PREFECT_HOME": str(home)} | more
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stderr


def made(home, **more):
    return run(home, sys.executable, "-c", MAKE, **more)


def what_is_in(file):
    """Version, columns, indexes and foreign keys of all tables, whatever their order."""
    with sqlite3.connect(file) as base:
        tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        about = {
            table: (
                base.execute(f"PRAGMA table_info('{table}')").fetchall(),
                sorted(each[2:] for each in base.execute(f"PRAGMA foreign_key_list('{table}')")),
                base.execute(f"SELECT count(*) FROM '{table}'").fetchall(),
            )
            for table in tables
        }
        indexes = sorted(base.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type != 'table'"), key=str)
        return base.execute("SELECT * FROM alembic_version").fetchall(), about, indexes


@pytest.mark.slow
def test_it_is_what_prefect_makes_itself_and_its_server_finds_nothing_to_do(tmp_path):
    assert made(tmp_path / "ours") == ""
    upgrade = (Path(sys.executable).with_name("prefect"), "server", "database", "upgrade", "-y")
    run(tmp_path / "its", *upgrade)
    ours, its = (what_is_in(tmp_path / whose / "prefect.db") for whose in ("ours", "its"))
    assert ours == its
    run(tmp_path / "ours", *upgrade)
    assert what_is_in(tmp_path / "ours" / "prefect.db") == its
    file = tmp_path / "ours" / "prefect.db"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list(file.parent.glob(".*draft*"))


def test_a_file_that_is_there_and_a_database_server_are_left_alone(tmp_path):
    file = tmp_path / "prefect.db"
    file.write_bytes(b"whatever it is")
    made(tmp_path)
    assert file.read_bytes() == b"whatever it is"
    url = "postgresql+asyncpg://nobody@127.0.0.1:9/prefect"
    made(tmp_path / "other", PREFECT_SERVER_DATABASE_CONNECTION_URL=url)
    assert not list((tmp_path / "other").glob("*.db*"))


def test_what_fails_is_left_to_prefect_with_a_word_in_its_log(tmp_path):
    file = tmp_path / "prefect.db"
    broken = "from flows.server import database_setup as n; n._migrate = lambda file: 1 / 0; n.make_database()"
    result = run(tmp_path, sys.executable, "-c", broken)
    assert "not made ahead of it: division by zero" in result
    assert not file.exists()
    assert not list(tmp_path.glob(".*draft*"))


def test_another_prefect_than_this_was_tried_with_makes_its_own(tmp_path):
    later = "from flows.server import database_setup as n; n.version = lambda name: '3.10.0'; n.make_database()"
    run(tmp_path, sys.executable, "-c", later)
    assert not list(tmp_path.iterdir())


HOPS = """
import aiosqlite
import anyio
from prefect.server.database.alembic_commands import alembic_upgrade

execute, hops = aiosqlite.Connection._execute, []

async def counted(self, *args, **kwargs):
    hops.append(1)
    return await execute(self, *args, **kwargs)

aiosqlite.Connection._execute = counted
anyio.run(anyio.to_thread.run_sync, alembic_upgrade)
print(len(hops))
"""


@pytest.mark.slow
def test_it_is_still_needed(tmp_path):
    """Prefect hands its statements to another thread one by one; where it no longer does, this and its subject go."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
    clean |= environment.SETTINGS | {"PREFECT_HOME": str(tmp_path)}
    command = [sys.executable, "-c", HOPS]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=True, timeout=180)
    assert int(done.stdout.splitlines()[-1]) > 10_000
