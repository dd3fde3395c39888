"""Questions to the ledger that others than a running campaign ask, answered in plain values.

Each function reads within one transaction, ``with ledger.reading() as connection``, and looks at a few rows alone,
however many a campaign has, unless it says otherwise.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, func, select

from sdl.formatting import array_from_json
from sdl.history import USABLE, Approval, Control, Finding, Purpose, ReplyClass, State, Verdict
from sdl.ledger import statements
from sdl.ledger.lease import Holder, lease_holders
from sdl.ledger.row_mapping import approval_from_row, finding_from_row
from sdl.ledger.statements import CONTROL, select_last_suspension, select_rows
from sdl.ledger.tables import (
    approvals,
    attempts,
    campaigns,
    changes,
    editions,
    exams,
    findings,
    notices,
    requests,
    rounds,
    samples,
)
from sdl.space import Readings

# ---------------------------------------------------------------------- how campaigns stand


@dataclass(frozen=True)
class CampaignOverview:
    """A campaign as a look at the whole ledger shows it."""

    id: int
    name: str
    state: State
    reason: str
    """Why it is in that state, in words."""
    control: Control
    instrument: str
    updated: float
    """When its state changed last, seconds since 1970."""
    config: Mapping[str, Any]
    sent: int
    """Requests sent, whatever became of them."""
    verified: frozenset[str]
    """Names of the targets with a candidate that passed its exam."""
    approval: Approval | None
    """What it waits for a person to approve; None if it waits for nobody."""
    approved: Approval | None
    """What a person approved of last; None if nobody did."""
    holder: Holder | None
    """Who holds its instrument; None if nobody does."""
    asks_persons: bool
    """Whether it asked persons for readings that it does not have yet."""


def campaign_overviews(connection: Connection, campaign: int | None = None) -> list[CampaignOverview]:
    """Return an overview of every campaign, the one that changed last first; of one alone if its number is given."""
    columns = campaigns.c["id", "name", "state", "reason", "instrument", "updated", "config"]
    query = select(*columns, CONTROL).order_by(campaigns.c.updated.desc())
    if campaign is not None:
        query = query.where(campaigns.c.id == campaign)
    sent, verified = _sent_counts(connection, campaign), _verified_targets(connection)
    waiting, approved = (_last_approvals(connection, granted) for granted in (None, True))
    held = lease_holders(connection)
    entered = select(editions.c.sample).where(editions.c.attempt.is_not(None))
    asking = set(connection.execute(select(samples.c.campaign).where(samples.c.id.not_in(entered))).scalars())
    return [
        CampaignOverview(
            id=row.id,
            name=row.name,
            state=State(row.state),
            reason=row.reason,
            control=Control(row.control),
            instrument=row.instrument,
            updated=row.updated,
            config=row.config,
            sent=sent.get(row.id, 0),
            verified=frozenset(verified.get(row.id, ())),
            approval=waiting.get(row.id),
            approved=approved.get(row.id),
            holder=held.get(row.instrument),
            asks_persons=row.id in asking,
        )
        for row in connection.execute(query)
    ]


def _sent_counts(connection: Connection, campaign: int | None) -> Mapping[int, int]:
    query = select(attempts.c.campaign, func.count()).group_by(attempts.c.campaign)
    if campaign is not None:
        query = query.where(attempts.c.campaign == campaign)
    return {number: count for number, count in connection.execute(query)}


def _verified_targets(connection: Connection) -> Mapping[int, set[str]]:
    passed = defaultdict[int, set[str]](set)
    query = select(*findings.c["campaign", "target"]).where(findings.c.verdict == Verdict.VERIFIED)
    for campaign, target in connection.execute(query):
        passed[campaign].add(target)
    return passed


def _last_approvals(connection: Connection, granted: bool | None) -> Mapping[int, Approval]:
    """Return the approval that each campaign waits for, or was given; of several, that of its last round."""
    query = select(approvals).where(approvals.c.granted.is_(granted)).order_by(approvals.c.round)
    return {row.campaign: approval_from_row(row) for row in connection.execute(query)}


@dataclass(frozen=True)
class RecentAttempt:
    """When one attempt was sent and answered."""

    sent_at: float | None
    """Seconds since 1970; so is the next."""
    done_at: float | None
    usable: bool
    """Whether it brought a reading that counts."""
    unanswered: bool
    """Whether its reply is still awaited."""


@dataclass(frozen=True)
class CampaignProgress:
    """The round that a campaign is in, and its last attempts."""

    attempts: Sequence[RecentAttempt]
    """The latest first."""
    round: int | None
    """Number of the last round; None before the first one."""
    kind: str = ""
    """Of that round."""
    target: str | None = None
    """Name of the target that the exam of that round is about; None where it is no exam."""
    purpose: str = ""
    """Of the last request that was sent; empty before the first one."""
    complete: bool = False
    """Whether the last measurement that is planned has its usable reply."""


def campaign_progress(connection: Connection, campaign: int, most: int) -> CampaignProgress:
    """Return the last round of a campaign and at most so many of its last attempts."""
    columns = attempts.c["request", "state", "verdict", "sent_at", "done_at"]
    query = select(*columns).where(attempts.c.campaign == campaign).order_by(attempts.c.id.desc()).limit(most)
    last = connection.execute(query).all()
    recent = [
        RecentAttempt(row.sent_at, row.done_at, usable=row.verdict in USABLE, unanswered=row.state == "SENT")
        for row in last
    ]
    in_campaign = select(*rounds.c["number", "kind", "target"]).where(rounds.c.campaign == campaign)
    round_ = connection.execute(in_campaign.order_by(rounds.c.number.desc()).limit(1)).one_or_none()
    if round_ is None:
        return CampaignProgress(recent, None)
    sent = last[0].request if last else None
    purpose = connection.execute(select(requests.c.purpose).where(requests.c.id == sent)).scalar_one_or_none()
    final = _last_planned(connection, campaign, round_.number)
    complete = final is not None and sent == final and recent[0].usable
    return CampaignProgress(recent, round_.number, round_.kind, round_.target, purpose or "", complete)


def _last_planned(connection: Connection, campaign: int, round_: int) -> int | None:
    """Return the number of the row of the measurement that is planned last in a round; None if none is."""
    query = select(requests.c.id).where(requests.c.campaign == campaign, requests.c.round == round_)
    last = query.order_by(*(requests.c[name].desc() for name in ("round", "idx", "replicate"))).limit(1)
    return connection.execute(last).scalar_one_or_none()


def campaign_findings(connection: Connection, campaign: int) -> list[Finding]:
    """Return every finding of a campaign, oldest first."""
    return [finding_from_row(row) for row in connection.execute(select_rows(findings, campaign))]


def last_attempt_numbers(connection: Connection, campaign: int, most: int) -> Sequence[int]:
    """Return the numbers of at most so many of the last attempts of a campaign, the latest first."""
    query = select(attempts.c.id).where(attempts.c.campaign == campaign).order_by(attempts.c.id.desc()).limit(most)
    return connection.execute(query).scalars().all()


def newest_attempt(connection: Connection) -> int:
    """Return the number of the last attempt of all campaigns; 0 where there is none."""
    return connection.execute(select(func.max(attempts.c.id))).scalar_one() or 0


def read_arrivals(connection: Connection, after: int, awaited: Collection[int]) -> "Rows":
    """Return what is known of attempts of all campaigns, in the order of sending.

    Args:
        connection: To the ledger.
        after: Number of the last attempt that is not asked for.
        awaited: Numbers of earlier ones that are.
    """
    columns = attempts.c["campaign", "state", "verdict", "readings", "done_at"]
    query = select(attempts.c.id.label("seq"), *columns, *requests.c["purpose", "round"])
    query = query.join(requests, attempts.c.request == requests.c.id).order_by(attempts.c.id)
    earlier = [query.where(attempts.c.id.in_(awaited), attempts.c.id <= after)] if awaited else []
    # One after the other: for "or" a database might go through all that there are.
    return [
        dict(row)
        for one in (*earlier, query.where(attempts.c.id > after))
        for row in connection.execute(one).mappings()
    ]


# ---------------------------------------------------------------------- what a next request has to heed


@dataclass(frozen=True, eq=False)
class AttemptOutcome:
    """What became of one attempt."""

    purpose: Purpose
    verdict: ReplyClass
    readings: Readings
    """Shape ``(p,)``; NaN where masked."""
    fresh: bool = True
    """Whether it came after the last suspension."""


def outcomes_for_suspenders(connection: Connection, campaign: int, window: int) -> list[AttemptOutcome]:
    """Return the outcomes by which suspenders judge a campaign, in the order of sending.

    Args:
        connection: To the ledger.
        campaign: Its number.
        window: How many of the last attempts are among them; those of references and patches all are.
    """
    in_campaign = attempts.c.campaign == campaign
    last = select(attempts.c.id).where(in_campaign).order_by(attempts.c.id.desc()).limit(window).subquery()
    judging = [purpose for purpose in Purpose if not purpose.teaches]
    counts = attempts.c.id.in_(select(last.c.id)) | requests.c.purpose.in_(judging)
    query = (
        select(requests.c.purpose, *attempts.c["id", "verdict", "readings"])
        .join(requests, attempts.c.request == requests.c.id)
        .where(in_campaign, attempts.c.verdict.is_not(None), counts)
        .order_by(attempts.c.id)
    )
    suspended_after = _last_attempt_before_suspension(connection, campaign)
    return [
        AttemptOutcome(
            Purpose(row.purpose),
            ReplyClass(row.verdict),
            array_from_json(row.readings or []),
            fresh=suspended_after is None or row.id > suspended_after,
        )
        for row in connection.execute(query)
    ]


def _last_attempt_before_suspension(connection: Connection, campaign: int) -> int | None:
    """Return the number of the last attempt before the last suspension; None if there was no suspension."""
    sent = connection.execute(select_last_suspension(campaign)).scalar_one_or_none() or 0
    if not sent:
        return None
    in_order = select(attempts.c.id).where(attempts.c.campaign == campaign).order_by(attempts.c.id)
    return connection.execute(in_order.offset(max(sent - 1, 0)).limit(1)).scalar_one_or_none()


@dataclass(frozen=True)
class UnansweredRequest:
    """The last request to an instrument, when its answer is not known."""

    sent_at: str
    """By the clock of ``sdl.system.clock.uptime``; empty where that is not known."""
    usual_replies_s: Sequence[float]
    """How long the last replies of the instrument took, seconds, the latest first."""


def unanswered_request(connection: Connection, instrument: str, replies: int) -> UnansweredRequest | None:
    """Return the last request to an instrument if its answer is not known, or else None.

    Args:
        connection: To the ledger.
        instrument: Its identity.
        replies: How many of its last replies tell how long one takes.
    """
    newest_first = attempts.c.id.desc()
    asked = select(*attempts.c["state", "uptime"]).where(attempts.c.instrument == instrument)
    row = connection.execute(asked.order_by(newest_first).limit(1)).one_or_none()
    if row is None or row.state not in ("SENT", "UNKNOWN"):
        return None
    answered = select(attempts.c.seconds).where(attempts.c.instrument == instrument, attempts.c.seconds.is_not(None))
    seconds = connection.execute(answered.order_by(newest_first).limit(replies)).scalars().all()
    return UnansweredRequest(row.uptime or "", seconds)


def last_settings(connection: Connection, instrument: str) -> tuple[list[float] | None, bool]:
    """Return at which settings an instrument answered last, if it ever did, and whether it was asked in vain since.

    Args:
        connection: To the ledger.
        instrument: Its identity.
    """
    asked = (
        select(requests.c.settings, attempts.c.state)
        .join(requests, attempts.c.request == requests.c.id)
        .where(attempts.c.instrument == instrument, attempts.c.token > 0)  # what was imported was not sent from here
        .order_by(attempts.c.id.desc())
        .limit(1)
    )
    last = connection.execute(asked).one_or_none()
    answered = connection.execute(asked.where(attempts.c.state == "DONE")).one_or_none()
    return answered and answered.settings, last is not None and last.state != "DONE"


# ---------------------------------------------------------------------- a campaign as its tables have it, in plain rows

Rows = list[dict[str, Any]]


def read_trail(connection: Connection, campaign: int, numbers: Collection[int] | None) -> Rows:
    """Return the attempts with their requests, in the order of sending; of these numbers alone, if some are given."""
    query = (
        select(
            attempts.c.id.label("seq"),
            *requests.c["round", "replicate", "purpose", "settings"],
            requests.c.idx.label("index"),
            *attempts.c[statements.ATTEMPT_COLUMNS],
        )
        .join(requests, attempts.c.request == requests.c.id)
        .where(attempts.c.campaign == campaign)
        .order_by(attempts.c.id)
    )
    if numbers is not None:
        query = query.where(attempts.c.id.in_(numbers))
    return [dict(row) for row in connection.execute(query).mappings()]


def read_account(connection: Connection, campaign: int) -> dict[str, Rows]:
    """Return all that the tables hold of a campaign but its attempts, in the order of writing."""
    queries = {
        "rounds": statements.select_rows(rounds, campaign),
        "planned": statements.select_planned(campaign),
        "exams": statements.select_rows(exams, campaign),
        "findings": statements.select_rows(findings, campaign),
        "changes": statements.select_rows(changes, campaign),
        "notices": statements.select_rows(notices, campaign),
    }
    return {name: [dict(row) for row in connection.execute(query).mappings()] for name, query in queries.items()}


Extent: TypeAlias = Mapping[str, Mapping[str, float]]
"""How much a ledger holds: of each campaign when it was created and changed last, and rows by table."""


def read_extent(connection: Connection) -> Extent:
    """Return how much the ledger holds."""
    found = defaultdict[str, dict[str, float]](dict)
    for name, created, updated in connection.execute(select(*campaigns.c["name", "created", "updated"])):
        found[name] |= {"created": created, "updated": updated}
    for table in (rounds, attempts, exams, findings, changes, notices, samples):
        counted = select(campaigns.c.name, func.count()).join(table, table.c.campaign == campaigns.c.id)
        for name, count in connection.execute(counted.group_by(campaigns.c.name)):
            found[name][table.name] = count
    return found


def lacking(present: Extent, other: Extent) -> list[str]:
    """Return what a ledger holds and another one lacks, one phrase a campaign; nothing if all of it is there."""
    phrases = list[str]()
    for name, held in present.items():
        has = other.get(name)
        if has is None or has["created"] != held["created"]:
            phrases.append(f"campaign {name!r}")
            continue
        more = [f"{held[key] - has.get(key, 0):.0f} {key}" for key in held if held[key] > has.get(key, 0)]
        if rows := [phrase for phrase in more if not phrase.endswith("updated")] or ["its last state"] * bool(more):
            phrases.append(f"{', '.join(rows)} of {name!r}")
    return phrases
