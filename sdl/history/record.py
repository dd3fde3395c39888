"""Requests, observations, rounds, exams and findings of a campaign, as plain values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdl.history.facts import FindingFacts, RoundFacts
from sdl.space import Readings, Settings, Space


class ReplyClass(StrEnum):
    """What a reply is worth."""

    OK = "OK"
    OK_CENSORED = "OK_CENSORED"
    """A channel stands at its ceiling: it says "at least" and is never used as an exact value."""
    SUSPECT = "SUSPECT"
    """Stored, masked, never trained on; the measurement is taken again."""
    RETRY = "RETRY"
    """A passing fault: try again after a moment."""
    UNKNOWN = "UNKNOWN"
    """Sent, and nobody knows whether it was measured: wait in silence, then try again."""
    REJECT = "REJECT"
    """The same request would fail again: never repeated."""

    @property
    def usable(self) -> bool:
        """Whether the reading counts."""
        return self in (ReplyClass.OK, ReplyClass.OK_CENSORED)


USABLE = tuple(verdict for verdict in ReplyClass if verdict.usable)
"""Classes of the replies that count."""


class Look(NamedTuple):
    """A look at an exam, and the one-sided level at which it may decide."""

    replicates: int
    """Those that are there then."""
    known: float
    """Level where the noise is known: all looks together have the stated rate, exactly."""
    estimated: float
    """Level where the noise is estimated from the replicates: the levels of all looks add up to the stated rate."""


Looks: TypeAlias = tuple[Look, ...]


def looks_from_json(rows: Iterable[Sequence[float]] | None) -> Looks:
    """Read looks from JSON; none from None, which an earlier version wrote."""
    return tuple(Look(int(number), known, estimated) for number, known, estimated in rows or ())


class State(StrEnum):
    """Where a campaign stands."""

    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    FINISHED = "FINISHED"
    IMPORTING = "IMPORTING"
    """Not all rows of its file are entered yet."""


class Control(StrEnum):
    """What a person wants of a campaign; read before each request."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Entry:
    """A campaign as the ledger keeps it."""

    id: int
    name: str
    title: str
    instrument: str
    space: Space
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    state: State
    reason: str
    control: Control
    created: float
    updated: float


class NoticeKind(StrEnum):
    """What a notice of the ledger is about."""

    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"
    EXTENDED = "extended"
    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    SUSPENDED = "suspended"
    STALLED = "stalled"
    MOVED = "moved"
    CORRECTED = "corrected"
    OTHER_EPOCH = "other epoch"


@dataclass(frozen=True)
class Notice:
    """Something that befell a campaign besides its measurements, or that a person asked of it."""

    kind: NoticeKind
    text: str
    by: str
    """Who, as far as that is known; empty for the program itself."""
    sent: int
    """Requests sent before it."""
    at: float
    """Seconds since 1970, for people to read."""
    known: str = ""
    """How that was known, in words; empty in what was written before that was kept."""

    @property
    def who(self) -> str:
        """Who, and how that was known."""
        return _person(self.by, self.known)


PROPOSAL = -1
"""What stands for a round where a whole campaign, proposed by an agent, waits for approval."""


@dataclass(frozen=True)
class Approval:
    """A round whose settings a person has to see before they are sent, or a campaign that was proposed."""

    round: int
    """Its number; ``PROPOSAL`` for the campaign as a whole."""
    why: str
    """Why it is asked for, in words."""
    granted: bool | None
    """None until somebody answered."""
    by: str
    """Who answered; empty until then."""
    known: str = ""
    """As that of a notice."""

    @property
    def what(self) -> str:
        """What is to be approved, in words."""
        return "the proposal" if self.round == PROPOSAL else f"round {self.round}"

    @property
    def who(self) -> str:
        """Who answered, and how that was known."""
        return _person(self.by, self.known)


def _person(name: str, known: str) -> str:
    return f"{name} ({known})" if known else name


class Purpose(StrEnum):
    """Why a reading is taken."""

    DESIGN = "design"
    LEARNING = "learning"
    REFERENCE = "reference"
    VERIFICATION = "verification"
    PATCH = "patch"
    BY_HAND = "by hand"
    IMPORTED = "imported"
    SOURCE = "source"
    """At another source than the campaign's instrument: ``History.of_sources`` has its reading."""

    @property
    def teaches(self) -> bool:
        """Whether a model may learn from it; the others say how the light and the instrument are."""
        return self not in (Purpose.REFERENCE, Purpose.PATCH, Purpose.SOURCE)


@dataclass(frozen=True, eq=False)
class Request:
    """A measurement that is planned; unique in a campaign by round, index and replicate."""

    round: int
    index: int
    replicate: int
    purpose: Purpose
    settings: Settings
    """Shape ``(d,)``, in the units of the knobs."""

    @property
    def key(self) -> tuple[int, int, int]:
        """What makes it this measurement and no other."""
        return (self.round, self.index, self.replicate)


@dataclass(frozen=True, eq=False)
class Observation(Request):
    """A reply that counts."""

    seq: int
    """Place among the campaign's observations: the only clock that decisions know."""
    verdict: ReplyClass
    readings: Readings
    """Shape ``(p,)``; NaN where masked, missing or censored."""
    censored: NDArray[np.bool_]
    """Channels at their ceiling, ``(p,)``: the true value is at least that."""
    sample: str = ""
    """Plate and well that it was read in, as ``2/B7``; empty where readings are taken one by one."""
    conditions: Mapping[str, float] = field(default_factory=dict)
    """What nobody chose and held meanwhile, by name, as far as it is known."""

    @property
    def well(self) -> str:
        """The well of its plate; empty where there is none."""
        return self.sample.partition("/")[2]


class RoundKind(StrEnum):
    """What a round is for."""

    DESIGN = "design"
    LEARNING = "learning"
    EXAM = "exam"
    SOURCE = "source"
    """At another source than the campaign's instrument, which its facts name."""
    BY_HAND = "by hand"
    IMPORTED = "imported"


@dataclass(frozen=True)
class Round:
    """One propose-measure-fit cycle."""

    number: int
    kind: RoundKind
    target: str | None = None
    """Name of the target that an exam is about."""
    facts: RoundFacts = field(default_factory=RoundFacts)
    """What was known when it was proposed, for later rounds and for the report."""

    @property
    def batch(self) -> int:
        """Number of the first round of those that are measured together with it: its own, as a rule."""
        return self.number if self.facts.batch is None else self.facts.batch


class Verdict(StrEnum):
    """What an examination says about a candidate, or the model about a target."""

    VERIFIED = "VERIFIED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_REACHABLE = "NOT REACHABLE"


@dataclass(frozen=True, eq=False)
class Exam:
    """A candidate under verification; the model that offers it, and how its replicates are judged, are fixed."""

    round: int
    target: str
    settings: Settings
    """The candidate, ``(d,)``."""
    model: str
    replicates: int
    """How many fresh replicates there are at most."""
    background: Readings
    """The fresh background that the candidate was made for, ``(p,)``."""
    uncertainty: Readings
    """Standard deviation of the expected readings before the exam, ``(p,)``; NaN where not of interest."""
    looks: Looks = ()
    """After how many of them it may be decided, at what levels; by default when all are there."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A verdict, with its numbers."""

    round: int
    target: str
    verdict: Verdict
    sentence: str
    """The verdict in one sentence, for people."""
    settings: Settings | None = None
    """The candidate examined, or the nearest reachable settings; None where the target was given up."""
    facts: FindingFacts = field(default_factory=FindingFacts)

    @property
    def settles(self) -> bool:
        """Whether nothing more is done about its target."""
        return self.settings is None or self.verdict in (Verdict.VERIFIED, Verdict.NOT_REACHABLE)


def by_source(observations: Iterable[Observation]) -> tuple[list[Observation], list[Observation]]:
    """Return the readings of the instrument and those of other sources, each of them counted anew."""
    own, others = list[Observation](), list[Observation]()
    for each in observations:
        kept = others if each.purpose is Purpose.SOURCE else own
        kept.append(each if each.seq == len(kept) else replace(each, seq=len(kept)))
    return own, others


Row = TypeVar("Row", bound=Request)


@dataclass(frozen=True, eq=False)
class History:
    """Everything a campaign has done, in the order of doing."""

    rounds: Sequence[Round] = ()
    planned: Sequence[Request] = ()
    """Every planned measurement, in the order in which it is to be taken."""
    observations: Sequence[Observation] = ()
    """The usable reply of each planned measurement that has one, in the order of taking."""
    of_sources: Sequence[Observation] = ()
    """The same of what was asked of other sources than the instrument; ``observations`` has none of these."""
    exams: Sequence[Exam] = ()
    findings: Sequence[Finding] = ()
    sent: int = 0
    """Requests sent, whatever became of them."""
    asked: Sequence[Request] = ()
    """What was sent, in the order of sending, and what persons were asked for: all that is to be paid for."""
    awaited: int = 0
    """How many of these persons have not answered yet, or not so that the answer is entered."""
    plates: int = 0
    """Plates sent, where settings are measured on such."""
    allowed: int | None = None
    """Requests that prices and a deadline allow in all; None where the budget of requests alone counts ..."""
    limit: str = ""
    """... and why no more, in words."""
    stale: bool = False
    """Whether so much time passed since the last reading that its background is out of date."""

    def of_source(self, name: str) -> list[Observation]:
        """Return the readings of one of the other sources, by its name."""
        return self._at_source(name, self.of_sources)

    def asked_of_source(self, name: str) -> list[Request]:
        """Return what one of the other sources was sent, by its name, whatever became of it."""
        return self._at_source(name, self.asked)

    def _at_source(self, name: str, rows: Sequence[Row]) -> list[Row]:
        rounds = {round_.number for round_ in self.rounds if round_.facts.source == name}
        return [row for row in rows if row.round in rounds]

    @property
    def pending(self) -> list[Request]:
        """Planned measurements without a usable reply, in order."""
        taken = {observation.key for observation in (*self.observations, *self.of_sources)}
        return [request for request in self.planned if request.key not in taken]

    @property
    def under_way(self) -> list[Request]:
        """What is planned in the last round, in order."""
        return self._of_last_round(self.planned)

    @property
    def lacking(self) -> list[Request]:
        """What the last round still lacks, in order; what an earlier one lacks stays undone."""
        rows = (self.observations, self.of_sources)
        taken = {observation.key for each in rows for observation in self._of_last_round(each)}
        return [request for request in self.under_way if request.key not in taken]

    def taken(self, purpose: Purpose) -> list[Observation]:
        """Return the observations of the last round with one purpose."""
        return [observation for observation in self._of_last_round(self.observations) if observation.purpose is purpose]

    def _of_last_round(self, rows: Sequence[Row]) -> list[Row]:
        """Rows of the last round and those measured with it: rounds come one after another, so they are the last."""
        first = self.rounds[-1].batch if self.rounds else 0
        return list(takewhile(lambda row: row.round >= first, reversed(rows)))[::-1]

    @property
    def open_exam(self) -> Exam | None:
        """The exam that has no verdict yet."""
        judged = {(finding.round, finding.target) for finding in self.findings}
        return next((exam for exam in self.exams if (exam.round, exam.target) not in judged), None)

    def before(self, number: int) -> "History":
        """Return what had been measured and decided before a round; the count of requests sent stays that of today."""
        if not self.rounds or self.rounds[-1].number < number:
            return self
        earlier: dict[str, Any] = {
            name: [row for row in getattr(self, name) if row.round < number]
            for name in ("planned", "observations", "of_sources", "exams", "findings")
        }
        return replace(self, rounds=[round_ for round_ in self.rounds if round_.number < number], **earlier)

    def of_round(self, number: int, purpose: Purpose) -> list[Observation]:
        """Return the observations of one round with one purpose."""
        return [
            observation
            for observation in self.observations
            if observation.round == number and observation.purpose is purpose
        ]

    def concluded(self, target: str) -> Finding | None:
        """Return the finding that settles a target; None if there is none."""
        return next((finding for finding in self.findings if finding.target == target and finding.settles), None)
