"""A campaign taken up: its file checked, its ledger opened, its instrument held, and its record gone on with."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.engine.fitting_process import FittingProcess
from flows.engine.handover import take_instrument
from flows.engine.planner import DirectPlanner, Planner
from flows.engine.session import Session
from flows.environment import folder
from flows.versions import versions
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.history import Entry, State
from sdl.instruments.protocol import Instrument, ReadByPersons, member_identities
from sdl.interchange.earlier_campaigns import freeze_lessons
from sdl.ledger.database_server import AWAY_S
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench
from sdl.measurement.driver_call import close_driver, kept_safe
from sdl.measurement.hand_bench import HandBench, refuse_asked_persons
from sdl.measurement.orphaned_requests import wait_out_orphans
from sdl.system.clock import now

MAY_CHANGE = {"budget", "extra", "stop", "instrument", "fitting", "approval", "suspend", "price"}
"""Parts of a campaign that may be changed while it is under way; the rest decides what is proposed."""

LIMITS = ("budget", "stop", "price")
"""Those of them that let a finished campaign go on, where its file says more than it did."""


@contextmanager
def open_session(
    written: Mapping[str, Any] | Campaign,
    directory: Path,
    ledger: str,
    *,
    again: bool = False,
    moved: bool = False,
    interrupted: threading.Event | None = None,
    patience_s: float = 0.0,
) -> Iterator[Session]:
    """Check a campaign, hold its instrument and take up its ledger where it was left.

    Args:
        written: The campaign as a person wrote it, or as it was parsed from that.
        directory: Where reports go.
        ledger: File or URL of the ledger.
        again: Begin anew under the next free name if the campaign of this name is finished.
        moved: Whether a campaign that was begun with another instrument is to go on with this one.
        interrupted: Set it to end before the next request.
        patience_s: Seconds to wait for a database server that does not answer at the start; later it is waited for.

    Raises:
        InvalidInput, LeaseHeld, SchemaMismatch, LedgerError: before the first request.
    """
    folder(directory / "reports")  # or else the campaign would fail when all is measured
    kept = take_instrument(written.instrument) if isinstance(written, Campaign) else None
    sources = [*filter(None, map(take_instrument, written.sources))] if isinstance(written, Campaign) else []
    campaign, instrument = prepare(written, kept, sources)
    book = Ledger(ledger, directory, patience_s, interrupted)
    book.patience_s = AWAY_S
    try:
        with _closed(sources), book:
            if again:
                campaign = _renamed(campaign, book)
            campaign = freeze_lessons(campaign, book, instrument)
            owner = f"campaign {campaign.slug!r}"
            if not isinstance(instrument, ReadByPersons):
                refuse_asked_persons(book, campaign.slug)
            others = [*member_identities(instrument), *(source.identity for source in sources)]
            with book.hold(instrument.identity, owner, others) as lease:
                book.move(campaign.slug, lease, owner, measured=moved)
                campaign, entry = _register(book, campaign, instrument)
                session = _session(book, lease, entry, campaign, instrument, sources, directory, interrupted)
                try:
                    with kept_safe(instrument, lease):
                        yield session
                finally:
                    session.close()
    finally:
        close_driver(instrument)


@contextmanager
def _closed(sources: Sequence[Instrument]) -> Iterator[None]:
    """Let go of sources at the end of a block."""
    try:
        yield
    finally:
        for source in sources:
            close_driver(source)


def _session(
    book: Ledger,
    lease: Lease,
    entry: Entry,
    campaign: Campaign,
    instrument: Instrument,
    sources: Sequence[Instrument],
    directory: Path,
    interrupted: threading.Event | None,
) -> Session:
    asked = [source.identity for source in sources]
    for identity in (*member_identities(instrument), *asked, instrument.identity):
        wait_out_orphans(book, identity, interrupted)
    book.reconcile(lease, entry.id)
    allowed = max(campaign.extra, entry.config.get("extra", 0))
    campaign = campaign.model_copy(update={"extra": allowed}) if allowed else campaign
    if entry.state is not State.FINISHED or has_other_limits(campaign, entry):
        entry = replace(entry, state=State.RUNNING)
        book.reconfigure(lease, entry.id, campaign.model_dump(mode="json"))
        book.set_state(lease, entry.id, State.RUNNING)
    bench_class = HandBench if isinstance(instrument, ReadByPersons) else Bench
    needed = instrument.space.sources(campaign.channels)
    most = campaign.most  # as of now: the session says what is allowed by each request
    bench = bench_class(book, lease, entry.id, instrument, most, needed, suspend=campaign.suspend)
    bench.interrupted = interrupted or bench.interrupted
    if isinstance(bench, HandBench):
        bench.enter_corrections()
    benches = {
        part.name: Bench(book, lease.of(source.identity), entry.id, source, most, needed, interrupted=bench.interrupted)
        for part, source in zip(campaign.sources, sources, strict=True)
    }
    return Session(campaign, entry, book, lease, bench, directory, _planner(campaign, book, entry), benches)


def _planner(campaign: Campaign, book: Ledger, entry: Entry) -> Planner:
    if campaign.fitting is None:
        return DirectPlanner(campaign, entry.space)
    url = book.url
    return FittingProcess(campaign, entry.space, entry.id, url)


def _register(book: Ledger, campaign: Campaign, instrument: Instrument) -> tuple[Campaign, Entry]:
    if campaign.slug not in {entry.name for entry in book.entries()}:
        _refuse_past_deadline(campaign)
    config = campaign.model_dump(mode="json")
    entry = book.register(campaign.slug, instrument.identity, instrument.space, config, versions(), title=campaign.name)
    return take_as_begun(campaign, entry), entry


def _refuse_past_deadline(campaign: Campaign) -> None:
    """Refuse to begin what is to end before it begins."""
    price, present = campaign.price, now()
    if price is not None and (ends := price.ends_at(present)) is not None and ends <= present:
        raise InvalidInput(f"price.deadline: {price.deadline} ({price.timezone}) is over: give a later one")


def has_other_limits(campaign: Campaign, entry: Entry) -> bool:
    """Return whether a campaign may send more, or less, than when it was last run."""
    config = campaign.model_dump(mode="json")
    return any(config.get(key) != entry.config.get(key) for key in LIMITS)


def take_as_begun(campaign: Campaign, entry: Entry) -> Campaign:
    """Return the campaign with all that its file leaves out as it was when it was begun: defaults may change.

    Raises:
        InvalidInput: if its file asks for something else than the campaign of its name was begun with.
    """
    campaign = _as_begun(campaign, entry)
    config = campaign.model_dump(mode="json")
    changed = sorted(key for key in config.keys() - MAY_CHANGE if entry.config.get(key) != config[key])
    if changed:
        raise InvalidInput(
            f"campaign {entry.name!r} was begun with another {', another '.join(changed)}: give this one another "
            "name, or write what it was begun with ('sdl report' shows that)"
        )
    return campaign


def _as_begun(campaign: Campaign, entry: Entry) -> Campaign:
    written, whole = (campaign.model_dump(mode="json", exclude_unset=unset) for unset in (True, False))
    begun = dict(written)
    for key in whole.keys() & entry.config.keys() - MAY_CHANGE:
        recorded, today = entry.config[key], whole[key]
        if isinstance(recorded, Mapping) and isinstance(today, Mapping):
            stated = written.get(key, {})
            other = {name: value for name, value in recorded.items() if name not in stated and today.get(name) != value}
            begun |= {key: {**stated, **other}} if other else {}
        elif key not in written and recorded != today:
            begun[key] = recorded
    return campaign if begun == written else Campaign.parse(begun)


def _renamed(campaign: Campaign, book: Ledger) -> Campaign:
    finished = {entry.name for entry in book.entries() if entry.state in (State.FINISHED, State.STOPPED)}
    number, name = 1, campaign.name
    while Campaign.model_copy(campaign, update={"name": name}).slug in finished:
        number += 1
        name = f"{campaign.name} {number}"
    return campaign.model_copy(update={"name": name})
