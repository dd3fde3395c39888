"""The ledger: the one stateful thing. Intents before requests, every reply as it came, verdicts, controls."""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import OperationalError

from sdl.errors import BudgetSpent, CampaignPaused, CampaignStopped, InvalidInput, LeaseLost, LedgerError, nearest
from sdl.formatting import json_list, jsonable, shown, visible
from sdl.history import Control, Entry, Exam, Finding, History, ReplyClass, Request, Round, State
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import PreviousReply, Screened
from sdl.ledger import bulk_reads as bulk
from sdl.ledger import dumps as trail
from sdl.ledger import lease as leasing
from sdl.ledger import row_mapping as rows
from sdl.ledger.history_cache import HistoryCache
from sdl.ledger.journal import Journal, JournalEntry
from sdl.ledger.lease import Lease
from sdl.ledger.tables import attempts, campaigns, exams, findings, journal_path, now, open_database, requests, rounds
from sdl.space import Space

TRIES = 3
"""How often a reply is written before the process gives up; each waits for others as long as the database does."""

log = logging.getLogger(__name__)


class Ledger:
    """Everything measured and decided, in one database.

    Writes that belong to a running campaign need its lease and are refused once another process holds it.

    Args:
        where: A file for SQLite, or a database URL for PostgreSQL.
        beside: Folder for replies that a database server could not take; those of a file lie beside it.
    """

    def __init__(self, where: str | Path, beside: Path | None = None) -> None:
        self.engine = open_database(where)
        self.journal = Journal(journal_path(self.engine.url, beside))
        self._writer = self.engine.execution_options(writes=True)
        self._doubted = set[tuple[str, str]]()  # flags that were warned of
        self._counted = dict[int, tuple[int, int]]()  # requests sent for a campaign, and the row of the last of them

    def __enter__(self) -> Self:
        return self

    @property
    def file(self) -> Path | None:
        """The file that it lies in; None where that is a database server's matter."""
        url = self.engine.url
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    # ------------------------------------------------------------------ campaigns

    def register(
        self,
        name: str,
        instrument: str,
        space: Space,
        config: Mapping[str, Any],
        versions: Mapping[str, str],
        title: str = "",
    ) -> Entry:
        """Enter a campaign, or return the one of that name.

        Raises:
            InvalidInput: if the name belongs to a campaign on another instrument.
        """
        with self.writing() as connection:
            known = connection.execute(select(campaigns).where(campaigns.c.name == name)).one_or_none()
            if known is None:
                row = {"name": name, "title": title or name, "instrument": instrument, "config": dict(config)}
                row |= {"space": space.model_dump(mode="json"), "versions": dict(versions), "state": State.RUNNING}
                connection.execute(insert(campaigns).values(**row, reason="", created=now(), updated=now()))
            elif Space.model_validate(known.space) != space:
                raise InvalidInput(
                    f"campaign {name!r} was begun on {known.instrument} with other knobs or channels than "
                    f"{instrument} has; give this campaign another name"
                )
        return self.entry(name)

    def adopt(
        self,
        name: str,
        instrument: str,
        space: Space,
        config: Mapping[str, Any],
        trail: Sequence[Mapping[str, Any]],
        title: str = "",
    ) -> Entry:
        """Enter a finished campaign that was measured elsewhere, whole or not at all.

        Args:
            name: A name that no campaign has.
            instrument: What it was measured with.
            space: Its knobs and channels.
            config: What is known of how it came about.
            trail: Rows like those of ``trail``, in the order of sending.
            title: The name as a person wrote it.

        Raises:
            InvalidInput: if the name is taken.
        """
        with self.writing() as connection:
            if connection.execute(select(campaigns.c.id).where(campaigns.c.name == name)).first() is not None:
                raise InvalidInput(f"there is a campaign {name!r} in this ledger already; give another name")
            row = {"name": name, "title": title or name, "instrument": instrument, "config": dict(config)}
            row |= {"space": space.model_dump(mode="json"), "versions": {}, "state": State.FINISHED}
            new = insert(campaigns).values(**row, reason="imported", created=now(), updated=now())
            campaign = rows.number(connection.execute(new))
            rows.adopt(connection, campaign, trail)
        return self.entry(name)

    def entry(self, name: str) -> Entry:
        """The campaign of that name.

        Raises:
            InvalidInput: if there is none, with the nearest name.
        """
        known = campaigns.c.name == visible(name)  # what is invisible no database takes, and no name has
        with self.engine.connect() as connection:
            row = connection.execute(rows.ENTRY.where(known)).one_or_none()
        if row is None:
            raise InvalidInput(
                f"no campaign {shown(name)} in this ledger{nearest(name, [e.name for e in self.entries()])}"
            )
        return rows.entry(row)

    def entries(self) -> list[Entry]:
        """All campaigns, the latest first."""
        with self.engine.connect() as connection:
            return [rows.entry(row) for row in connection.execute(rows.ENTRY.order_by(campaigns.c.updated.desc()))]

    def reconfigure(self, lease: Lease, campaign: int, config: Mapping[str, Any]) -> None:
        """Replace the configuration of a campaign (what may change is for its owner to judge); the old one is kept."""
        with self.writing(lease) as connection:
            before = connection.execute(select(campaigns.c.config).where(campaigns.c.id == campaign)).scalar_one()
            if before == dict(config):
                return
            rows.reconfigure(connection, campaign, before, config)

    def set_state(self, lease: Lease, campaign: int, state: State, reason: str = "") -> None:
        """Say where a campaign stands, and why."""
        with self.writing(lease) as connection:
            change = {"state": state, "reason": reason, "updated": now()}
            connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(**change))

    def obey(self, name: str) -> None:
        """Refuse to begin where a person asked for a pause or a stop; a campaign that is not there yet may begin.

        Raises:
            CampaignPaused, CampaignStopped: with what takes that back.
        """
        with self.engine.connect() as connection:
            asked = select(rows.CONTROL).where(campaigns.c.name == name)
            control = connection.execute(asked).scalar_one_or_none()
        if control is not None:
            _obey(name, Control(control))

    # ------------------------------------------------------------------ the instrument

    def hold(self, instrument: str, owner: str) -> AbstractContextManager[Lease]:
        """Hold an instrument for the length of a block.

        Raises:
            LeaseHeld: naming the holder and since when.
        """
        return leasing.hold(self.engine, instrument, owner)

    def holder(self, instrument: str) -> str | None:
        """Who holds an instrument and since when, in words; None if it is free."""
        return leasing.holder(self.engine, instrument)

    # ------------------------------------------------------------------ one measurement

    def plan(
        self, lease: Lease, campaign: int, round_: Round, planned: Iterable[Request], exam: Exam | None = None
    ) -> None:
        """Write down a round and its measurements, in order; what is there already stays as it is."""
        with self.writing(lease) as connection:
            if not rows.has(connection, rounds, campaign, round_.number):
                connection.execute(insert(rounds).values(**rows.of_round(campaign, round_)))
            known = {tuple(row) for row in connection.execute(rows.keys(campaign, round_.number))}
            new = [rows.of_request(campaign, request) for request in planned if request.key[1:] not in known]
            if new:
                connection.execute(insert(requests), new)
            if exam is not None and not rows.has(connection, exams, campaign, exam.round):
                connection.execute(insert(exams).values(**rows.of_exam(campaign, exam)))

    def send(self, lease: Lease, campaign: int, request: Request, budget: int) -> int:
        """Write the intent of one request that is about to be sent; return the number of this attempt's row.

        In one transaction: the lease is still ours, nobody asked to pause or stop, the budget allows it.

        Raises:
            LeaseLost, CampaignPaused, CampaignStopped, BudgetSpent: with what to do next.
        """
        begun = time.monotonic()
        with self.writing(lease) as connection:
            counted, last = self._counted.get(campaign, (0, 0))
            found = connection.execute(rows.INTENT, rows.place(campaign, request) | {"counted": last}).one()
            sent = counted + found.sent
            self._doubt(found.name, found.flag, found.control)
            _obey(found.name, found.control)
            if sent >= budget:
                raise BudgetSpent(f"all {budget} requests of the budget are sent; raise 'budget' to go on")
            row = {"campaign": campaign, "request": found.planned, "attempt": found.tried + 1, "token": lease.token}
            row |= {"state": "SENT", "reason": "", "raw": "", "sent_at": now()}
            number = rows.number(connection.execute(rows.SEND, row))
        self._counted[campaign] = (sent + 1, number)
        if time.monotonic() - begun > leasing.TTL_S / 2:  # it slept: somebody else may hold the instrument by now
            with self.writing(lease):
                pass
        return number

    def _doubt(self, name: str, flag: str, control: str) -> None:
        """Warn, once, of a flag that says nothing."""
        if flag not in list(Control) and (name, flag) not in self._doubted:
            self._doubted.add((name, flag))
            log.warning("campaign %r has the flag %s, which says nothing: going by what was last asked, %r; "
                        "'sdl pause', 'resume' or 'stop' write it anew", name, shown(flag), control)  # fmt: skip

    def receive(self, lease: Lease, attempt: int, reply: Reply, screened: Screened) -> None:
        """Keep a reply, whatever it is worth; if it says that the sensor is stuck, mask the reply before it too.

        Raises:
            LeaseLost: if another process holds the instrument by now.
            LedgerError: if the database does not take it; then it is in the journal until the next start.
        """
        done: dict[str, Any] = {
            "state": "DONE",
            "verdict": screened.verdict,
            "reason": screened.reason,
            "raw": reply.raw,
        }
        done |= {
            "applied": jsonable(reply.applied),
            "out": jsonable(reply.readings),
            "seconds": reply.seconds,
        }
        done |= {"readings": json_list(screened.readings), "censored": screened.censored.tolist(), "done_at": now()}
        distrust = f"the reply after it repeats it: {screened.reason}" if screened.stuck else ""
        self._answer(lease, JournalEntry(lease.instrument, lease.token, attempt, done, distrust))

    def fail(self, lease: Lease, attempt: int, verdict: ReplyClass, reason: str, raw: str = "") -> None:
        """Keep what is known of a request that brought no reply; errors as those of ``receive``."""
        state = "UNKNOWN" if verdict is ReplyClass.UNKNOWN else "FAILED"
        done = {"state": state, "verdict": verdict, "reason": reason, "raw": raw, "done_at": now()}
        self._answer(lease, JournalEntry(lease.instrument, lease.token, attempt, done))

    def reconcile(self, lease: Lease, campaign: int) -> int:
        """Take up what an earlier process left: the replies that it kept; what else it sent becomes UNKNOWN.

        Returns:
            How many were marked UNKNOWN.
        """
        self.journal.reserve()
        lost = {"state": "UNKNOWN", "verdict": ReplyClass.UNKNOWN, "reason": "the process ended before the answer came"}
        with self.journal.held() as kept:
            with self.writing(lease) as connection:
                for each in kept.replies:
                    if each.instrument == lease.instrument:
                        rows.answer(connection, each)
                open_ = (attempts.c.campaign == campaign) & (attempts.c.state == "SENT")
                marked = connection.execute(update(attempts).where(open_).values(**lost, done_at=now())).rowcount
                taken = not any(rows.is_open(connection, each) for each in kept.replies)
            kept.taken = taken
        return marked

    def _answer(self, lease: Lease, reply: JournalEntry) -> None:
        """Write what came of an attempt; what cannot be written at once is on the disk before it is tried again."""
        place = None
        for left in reversed(range(TRIES)):
            try:
                with self.writing(lease) as connection:
                    rows.answer(connection, reply)
                return
            except LeaseLost:
                log.error("this reply came too late to be kept: %s", reply.answer["raw"])
                raise
            except LedgerError as error:
                place = place or self._keep(reply, error)
                if not left:
                    raise LedgerError(f"{error}. The last reply is kept in {place} until then") from error

    def _keep(self, reply: JournalEntry, why: LedgerError) -> Path:
        try:
            return self.journal.keep(reply)
        except LedgerError as error:
            log.error("this reply could not be kept: %s", reply.answer["raw"])  # so that a person has it at least
            raise LedgerError(f"{why}. The last reply is lost: {error}") from why

    def last_reply(self, campaign: int) -> PreviousReply | None:
        """The last reply of any worth, to compare the next one with."""
        query = (
            select(requests.c.settings, attempts.c.out)
            .join(requests, attempts.c.request == requests.c.id)
            .where(attempts.c.campaign == campaign, attempts.c.state == "DONE")
            .order_by(attempts.c.id.desc())
            .limit(1)
        )
        with self.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return PreviousReply(np.array(row.settings, float), row.out) if row else None

    # ------------------------------------------------------------------ decisions

    def find(self, lease: Lease, campaign: int, finding: Finding) -> None:
        """Write down a verdict, once."""
        with self.writing(lease) as connection:
            same = (findings.c.round == finding.round) & (findings.c.target == finding.target)
            known = select(findings.c.id).where(findings.c.campaign == campaign, same)
            if connection.execute(known).first() is None:
                connection.execute(insert(findings).values(**rows.of_finding(campaign, finding)))

    def history(self, campaign: int, fresh_for_s: float = float("inf"), known: HistoryCache | None = None) -> History:
        """All that a decision may look at.

        Args:
            campaign: Its number.
            fresh_for_s: Seconds after which the last reading's background counts as out of date; so it does after a
                suspension.
            known: What its only controller read of it before; then only the rest is read, and added to it.
        """
        with self.engine.connect() as connection:
            return (known or HistoryCache(campaign)).history(connection, now(), fresh_for_s)

    def sent(self, campaign: int) -> int:
        """How many requests were sent, whatever became of them."""
        with self.engine.connect() as connection:
            return int(connection.execute(rows.counted(campaign)).one()[0])

    def sendings(self, campaign: int) -> bulk.Sendings:
        """What became of every attempt of a campaign, without what was asked and answered."""
        with self.engine.connect() as connection:
            return bulk.sendings(connection, campaign)

    def trail(self, campaign: int, numbers: Collection[int] | None = None) -> list[dict[str, Any]]:
        """Attempts with their requests, in the order of sending, as plain rows for reports and exports.

        Args:
            campaign: Its number.
            numbers: Of the rows of those that are wanted, some thousands at most; all unless told.
        """
        with self.engine.connect() as connection:
            return trail.attempted(connection, campaign, numbers)

    def account(self, campaign: int) -> dict[str, list[dict[str, Any]]]:
        """Everything that the tables hold of a campaign besides its attempts, as plain rows in the order of writing."""
        with self.engine.connect() as connection:
            return trail.account(connection, campaign)

    @contextmanager
    def writing(self, lease: Lease | None = None) -> Iterator[Connection]:
        """One transaction that writes; with a lease, only as long as it is ours.

        Raises:
            LeaseLost: if another process holds the instrument by now.
            LedgerError: if the database does not take it.
        """
        try:
            with self._writer.begin() as connection:
                if lease is not None:
                    lease.check(connection)
                yield connection
        except OperationalError as error:
            raise LedgerError(
                f"the ledger at {self.engine.url.render_as_string()} could not be written: {error.orig}; see whether "
                "another program holds it or its disk is full, and run the campaign again"
            ) from error


def _obey(name: str, control: Control) -> None:
    if control == Control.STOP:
        raise CampaignStopped(f"campaign {name!r} was stopped by a person; 'sdl resume {name}' takes that back")
    if control == Control.PAUSE:
        raise CampaignPaused(f"campaign {name!r} was paused by a person; go on with 'sdl resume {name}'")
