"""A bench at work on a ledger that is opened again and again, for the tests of replies that it could not take."""

import contextlib

import pytest
from desk import DESIGN, REQUESTS, Troubled

from sdl.ledger import database
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench


@pytest.fixture
def twin():
    """A twin during one of whose measurements something happens."""
    return Troubled()


@pytest.fixture
def at_work(tmp_path, twin, monkeypatch):
    """Opens a ledger, the same one each time, as a new process would, and takes what is left."""
    monkeypatch.setattr(database, "BUSY_S", 0.05)  # it waits a moment for others, not half a minute

    @contextlib.contextmanager
    def open_(where=None, beside=None):
        with Ledger(where or tmp_path / "ledger.db", beside) as book, book.hold("twin", "test") as lease:
            campaign = book.register("white", "twin", twin.space, {}, {}).id
            book.reconcile(lease, campaign)
            book.plan(lease, campaign, DESIGN, REQUESTS)
            yield Bench(book, lease, campaign, twin, 100)

    return open_
