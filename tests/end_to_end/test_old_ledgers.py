"""Ledgers that earlier versions wrote, one of each schema: they open, and a campaign broken off in them goes on.

Each was written by the last commit of its schema, whose campaign "broken off" was interrupted in the middle of a round.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flows.engine.opening import open_session
from sdl.history import Verdict
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_page import render_campaign_page

DUMPS = Path(__file__).parent / "old_ledgers"
SCHEMAS = [1, 2, 3, 4, 5]
BROKEN_OFF = {
    "name": "broken off",
    "instrument": {"plugin": "twin", "seed": 7, "daylight": 1500.0, "memory_h": 1.0},
    "targets": [{"name": "white", "readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}],
    "seed": 1,
}


@pytest.fixture(params=SCHEMAS, ids=lambda schema: f"schema-{schema}")
def old_ledger(request, tmp_path):
    """The file of a ledger as its version left it."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DUMPS / f"schema-{request.param}.sql").read_text("utf-8"))
    return path


def test_a_finished_campaign_is_whole_and_reported(old_ledger):
    with Ledger(old_ledger) as ledger:
        entry = ledger.entry("done")
        history = ledger.history(entry.id)
        assert history.findings[-1].verdict is Verdict.VERIFIED
        assert len(ledger.trail(entry.id)) == history.sent > 10
        assert "VERIFIED" in render_campaign_page(ledger, "done")


def test_a_campaign_that_was_broken_off_goes_on(old_ledger, tmp_path, drive):
    with Ledger(old_ledger) as ledger:
        before = ledger.trail(ledger.entry("broken-off").id)
    assert 5 < len(before) < 20
    with open_session(BROKEN_OFF, tmp_path, str(old_ledger)) as session:
        outcome = drive(session)
    assert outcome["verified"]
    with Ledger(old_ledger) as ledger:
        after = ledger.trail(ledger.entry("broken-off").id)
    assert [row["settings"] for row in after[: len(before)]] == [row["settings"] for row in before]
    assert len(after) == outcome["requests"] > len(before)
