"""Samples: measurements that persons are asked to take, and what they say of each, edition by edition.

Nothing that somebody said is changed or removed. Who adds a channel or corrects a typo adds an edition, and a sample
reads what all its editions say together. Two persons who write the same edition at once are told apart by the database.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from sdl.errors import LedgerError
from sdl.history import NoticeKind, ReplyClass, Request
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import Screened
from sdl.ledger import statements
from sdl.ledger.journal import JournalEntry
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.ledger.row_mapping import answer_columns, failure_columns, request_from_row
from sdl.ledger.tables import attempts, editions, requests, samples
from sdl.system import failpoints
from sdl.system.clock import now


@dataclass(frozen=True)
class Edition:
    """What somebody said of a sample at one time."""

    readings: Mapping[str, float]
    """By channel; what is left out stays as it was."""
    failed: bool = False
    """Whether the measurement brought nothing, and is to be taken again."""
    note: str = ""
    by: str = ""
    at: float = 0.0
    """Seconds since 1970."""
    attempt: int | None = None
    """Number of the attempt that this edition, and all before it, was entered as; None as long as it was not."""

    @property
    def decides(self) -> bool:
        """Whether it says what was read, or that it failed, and not just a note."""
        return self.failed or bool(self.readings)


@dataclass(frozen=True, eq=False)
class Sample:
    """A planned measurement in the hands of persons."""

    id: int
    request: Request
    number: int
    """1 for the first of this measurement, one more for each that failed."""
    editions: Sequence[Edition] = ()

    @property
    def name(self) -> str:
        """What it is called in tables and sheets: round, index and replicate, such as ``r0-3-0``."""
        again = (self.number,) if self.number > 1 else ()
        return "r" + "-".join(map(str, (*self.request.key, *again)))

    @property
    def decisive(self) -> Sequence[Edition]:
        """What was said of it, without what is a note alone."""
        return [edition for edition in self.editions if edition.decides]

    @property
    def failed(self) -> bool:
        """Whether the last that was said of it is that it failed."""
        return bool(self.decisive) and self.decisive[-1].failed

    @property
    def readings(self) -> dict[str, float]:
        """What was read, by channel, as far as that is known."""
        readings = dict[str, float]()
        for edition in self.editions:
            readings = {} if edition.failed else readings | dict(edition.readings)
        return readings

    @property
    def entered(self) -> int | None:
        """Number of the attempt that it was entered as last; None as long as the campaign does not know of it."""
        return next((edition.attempt for edition in reversed(self.editions) if edition.attempt is not None), None)

    @property
    def corrected(self) -> bool:
        """Whether something was said of it since it was entered."""
        return self.entered is not None and self.decisive[-1].attempt is None

    @property
    def record(self) -> str:
        """All that was said of it, as JSON."""
        kept = ("readings", "failed", "note", "by", "at")
        return json.dumps([{name: getattr(edition, name) for name in kept} for edition in self.editions])

    def answered(self, needed: Iterable[str]) -> bool:
        """Whether nothing more is awaited of it: it failed, or the channels that are needed were read."""
        return self.failed or set(needed) <= self.readings.keys()


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one campaign.

    Args:
        ledger: Where it is.
        campaign: Its number.
    """

    ledger: Ledger
    campaign: int

    def notes(self) -> dict[int, str]:
        """Return what persons noted beside what they read, by the number of the attempt that it was entered as."""
        read = [(sample, [edition.note for edition in sample.editions if edition.note]) for sample in self.read()]
        return {sample.entered: "; ".join(notes) for sample, notes in read if sample.entered is not None and notes}

    def read(self) -> list[Sample]:
        """Return all samples, in the order of asking."""
        with self.ledger.reading() as connection:
            return self._read(connection)

    def ask(self, lease: Lease, planned: Sequence[Request], budget: int) -> list[Sample]:
        """Ask for measurements that lack a usable reading, as far as the budget goes; what is asked stays so.

        Returns:
            All samples of these measurements, in their order.
        """
        with self.ledger.writing(lease) as connection:
            present = defaultdict[tuple[int, int, int], list[Sample]](list)
            for sample in self._read(connection):
                present[sample.request.key].append(sample)
            left = budget - int(connection.execute(statements.select_sent_count(self.campaign)).one()[0])
            left -= sum(sample.entered is None for mine in present.values() for sample in mine)
            asked_at = now()  # the same for all that are asked for together, which are one plate where there is such
            for request in planned:
                mine = present[request.key]
                if mine and not mine[-1].failed and mine[-1].entered is None:
                    continue
                if left <= 0:
                    break
                place = statements.request_place(self.campaign, request)
                row = connection.execute(select(requests.c.id).where(*statements.AT_PLACE), place).scalar_one()
                new = {"campaign": self.campaign, "request": row, "number": len(mine) + 1, "at": asked_at}
                connection.execute(insert(samples).values(**new))
                left -= 1
        failpoints.pass_failpoint("after-intent")
        wanted = {request.key: place for place, request in enumerate(planned)}
        mine = [sample for sample in self.read() if sample.request.key in wanted]
        return sorted(mine, key=lambda sample: (wanted[sample.request.key], sample.number))

    def add(self, said: Mapping[int, tuple[int, Edition]]) -> bool:
        """Write down what somebody said, all of it or nothing.

        Args:
            said: By the number of the sample: how many editions it had when it was looked at, and the new one.

        Returns:
            Whether it was written; it was not if somebody else said something of one of these samples meanwhile.
        """
        try:
            with self.ledger.writing() as connection:
                for sample, (present, edition) in said.items():
                    row = {"sample": sample, "edition": present + 1, "readings": dict(edition.readings)}
                    row |= {"failed": edition.failed, "note": edition.note, "by": edition.by, "at": now()}
                    connection.execute(insert(editions).values(**row))
                failpoints.pass_failpoint("after-reply")
        except LedgerError as error:
            if isinstance(error.__cause__, IntegrityError):
                return False
            raise
        failpoints.pass_failpoint("after-commit")
        return True

    def enter(self, lease: Lease, sample: Sample, budget: float, reply: Reply | None, screened: Screened) -> None:
        """Enter a sample as an attempt, in one transaction; of one that was corrected, the attempt before is masked.

        Args:
            lease: Of its instrument.
            sample: As it was read.
            budget: Requests that may be sent.
            reply: What was read; None if the measurement failed.
            screened: What it is worth.

        Raises:
            LeaseLost, CampaignPaused, CampaignStopped, BudgetSpent: as the ledger does.
        """
        with self.ledger.writing(lease) as connection:
            if sample.entered is not None:
                last = sample.decisive[-1]
                why = f"corrected by {last.by}{f': {last.note}' if last.note else ''}"
                statements.mask_last_reply(connection, attempts.c.id == sample.entered, why)
                words = f"{sample.name} reads {json.dumps(sample.readings) if reply else 'nothing: it failed'}, {why}"
                statements.insert_notice(connection, self.campaign, NoticeKind.CORRECTED, words, last.by)
            attempt, _ = self.ledger.intend(connection, lease, self.campaign, sample.request, budget)
            answer = (
                answer_columns(reply, screened)
                if reply
                else failure_columns(ReplyClass.RETRY, screened.reason, sample.record)
            )
            statements.write_answer(connection, JournalEntry(lease.instrument, lease.token, attempt, answer))
            taken = (editions.c.sample == sample.id) & editions.c.attempt.is_(None)
            known = editions.c.edition <= len(sample.editions)
            connection.execute(update(editions).where(taken, known).values(attempt=attempt))
        failpoints.pass_failpoint("after-commit")

    def _read(self, connection: Connection) -> list[Sample]:
        said = defaultdict[int, list[Edition]](list)
        mine = select(samples.c.id).where(samples.c.campaign == self.campaign)
        for row in connection.execute(
            select(editions).where(editions.c.sample.in_(mine)).order_by(editions.c.sample, editions.c.edition)
        ):
            words = (row.failed, row.note, row.by, row.at, row.attempt)
            said[row.sample].append(Edition(row.readings, *words))
        columns = [samples.c.id.label("sample"), samples.c.number, *requests.c]
        query = select(*columns).join(requests, samples.c.request == requests.c.id)
        return [
            Sample(row.sample, request_from_row(row), row.number, said[row.sample])
            for row in connection.execute(query.where(samples.c.campaign == self.campaign).order_by(samples.c.id))
        ]


NO_BUDGET = math.inf
"""A correction is no further measurement."""
