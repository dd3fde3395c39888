"""A failed statement on SQLite keeps nobody waiting: not the event loop, and so no other connection's transaction."""

import subprocess
import sys

import pytest

WAITS = """
import asyncio, gc, sqlite3, sys
import aiosqlite
from flows.server import aiosqlite_patch

async def main(file):
    options = {"isolation_level": None, "timeout": 5}
    async with aiosqlite.connect(file, **options) as one, aiosqlite.connect(file, **options) as other:
        await one.execute("pragma journal_mode = wal")
        await one.execute("create table t (x)")
        await other.execute("begin")
        await other.execute_fetchall("select * from t")
        await one.execute("insert into t values (1)")
        cursor = await other.cursor()
        try:
            await cursor.execute("insert into t values (1)")  # what it has read is the past
        except sqlite3.OperationalError:
            cycle = [cursor]
            cycle.append(cycle)
        await other.rollback()
        del cursor, cycle
        await one.execute("begin immediate")
        waiting = asyncio.create_task(other.execute("begin immediate"))
        await asyncio.sleep(0.5)
        gc.collect()
        await one.execute("commit")
        await waiting

if sys.argv[2] == "ended":
    aiosqlite_patch.end_them()
gc.disable()
asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("how", ["ended", "left"])
def test_a_transaction_ends_while_another_connection_waits_for_it(tmp_path, how):
    """Left to the collector, the failed statement stops the event loop until the other connection gives up."""
    command = [sys.executable, "-c", WAITS, tmp_path / "some.db", how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if how == "ended":
        assert done.returncode == 0, done.stderr
    elif done.returncode == 0:
        pytest.fail("what flows/failed_statements.py mends is mended elsewhere: it can go")
    else:
        assert "database is locked" in done.stderr
