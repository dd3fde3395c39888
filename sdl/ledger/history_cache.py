"""What the ledger holds of a campaign, read as it grows: a reading takes the rows that are new, and no others.

So a step of a campaign costs the same after a million measurements as after ten. What was read stays true, because rows
are only added while a campaign is at work, with one exception: the last reply may lose its trust to the next one.
"""

from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from sdl.history import Exam, Finding, History, Observation, Request, Round
from sdl.ledger import bulk_reads as bulk
from sdl.ledger import row_mapping as rows
from sdl.ledger.tables import exams, findings, rounds


@dataclass(eq=False)
class HistoryCache:
    """What was read of one campaign so far; good as long as no other process measures for it."""

    campaign: int
    """Its number in the ledger."""
    _planned: dict[int, Request] = field(default_factory=dict)
    """By the numbers of their rows; the observations by those of what was planned."""
    _observed: dict[int, Observation] = field(default_factory=dict)
    _rounds: list[Round] = field(default_factory=list)
    _exams: list[Exam] = field(default_factory=list)
    _findings: list[Finding] = field(default_factory=list)
    _sent: int = 0
    _last_planned: int = 0
    _last_sent: int = 0
    _last_usable: int = 0
    _last_finding: int = 0
    """Numbers of the last rows that were read."""
    _doubtful: int = 0
    """What the last usable reply observed: the one that may lose its trust."""

    def history(self, connection: Connection, at: float, fresh_for_s: float) -> History:
        """All that a decision may look at, as it is now.

        Args:
            connection: To the ledger.
            at: The present, seconds since 1970.
            fresh_for_s: Seconds after which the last reading's background counts as out of date; so it does after a
                suspension.
        """
        self._read_measurements(connection)
        self._read_decisions(connection)
        last = connection.execute(rows.last_sent(self.campaign)).scalar_one_or_none()
        suspended = connection.execute(rows.last_suspended(self.campaign)).scalar_one_or_none()
        return History(
            rounds=list(self._rounds),
            planned=list(self._planned.values()),
            observations=list(self._observed.values()),
            exams=list(self._exams),
            findings=list(self._findings),
            sent=self._sent,
            stale=last is not None and (at - last > fresh_for_s or suspended == self._sent),
        )

    def _read_measurements(self, connection: Connection) -> None:
        # In this order, and no reply beyond what was counted: another process may be measuring right now.
        count, last = connection.execute(rows.counted(self.campaign, self._last_sent)).one()
        self._sent, self._last_sent = self._sent + count, last or self._last_sent
        new = bulk.planned(connection, self.campaign, self._last_planned)
        self._planned |= new
        self._last_planned = next(reversed(new), self._last_planned)
        self._observed.pop(self._doubtful, None)  # it is read again, unless it lost its trust
        between = (self._last_usable, self._last_sent)
        self._last_usable, self._doubtful = bulk.observations(
            connection, self.campaign, self._planned, self._observed, between
        )

    def _read_decisions(self, connection: Connection) -> None:
        last = self._rounds[-1].number if self._rounds else -1
        for row in connection.execute(rows.ordered(rounds, self.campaign, last)):
            round_ = rows.round_(row)
            if round_.facts.parity is not None:
                self._rounds = [without_parity(earlier) for earlier in self._rounds]
            self._rounds.append(round_)
        last = self._exams[-1].round if self._exams else -1
        self._exams += [rows.exam(row) for row in connection.execute(rows.ordered(exams, self.campaign, last))]
        for row in connection.execute(rows.ordered(findings, self.campaign, self._last_finding)):
            self._findings.append(rows.finding(row))
            self._last_finding = row.id


def without_parity(round_: Round) -> Round:
    """A round without the figure of its model: it is large, and the report alone needs it, of the last that has one."""
    return round_ if round_.facts.parity is None else replace(round_, facts=replace(round_.facts, parity=None))
