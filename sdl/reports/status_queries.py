"""What campaigns are doing at this moment, read from the ledger alone: for who watches, and for a stall alarm."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, func, select

from sdl.errors import InvalidInput, nearest
from sdl.history import Control, State, Verdict
from sdl.ledger.lease import Holder, holders
from sdl.ledger.ledger import Ledger
from sdl.ledger.row_mapping import CONTROL, USABLE
from sdl.ledger.tables import approvals, attempts, campaigns, findings, now, requests, rounds
from sdl.reports.status import CampaignStatus, Pace, Place

RECENT = 50
"""Intervals between observations that say what is usual."""
SOUGHT = 4 * RECENT
"""Attempts among which those observations are looked for."""


def campaign_statuses(ledger: Ledger, name: str | None = None) -> list[CampaignStatus]:
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


def stalled_campaigns(ledger: Ledger) -> list[CampaignStatus]:
    """Campaigns that have stalled."""
    return [each for each in campaign_statuses(ledger) if each.alarm]


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
    columns = campaigns.c["id", "name", "state", "reason", "instrument", "updated", "config"]
    query = select(*columns, CONTROL).order_by(campaigns.c.updated.desc())
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


def _standing(row: Row[Any], known: _Known) -> CampaignStatus:
    budget = row.config.get("budget")
    return CampaignStatus(
        *(row.id, row.name, State(row.state), row.reason, Control(row.control), row.instrument, row.updated),
        sent=known.sent.get(row.id, 0),
        budget=None if budget is None else budget + row.config.get("extra", 0),
        targets=[target["name"] for target in row.config.get("targets", [])],
        verified=known.verified.get(row.id, ()),
        holder=known.held.get(row.instrument),
        asks=known.asked.get(row.id, ""),
        seen_at=known.at,
    )


def _near(connection: Connection, standing: CampaignStatus) -> CampaignStatus:
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
