"""A failed statement on SQLite keeps nobody waiting: not the event loop, and so no other connection's transaction.

SQLAlchemy ends the statement since 2.1; Prefect's server stood still for a minute with 2.0, which left it to Python's
collector.
"""

import asyncio
import gc

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine


def test_a_transaction_ends_while_another_connection_waits_for_it(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'some.db'}", connect_args={"timeout": 60})
    event.listen(engine.sync_engine, "connect", begin_by_hand)
    gc.disable()
    try:
        asyncio.run(fail_then_wait(engine))
    finally:
        gc.enable()


def begin_by_hand(connection, _record):
    connection.isolation_level = None  # as Prefect has it


async def fail_then_wait(engine):
    async with engine.connect() as one, engine.connect() as other:
        await one.exec_driver_sql("pragma journal_mode = wal")
        await one.exec_driver_sql("create table t (x)")
        await other.exec_driver_sql("begin")
        (await other.exec_driver_sql("select * from t")).all()
        await one.exec_driver_sql("insert into t values (1)")
        cycle = []
        try:
            await other.exec_driver_sql("insert into t values (1)")  # what it has read is the past
        except OperationalError as error:
            cycle += [error, cycle]  # holds the cursor until somebody collects garbage
        assert cycle
        await other.exec_driver_sql("rollback")
        del cycle
        await one.exec_driver_sql("begin immediate")
        waiting = asyncio.create_task(other.exec_driver_sql("begin immediate"))
        await asyncio.sleep(0.5)
        gc.collect()  # were the cursor ended here, it would wait for the connection that waits for the next line
        await one.exec_driver_sql("commit")
        await waiting
    await engine.dispose()
