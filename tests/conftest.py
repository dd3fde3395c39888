"""Fixtures for more than one file."""

import pytest
from postgres import programs, running


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server that lives as long as the tests."""
    if (found := programs()) is None:
        pytest.skip("no PostgreSQL here: install Debian's package 'postgresql' to run this")
    with running(found) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    """Where a new ledger may lie: a file, and a database of a server."""
    return str(tmp_path / "lab" / "ledger.db") if request.param == "sqlite" else request.getfixturevalue("postgres").fresh()
