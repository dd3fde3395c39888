"""The ledger: the one stateful thing. Intents before requests, every reply as it came, verdicts, controls."""

import json
import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from sdl.errors import (
    ApprovalWanted,
    BudgetSpent,
    CampaignPaused,
    CampaignStopped,
    InvalidInput,
    LeaseHeld,
    LeaseLost,
    LedgerAway,
    LedgerError,
    suggest_nearest,
)
from sdl.formatting import escape_invisible, format_value, hide_password
from sdl.history import Control, Entry, Exam, Finding, History, NoticeKind, ReplyClass, Request, Round, State
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import PreviousReply, Screened
from sdl.ledger import bulk_reads, queries, statements
from sdl.ledger import lease as leasing
from sdl.ledger.database import answered, begin_transaction, journal_path, open_database
from sdl.ledger.database_server import wait_for_answer
from sdl.ledger.history_cache import HistoryCache
from sdl.ledger.journal import Journal, JournalEntry
from sdl.ledger.lease import Lease
from sdl.ledger.row_mapping import (
    answer_columns,
    entry_from_row,
    failure_columns,
    row_of_campaign,
    row_of_exam,
    row_of_finding,
    row_of_request,
    row_of_round,
)
from sdl.ledger.tables import attempts, campaigns, exams, findings, metadata, requests, rounds, storable
from sdl.space import Space
from sdl.system.clock import moment, now, uptime
from sdl.system.database_copies import copy_sqlite, dump_postgresql, load_postgresql

TRIES = 3
"""How often a reply is written before the process gives up; each waits for others as long as the database does."""

log = logging.getLogger(__name__)


def refuse_other_instrument(entry: Entry, instrument: str) -> None:
    """Refuse to take a campaign for one of another instrument than the ledger books it on.

    Args:
        entry: The campaign.
        instrument: Identity of what stands in its file.

    Raises:
        InvalidInput: naming both.
    """
    if entry.instrument != storable(instrument):
        raise InvalidInput(
            f"campaign {entry.name!r} was begun on {entry.instrument}, and this is {instrument}: give it another name; "
            "or say 'sdl run --moved' if it is to go on here; where both are one apparatus, say so in the file: "
            f"apparatus = {json.dumps(entry.instrument)} below [instrument]"
        )


class Ledger:
    """Everything measured and decided, in one database.

    Writes that belong to a running campaign need its lease and are refused once another process holds it.

    Args:
        where: A file for SQLite, or a database URL for PostgreSQL.
        beside: Folder for replies that a database server could not take; those of a file lie beside it.
        patience_s: Seconds for which each transaction waits for a database server that does not answer.
        interrupted: Set it to end such a wait.
    """

    def __init__(
        self,
        where: str | Path,
        beside: Path | None = None,
        patience_s: float = 0.0,
        interrupted: threading.Event | None = None,
    ) -> None:
        self.patience_s, self.interrupted = patience_s, interrupted or threading.Event()
        self.engine = wait_for_answer(lambda: open_database(where), patience_s, self.interrupted)
        self.journal = Journal(journal_path(self.engine.url, beside))
        self._where = where
        self._doubted = set[tuple[str, str]]()  # flags that were warned of
        self._counted = dict[int, tuple[int, int]]()  # requests sent for a campaign, and the row of the last of them

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections; the next use opens new ones."""
        self.engine.dispose()

    @property
    def file(self) -> Path | None:
        """The file that it lies in; None where that is a database server's matter."""
        url = self.engine.url
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy, as of when it was opened, of a file of an earlier schema that nobody wrote to yet."""
        return bool(self.engine.get_execution_options().get("is_copy"))

    @property
    def address(self) -> str:
        """The URL of its database for people, without the password."""
        return hide_password(self.engine.url.render_as_string())

    @property
    def url(self) -> str:
        """Its file, or the URL of its database with the password, by which another process opens it."""
        return str(self.file) if self.file else self.engine.url.render_as_string(hide_password=False)

    # ------------------------------------------------------------------ the whole of it

    def extent(self) -> queries.Extent:
        """Return how much it holds."""
        with self.reading() as connection:
            return queries.read_extent(connection)

    def refuse_if_held(self) -> None:
        """Refuse to go on while somebody holds an instrument.

        Raises:
            LeaseHeld: naming the instrument, the holder and since when.
        """
        with self.reading() as connection:
            held = leasing.lease_holders(connection)
        for instrument in held:
            if (holder := self.holder(instrument)) is not None:
                raise LeaseHeld(f"{instrument} is held by {holder}: wait for it to end, or 'sdl stop' it", instrument)

    def copy_to(self, file: Path) -> None:
        """Write all of it to a file as it is at one moment, while others go on."""
        if self.file:
            copy_sqlite(self.file, file)
            return
        with self.reading() as connection:
            schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        dump_postgresql(self.url, file, [f'"{schema}"."{table}"' for table in metadata.tables])

    def replace_by(self, file: Path) -> None:
        """Hold what ``copy_to`` wrote instead, and no lease: whoever had one by either of them is fenced off."""
        with self.reading() as connection:
            tokens = leasing.read_tokens(connection)
        self.close()
        if self.file:
            copy_sqlite(file, self.file)
        else:
            load_postgresql(file, self.url)
        with self.writing() as connection:
            leasing.fence_off(connection, tokens)

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
        row = row_of_campaign(name, title, instrument, space, config, versions, state=State.RUNNING)
        try:
            with self.writing() as connection:
                if connection.execute(select(campaigns.c.id).where(campaigns.c.name == name)).first() is None:
                    connection.execute(insert(campaigns).values(**row))
        except LedgerError as error:
            if not isinstance(error.__cause__, IntegrityError):  # then somebody was faster
                raise
        entry = self.entry(name)
        if entry.space != space:
            raise InvalidInput(
                f"campaign {name!r} was begun on {entry.instrument} with other knobs or channels than "
                f"{instrument} has; give this campaign another name"
            )
        refuse_other_instrument(entry, instrument)
        return entry

    def move(self, name: str, lease: Lease, owner: str, *, measured: bool) -> None:
        """Book a campaign that was begun on the instrument that is held now, and write down that it was on another.

        Whoever works on it holds its instrument: so both are held for that moment.

        Args:
            name: Of a campaign; where there is none, or it is on this instrument, nothing is done.
            lease: Of the instrument to which it goes.
            owner: Who does that.
            measured: Whether it may go although the other instrument has answered it.

        Raises:
            LeaseHeld: if somebody is at work on it, or with the instrument that it was on.
        """
        of_name = campaigns.c.name == name
        with self.reading() as connection:
            row = connection.execute(select(*campaigns.c["id", "instrument"]).where(of_name)).one_or_none()
            if row is None or row.instrument == lease.instrument:
                return
            answered = select(attempts.c.id).where(attempts.c.campaign == row.id, attempts.c.state == "DONE")
            if not measured and connection.execute(answered.limit(1)).first() is not None:
                return
        with self.hold(row.instrument, owner), self.writing(lease) as connection:
            still = campaigns.c.instrument == row.instrument
            change = update(campaigns).where(of_name, still).values(instrument=lease.instrument)
            if connection.execute(change).rowcount:
                words = f"goes on with {lease.instrument} instead of {row.instrument}"
                statements.insert_notice(connection, row.id, NoticeKind.MOVED, words)

    def entry(self, name: str) -> Entry:
        """Return the campaign of that name.

        Raises:
            InvalidInput: if there is none, with the nearest name.
        """
        of_name = campaigns.c.name == escape_invisible(name)  # what is invisible no database takes, and no name has
        with self.reading() as connection:
            row = connection.execute(statements.SELECT_ENTRY.where(of_name)).one_or_none()
        if row is None:
            hint = suggest_nearest(name, [entry.name for entry in self.entries()])
            raise InvalidInput(f"no campaign {format_value(name)} in this ledger{hint}")
        return entry_from_row(row)

    def whole_entry(self, name: str) -> Entry:
        """Return the campaign of that name, of which every row is there.

        Raises:
            InvalidInput: if there is none, or a file's rows were entered in part.
        """
        entry = self.entry(name)
        if entry.state is State.IMPORTING:
            raise InvalidInput(f"campaign {name!r} is there in part: {entry.reason}")
        return entry

    def entries(self) -> list[Entry]:
        """Return all campaigns, the latest first."""
        with self.reading() as connection:
            return [
                entry_from_row(row)
                for row in connection.execute(statements.SELECT_ENTRY.order_by(campaigns.c.updated.desc()))
            ]

    def reconfigure(self, lease: Lease, campaign: int, config: Mapping[str, Any]) -> None:
        """Replace the configuration of a campaign (what may change is for its owner to judge); the old one is kept.

        Raises:
            InvalidInput: if an agent proposed it: it stays what a person approves of, but for ``sdl extend``.
        """
        with self.writing(lease) as connection:
            before = connection.execute(select(campaigns.c.config).where(campaigns.c.id == campaign)).scalar_one()
            if before == dict(config):
                return
            changed = sorted(key for key, value in before.items() if key != "extra" and config.get(key) != value)
            if changed and statements.is_proposed(connection, campaign):
                raise InvalidInput(f"what an agent proposed stays as it was, and here is another {', '.join(changed)}")
            statements.replace_config(connection, campaign, before, config)

    def set_state(self, lease: Lease, campaign: int, state: State, reason: str = "") -> None:
        """Write down where a campaign stands, and why."""
        with self.writing(lease) as connection:
            change = {"state": state, "reason": reason, "updated": now()}
            connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(**change))

    def obey(self, name: str) -> None:
        """Refuse to begin where a person asked for a pause or a stop; a campaign that is not there yet may begin.

        Raises:
            CampaignPaused, CampaignStopped: with what takes that back; so where no person approved of a proposal.
        """
        with self.reading() as connection:
            query = select(statements.CONTROL, statements.UNAPPROVED).where(campaigns.c.name == name)
            row = connection.execute(query).one_or_none()
        if row is not None:
            _obey(name, Control(row.control), row.unapproved)

    # ------------------------------------------------------------------ the instrument

    @contextmanager
    def hold(self, instrument: str, owner: str, members: Iterable[str] = ()) -> Iterator[Lease]:
        """Hold an instrument for the length of a block, and all that it is made of.

        Args:
            instrument: Its identity.
            owner: Who holds it, in words.
            members: The identities of the instruments that it is made of, where there are several.

        Raises:
            LeaseHeld: naming the holder and since when.
        """
        self._bring_up_to_date()
        with ExitStack() as held:
            holds = [leasing.hold_lease(self.engine, each, owner) for each in (*members, instrument)]
            *others, lease = [held.enter_context(each) for each in holds]
            abandoned = any(each.abandoned for each in (*others, lease))
            yield replace(lease, abandoned=abandoned, members=tuple(others))

    def holder(self, instrument: str) -> str | None:
        """Say who holds an instrument and since when, in words; None if it is free."""
        look = lambda: leasing.lease_holder(self.engine, instrument)  # noqa: E731
        holder = wait_for_answer(look, self.patience_s, self.interrupted)
        return None if holder is None else str(holder)

    # ------------------------------------------------------------------ one measurement

    def plan(
        self, lease: Lease, campaign: int, round_: Round, planned: Iterable[Request], exam: Exam | None = None
    ) -> None:
        """Write down a round and its measurements, in order; what is there already stays as it is."""
        self.plan_together(lease, campaign, [(round_, planned, exam)])

    def plan_together(
        self, lease: Lease, campaign: int, parts: Iterable[tuple[Round, Iterable[Request], Exam | None]]
    ) -> None:
        """Write down rounds that are measured together, all of them or none."""
        with self.writing(lease) as connection:
            for round_, planned, exam in parts:
                if not statements.has_round(connection, rounds, campaign, round_.number):
                    connection.execute(insert(rounds).values(**row_of_round(campaign, round_)))
                places = connection.execute(statements.select_planned_places(campaign, round_.number))
                present = {tuple(row) for row in places}
                new = [row_of_request(campaign, request) for request in planned if request.key[1:] not in present]
                if new:
                    connection.execute(insert(requests), new)
                if exam is not None and not statements.has_round(connection, exams, campaign, exam.round):
                    connection.execute(insert(exams).values(**row_of_exam(campaign, exam)))

    def send(self, lease: Lease, campaign: int, request: Request, budget: int) -> int:
        """Write the intent of one request that is about to be sent; return the number of this attempt's row.

        In one transaction: the lease is still ours, nobody asked to pause or stop, the budget allows it.

        Raises:
            LeaseLost, CampaignPaused, CampaignStopped, BudgetSpent: with what to do next.
        """
        return self._send(lease, campaign, {"": request}, budget)[""]

    def send_plate(self, lease: Lease, campaign: int, wells: Mapping[str, Request], budget: int) -> dict[str, int]:
        """Write the intents of a plate that is about to be sent, in one transaction, as far as the budget allows them.

        Returns:
            The number of the row of each attempt by its well; errors as those of ``send``.
        """
        return self._send(lease, campaign, wells, budget)

    def _send(self, lease: Lease, campaign: int, wells: Mapping[str, Request], budget: int) -> dict[str, int]:
        """Write intents by well; that of a single request has the well of no name."""
        begun, numbers = moment(), dict[str, int]()
        with self.writing(lease) as connection:
            plate = 0 if "" in wells else 1 + statements.count_plates(connection, campaign)
            for well, request in wells.items():
                sample = f"{plate}/{well}" if plate else None
                try:
                    numbers[well], sent = self.intend(connection, lease, campaign, request, budget, sample)
                except BudgetSpent:
                    if not numbers:
                        raise
                    break
        self._counted[campaign] = (sent, max(numbers.values()))
        while moment() - begun > leasing.TTL_S / 2:  # it slept: somebody else may hold the instrument by now
            begun = moment()
            with self.writing(lease):
                pass
        return numbers

    def intend(
        self,
        connection: Connection,
        lease: Lease,
        campaign: int,
        request: Request,
        budget: float,
        sample: str | None = None,
    ) -> tuple[int, int]:
        """Write the intent of one request in a transaction that is under way; errors as those of ``send``.

        Returns:
            The number of this attempt's row, and how many requests are sent with it.
        """
        counted, last = self._counted.get(campaign, (0, 0))
        place = statements.request_place(campaign, request)
        intent = connection.execute(statements.SELECT_INTENT, place | {"counted": last}).one()
        sent = counted + intent.sent
        self._doubt(intent.name, intent.flag, intent.control)
        _obey(intent.name, intent.control, intent.unapproved)
        if sent >= budget:
            raise BudgetSpent(f"all {budget} requests of the budget are sent; raise 'budget' to go on")
        row = {"campaign": campaign, "request": intent.planned, "attempt": intent.tried + 1}
        row |= {
            "instrument": lease.instrument,
            "token": lease.token,
            "state": "SENT",
            "reason": "",
            "raw": "",
            "sent_at": now(),
            "uptime": uptime(),
            "sample": sample,
        }
        return statements.inserted_id(connection.execute(statements.INSERT_ATTEMPT, row)), sent + 1

    def _doubt(self, name: str, flag: str, control: str) -> None:
        """Warn, once, of a flag that says nothing."""
        if flag not in list(Control) and (name, flag) not in self._doubted:
            self._doubted.add((name, flag))
            log.warning("campaign %r has the flag %s, which says nothing: going by what was last asked, %r; "
                        "'sdl pause', 'resume' or 'stop' write it anew", name, format_value(flag), control)  # fmt: skip

    def receive(self, lease: Lease, attempt: int, reply: Reply, screened: Screened) -> None:
        """Keep a reply, whatever it is worth; if it says that the sensor is stuck, mask the reply before it too.

        Raises:
            LeaseLost: if another process holds the instrument by now.
            LedgerError: if the database does not take it; then it is in the journal until the next start.
        """
        answer = answer_columns(reply, screened)
        distrust = f"the reply after it repeats it: {screened.reason}" if screened.stuck else ""
        self._answer(lease, JournalEntry(lease.instrument, lease.token, attempt, answer, distrust))

    def fail(self, lease: Lease, attempt: int, verdict: ReplyClass, reason: str, raw: str = "") -> None:
        """Keep what is known of a request that brought no reply; errors as those of ``receive``."""
        answer = failure_columns(verdict, reason, raw)
        self._answer(lease, JournalEntry(lease.instrument, lease.token, attempt, answer))

    def reconcile(self, lease: Lease, campaign: int) -> int:
        """Take up what an earlier process left: the replies that it kept; what else it sent becomes UNKNOWN.

        Returns:
            How many were marked UNKNOWN.
        """
        self.journal.reserve()
        lost = {"state": "UNKNOWN", "verdict": ReplyClass.UNKNOWN, "reason": "the process ended before the answer came"}
        with self.journal.open_content() as content:
            with self.writing(lease) as connection:
                for reply in content.replies:
                    if reply.instrument in lease.instruments:
                        statements.write_answer(connection, reply)
                open_ = (attempts.c.campaign == campaign) & (attempts.c.state == "SENT")
                marked = connection.execute(update(attempts).where(open_).values(**lost, done_at=now())).rowcount
                all_taken = not any(statements.is_unanswered(connection, reply) for reply in content.replies)
            content.taken = all_taken
        return marked

    def _answer(self, lease: Lease, reply: JournalEntry) -> None:
        """Write what came of an attempt; what cannot be written at once is on the disk before it is tried again."""
        place = None
        for left in reversed(range(TRIES)):
            try:
                with self.writing(lease, patience_s=None if place else 0.0) as connection:
                    statements.write_answer(connection, reply)
                return
            except LeaseLost:
                log.error("this reply came too late to be kept: %s", reply.answer["raw"])
                raise
            except LedgerError as error:
                if place is None:
                    place = self._keep(reply, error)
                    if isinstance(error, LedgerAway):
                        log.warning("%s. The reply that came is kept in %s until it does", error, place)
                if not left:
                    raise LedgerError(f"{error}. The last reply is kept in {place} until then") from error

    def _keep(self, reply: JournalEntry, why: LedgerError) -> Path:
        try:
            return self.journal.keep(reply)
        except LedgerError as error:
            log.error("this reply could not be kept: %s", reply.answer["raw"])  # so that a person has it at least
            raise LedgerError(f"{why}. The last reply is lost: {error}") from why

    def last_reply(self, campaign: int, instrument: str) -> PreviousReply | None:
        """Return the last reply of any worth that an instrument gave for a campaign, to compare the next one with."""
        query = (
            select(requests.c.settings, attempts.c.out)
            .join(requests, attempts.c.request == requests.c.id)
            .where(attempts.c.campaign == campaign, attempts.c.instrument == instrument, attempts.c.state == "DONE")
            .order_by(attempts.c.id.desc())
            .limit(1)
        )
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        return PreviousReply(np.array(row.settings, float), row.out) if row else None

    # ------------------------------------------------------------------ decisions

    def find(self, lease: Lease, campaign: int, finding: Finding) -> None:
        """Write down a verdict, once."""
        with self.writing(lease) as connection:
            same = (findings.c.round == finding.round) & (findings.c.target == finding.target)
            written = select(findings.c.id).where(findings.c.campaign == campaign, same)
            if connection.execute(written).first() is None:
                connection.execute(insert(findings).values(**row_of_finding(campaign, finding)))

    def history(self, campaign: int, fresh_for_s: float = float("inf"), cache: HistoryCache | None = None) -> History:
        """Return all that a decision may look at.

        Args:
            campaign: Its number.
            fresh_for_s: Seconds after which the last reading's background counts as out of date; so it does after a
                suspension.
            cache: What its only controller read of it before; then only the rest is read, and added to it.
        """
        with self.reading() as connection:
            return (cache or HistoryCache(campaign)).history(connection, now(), fresh_for_s)

    def findings(self, campaign: int) -> list[Finding]:
        """Return every finding of a campaign, oldest first."""
        with self.reading() as connection:
            return queries.campaign_findings(connection, campaign)

    def sent(self, campaign: int) -> int:
        """Return how many requests were sent, whatever became of them."""
        with self.reading() as connection:
            return int(connection.execute(statements.select_sent_count(campaign)).one()[0])

    def sendings(self, campaign: int) -> bulk_reads.Sendings:
        """Return what became of every attempt of a campaign, without its settings and readings."""
        with self.reading() as connection:
            return bulk_reads.read_sendings(connection, campaign)

    def trail(self, campaign: int, numbers: Collection[int] | None = None) -> list[dict[str, Any]]:
        """Return attempts with their requests, in the order of sending, as plain rows for reports and exports.

        Args:
            campaign: Its number.
            numbers: Of the attempts to return, some thousands at most; by default all are returned.
        """
        with self.reading() as connection:
            return queries.read_trail(connection, campaign, numbers)

    def last_attempts(self, campaign: int, most: int) -> list[dict[str, Any]]:
        """Return at most so many of the last rows of the trail, in the order of sending; the others are not read."""
        with self.reading() as connection:
            numbers = queries.last_attempt_numbers(connection, campaign, most)
            return queries.read_trail(connection, campaign, numbers) if numbers else []

    def account(self, campaign: int) -> dict[str, list[dict[str, Any]]]:
        """Return all that the tables hold of a campaign but its attempts, as plain rows in the order of writing."""
        with self.reading() as connection:
            return queries.read_account(connection, campaign)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read in one transaction, for functions of ``sdl.ledger.queries``.

        Raises:
            LedgerError: if the database does not answer.
        """
        with answered(self.engine), self._begin(self.engine, self.patience_s) as connection:
            yield connection

    @contextmanager
    def writing(self, lease: Lease | None = None, patience_s: float | None = None) -> Iterator[Connection]:
        """Write in one transaction; with a lease, only as long as it is ours.

        Args:
            lease: That the write needs.
            patience_s: Seconds to wait for a database server that does not answer; by default the ledger's own.

        Raises:
            LeaseLost: if another process holds the instrument by now.
            LedgerError: if the database does not take it.
        """
        patience_s = self.patience_s if patience_s is None else patience_s
        self._bring_up_to_date()
        writer = self.engine.execution_options(writes=True)
        with answered(self.engine, "write"), self._begin(writer, patience_s) as connection:
            if lease is not None:
                lease.check(connection)
            yield connection
            connection.commit()

    def _bring_up_to_date(self) -> None:
        """Let who is going to write have the ledger itself, in this program's schema, where it was read as a copy."""
        if self.is_copy:
            self.engine.dispose()
            self.engine = open_database(self._where, upgrade=True)

    def _begin(self, engine: Engine, patience_s: float) -> Connection:
        """Begin a transaction, once a database server answers."""
        return wait_for_answer(lambda: begin_transaction(engine), patience_s, self.interrupted)


def _obey(name: str, control: Control, unapproved: int) -> None:
    if control == Control.STOP:
        raise CampaignStopped(f"campaign {name!r} was stopped by a person; 'sdl resume {name}' takes that back")
    if control == Control.PAUSE:
        raise CampaignPaused(f"campaign {name!r} was paused by a person; go on with 'sdl resume {name}'")
    if unapproved:
        raise ApprovalWanted(f"an agent proposed {name!r}, and no person approved of it: 'sdl approve {name}' shows it")
