"""Rows of the ledger's tables to plain values, and plain values to rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Row

from sdl.formatting import array_from_json, json_list, make_jsonable
from sdl.history import (
    Approval,
    Control,
    Entry,
    Exam,
    Finding,
    FindingFacts,
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
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import Screened
from sdl.space import Space
from sdl.system.clock import now


def entry_from_row(row: Row[Any]) -> Entry:
    """Read a campaign from a row of ``statements.SELECT_ENTRY``."""
    values = dict(row._mapping)
    values |= {"space": Space.model_validate(row.space), "state": State(row.state), "control": Control(row.control)}
    return Entry(**values)


def row_of_campaign(
    name: str,
    title: str,
    instrument: str,
    space: Space,
    config: Mapping[str, Any],
    versions: Mapping[str, str],
    *,
    state: State,
    reason: str = "",
) -> dict[str, Any]:
    """Return the row of a new campaign, stamped with the present time; without a title its name is that."""
    stamp = now()
    return {
        "name": name,
        "title": title or name,
        "instrument": instrument,
        "space": space.model_dump(mode="json"),
        "config": dict(config),
        "versions": dict(versions),
        "state": state,
        "reason": reason,
        "created": stamp,
        "updated": stamp,
    }


def approval_from_row(row: Row[Any]) -> Approval:
    """Read an approval from its row."""
    return Approval(row.round, row.why, row.granted, row.by, row.known or "")


def row_of_round(campaign: int, round_: Round) -> dict[str, Any]:
    """Return the row of a round, stamped with the present time."""
    row = {"number": round_.number, "kind": round_.kind, "target": round_.target, "at": now()}
    return {"campaign": campaign, "facts": round_.facts.to_json(), **row}


def round_from_row(row: Row[Any]) -> Round:
    """Read a round from its row."""
    return Round(row.number, RoundKind(row.kind), row.target, RoundFacts.from_json(row.facts))


def row_of_request(campaign: int, request: Request) -> dict[str, Any]:
    """Return the row of a planned measurement."""
    round_, index, replicate = request.key
    place = {"campaign": campaign, "round": round_, "idx": index, "replicate": replicate}
    return {**place, "purpose": request.purpose, "settings": request.settings.tolist()}


def request_from_row(row: Row[Any]) -> Request:
    """Read a planned measurement from its row."""
    return Request(row.round, row.idx, row.replicate, Purpose(row.purpose), np.array(row.settings, float))


def row_of_exam(campaign: int, exam: Exam) -> dict[str, Any]:
    """Return the row of an exam, stamped with the present time."""
    return {
        "campaign": campaign,
        "round": exam.round,
        "target": exam.target,
        "settings": exam.settings.tolist(),
        "model": exam.model,
        "replicates": exam.replicates,
        "background": json_list(exam.background),
        "uncertainty": json_list(exam.uncertainty),
        "looks": [[*look] for look in exam.looks],
        "at": now(),
    }


def exam_from_row(row: Row[Any]) -> Exam:
    """Read an exam from its row."""
    return Exam(
        round=row.round,
        target=row.target,
        settings=np.array(row.settings, float),
        model=row.model,
        replicates=row.replicates,
        background=array_from_json(row.background),
        uncertainty=array_from_json(row.uncertainty),
        looks=looks_from_json(row.looks),
    )


def row_of_finding(campaign: int, finding: Finding) -> dict[str, Any]:
    """Return the row of a finding, stamped with the present time."""
    row = {"campaign": campaign, "round": finding.round, "target": finding.target, "verdict": finding.verdict}
    row |= {"settings": None if finding.settings is None else finding.settings.tolist(), "at": now()}
    return {**row, "sentence": finding.sentence, "facts": finding.facts.to_json()}


def finding_from_row(row: Row[Any]) -> Finding:
    """Read a finding from its row."""
    settings = None if row.settings is None else np.array(row.settings, float)
    facts = FindingFacts.from_json(row.facts)
    return Finding(row.round, row.target, Verdict(row.verdict), row.sentence, settings, facts)


def answer_columns(reply: Reply, screened: Screened) -> dict[str, Any]:
    """Return what is written of an attempt that brought a reply, whatever it is worth."""
    answer: dict[str, Any] = {"state": "DONE", "verdict": screened.verdict, "reason": screened.reason, "raw": reply.raw}
    answer |= {"applied": make_jsonable(reply.applied), "out": make_jsonable(reply.readings), "seconds": reply.seconds}
    return answer | {
        "conditions": reply.known_conditions or None,
        "readings": json_list(screened.readings),
        "censored": screened.censored.tolist(),
        "done_at": now(),
    }


def failure_columns(verdict: ReplyClass, reason: str, raw: str = "") -> dict[str, Any]:
    """Return what is written of an attempt that brought no reply."""
    state = "UNKNOWN" if verdict is ReplyClass.UNKNOWN else "FAILED"
    return {"state": state, "verdict": verdict, "reason": reason, "raw": raw, "done_at": now()}
