"""All that the ledger holds of one campaign as text that anybody can read: JSON, one object a line.

``evidence_files`` writes it, ``parse_evidence`` reads it back and believes nothing: every line is checked for its types
and for what it refers to, so that whoever recomputes a campaign from it need not ask again.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sdl.errors import InvalidInput
from sdl.formatting import array_from_json, format_value
from sdl.history import (
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
from sdl.instruments.protocol import Reply
from sdl.ledger.ledger import Ledger
from sdl.space import Space

CAMPAIGN = "campaign.json"
LONGEST_LINE = 4_000_000
"""Bytes: of a raw reply, which is cut at a million, escaped and with what was made of it."""
FAULTS = 10
"""Faults that are named before the rest is left out."""

Count = Annotated[int, Field(ge=0, lt=2**31)]
Settings = Annotated[list[float], Field(min_length=1)]
Column = list[float | None]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Change(_Line):
    """A configuration that was replaced."""

    sent: Count
    """Requests sent before that."""
    before: dict[str, Any]


class CampaignFile(_Line):
    """The campaign: what was asked for, on what, and where it stands."""

    name: str
    title: str
    instrument: str
    seed: int | None
    state: Annotated[State, Field(strict=False)]
    reason: str
    created: float
    updated: float
    versions: dict[str, str]
    """Of the programs that began it."""
    space: dict[str, Any]
    config: dict[str, Any]
    changes: list[Change]
    """Configurations before the present one, the oldest first."""


class RoundLine(_Line):
    """A round, with what was known when it was proposed."""

    number: Count
    kind: Annotated[RoundKind, Field(strict=False)]
    target: str | None
    facts: dict[str, Any]
    at: float

    @property
    def value(self) -> Round:
        """The round that it tells of."""
        return Round(self.number, self.kind, self.target, RoundFacts.from_json(self.facts))


class PlannedLine(_Line):
    """A measurement that was planned, whether it was taken or not."""

    round: Count
    index: Count
    replicate: Count
    purpose: Annotated[Purpose, Field(strict=False)]
    settings: Settings

    @property
    def value(self) -> Request:
        """The request that it tells of."""
        return Request(self.round, self.index, self.replicate, self.purpose, np.array(self.settings))


class ReplyLine(_Line):
    """One attempt: the raw reply, and what was made of it."""

    seq: Annotated[int, Field(ge=0, lt=2**63)]
    round: Count
    index: Count
    replicate: Count
    attempt: Count
    state: Literal["SENT", "DONE", "FAILED", "UNKNOWN"]
    raw: str
    applied: dict[str, Any] | None
    out: dict[str, Any] | None
    verdict: Annotated[ReplyClass, Field(strict=False)] | None
    reason: str
    readings: Column | None
    censored: list[bool] | None
    sent_at: float | None
    done_at: float | None
    seconds: float | None
    conditions: dict[str, float] | None = None
    sample: str | None = None
    """Plate and well, where there are such."""

    @property
    def key(self) -> tuple[int, int, int]:
        """Which planned measurement it is an attempt at."""
        return (self.round, self.index, self.replicate)

    @property
    def plate(self) -> int:
        """Number of its plate; 0 where readings are taken one by one."""
        number = (self.sample or "").partition("/")[0]
        return int(number) if number.isdecimal() else 0

    @property
    def counts(self) -> bool:
        """Whether its readings were believed."""
        return self.verdict is not None and self.verdict.usable

    @property
    def reply(self) -> Reply | None:
        """What the instrument said; None where no answer came."""
        answered = self.state == "DONE" and self.applied is not None and self.out is not None
        said = self.applied or {}, self.out or {}, self.raw, self.seconds or 0.0, self.conditions or {}
        return Reply(*said) if answered else None


class ExamLine(_Line):
    """A candidate, frozen before its first replicate."""

    round: Count
    target: str
    settings: Settings
    model: str
    replicates: Count
    background: Column
    uncertainty: Column
    looks: list[Annotated[list[float], Field(min_length=3, max_length=3)]] | None = None
    at: float

    @property
    def value(self) -> Exam:
        """The exam that it tells of."""
        background, uncertainty, looks = (
            array_from_json(self.background),
            array_from_json(self.uncertainty),
            looks_from_json(self.looks),
        )
        settings = np.array(self.settings)
        return Exam(self.round, self.target, settings, self.model, self.replicates, background, uncertainty, looks)


class VerdictLine(_Line):
    """A verdict with its numbers."""

    round: Count
    target: str
    verdict: Annotated[Verdict, Field(strict=False)]
    sentence: str
    settings: Settings | None
    facts: dict[str, Any]
    at: float

    @property
    def value(self) -> Finding:
        """The finding that it tells of."""
        settings = None if self.settings is None else np.array(self.settings)
        return Finding(
            self.round, self.target, self.verdict, self.sentence, settings, FindingFacts.from_json(self.facts)
        )


class NoticeLine(_Line):
    """What a person asked for, or what befell the campaign besides its measurements."""

    kind: Annotated[NoticeKind, Field(strict=False)]
    sent: Count
    """Requests sent before it."""
    text: str
    by: str
    known: str | None = None
    """How it was known who asked; what was written before that was kept does not say."""
    at: float


LINES: dict[str, type[_Line]] = {
    "rounds.jsonl": RoundLine,
    "planned.jsonl": PlannedLine,
    "replies.jsonl": ReplyLine,
    "exams.jsonl": ExamLine,
    "verdicts.jsonl": VerdictLine,
    "steering.jsonl": NoticeLine,
}
"""Files of one object a line, and what a line is."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """A campaign as it was recorded."""

    campaign: CampaignFile
    rounds: Sequence[RoundLine]
    planned: Sequence[PlannedLine]
    replies: Sequence[ReplyLine]
    exams: Sequence[ExamLine]
    verdicts: Sequence[VerdictLine]
    steering: Sequence[NoticeLine]

    @cached_property
    def space(self) -> Space:
        """Knobs and channels of the instrument."""
        return Space.model_validate(self.campaign.space)


def evidence_files(ledger: Ledger, name: str) -> dict[str, bytes]:
    """Return the evidence of a campaign as files.

    Raises:
        InvalidInput: if there is no campaign of that name.
    """
    entry = ledger.entry(name)
    account = ledger.account(entry.id)
    document = {key: getattr(entry, key) for key in CampaignFile.model_fields if hasattr(entry, key)}
    document |= {"space": entry.space.model_dump(mode="json"), "seed": entry.config.get("seed"), "config": entry.config}
    document["changes"] = [{"sent": row["sent"], "before": row["before"]} for row in account["changes"]]
    planned = [{**row, "index": row["idx"]} for row in account["planned"]]
    return {
        CAMPAIGN: (json.dumps(document, indent=1) + "\n").encode("ascii"),
        "rounds.jsonl": _text(RoundLine, account["rounds"]),
        "planned.jsonl": _text(PlannedLine, planned),
        "replies.jsonl": _text(ReplyLine, ledger.trail(entry.id)),
        "exams.jsonl": _text(ExamLine, account["exams"]),
        "verdicts.jsonl": _text(VerdictLine, account["findings"]),
        "steering.jsonl": _text(NoticeLine, account["notices"]),
    }


def _text(model: type[_Line], rows: Iterable[Mapping[str, Any]]) -> bytes:
    keys = list(model.model_fields)
    return "".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in rows).encode("ascii")


# ---------------------------------------------------------------------- reading it back

Line = TypeVar("Line", bound=_Line)


def parse_evidence(files: Mapping[str, bytes]) -> Evidence:
    """Read what ``evidence_files`` wrote.

    Args:
        files: Every file of ``LINES`` and ``CAMPAIGN``, by name.

    Raises:
        InvalidInput: with the file, the line and the fault of the first faults.
    """
    faults = list[str]()
    head = _read(CampaignFile, CAMPAIGN, [files[CAMPAIGN]], faults)
    lines = {name: _read(model, name, io.BytesIO(files[name]), faults) for name, model in LINES.items()}
    if faults:
        raise InvalidInput(faults[:FAULTS])
    evidence = Evidence(head[0], *lines.values())  # type: ignore[arg-type]
    try:
        faults += _loose_ends(evidence)
    except ValidationError as error:
        faults.append(f"{CAMPAIGN}: space.{_sentence(error)}")
    if faults:
        raise InvalidInput(faults[:FAULTS])
    return evidence


def _read(model: type[Line], name: str, texts: Iterable[bytes], faults: list[str]) -> list[Line]:
    values = list[Line]()
    for number, text in enumerate(texts, start=1):
        try:
            if name != CAMPAIGN and len(text) > LONGEST_LINE:
                raise ValueError(f"a line of {len(text)} bytes; none of ours has more than {LONGEST_LINE}")
            values.append(model.model_validate(json.loads(text, parse_constant=_refuse)))
        except ValidationError as error:
            faults.append(f"{name}, line {number}: {_sentence(error)}")
        except RecursionError:
            faults.append(f"{name}, line {number}: it is nested too deep")
        except ValueError as error:
            faults.append(f"{name}, line {number}: it is no JSON: {error}")
        if len(faults) >= FAULTS:
            break
    return values


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _sentence(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}, got {format_value(fault['input'])}"


def _loose_ends(evidence: Evidence) -> Iterable[str]:
    """What one file says of another that is not so."""
    d, p = evidence.space.d, evidence.space.p
    rounds, keys = [round_.number for round_ in evidence.rounds], {round_.value.key for round_ in evidence.planned}
    if rounds != sorted(set(rounds)):
        yield "rounds.jsonl: its rounds are not in order"
    if len(keys) < len(evidence.planned):
        yield "planned.jsonl: a measurement is there twice"
    for number, planned in enumerate(evidence.planned, start=1):
        if planned.round not in rounds or len(planned.settings) != d:
            yield f"planned.jsonl, line {number}: needs a round of rounds.jsonl and {d} settings"
    last = -1
    for number, reply in enumerate(evidence.replies, start=1):
        wide = {len(column or ()) for column in (reply.readings, reply.censored) if column is not None or reply.counts}
        if reply.key not in keys or wide - {p} or reply.seq <= last:
            yield f"replies.jsonl, line {number}: needs a measurement of planned.jsonl, {p} readings and a later place"
        last = reply.seq
    for number, exam in enumerate(evidence.exams, start=1):
        if exam.round not in rounds or len(exam.settings) != d or {len(exam.background), len(exam.uncertainty)} != {p}:
            yield f"exams.jsonl, line {number}: needs a round of rounds.jsonl, {d} settings and {p} readings"
    for number, verdict in enumerate(evidence.verdicts, start=1):
        if verdict.settings is not None and len(verdict.settings) != d:
            yield f"verdicts.jsonl, line {number}: needs {d} settings"
