"""The ledger's statements in SQL; those of every measurement are made once, when this module is imported."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    ScalarSelect,
    Select,
    Table,
    bindparam,
    case,
    func,
    insert,
    select,
    update,
)

from sdl.history import PROPOSAL, USABLE, Control, NoticeKind, ReplyClass, Request, Round, RoundKind
from sdl.ledger.journal import JournalEntry
from sdl.ledger.row_mapping import row_of_round
from sdl.ledger.tables import (
    approvals,
    attempts,
    campaigns,
    changes,
    editions,
    exams,
    notices,
    requests,
    rounds,
    samples,
)
from sdl.system.clock import now

Place: TypeAlias = tuple[int, int, int]
"""Round, index and replicate: what makes a measurement of a campaign this one and no other."""

# ---------------------------------------------------------------------- campaigns

CONTROL_OF_NOTICE = {
    NoticeKind.PAUSED: Control.PAUSE,
    NoticeKind.DECLINED: Control.PAUSE,
    NoticeKind.STOPPED: Control.STOP,
    NoticeKind.RESUMED: Control.RUN,
}
"""Notices of what a person asked for, and the flag that was written with them."""
LAST_CONTROL_NOTICE = (
    select(case(CONTROL_OF_NOTICE, value=notices.c.kind))
    .where(notices.c.campaign == campaigns.c.id, notices.c.kind.in_(list(CONTROL_OF_NOTICE)))
    .order_by(notices.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
CONTROL = case(
    (campaigns.c.control.in_(list(Control)), campaigns.c.control),
    else_=func.coalesce(LAST_CONTROL_NOTICE, Control.RUN),
).label("control")
"""What a person wants of a campaign: its flag, or what was asked for last where somebody wrote nonsense over that."""
UNAPPROVED = (
    select(func.count())
    .where(approvals.c.campaign == campaigns.c.id, approvals.c.round == PROPOSAL, approvals.c.granted.is_not(True))
    .scalar_subquery()
    .label("unapproved")
)
"""1 for a campaign that an agent proposed and no person approved of, 0 for any other."""
SELECT_ENTRY = select(*(CONTROL if column is campaigns.c.control else column for column in campaigns.c))
"""Campaigns, for ``entry_from_row``."""


def replace_config(connection: Connection, campaign: int, before: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Replace the configuration of a campaign, and keep the one before with the place where it ended."""
    row = {"campaign": campaign, "before": dict(before), "at": now()}
    connection.execute(insert(changes).values(sent=count_sent(campaign), **row))
    connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(config=dict(config)))


def is_proposed(connection: Connection, campaign: int) -> bool:
    """Return whether an agent proposed a campaign."""
    of_campaign = (approvals.c.campaign == campaign) & (approvals.c.round == PROPOSAL)
    return connection.execute(select(approvals.c.campaign).where(of_campaign)).first() is not None


def insert_notice(
    connection: Connection, campaign: int, kind: NoticeKind, text: str, by: str = "", known: str = ""
) -> None:
    """Write down what somebody asked of a campaign, or what befell it."""
    row = {"campaign": campaign, "kind": kind, "text": text, "by": by, "known": known, "at": now()}
    connection.execute(insert(notices).values(sent=count_sent(campaign), **row))


def read_places(connection: Connection, campaign: int) -> dict[Place, int]:
    """Return the number of the row of each measurement that is planned, by its place in the campaign."""
    columns = requests.c["round", "idx", "replicate", "id"]
    planned = connection.execute(select(*columns).where(requests.c.campaign == campaign))
    return {(round_, index, replicate): number for round_, index, replicate, number in planned}


def insert_trail(
    connection: Connection,
    campaign: int,
    instrument: str,
    trail: Sequence[Mapping[str, Any]],
    places: dict[Place, int],
) -> None:
    """Insert what was measured elsewhere: rounds, measurements and attempts, given as rows of the trail.

    Args:
        connection: To the ledger.
        campaign: Its number.
        instrument: What it was measured with.
        trail: The rows.
        places: What ``read_places`` found; the new ones are added.
    """
    place = operator.itemgetter("round", "index", "replicate")
    new: dict[Place, Mapping[str, Any]] = {}
    for row in trail:
        if place(row) not in places:
            new.setdefault(place(row), row)
    common, present = {"campaign": campaign}, {round_ for round_, _, _ in places}
    begun = [Round(number, RoundKind.IMPORTED) for number in sorted({row["round"] for row in trail} - present)]
    if begun:
        connection.execute(insert(rounds), [row_of_round(campaign, round_) for round_ in begun])
    if new:
        rows = [common | {"idx": row["index"], **_only(row, REQUEST_COLUMNS)} for row in new.values()]
        numbered = insert(requests).returning(requests.c.id, sort_by_parameter_order=True)
        places.update(zip(new, connection.execute(numbered, rows).scalars(), strict=True))
    answers = [
        common
        | {"request": places[place(row)], "token": 0, **_only(row, ANSWER_COLUMNS), "instrument": instrument}
        | {name: row.get(name) for name in MAYBE_COLUMNS}
        for row in trail
    ]
    connection.execute(insert(attempts), answers)


def _only(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def inserted_id(result: CursorResult[Any]) -> int:
    """Return the primary key of the row that was inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


# ---------------------------------------------------------------------- what is planned

REQUEST_COLUMNS = ("round", "replicate", "purpose", "settings")
"""Columns of a planned measurement that the trail shows under the same name."""


def select_planned(campaign: int) -> Select[Any]:
    """Select the planned measurements of a campaign in the order in which they were planned."""
    return select(requests).where(requests.c.campaign == campaign).order_by(requests.c.id)


def select_planned_places(campaign: int, round_: int) -> Select[Any]:
    """Select index and replicate of every measurement that is planned in a round."""
    in_round = (requests.c.campaign == campaign) & (requests.c.round == round_)
    return select(*requests.c["idx", "replicate"]).where(in_round)


def select_rows(table: Table, campaign: int, after: int = -1) -> Select[Any]:
    """Select a campaign's rows of rounds, exams, findings, changes or notices, oldest first.

    Args:
        table: One of these.
        campaign: Its number.
        after: Number of the round (of rounds and exams) or of the row (of the others) after which rows are selected.
    """
    order = table.c.number if table is rounds else table.c.round if table is exams else table.c.id
    return select(table).where(table.c.campaign == campaign, order > after).order_by(order)


def has_round(connection: Connection, table: Table, campaign: int, round_: int) -> bool:
    """Return whether the table of rounds or exams has that round of the campaign."""
    number = table.c.number if table is rounds else table.c.round
    row = connection.execute(select(number).where(table.c.campaign == campaign, number == round_)).first()
    return row is not None


# ---------------------------------------------------------------------- one measurement

# To make a statement takes SQLAlchemy as long as to execute it.
AT_PLACE = [requests.c[name] == bindparam(name) for name in ("campaign", "round", "idx", "replicate")]
"""Which planned measurement a statement is about."""
SELECT_INTENT = select(
    campaigns.c.name,
    CONTROL,
    campaigns.c.control.label("flag"),
    UNAPPROVED,
    select(func.count())
    .where(attempts.c.campaign == campaigns.c.id, attempts.c.id > bindparam("counted"))
    .scalar_subquery()
    .label("sent"),
    requests.c.id.label("planned"),
    select(func.count()).where(attempts.c.request == requests.c.id).scalar_subquery().label("tried"),
).where(campaigns.c.id == requests.c.campaign, *AT_PLACE)
"""All that decides whether a measurement may be taken now, and its row; ``sent`` after an attempt counted before."""
INSERT_ATTEMPT = insert(attempts)
IS_UNANSWERED = (
    attempts.c.id == bindparam("number"),
    attempts.c.token == bindparam("held"),
    attempts.c.state == "SENT",
)
"""The attempt of that number, as long as its answer is not known; numbers of a lost ledger may come again."""
UPDATE_ANSWER = update(attempts).where(*IS_UNANSWERED)
ANSWER_COLUMNS = (
    *("attempt", "state", "verdict", "reason", "applied", "out", "readings", "censored", "raw"),
    *("sent_at", "done_at", "seconds"),
)
"""Columns of an attempt that are exported and imported."""
MAYBE_COLUMNS = ("sample", "conditions")
"""... and those that rows from elsewhere may lack."""
ATTEMPT_COLUMNS = (*ANSWER_COLUMNS, "instrument", *MAYBE_COLUMNS)
"""Columns of an attempt that the trail shows."""


def request_place(campaign: int, request: Request) -> dict[str, int]:
    """Return the place of a planned measurement, as parameters of statements with ``AT_PLACE``."""
    round_, index, replicate = request.key
    return {"campaign": campaign, "round": round_, "idx": index, "replicate": replicate}


def is_unanswered(connection: Connection, reply: JournalEntry) -> bool:
    """Return whether the ledger has no answer yet to the attempt that this is the reply to."""
    return connection.execute(select(attempts.c.id).where(*IS_UNANSWERED), _attempt(reply)).first() is not None


def write_answer(connection: Connection, reply: JournalEntry) -> None:
    """Write what came of an attempt, once; of one that counts as lost by now, only the raw reply."""
    if connection.execute(UPDATE_ANSWER, {**_attempt(reply), **reply.answer}).rowcount == 1:
        if reply.distrust:
            of = {
                name: select(attempts.c[name]).where(attempts.c.id == reply.attempt).scalar_subquery()
                for name in ("campaign", "instrument")
            }
            same = (attempts.c.campaign == of["campaign"]) & (attempts.c.instrument == of["instrument"])
            earlier = same & (attempts.c.id < reply.attempt)
            mask_last_reply(connection, earlier, reply.distrust)
        return
    late = (attempts.c.id == reply.attempt) & (attempts.c.token == reply.token) & (attempts.c.state == "UNKNOWN")
    values = {"raw": reply.answer["raw"], "reason": "its answer was written down too late to count"}
    connection.execute(update(attempts).where(late, attempts.c.raw == "").values(**values))


def _attempt(reply: JournalEntry) -> dict[str, int]:
    return {"number": reply.attempt, "held": reply.token}


def mask_last_reply(connection: Connection, among: ColumnElement[bool], reason: str) -> None:
    """Mask the last reply among some attempts if it counted."""
    done = select(attempts.c.id).where(among, attempts.c.state == "DONE")
    last = done.order_by(attempts.c.id.desc()).limit(1)
    counted = (attempts.c.id == last.scalar_subquery()) & attempts.c.verdict.in_(USABLE)
    mask = {"verdict": ReplyClass.SUSPECT, "reason": reason, "readings": None, "censored": None}
    connection.execute(update(attempts).where(counted).values(**mask))


# ---------------------------------------------------------------------- what was sent


def select_sent_count(campaign: int, after: int = 0) -> Select[int, int | None]:
    """Select how many requests were sent after the attempt of that number, and the number of the last of them."""
    return select(func.count(), func.max(attempts.c.id)).where(attempts.c.campaign == campaign, attempts.c.id > after)


SELECT_SENDINGS = (
    select(*attempts.c["id", "request", "sample"])
    .where(attempts.c.campaign == bindparam("campaign"), attempts.c.id > bindparam("after"))
    .order_by(attempts.c.id)
)
"""What was sent after the attempt of that number."""
SELECT_ASKED_FOR = (
    select(
        *samples.c["request", "at"],
        select(editions.c.id)
        .where(editions.c.sample == samples.c.id, editions.c.attempt.is_not(None))
        .exists()
        .label("entered"),
    )
    .where(samples.c.campaign == bindparam("campaign"))
    .order_by(samples.c.id)
)
"""What persons were asked for, when, and whether an answer of theirs is entered; those of one moment are one plate."""


def count_sent(campaign: int) -> ScalarSelect[Any]:
    """Count the requests that a campaign sent, as a value of another statement."""
    return select(func.count()).where(attempts.c.campaign == campaign).scalar_subquery()


def count_plates(connection: Connection, campaign: int) -> int:
    """Return how many plates a campaign has sent: the number of the last one, which its samples begin with."""
    of_campaign = (attempts.c.campaign == campaign) & attempts.c.sample.is_not(None)
    last = select(attempts.c.sample).where(of_campaign).order_by(attempts.c.id.desc()).limit(1)
    sample = connection.execute(last).scalar_one_or_none()
    return int(sample.partition("/")[0]) if sample else 0


def select_last_sending(campaign: int) -> Select[Any]:
    """Select when the last request of a campaign was sent, by the time of day and by the time since the boot."""
    return (
        select(*attempts.c["sent_at", "uptime"])
        .where(attempts.c.campaign == campaign)
        .order_by(attempts.c.id.desc())
        .limit(1)
    )


def select_last_suspension(campaign: int) -> Select[Any]:
    """Select how many requests were sent when the campaign was last suspended."""
    suspended = (notices.c.campaign == campaign) & (notices.c.kind == NoticeKind.SUSPENDED)
    return select(notices.c.sent).where(suspended).order_by(notices.c.id.desc()).limit(1)
