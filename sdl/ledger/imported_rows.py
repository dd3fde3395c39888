"""Rows that were measured elsewhere, entered in batches between which others write."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from sdl.errors import Interrupted, InvalidInput, LedgerError
from sdl.history import Entry, State
from sdl.ledger import statements
from sdl.ledger.ledger import Ledger
from sdl.ledger.row_mapping import row_of_campaign
from sdl.ledger.tables import campaigns
from sdl.space import Space
from sdl.system import failpoints
from sdl.system.clock import now

BATCH = 1000
"""Rows that are entered in one transaction, which takes some hundredths of a second."""

Tell = Callable[[int, int], object]


@dataclass(frozen=True, eq=False)
class ImportedRows:
    """Rows like those of ``Ledger.trail``, in the order of sending, and what they were measured with."""

    instrument: str
    space: Space
    """Knobs and channels of the instrument."""
    trail: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]
    """What is known of how they came about, such as ``imported.sha256``: which rows these are."""

    def enter(self, ledger: Ledger, name: str, title: str = "", tell: Tell = lambda *_: None) -> Entry:
        """Enter them as a finished campaign; where that broke off, the same call enters what is lacking.

        Args:
            ledger: Where to.
            name: A name that no campaign has, or one that was entered in part.
            title: The name as a person wrote it.
            tell: Called with how many rows are entered, and how many there are.

        Raises:
            InvalidInput: if the name is taken.
            Interrupted, LedgerError: with how many rows are entered.
        """
        reason = "not all its rows are entered: the same import again enters the others"
        row = row_of_campaign(
            name, title, self.instrument, self.space, self.config, {}, state=State.IMPORTING, reason=reason
        )
        with ledger.writing() as connection:
            begun = connection.execute(select(campaigns).where(campaigns.c.name == name)).one_or_none()
            in_part = begun is not None and begun.state == State.IMPORTING
            if begun is not None and not (in_part and _same_rows(begun, row)):
                part = " of other rows, entered in part," if in_part else ""
                raise InvalidInput(f"there is a campaign {name!r}{part} in this ledger already; give another name")
            new = insert(campaigns).values(**row)
            campaign = begun.id if begun is not None else statements.inserted_id(connection.execute(new))
            places = statements.read_places(connection, campaign)
            done = connection.execute(statements.select_sent_count(campaign)).one()[0]
        try:
            while done < len(self.trail):
                begun_s = time.monotonic()
                self._enter_batch(ledger, campaign, done, places)
                done = min(done + BATCH, len(self.trail))
                failpoints.pass_failpoint("in-import")
                tell(done, len(self.trail))
                time.sleep(time.monotonic() - begun_s)  # who waits for SQLite looks but now and then whether it is free
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted: {self._entered(done)}") from None
        except LedgerError as error:
            raise LedgerError(f"{error}; {self._entered(done)}") from error
        return ledger.entry(name)

    def _enter_batch(self, ledger: Ledger, campaign: int, done: int, places: dict[statements.Place, int]) -> None:
        """Enter the next batch after so many rows that are there."""
        of_campaign = campaigns.c.id == campaign
        with ledger.writing() as connection:
            connection.execute(select(campaigns.c.id).where(of_campaign).with_for_update())
            if connection.execute(statements.select_sent_count(campaign)).one()[0] != done:
                raise LedgerError("another process enters these rows too")
            statements.insert_trail(connection, campaign, self.instrument, self.trail[done : done + BATCH], places)
            if done + BATCH >= len(self.trail):
                whole = {"state": State.FINISHED, "reason": "imported", "updated": now()}
                connection.execute(update(campaigns).where(of_campaign).values(**whole))

    def _entered(self, done: int) -> str:
        return f"{done} of {len(self.trail)} rows are entered, the same import again enters the others"


def _same_rows(begun: Row[Any], row: Mapping[str, Any]) -> bool:
    """Whether a campaign is of the same file; what that was compared with may have changed since."""
    was, is_ = (config.get("imported", {}).get("sha256") for config in (begun.config, row["config"]))
    return bool(was == is_ and begun.space == row["space"])
