"""Steering a campaign by its ledger: pause, resume, stop, extend, approve; and what is written down of that.

Whoever asks - a command, a form in Prefect's UI, the program itself - writes here, and the campaign reads it in the
transaction that sends its next request. So it obeys before that request, whatever became of Prefect's server.
"""

from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, Select, insert, select, update

from sdl.errors import InvalidInput
from sdl.history import Approval, Control, Entry, History, Notice, NoticeKind, Purpose, State
from sdl.ledger import statements
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
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
        known: How that is known, in words, since nothing here proves who it is.
    """

    ledger: Ledger
    by: str = ""
    known: str = ""

    @classmethod
    def of_form(cls, ledger: Ledger, name: str = "") -> Self:
        """Ask for somebody at a form or button of Prefect's UI, who may have given a name."""
        return cls(ledger, name, TYPED) if name else cls(ledger, PREFECT, NAMELESS)

    # ------------------------------------------------------------------ asking

    def ask(self, name: str, control: Control, why: str = "") -> Entry:
        """Ask a campaign to pause, stop or go on; it obeys before its next request.

        Raises:
            InvalidInput: if there is no campaign of that name, or it is finished and could obey no pause or stop.
        """
        entry, (kind, words) = self.ledger.entry(name), ASKED[control]
        if entry.state is State.FINISHED and control is not Control.RUN:
            raise InvalidInput(f"campaign {name!r} is finished ({entry.reason}): there is nothing to {control.value}")
        with self.ledger.writing() as connection:
            connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(control=control))
            self._write(connection, entry.id, kind, f"{words}: {why}" if why else words)
        return entry

    def extend(self, name: str, requests: int) -> int:
        """Allow a campaign more requests than its file says; return how many it may send now.

        Raises:
            InvalidInput: if there is no campaign of that name, or it has no budget, or the number is out of bounds.
        """
        entry = self.ledger.entry(name)
        if not 1 <= requests <= MOST:
            raise InvalidInput(f"an extension needs a whole number of requests from 1 to {MOST}, got {requests}")
        if "budget" not in entry.config:
            raise InvalidInput(f"{name!r} has no budget to extend: it was measured by hand or imported")
        with self.ledger.writing() as connection:
            before = connection.execute(select(campaigns.c.config).where(campaigns.c.id == entry.id)).scalar_one()
            config = {**before, "extra": before.get("extra", 0) + requests}
            statements.replace_config(connection, entry.id, before, config)
            if entry.state is State.FINISHED:  # perhaps because its budget was spent; its next run will see
                values = {"state": State.PAUSED, "reason": "it was allowed more requests; run it again to go on"}
                connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(**values))
            most = int(config["budget"] + config["extra"])
            self._write(connection, entry.id, NoticeKind.EXTENDED, f"allowed {requests} more requests, {most} in all")
        return most

    def answer(self, name: str, granted: bool, note: str = "") -> Approval:
        """Approve the settings that a campaign wants to send, or decline them, which pauses it.

        Raises:
            InvalidInput: if it waits for no approval.
        """
        entry = self.ledger.entry(name)
        waiting = self.pending_approval(entry.id)
        if waiting is None:
            raise InvalidInput(f"campaign {name!r} waits for no approval ('sdl status {name}' says what it waits for)")
        kind = NoticeKind.APPROVED if granted else NoticeKind.DECLINED
        words = f"round {waiting.round} {kind.value}{f': {note}' if note else ''}"
        in_round = (approvals.c.campaign == entry.id) & (approvals.c.round == waiting.round)
        with self.ledger.writing() as connection:
            by, known = (self.by, self.known) if granted else ("", "")
            values = {"granted": granted or None, "by": by, "known": known, "at": now()}
            connection.execute(update(approvals).where(in_round).values(**values))
            if not granted:  # it asks again when it goes on
                connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(control=Control.PAUSE))
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
        query = select(approvals).where(approvals.c.campaign == campaign, approvals.c.granted.is_(None))
        with self.ledger.reading() as connection:
            row = connection.execute(query.order_by(approvals.c.round.desc()).limit(1)).one_or_none()
        return None if row is None else approval_from_row(row)

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
    """List what a round is still to send, in order: why, at which settings, and how many times in a row."""
    groups = list[tuple[Purpose, tuple[float, ...], int]]()
    for request in (request for request in history.pending if request.round == round_):
        settings = tuple(request.settings.tolist())
        again = bool(groups) and groups[-1][:2] == (request.purpose, settings)
        groups.append((request.purpose, settings, 1 + (groups.pop()[2] if again else 0)))
    return groups


def _approval(connection: Connection, campaign: int, round_: int) -> Approval | None:
    query: Select[Any] = select(approvals).where(approvals.c.campaign == campaign, approvals.c.round == round_)
    row = connection.execute(query).one_or_none()
    return None if row is None else approval_from_row(row)
