"""What the ledger holds of a campaign, read as it grows: a reading takes the rows that are new, and no others.

So a step of a campaign costs the same after a million measurements as after ten. What was read stays true, because rows
are only added while a campaign is at work, with one exception: the last reply may lose its trust to the next one.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row

from sdl.history import Exam, Finding, History, Observation, Request, Round, by_source
from sdl.ledger import bulk_reads, statements
from sdl.ledger.row_mapping import exam_from_row, finding_from_row, round_from_row
from sdl.ledger.tables import exams, findings, rounds
from sdl.system.clock import seconds_since


@dataclass(eq=False)
class HistoryCache:
    """What was read of one campaign so far; good as long as no other process measures for it."""

    campaign: int
    """Its number in the ledger."""
    _planned: dict[int, Request] = field(default_factory=dict)
    """By the numbers of their rows; the observations by those of what was planned."""
    _observed: dict[int, Observation] = field(default_factory=dict)
    _sent: list[int] = field(default_factory=list)
    """By the numbers of the rows of what was planned, in the order of sending."""
    _rounds: list[Round] = field(default_factory=list)
    _exams: list[Exam] = field(default_factory=list)
    _findings: list[Finding] = field(default_factory=list)
    _last_planned: int = 0
    _last_sent: int = 0
    _last_usable: int = 0
    _last_finding: int = 0
    """Numbers of the last rows that were read."""
    _doubtful: int = 0
    """What the last usable reply observed: the one that may lose its trust."""
    _on_plates: bool = False

    def history(self, connection: Connection, at: float, fresh_for_s: float) -> History:
        """Return all that a decision may look at, as it is now.

        Args:
            connection: To the ledger.
            at: The present, seconds since 1970.
            fresh_for_s: Seconds after which the last reading's background counts as out of date; so it does after a
                suspension.
        """
        by_hand = connection.execute(statements.SELECT_ASKED_FOR, {"campaign": self.campaign}).all()
        self._read_measurements(connection)
        self._read_decisions(connection)
        last = connection.execute(statements.select_last_sending(self.campaign)).one_or_none()
        suspended = connection.execute(statements.select_last_suspension(self.campaign)).scalar_one_or_none()
        own, others = by_source(self._observed.values())
        plates = statements.count_plates(connection, self.campaign) if self._on_plates else 0
        # A correction of a person is an attempt more, and nothing that was asked for.
        asked = [sample.request for sample in by_hand] or self._sent
        return History(
            rounds=list(self._rounds),
            planned=list(self._planned.values()),
            observations=own,
            of_sources=others,
            exams=list(self._exams),
            findings=list(self._findings),
            sent=len(self._sent),
            asked=[self._planned[row] for row in asked],
            awaited=sum(not sample.entered for sample in by_hand),
            plates=len({sample.at for sample in by_hand}) or plates,
            stale=last is not None and (_age_s(last, at) > fresh_for_s or suspended == len(self._sent)),
        )

    def _read_measurements(self, connection: Connection) -> None:
        # In this order, and no reply beyond what was counted: another process may be measuring right now.
        after = {"campaign": self.campaign, "after": self._last_sent}
        if new_sent := connection.execute(statements.SELECT_SENDINGS, after).all():
            self._sent += [row.request for row in new_sent]
            self._last_sent, self._on_plates = new_sent[-1].id, bool(new_sent[-1].sample)
        new = bulk_reads.read_planned(connection, self.campaign, self._last_planned)
        self._planned |= new
        self._last_planned = next(reversed(new), self._last_planned)
        self._observed.pop(self._doubtful, None)  # it is read again, unless it lost its trust
        between = (self._last_usable, self._last_sent)
        self._last_usable, self._doubtful = bulk_reads.add_observations(
            connection, self.campaign, self._planned, self._observed, between
        )

    def _read_decisions(self, connection: Connection) -> None:
        last = self._rounds[-1].number if self._rounds else -1
        for row in connection.execute(statements.select_rows(rounds, self.campaign, last)):
            round_ = round_from_row(row)
            if round_.facts.parity is not None:
                self._rounds = [without_parity(earlier) for earlier in self._rounds]
            self._rounds.append(round_)
        last = self._exams[-1].round if self._exams else -1
        self._exams += [
            exam_from_row(row) for row in connection.execute(statements.select_rows(exams, self.campaign, last))
        ]
        for row in connection.execute(statements.select_rows(findings, self.campaign, self._last_finding)):
            self._findings.append(finding_from_row(row))
            self._last_finding = row.id


def _age_s(sending: Row[Any], at: float) -> float:
    """Seconds since a request was sent; infinite where a clock was set back or another boot tells nothing of them.

    What was imported may have no time, and nobody measures for it.
    """
    if sending.uptime:
        seconds = seconds_since(sending.uptime)
        return float("inf") if seconds is None else seconds
    sent_at = at if sending.sent_at is None else sending.sent_at
    return at - sent_at if sent_at <= at else float("inf")


def without_parity(round_: Round) -> Round:
    """A round without the figure of its model: it is large, and the report alone needs it, of the last that has one."""
    return round_ if round_.facts.parity is None else replace(round_, facts=replace(round_.facts, parity=None))
