"""Ask and tell: a campaign whose readings persons or programs bring, driven without Prefect.

``ask`` goes on with the campaign as far as it can without readings that are not there, and says what is to be measured;
``tell`` keeps what was read. Nothing is held between the two, and either may be killed or given twice.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flows import environment
from flows.engine.direct_run import drive
from flows.engine.handover import build_instrument
from flows.engine.opening import open_session
from flows.engine.outcome import summarize_outcome
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput, LeaseHeld, ReadingsWanted
from sdl.history import Entry, State
from sdl.instruments.protocol import ReadByPersons
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.samples import Sample
from sdl.measurement.hand_bench import Taken, take_sheet, wanted_samples
from sdl.measurement.sheets import FilledSheet, read_said

TURN_S = 60.0
"""For which a call waits while another one goes on with the same campaign."""
LOOK_S = 0.2


class AskAndTell:
    """A campaign that says what to measure and is told what was read.

    Args:
        campaign: As it was parsed from its file, or the name of one that has begun.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
        by: Who tells, for the record.

    Raises:
        InvalidInput: if there is no campaign of that name, or an instrument measures for it by itself.
    """

    def __init__(
        self, campaign: Campaign | str, home: str | Path | None = None, ledger: str | None = None, by: str = ""
    ) -> None:
        self.directory = environment.home(home)
        self.where = environment.ledger(ledger, self.directory)
        self.by = by
        if isinstance(campaign, str):
            with Ledger(self.where) as book:
                entry = book.entry(campaign)
            if "targets" not in entry.config:
                raise InvalidInput(f"{campaign!r} has no targets: it was measured by hand or imported")
            campaign = Campaign.parse(entry.config)
        self.campaign = campaign
        instrument = build_instrument(campaign.instrument)
        instrument.close()
        if not isinstance(instrument, ReadByPersons):
            raise InvalidInput(f"{instrument.identity} measures by itself: 'sdl run' the file of {campaign.name!r}")

    def ask(self) -> list[Sample]:
        """Go on with the campaign, and return the samples whose readings it waits for; none once it is finished.

        Raises:
            CampaignPaused, CampaignStopped: if a person asked for that, or has to approve of the settings first.
            LeaseHeld: if another process has been at work on it for a minute.
        """
        until = time.monotonic() + TURN_S
        while True:
            try:
                return self._go_on()
            except LeaseHeld:
                if time.monotonic() > until:
                    raise
                time.sleep(LOOK_S)

    def tell(self, said: FilledSheet | Iterable[Mapping[str, Any]], *, correct: bool = False) -> Taken:
        """Keep what was read; the campaign goes on with it at the next ``ask`` or ``sdl run``.

        Args:
            said: A sheet, or entries with ``sample``, ``readings`` by channel, and ``failed`` and ``note`` if need be.
            correct: Whether readings that are known may be replaced.

        Raises:
            InvalidInput: for entries that are none; what cannot be believed of a reading is a fault of the answer.
        """
        sheet = said if isinstance(said, FilledSheet) else read_said(said)
        with Ledger(self.where, self.directory) as book:
            return take_sheet(book, book.entry(self.campaign.slug), sheet, self.by, correct=correct)

    def outcome(self) -> dict[str, Any]:
        """Return what came of the campaign so far, as plain data; see ``summarize_outcome``."""
        with Ledger(self.where) as book:
            return summarize_outcome(book, self.campaign.slug)

    def entry(self) -> Entry:
        """Return the campaign as the ledger has it."""
        with Ledger(self.where) as book:
            return book.entry(self.campaign.slug)

    def _go_on(self) -> list[Sample]:
        with open_session(self.campaign, self.directory, self.where) as session:
            if session.entry.state is State.FINISHED:
                return []
            try:
                drive(session)
            except ReadingsWanted:
                return wanted_samples(session.ledger, session.entry)
            return []
