"""Rows of the ledger's tables to plain values and back."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Row,
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

from sdl.formatting import array_from_json, json_list
from sdl.history import (
    Control,
    Entry,
    Exam,
    Finding,
    FindingFacts,
    NoticeKind,
    Purpose,
    ReplyClass,
    Request,
    Round,
    RoundFacts,
    RoundKind,
    State,
    Verdict,
    looks_from_json,
)
from sdl.ledger.journal import JournalEntry
from sdl.ledger.tables import attempts, campaigns, changes, exams, notices, now, requests, rounds
from sdl.space import Space

USABLE = [each for each in ReplyClass if each.usable]
REQUESTED = ("round", "replicate", "purpose", "settings")
ATTEMPTED = (
    *("attempt", "state", "verdict", "reason", "applied", "out", "readings", "censored", "raw"),
    *("sent_at", "done_at", "seconds"),
)
"""Columns of an attempt that the trail shows."""


ASKED = {
    NoticeKind.PAUSED: Control.PAUSE,
    NoticeKind.DECLINED: Control.PAUSE,
    NoticeKind.STOPPED: Control.STOP,
    NoticeKind.RESUMED: Control.RUN,
}
"""Notices of what a person asked for, and the flag that was written with them."""
LAST_ASKED = (
    select(case(ASKED, value=notices.c.kind))
    .where(notices.c.campaign == campaigns.c.id, notices.c.kind.in_(list(ASKED)))
    .order_by(notices.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
CONTROL = case(
    (campaigns.c.control.in_(list(Control)), campaigns.c.control), else_=func.coalesce(LAST_ASKED, Control.RUN)
).label("control")
"""What a person wants of a campaign: its flag, or what was last asked where somebody wrote nonsense over that."""
ENTRY = select(*(CONTROL if each is campaigns.c.control else each for each in campaigns.c))
"""Campaigns, for ``entry``."""


def entry(row: Row[Any]) -> Entry:
    values = dict(row._mapping)
    values |= {"space": Space.model_validate(row.space), "state": State(row.state), "control": Control(row.control)}
    return Entry(**values)


def of_round(campaign: int, round_: Round) -> dict[str, Any]:
    row = {"number": round_.number, "kind": round_.kind, "target": round_.target, "at": now()}
    return {"campaign": campaign, "facts": round_.facts.to_json(), **row}


def round_(row: Row[Any]) -> Round:
    return Round(row.number, RoundKind(row.kind), row.target, RoundFacts.from_json(row.facts))


def of_request(campaign: int, request: Request) -> dict[str, Any]:
    round_, index, replicate = request.key
    place = {"campaign": campaign, "round": round_, "idx": index, "replicate": replicate}
    return {**place, "purpose": request.purpose, "settings": request.settings.tolist()}


def request(row: Row[Any]) -> Request:
    return Request(row.round, row.idx, row.replicate, Purpose(row.purpose), np.array(row.settings, float))


def of_exam(campaign: int, exam: Exam) -> dict[str, Any]:
    row = {"campaign": campaign, "round": exam.round, "target": exam.target, "model": exam.model, "at": now()}
    row |= {
        "settings": exam.settings.tolist(),
        "replicates": exam.replicates,
        "looks": [[*look] for look in exam.looks],
    }
    return {**row, "background": json_list(exam.background), "uncertainty": json_list(exam.uncertainty)}


def exam(row: Row[Any]) -> Exam:
    arrays = {"settings": np.array(row.settings, float), "background": array_from_json(row.background)}
    return Exam(row.round, row.target, **arrays, model=row.model, replicates=row.replicates,
                uncertainty=array_from_json(row.uncertainty), looks=looks_from_json(row.looks))  # fmt: skip


def of_finding(campaign: int, finding: Finding) -> dict[str, Any]:
    row = {"campaign": campaign, "round": finding.round, "target": finding.target, "verdict": finding.verdict}
    row |= {"settings": None if finding.settings is None else finding.settings.tolist(), "at": now()}
    return {**row, "sentence": finding.sentence, "facts": finding.facts.to_json()}


def finding(row: Row[Any]) -> Finding:
    settings = None if row.settings is None else np.array(row.settings, float)
    return Finding(
        row.round, row.target, Verdict(row.verdict), row.sentence, settings, FindingFacts.from_json(row.facts)
    )


def planned(campaign: int) -> Select[Any]:
    """Planned measurements in the order in which they were planned."""
    return select(requests).where(requests.c.campaign == campaign).order_by(requests.c.id)


def keys(campaign: int, round_: int) -> Select[Any]:
    """Index and replicate of what is planned in a round."""
    in_round = (requests.c.campaign == campaign) & (requests.c.round == round_)
    return select(*requests.c["idx", "replicate"]).where(in_round)


def place(campaign: int, request: Request) -> dict[str, int]:
    """Where a measurement is planned, for statements with ``HERE``."""
    round_, index, replicate = request.key
    return {"campaign": campaign, "round": round_, "idx": index, "replicate": replicate}


# Statements of every measurement, made once: to make one takes SQLAlchemy as long as to execute it.
HERE = [requests.c[name] == bindparam(name) for name in ("campaign", "round", "idx", "replicate")]
"""Which planned measurement a statement is about."""
INTENT = select(
    campaigns.c.name,
    CONTROL,
    campaigns.c.control.label("flag"),
    select(func.count())
    .where(attempts.c.campaign == campaigns.c.id, attempts.c.id > bindparam("counted"))
    .scalar_subquery()
    .label("sent"),
    requests.c.id.label("planned"),
    select(func.count()).where(attempts.c.request == requests.c.id).scalar_subquery().label("tried"),
).where(campaigns.c.id == requests.c.campaign, *HERE)
"""All that decides whether a measurement may be taken now, and its row; ``sent`` after an attempt counted before."""
SEND = insert(attempts)
OPEN = (attempts.c.id == bindparam("number"), attempts.c.token == bindparam("held"), attempts.c.state == "SENT")
"""The attempt of that number, as long as its answer is not known; numbers of a lost ledger may come again."""
ANSWER = update(attempts).where(*OPEN)


def is_open(connection: Connection, reply: JournalEntry) -> bool:
    """Whether the ledger has no answer yet to the attempt that this is the reply to."""
    return connection.execute(select(attempts.c.id).where(*OPEN), _attempt(reply)).first() is not None


def answer(connection: Connection, reply: JournalEntry) -> None:
    """Write what came of an attempt, once; of one that counts as lost by now, only what was said."""
    if connection.execute(ANSWER, {**_attempt(reply), **reply.answer}).rowcount == 1:
        if reply.distrust:
            campaign = select(attempts.c.campaign).where(attempts.c.id == reply.attempt).scalar_subquery()
            distrust(connection, (attempts.c.campaign == campaign) & (attempts.c.id < reply.attempt), reply.distrust)
        return
    late = (attempts.c.id == reply.attempt) & (attempts.c.token == reply.token) & (attempts.c.state == "UNKNOWN")
    said = {"raw": reply.answer["raw"], "reason": "its answer was written down too late to count"}
    connection.execute(update(attempts).where(late, attempts.c.raw == "").values(**said))


def _attempt(reply: JournalEntry) -> dict[str, int]:
    return {"number": reply.attempt, "held": reply.token}


def distrust(connection: Connection, among: ColumnElement[bool], reason: str) -> None:
    """Mask the last reply among some attempts if it counted."""
    done = select(attempts.c.id).where(among, attempts.c.state == "DONE")
    last = done.order_by(attempts.c.id.desc()).limit(1)
    counted = (attempts.c.id == last.scalar_subquery()) & attempts.c.verdict.in_(USABLE)
    mask = {"verdict": ReplyClass.SUSPECT, "reason": reason, "readings": None, "censored": None}
    connection.execute(update(attempts).where(counted).values(**mask))


def counted(campaign: int, after: int = 0) -> Select[int, Any]:
    """How many requests were sent after an attempt of that number, and the number of the last of them."""
    return select(func.count(), func.max(attempts.c.id)).where(attempts.c.campaign == campaign, attempts.c.id > after)


def sent_so_far(campaign: int) -> ScalarSelect[Any]:
    """How many requests were sent, as a value of another statement."""
    return select(func.count()).where(attempts.c.campaign == campaign).scalar_subquery()


def reconfigure(connection: Connection, campaign: int, before: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Replace the configuration of a campaign, and keep the one before with the place where it ended."""
    ended = {"campaign": campaign, "before": dict(before), "at": now()}
    connection.execute(insert(changes).values(sent=sent_so_far(campaign), **ended))
    connection.execute(update(campaigns).where(campaigns.c.id == campaign).values(config=dict(config)))


def last_sent(campaign: int) -> Select[Any]:
    """When the last request was sent."""
    return select(attempts.c.sent_at).where(attempts.c.campaign == campaign).order_by(attempts.c.id.desc()).limit(1)


def last_suspended(campaign: int) -> Select[Any]:
    """How many requests were sent when the campaign was last suspended."""
    mine = (notices.c.campaign == campaign) & (notices.c.kind == NoticeKind.SUSPENDED)
    return select(notices.c.sent).where(mine).order_by(notices.c.id.desc()).limit(1)


def ordered(table: Table, campaign: int, after: int = -1) -> Select[Any]:
    """The campaign's rows of rounds, exams, findings, changes or notices, oldest first.

    Args:
        table: One of these.
        campaign: Its number.
        after: Round, or number of the row, after which they are wanted.
    """
    order = table.c.number if table is rounds else table.c.round if table is exams else table.c.id
    return select(table).where(table.c.campaign == campaign, order > after).order_by(order)


def has(connection: Connection, table: Table, campaign: int, round_: int) -> bool:
    """Whether the table of rounds or exams has that round of the campaign."""
    number_ = table.c.number if table is rounds else table.c.round
    return (
        connection.execute(select(number_).where(table.c.campaign == campaign, number_ == round_)).first() is not None
    )


def adopt(connection: Connection, campaign: int, trail: Sequence[Mapping[str, Any]]) -> None:
    """Insert what was measured elsewhere: rounds, measurements and attempts, given as rows of the trail."""
    place = operator.itemgetter("round", "index", "replicate")
    planned: dict[tuple[int, int, int], Mapping[str, Any]] = {}
    for row in trail:
        planned.setdefault(place(row), row)
    numbers = sorted({row["round"] for row in trail})
    connection.execute(insert(rounds), [of_round(campaign, Round(each, RoundKind.IMPORTED)) for each in numbers])
    whose = {"campaign": campaign}
    connection.execute(
        insert(requests), [whose | {"idx": row["index"], **_only(row, REQUESTED)} for row in planned.values()]
    )
    columns = requests.c["round", "idx", "replicate", "id"]
    inserted = connection.execute(select(*columns).where(requests.c.campaign == campaign))
    keys_ = {(round_, index, replicate): key for round_, index, replicate, key in inserted}
    connection.execute(
        insert(attempts), [whose | {"request": keys_[place(row)], "token": 0, **_only(row, ATTEMPTED)} for row in trail]
    )


def _only(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def number(result: CursorResult[Any]) -> int:
    """The primary key of the row that was inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])
