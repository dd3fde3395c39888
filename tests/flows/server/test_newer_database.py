"""Prefect's database, once a newer Prefect has had it: a sentence says what to do, and nothing is touched."""

import sqlite3

import pytest


@pytest.mark.slow
@pytest.mark.fault("O-16")
def test_a_database_of_a_newer_prefect_is_refused_with_what_to_do(home, spawn, ended, monkeypatch):
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    ask = ("measure", "R=0.1", "G=0.2", "B=0.3", "--instrument", "twin")
    assert ended(spawn(*ask), 180).code == 0
    file = home / "prefect" / "prefect.db"
    with sqlite3.connect(file) as base:
        base.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    for command, code in ((ask, 2), (("up", "--port", 0), 1)):
        refused = ended(spawn(*command), 180)
        assert refused.code == code
        assert "was written by a newer Prefect than the" in refused.said
        assert "pip install --upgrade prefect" in refused.said
    with sqlite3.connect(file) as base:
        assert base.execute("SELECT version_num FROM alembic_version").fetchall() == [("ffffffffffff",)]
