"""A year of nights: what Prefect's database and the logs come to, and whether the server still answers."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from services import ENDED, Lab

from flows import environment

NIGHTS = int(os.environ.get("SDL_NIGHTS", 100))
"""More than runs are kept, after which nothing grows; 365 before a release."""
INSTRUMENTS, STEP = 4, 10
MOST_BYTES = 200e6
"""As flows/environment.py and service.md say."""
RUN_DAYS, EVENT_DAYS = 90, 7
MOMENTS = {
    *("created", "updated", "timestamp", "occurred", "received", "recorded", "start_time", "end_time"),
    *("expected_start_time", "state_timestamp", "next_scheduled_start_time"),
}
NUMBER = re.compile(r"[0-9a-f]{8}(?=-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
OF_RUN = {
    "flow_run": "id = :run",
    "flow_run_state": "flow_run_id = :run",
    "task_run": "flow_run_id = :run",
    "task_run_state": "task_run_id IN (SELECT id FROM task_run WHERE flow_run_id = :run)",
    "log": "flow_run_id = :run",
    "artifact": "flow_run_id = :run",
    "events": "related_resource_ids LIKE '%' || :run || '%' OR resource_id LIKE '%' || :run || '%'",
    "event_resources": "event_id IN (SELECT id FROM events WHERE "
    "related_resource_ids LIKE '%' || :run || '%' OR resource_id LIKE '%' || :run || '%')",
}
"""What Prefect has of one run, by table."""


class Night:
    """The rows of one real run, to be written again as those of any night."""

    def __init__(self, connection, run):
        self.connection, self.rows, self.columns = connection, {}, {}
        for table, own in OF_RUN.items():
            found = connection.execute(f"SELECT * FROM {table} WHERE {own}", {"run": run})
            self.columns[table], self.rows[table] = [each[0] for each in found.description], found.fetchall()
        places = {table: self.columns[table].index("id") for table in OF_RUN}
        self.ids = {str(row[places[table]])[:8] for table, rows in self.rows.items() for row in rows}

    def write(self, number, day):
        """Write it as run of that number on that day; the ids of flow and deployment stay."""
        for table in OF_RUN:
            columns = self.columns[table]
            rows = [
                [self._changed(value, name, number, day) for name, value in zip(columns, row, strict=True)]
                for row in self.rows[table]
            ]
            self.connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)

    def _changed(self, value, column, number, day):
        if not isinstance(value, str):
            return value
        if column in MOMENTS:
            return f"{day}{value[10:]}"
        if column == "key":
            return f"{value}-{number}"
        return NUMBER.sub(lambda found: self._own(found[0], number), value)

    def _own(self, start, number):
        return f"{(int(start, 16) + number * 7919) % 2**32:08x}" if start in self.ids else start


def vacuum(moment):
    """What Prefect's server does each hour, as it would at that moment; in a process with a server's settings."""
    from prefect.server.database import provide_database_interface
    from prefect.server.services import db_vacuum

    db_vacuum.now = lambda _: moment
    db = provide_database_interface()

    async def all_of_it():
        await db_vacuum.vacuum_old_flow_runs(db=db)
        await db_vacuum.vacuum_orphaned_logs(db=db)
        await db_vacuum.vacuum_orphaned_artifacts(db=db)
        await db_vacuum.vacuum_stale_artifact_collections(db=db)
        await db_vacuum.vacuum_events_with_retention_overrides(db=db)
        await db_vacuum.vacuum_old_events(db=db)

    asyncio.run(all_of_it())


def live_through(file, run, today):
    """A year of nights in the database of a server, up to today: how large it was at most."""
    first_night = date.fromisoformat(today) - timedelta(days=NIGHTS)
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        night, number, sizes = Night(connection, run), 0, []
        for first in range(0, NIGHTS, STEP):
            for day in range(first, min(first + STEP, NIGHTS)):
                for _ in range(INSTRUMENTS):
                    number += 1
                    night.write(number, first_night + timedelta(days=day))
            connection.commit()
            vacuum(datetime.combine(first_night, time(), UTC) + timedelta(days=min(first + STEP, NIGHTS)))
            sizes.append(Path(file).stat().st_size)
    return {"largest": max(sizes), "sizes": sizes, "runs": number, "rows": sum(map(len, night.rows.values()))}


@pytest.mark.slow
@pytest.mark.fault("O-45")
def test_a_year_of_campaigns_on_four_instruments_stays_within_the_stated_size(tmp_path):
    lab = Lab(tmp_path / "home")
    lab.home.mkdir(mode=0o700)
    lab.up()
    run = lab.trigger("campaign")
    assert lab.until(run, ENDED)["type"] == "COMPLETED"
    assert lab.sdl("down").returncode == 0
    file = lab.home / "prefect" / "prefect.db"
    settings = environment.SETTINGS | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PREFECT_HOME": str(lab.home / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{file}",
    }
    today = datetime.now(UTC).date()
    command = [sys.executable, __file__, str(file), run, today.isoformat()]
    lived = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert lived.returncode == 0, lived.stderr
    result = json.loads(lived.stdout.splitlines()[-1])
    assert result["runs"] == NIGHTS * INSTRUMENTS
    assert result["largest"] <= MOST_BYTES, result
    with closing(sqlite3.connect(file)) as connection:
        count = lambda words: connection.execute(f"SELECT count(*) FROM {words}").fetchone()[0]  # noqa: E731
        kept = count(f"flow_run WHERE start_time < '{today}'")
        assert kept == RUN_DAYS * INSTRUMENTS
        for table in ("log", "artifact", "task_run", "flow_run_state"):
            assert count(f"{table} WHERE flow_run_id NOT IN (SELECT id FROM flow_run)") == 0
        assert count(f"events WHERE occurred < '{today - timedelta(days=EVENT_DAYS)}'") == 0
    lab.up()
    try:
        nights = lab.ask("/flow_runs/count", {"flow_runs": {"start_time": {"before_": f"{today}T00:00:00Z"}}})
        assert kept - INSTRUMENTS <= nights <= kept  # one night may have come of age since
        assert len(lab.ask("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 50})) == 50
        assert lab.until(lab.trigger("measure"), ENDED)["type"] == "COMPLETED"
    finally:
        lab.sdl("down")


@pytest.mark.fault("O-45")
def test_a_log_that_grows_is_put_aside_once_while_its_writer_writes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "LOG_BYTES", 1000)
    log = tmp_path / "up.log"
    with environment.log_file(log) as words:
        for line in range(200):
            words.write(f"line {line:03}\n".encode())
            words.flush()
            environment.trim_log(log)
    aside = tmp_path / "up.log.1"
    assert sorted(tmp_path.iterdir()) == [log, aside]
    assert log.stat().st_size + aside.stat().st_size <= 2 * 1000 + len("line 000\n")
    lines = (aside.read_text() + log.read_text()).splitlines()
    assert lines == [f"line {line:03}" for line in range(200 - len(lines), 200)]  # the last ones, none twice
    assert aside.stat().st_mode & 0o777 == 0o600


if __name__ == "__main__":
    print(json.dumps(live_through(*sys.argv[1:])))
