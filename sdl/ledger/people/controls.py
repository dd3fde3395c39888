"""Steering a campaign by its ledger: pause, resume, stop, extend, approve; and what is written down of that.

Whoever asks - a command, a form in Prefect's UI, the program itself - writes here, and the campaign reads it in the
transaction that sends its next request. So it obeys before that request, whatever became of Prefect's server.
"""

from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, Select, insert, select, update

from sdl.errors import InvalidInput, NotAllowed
from sdl.history import PROPOSAL, Approval, Control, Entry, History, Notice, NoticeKind, Purpose, State
from sdl.ledger import statements
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.tokens import Identity, Kind, Role, is_guarded, present, require_person
from sdl.ledger.row_mapping import approval_from_row
from sdl.ledger.tables import approvals, campaigns, notices
from sdl.system.clock import now

MOST = 1_000_000
"""Requests that a campaign may be given at once."""
PREFECT = "Prefect's UI"
"""Who asked there without a name."""
TYPED, NAMELESS = f"a name typed into {PREFECT}", "no name was given there"
"""How somebody is known who asked there: by what was typed, which may be any name."""
ASKED = {
    Control.PAUSE: (NoticeKind.PAUSED, "asked to pause"),
    Control.STOP: (NoticeKind.STOPPED, "asked to stop"),
    Control.RUN: (NoticeKind.RESUMED, "asked to go on"),
}


@dataclass(frozen=True, eq=False)
class Controls:
    """What persons, and the program for them, may ask of campaigns.

    Args:
        ledger: Where the campaigns are.
        by: Who asks, for the record; empty for the program itself.
        known: How that is known, in words, since nothing but a token proves who it is.
        identity: The token that was shown. Where there are persons who may approve, an approval and an extension take
            that of a person; to pause, to stop and to decline takes none.
    """

    ledger: Ledger
    by: str = ""
    known: str = ""
    identity: Identity | None = None

    @classmethod
    def of_token(cls, ledger: Ledger, identity: Identity, how: str = "") -> Self:
        """Ask for the holder of a token; ``how`` says by which way it was shown."""
        return cls(ledger, identity.name, ", ".join(filter(None, [identity.known, how])), identity)

    @classmethod
    def of_form(cls, ledger: Ledger, name: str = "") -> Self:
        """Ask for somebody at a form or button of Prefect's UI, who may have given a name."""
        return cls(ledger, name, TYPED) if name else cls(ledger, PREFECT, NAMELESS)

    # ------------------------------------------------------------------ asking

    def ask(self, name: str, control: Control, why: str = "") -> Entry:
        """Ask a campaign to pause, stop or go on; it obeys before its next request.

        Raises:
            InvalidInput: if there is no campaign of that name, or it is finished and could obey no pause or stop.
            NotAllowed: to a viewer, and to an agent that wants it to go on.
        """
        entry, (kind, words) = self.ledger.entry(name), ASKED[control]
        if entry.state is State.FINISHED and control is not Control.RUN:
            raise InvalidInput(f"campaign {name!r} is finished ({entry.reason}): there is nothing to {control.value}")
        with self.ledger.writing() as connection:
            if self.identity is not None:
                holder = present(connection, self.identity)
                if not holder.role.covers(Role.OPERATOR) or (holder.kind is Kind.AGENT and control is Control.RUN):
                    raise NotAllowed(f"{holder.name!r} may not ask for that: it has {holder.known}")
            connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(control=control))
            self._write(connection, entry.id, kind, f"{words}: {why}" if why else words)
        return entry

    def extend(self, name: str, requests: int) -> int:
        """Allow a campaign more requests than its file says; return how many it may send now.

        Raises:
            InvalidInput: if there is no campaign of that name, or it has no budget, or the number is out of bounds.
            NotAllowed: without the token that this takes.
        """
        entry = self.ledger.entry(name)
        if not 1 <= requests <= MOST:
            raise InvalidInput(f"an extension needs a whole number of requests from 1 to {MOST}, got {requests}")
        if "budget" not in entry.config:
            raise InvalidInput(f"{name!r} has no budget to extend: it was measured by hand or imported")
        with self.ledger.writing() as connection:
            if self.identity is not None or is_guarded(connection):
                require_person(connection, self.identity, Role.OPERATOR)
            before = connection.execute(select(campaigns.c.config).where(campaigns.c.id == entry.id)).scalar_one()
            config = {**before, "extra": before.get("extra", 0) + requests}
            statements.replace_config(connection, entry.id, before, config)
            if entry.state is State.FINISHED:  # perhaps because its budget was spent; its next run will see
                values = {"state": State.PAUSED, "reason": "it was allowed more requests; run it again to go on"}
                connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(**values))
            most = int(config["budget"] + config["extra"])
            self._write(connection, entry.id, NoticeKind.EXTENDED, f"allowed {requests} more requests, {most} in all")
        return most

    def answer(self, name: str, granted: bool, note: str = "", seen: int | None = None) -> Approval:
        """Approve the settings that a campaign wants to send, or decline them, which pauses it.

        A proposal is approved as a whole; declined, it is over.

        Args:
            name: Of the campaign.
            granted: Whether they may be sent.
            note: Why, for the record.
            seen: The round whose settings were shown; by default the one that waits now.

        Raises:
            InvalidInput: if it waits for no approval, or for that of another round than was shown.
            NotAllowed: without the token that this takes.
        """
        entry = self.ledger.entry(name)
        kind = NoticeKind.APPROVED if granted else NoticeKind.DECLINED
        with self.ledger.writing() as connection:
            waiting = _pending(connection, entry.id)
            if waiting is None or seen not in (None, waiting.round):
                raise InvalidInput(
                    f"campaign {name!r} waits for no approval of that ('sdl status {name}' says what it waits for)"
                )
            proposed = waiting.round == PROPOSAL
            if granted and (proposed or self.identity is not None or is_guarded(connection)):
                require_person(connection, self.identity, Role.APPROVER, entry.id)
            in_round = (approvals.c.campaign == entry.id) & (approvals.c.round == waiting.round)
            by, known = (self.by, self.known) if granted or proposed else ("", "")
            values = {"granted": granted or (False if proposed else None), "by": by, "known": known, "at": now()}
            connection.execute(update(approvals).where(in_round).values(**values))
            if not granted:  # a round is asked for again when the campaign goes on, a proposal is not
                over = {"control": Control.STOP, "state": State.STOPPED, "reason": f"declined by {self.by}"}
                change = over if proposed else {"control": Control.PAUSE}
                connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(**change))
            words = f"{waiting.what} {kind.value}{f': {note}' if note else ''}"
            self._write(connection, entry.id, kind, words)
        return Approval(waiting.round, waiting.why, granted, self.by, self.known)

    # ------------------------------------------------------------------ what the program asks and notes

    def request_approval(self, lease: Lease, campaign: int, round_: int, why: str) -> Approval:
        """Ask for the approval of a round if nobody did yet, and return what became of it so far."""
        with self.ledger.writing(lease) as connection:
            approval = _approval(connection, campaign, round_)
            if approval is not None:
                return approval
            row = {"campaign": campaign, "round": round_, "why": why, "granted": None, "by": "", "at": now()}
            connection.execute(insert(approvals).values(**row))
            self._write(connection, campaign, NoticeKind.WAITING, f"round {round_} waits for approval: {why}")
        return Approval(round_, why, None, "")

    def note(self, campaign: int, kind: NoticeKind, text: str) -> None:
        """Write down what befell a campaign."""
        with self.ledger.writing() as connection:
            self._write(connection, campaign, kind, text)

    # ------------------------------------------------------------------ reading

    def pending_approval(self, campaign: int) -> Approval | None:
        """Return the approval that a campaign waits for; None if it waits for none."""
        with self.ledger.reading() as connection:
            return _pending(connection, campaign)

    def takes_token(self, approval: Approval) -> bool:
        """Return whether a person has to show a token for an approval to count."""
        with self.ledger.reading() as connection:
            return approval.round == PROPOSAL or is_guarded(connection)

    def notices(self, campaign: int, last: int | None = None) -> list[Notice]:
        """Return what was asked of a campaign and what befell it, oldest first: all, or the ``last`` so many."""
        query = select(notices).where(notices.c.campaign == campaign).order_by(notices.c.id.desc()).limit(last)
        with self.ledger.reading() as connection:
            rows = connection.execute(query).all()
        return [
            Notice(NoticeKind(row.kind), row.text, row.by, row.sent, row.at, row.known or "") for row in reversed(rows)
        ]

    def _write(self, connection: Connection, campaign: int, kind: NoticeKind, text: str) -> None:
        statements.insert_notice(connection, campaign, kind, text, self.by, self.known)


def summarize_planned(history: History, round_: int) -> list[tuple[Purpose, tuple[float, ...], int]]:
    """List what a round, and those measured with it, are still to send: why, where, and how many times in a row."""
    groups = list[tuple[Purpose, tuple[float, ...], int]]()
    batches = {each.number: each.batch for each in history.rounds}
    batch = batches.get(round_, round_)
    for request in (request for request in history.pending if batches.get(request.round, request.round) == batch):
        settings = tuple(request.settings.tolist())
        again = bool(groups) and groups[-1][:2] == (request.purpose, settings)
        groups.append((request.purpose, settings, 1 + (groups.pop()[2] if again else 0)))
    return groups


def _pending(connection: Connection, campaign: int) -> Approval | None:
    query = select(approvals).where(approvals.c.campaign == campaign, approvals.c.granted.is_(None))
    row = connection.execute(query.order_by(approvals.c.round.desc()).limit(1)).one_or_none()
    return None if row is None else approval_from_row(row)


def _approval(connection: Connection, campaign: int, round_: int) -> Approval | None:
    query: Select[Any] = select(approvals).where(approvals.c.campaign == campaign, approvals.c.round == round_)
    row = connection.execute(query).one_or_none()
    return None if row is None else approval_from_row(row)
