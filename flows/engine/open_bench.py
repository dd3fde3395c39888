"""An instrument held for readings that a person takes by hand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import environment
from flows.engine.handover import build_instrument, take_instrument
from flows.versions import versions
from sdl.campaign.definition import slugify
from sdl.campaign.sections import Plugin
from sdl.errors import CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted
from sdl.history import State
from sdl.instruments.protocol import Instrument, member_identities
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench
from sdl.measurement.driver_call import close_driver, kept_safe
from sdl.measurement.manual import BUDGET
from sdl.measurement.orphaned_requests import wait_out_orphans


@contextmanager
def open_bench(
    written: Plugin, home: str | None, ledger: str | None, name: str, interrupted: threading.Event | None = None
) -> Iterator[Bench]:
    """Hold an instrument for readings that a person takes by hand, and enter them in the ledger.

    Args:
        written: The instrument and its options.
        home: Data directory.
        ledger: File or URL of the ledger.
        name: Name of the entry that the readings go to.
        interrupted: Set it to end before the next request.
    """
    directory = environment.home(home)
    instrument = take_instrument(written) or build_instrument(written)
    try:
        with hold_bench(
            written, instrument, directory, environment.ledger(ledger, directory), name, interrupted
        ) as bench:
            yield bench
    finally:
        close_driver(instrument)


@contextmanager
def hold_bench(
    written: Plugin,
    instrument: Instrument,
    directory: Path,
    where: str,
    name: str,
    interrupted: threading.Event | None = None,
) -> Iterator[Bench]:
    """Hold an instrument that is built already, and stays open when the readings are taken.

    Args:
        written: What it was built from.
        instrument: The instrument.
        directory: Data directory.
        where: File or URL of the ledger.
        name: Name of the entry that the readings go to.
        interrupted: Set it to end before the next request.
    """
    members = member_identities(instrument)
    with Ledger(where, directory) as book, book.hold(instrument.identity, f"{name!r} by hand", members) as lease:
        config = {"instrument": written.model_dump(mode="json")}
        name = _of_its_own(book, name, instrument.identity)
        entry = book.register(slugify(name), instrument.identity, instrument.space, config, versions(), title=name)
        for identity in (*members, instrument.identity):
            wait_out_orphans(book, identity, interrupted)
        book.reconcile(lease, entry.id)
        bench = Bench(book, lease, entry.id, instrument, BUDGET)
        bench.interrupted = interrupted or bench.interrupted
        book.set_state(lease, entry.id, State.RUNNING)
        try:
            with kept_safe(instrument, lease):
                yield bench
        except (CampaignSuspended, CampaignPaused, CampaignStopped, Interrupted) as error:
            book.set_state(lease, entry.id, State.FINISHED, str(error))  # a person begins anew, nothing goes on
            raise
        book.set_state(lease, entry.id, State.FINISHED, "done by hand")


def _of_its_own(book: Ledger, name: str, instrument: str) -> str:
    """The same name, or one with the instrument's in it where another instrument has that entry already."""
    holder = next((entry.instrument for entry in book.entries() if entry.name == slugify(name)), instrument)
    return name if holder == instrument else f"{name} {instrument}"
