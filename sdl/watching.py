"""What campaigns are doing at this moment, read from the ledger alone: for who watches, and for a stall alarm."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, func, select

from sdl.errors import InvalidInput, nearest
from sdl.history import Control, State, Verdict
from sdl.lease import Holder, holders
from sdl.ledger import Ledger
from sdl.rows import USABLE
from sdl.schema import approvals, attempts, campaigns, findings, now, requests, rounds
from sdl.text import span

RECENT = 50
"""Intervals between observations that say what is usual."""
SOUGHT = 4 * RECENT
"""Attempts among which those observations are looked for."""
TIMES = 10.0
"""A campaign without an observation for so many times the usual interval has stalled, ..."""
LEAST_S = 30.0
"""... but not before so many seconds."""
FIRST_S = 300.0
"""Seconds that are allowed while there are not two observations, and with them a usual interval."""
BY_HAND = " by hand"
"""How the names of those end who hold an instrument for a person."""
OVER = (State.FINISHED, State.STOPPED)


@dataclass(frozen=True)
class Place:
    """The round that a campaign is in, and what it measures there."""

    round: int
    kind: str
    target: str | None = None
    """That an exam is about."""
    purpose: str = ""
    """Of the last request."""

    def __str__(self) -> str:
        words = f"{self.round} {self.kind}{f' of {self.target}' if self.target else ''}"
        return words if self.purpose in ("", self.kind) else f"{words}, {self.purpose}"


@dataclass(frozen=True)
class Pace:
    """How the observations of a campaign have come lately."""

    last_at: float | None = None
    """When the last one came, seconds since 1970."""
    interval_s: float | None = None
    """Median of the last ``RECENT`` intervals; None for fewer than two observations."""
    open_since: float | None = None
    """When the request was sent that has no answer yet; None if all have theirs."""
    decides: bool = False
    """Whether all that is planned was measured, so that the next step is being decided."""

    @property
    def allowed_s(self) -> float:
        """Seconds without an observation after which the campaign has stalled."""
        return FIRST_S if self.interval_s is None else max(TIMES * self.interval_s, LEAST_S)


@dataclass(frozen=True)
class Standing:
    """Where a campaign stands."""

    id: int
    campaign: str
    state: State
    reason: str
    control: Control
    instrument: str
    updated: float
    sent: int
    """Requests sent, whatever became of them."""
    budget: int | None
    """None for what a person measures by hand."""
    targets: Sequence[str] = ()
    verified: Collection[str] = ()
    """Targets with a candidate that passed its exam."""
    holder: Holder | None = None
    """Who holds its instrument; None if nobody does."""
    place: Place | None = None
    """None before the first round, and of one of many that is over."""
    pace: Pace = field(default_factory=Pace)
    asks: str = ""
    """The approval that it waits for, in words."""
    seen_at: float = 0.0
    """When this was read."""

    @property
    def at_work(self) -> bool:
        """Whether there is anything left to do in it."""
        return self.state not in OVER

    @property
    def measures(self) -> bool:
        """Whether a living process is at work on it."""
        if self.state is not State.RUNNING or self.holder is None:
            return False
        return self.holder.owner == owner(self.campaign) or (self.budget is None and BY_HAND in self.holder.owner)

    @property
    def interrupted(self) -> bool:
        """Whether the process ended that was at work on it."""
        return self.state is State.RUNNING and not self.measures

    @property
    def silent_s(self) -> float | None:
        """Seconds since its last observation; None if it has none."""
        return None if self.pace.last_at is None else max(0.0, self.seen_at - self.pace.last_at)

    @property
    def quiet_since(self) -> float:
        """When the last observation came, or when work on it began if that was later; seconds since 1970."""
        return max(self.pace.last_at or 0.0, self.holder.since if self.holder else 0.0)

    @property
    def waits_for(self) -> str:
        """What has to come before it goes on, in words; empty if nothing has."""
        if not self.at_work:
            return ""
        if self.asks:
            return f"{self.asks}: 'sdl approve {self.campaign}'"
        if self.control is Control.PAUSE:
            return f"a person: 'sdl resume {self.campaign}'"
        if self.state in (State.SUSPENDED, State.PAUSED):
            return self.reason
        if self.interrupted:
            held = f"{self.instrument}, held by {self.holder}; then " if self.holder else ""
            return f"{held}a new start, since its process ended"
        if self.pace.open_since is not None:
            return f"a reply, for {span(max(0.0, self.seen_at - self.pace.open_since))}"
        return "the next decision" if self.pace.decides else ""

    @property
    def alarm(self) -> str:
        """That it has stalled, and what is usual; empty if it has not, or waits on purpose."""
        if not self.measures or self.asks or self.control is not Control.RUN or self.holder is None:
            return ""
        silent = self.seen_at - self.quiet_since
        if silent <= self.pace.allowed_s:
            return ""
        usual = "" if self.pace.interval_s is None else f", where one comes every {span(self.pace.interval_s)}"
        waits = f"; it waits for {self.waits_for}" if self.waits_for else ""
        return f"no observation for {span(silent)}{usual}{waits}"


def owner(campaign: str) -> str:
    """How a campaign calls itself where it holds an instrument."""
    return f"campaign {campaign!r}"


def standings(ledger: Ledger, name: str | None = None) -> list[Standing]:
    """Where each campaign stands, the latest first; with a name, that one alone, and its place even where it is over.

    Raises:
        InvalidInput: if there is no campaign of that name.
    """
    with ledger.engine.connect() as connection:
        found = connection.execute(_campaigns(name)).all()
        if name is not None and not found:
            names = connection.execute(select(campaigns.c.name)).scalars()
            raise InvalidInput(f"no campaign {name!r} in this ledger{nearest(name, names)}")
        known = _Known(
            sent=_sent(connection, None if name is None else found[0].id),
            verified=_verified(connection),
            asked=_asked(connection),
            held=holders(connection),
            at=now(),
        )
        every = [_standing(row, known) for row in found]
        return [_near(connection, each) if each.at_work or name is not None else each for each in every]


def stalled(ledger: Ledger) -> list[Standing]:
    """Campaigns that have stalled."""
    return [each for each in standings(ledger) if each.alarm]


# ---------------------------------------------------------------------- reading


@dataclass(frozen=True)
class _Known:
    """What one query tells of all campaigns, by their numbers, and of all instruments."""

    sent: Mapping[int, int]
    verified: Mapping[int, set[str]]
    asked: Mapping[int, str]
    held: Mapping[str, Holder]
    at: float


def _campaigns(name: str | None) -> Any:
    columns = campaigns.c["id", "name", "state", "reason", "control", "instrument", "updated", "config"]
    query = select(*columns).order_by(campaigns.c.updated.desc())
    return query if name is None else query.where(campaigns.c.name == name)


def _sent(connection: Connection, campaign: int | None) -> Mapping[int, int]:
    query = select(attempts.c.campaign, func.count()).group_by(attempts.c.campaign)
    if campaign is not None:
        query = query.where(attempts.c.campaign == campaign)
    return {each: count for each, count in connection.execute(query)}


def _verified(connection: Connection) -> Mapping[int, set[str]]:
    passed = defaultdict[int, set[str]](set)
    for campaign, target in connection.execute(
        select(*findings.c["campaign", "target"]).where(findings.c.verdict == Verdict.VERIFIED)
    ):
        passed[campaign].add(target)
    return passed


def _asked(connection: Connection) -> Mapping[int, str]:
    query = select(*approvals.c["campaign", "round", "why"]).where(approvals.c.granted.is_(None))
    return {each: f"approval of round {number} ({why})" for each, number, why in connection.execute(query)}


def _standing(row: Row[Any], known: _Known) -> Standing:
    budget = row.config.get("budget")
    return Standing(
        *(row.id, row.name, State(row.state), row.reason, Control(row.control), row.instrument, row.updated),
        sent=known.sent.get(row.id, 0),
        budget=None if budget is None else budget + row.config.get("extra", 0),
        targets=[target["name"] for target in row.config.get("targets", [])],
        verified=known.verified.get(row.id, ()),
        holder=known.held.get(row.instrument),
        asks=known.asked.get(row.id, ""),
        seen_at=known.at,
    )


def _near(connection: Connection, standing: Standing) -> Standing:
    """The same with its round and its pace; each query looks at a few rows, however many the campaign has."""
    mine = attempts.c.campaign == standing.id
    columns = attempts.c["request", "state", "verdict", "sent_at", "done_at"]
    last = connection.execute(select(*columns).where(mine).order_by(attempts.c.id.desc()).limit(SOUGHT)).all()
    here = select(*rounds.c["number", "kind", "target"]).where(rounds.c.campaign == standing.id)
    place = connection.execute(here.order_by(rounds.c.number.desc()).limit(1)).one_or_none()
    if place is None:
        return replace(standing, pace=_pace(last, None))
    planned = select(*requests.c["id", "idx", "replicate", "purpose"]).where(
        requests.c.campaign == standing.id, requests.c.round == place.number
    )
    key = (requests.c.round.desc(), requests.c.idx.desc(), requests.c.replicate.desc())
    final = connection.execute(planned.order_by(*key).limit(1)).one_or_none()
    purpose = select(requests.c.purpose).where(requests.c.id == (last[0].request if last else None))
    words = connection.execute(purpose).scalar_one_or_none() or ""
    return replace(
        standing,
        place=Place(place.number, place.kind, place.target, words),
        pace=_pace(last, None if final is None else final.id),
    )


def _pace(last: Sequence[Row[Any]], final: int | None) -> Pace:
    """From the last attempts, the latest first, and the number of the last measurement that is planned."""
    came = [row.done_at for row in last if row.verdict in USABLE and row.done_at is not None][: RECENT + 1]
    usual = [max(0.0, later - earlier) for later, earlier in pairwise(came)]
    done = final is not None and bool(last) and last[0].request == final and last[0].verdict in USABLE
    return Pace(
        last_at=came[0] if came else None,
        interval_s=median(usual) if usual else None,
        open_since=last[0].sent_at if last and last[0].state == "SENT" else None,
        decides=done,
    )
