"""What the plan would have done against what was recorded: where the two differ, and by how much.

Numbers are compared as numbers, names as names; the wording of sentences is not compared, since it may change between
versions of this program.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from sdl.formatting import make_jsonable
from sdl.history import Request, RoundKind
from sdl.interchange.evidence import Evidence, ExamLine, RoundLine, VerdictLine
from strategies.plan.steps import Conclude, Examine, Measure, Step, Stop, Together

NAMES = ("model", "purpose", "kind", "target", "verdict")
"""Names of facts whose text must be the same."""

Deviation: TypeAlias = tuple[str, float]
"""Where two values differ and by how much: settings in ranges of their knob, other numbers relative, or absolute below
1, and infinitely what cannot be compared."""


def proposal(step: Step, line: RoundLine, planned: Sequence[Request], evidence: Evidence) -> list[Deviation]:
    """A round as it was begun, with what was planned before its candidate was frozen, if it has one."""
    if not isinstance(step, Measure | Examine) or step.round.number != line.number:
        return other(step, Measure, f"began round {line.number}")
    first = step.requests if isinstance(step, Measure) else []
    found = [*_differ(step.round.kind, line.kind, "kind"), *_differ(step.round.target, line.target, "target")]
    found += _deviations(step.round.facts.to_json(), line.facts, "facts")
    # A reference may be added to readings on the way, but none comes between an exam's beginning and its candidate.
    exam = step.round.kind is RoundKind.EXAM
    extra = [each for each in planned[len(first) :] if exam or each.purpose.teaches]
    if extra or len(planned) < len(first):
        found.append((f"{len(planned)} requests were planned where the plan has {len(first)}", np.inf))
    for mine, theirs in zip(first, planned, strict=False):
        found += _request(mine, theirs, evidence)
    return found


def plate(step: Step, lines: Sequence[RoundLine], evidence: Evidence) -> list[Deviation]:
    """Rounds that were begun together, candidates and all, since they are measured on one plate."""
    if not isinstance(step, Together):
        return other(step, Together, "filled a plate")
    if len(step.parts) != len(lines):
        return [(f"{len(lines)} rounds are on one plate where the plan has {len(step.parts)}", np.inf)]
    found = list[Deviation]()
    for part, line in zip(step.parts, lines, strict=True):
        planned = [each.value for each in evidence.planned if each.round == line.number]
        found += proposal(part, line, planned if isinstance(part, Measure) else [], evidence)
        frozen = [each for each in evidence.exams if each.round == line.number]
        if len(frozen) != isinstance(part, Examine):
            found.append((f"round {line.number} has {len(frozen)} candidates", np.inf))
        for each in frozen:
            found += exam(part, each, planned, evidence)
    return found


def batch(step: Step, sent: Request, evidence: Evidence) -> list[Deviation]:
    """An attempt that was made against the first measurement of the batch that the plan asks for."""
    if not isinstance(step, Measure):
        return other(step, Measure, f"sent {_place(sent)}")
    if step.requests[0].key != sent.key:
        return [(f"{_place(sent)} was sent, the plan would send {_place(step.requests[0])} here", np.inf)]
    return _request(step.requests[0], sent, evidence)


def exam(step: Step, line: ExamLine, replicates: Sequence[Request], evidence: Evidence) -> list[Deviation]:
    """A candidate as it was frozen."""
    if not isinstance(step, Examine) or step.round.number != line.round:
        return other(step, Examine, f"froze a candidate for {line.target}")
    mine, theirs = step.exam, line.value
    found = [*_differ(mine.target, theirs.target, "target"), *_differ(mine.model, theirs.model, "model")]
    found += _differ(mine.replicates, theirs.replicates, "replicates")
    found += _settings(mine.settings, theirs.settings, "candidate", evidence)
    for name in ("background", "uncertainty", "looks"):
        found += _deviations(make_jsonable(getattr(mine, name)), make_jsonable(getattr(theirs, name)), name)
    if len(replicates) != len(step.requests):
        found.append((f"{len(replicates)} replicates were planned where the plan has {len(step.requests)}", np.inf))
    for replicate, planned in zip(step.requests, replicates, strict=False):
        found += _request(replicate, planned, evidence)
    return found


def verdict(step: Step, line: VerdictLine, evidence: Evidence) -> list[Deviation]:
    """A verdict."""
    if not isinstance(step, Conclude) or step.finding.round != line.round:
        return other(step, Conclude, f"judged {line.target}")
    mine, theirs = step.finding, line.value
    found = [*_differ(mine.target, theirs.target, "target"), *_differ(mine.verdict, theirs.verdict, "verdict")]
    found += _deviations(mine.facts.to_json(), line.facts, "facts")
    if mine.settings is None or theirs.settings is None:
        return found + _differ(mine.settings is None, theirs.settings is None, "whether there are settings")
    return found + _settings(mine.settings, theirs.settings, "settings", evidence)


def _request(mine: Request, theirs: Request, evidence: Evidence) -> list[Deviation]:
    found = [*_differ(mine.key, theirs.key, "place"), *_differ(mine.purpose, theirs.purpose, "purpose")]
    return found + _settings(mine.settings, theirs.settings, _place(theirs), evidence)


def _settings(mine: Any, theirs: Any, where: str, evidence: Evidence) -> list[Deviation]:
    space = evidence.space
    apart = np.abs(mine - theirs) / (space.high - space.low)
    return [(f"{where}, {name}", float(off)) for name, off in zip(space.knob_names, apart, strict=True)]


def _place(request: Request) -> str:
    return f"request {request.index}, replicate {request.replicate}"


def other(step: Step, kind: type, did: str) -> list[Deviation]:
    """That the plan would have done something else, if that is so."""
    doing = {Measure: "measure", Examine: "examine a candidate", Conclude: "conclude", Stop: "stop"}
    doing[Together] = "fill a plate"
    return [] if isinstance(step, kind) else [(f"the campaign {did}, the plan would {doing[type(step)]} here", np.inf)]


def _differ(mine: Any, theirs: Any, where: str) -> list[Deviation]:
    return [] if mine == theirs else [(f"{where} is {mine} for {theirs}", np.inf)]


def _deviations(mine: Any, theirs: Any, where: str) -> list[Deviation]:
    """Where two values of JSON differ; of text only those of ``NAMES`` are compared."""
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        odd = [(f"{where}.{key} is not in both", np.inf) for key in sorted(mine.keys() ^ theirs.keys())]
        both = (_deviations(mine[key], theirs[key], f"{where}.{key}") for key in mine.keys() & theirs.keys())
        return odd + [each for found in both for each in found]
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        found = (
            _deviations(left, right, f"{where}.{i}") for i, (left, right) in enumerate(zip(mine, theirs, strict=True))
        )
        return [each for some in found for each in some]
    if _is_number(mine) and _is_number(theirs):
        return [(where, abs(mine - theirs) / max(1.0, abs(theirs)))]
    worded = isinstance(mine, str) and isinstance(theirs, str) and where.rpartition(".")[2] not in NAMES
    return [] if worded else _differ(mine, theirs, where)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
