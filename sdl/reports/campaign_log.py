"""What was asked and decided in a campaign, request by request and round by round, as its report shows it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from sdl.formatting import (
    float_or_nan,
    format_local_time,
    format_number,
    format_quantities,
    format_setting,
    format_time,
)
from sdl.history import LessonFacts, Purpose, ReplyClass, Round
from sdl.reports.campaign_summary import CampaignSummary
from sdl.reports.free_channels import free_channels

SHOWN = 500
"""Requests that are all shown; of more, the first and last ``ENDS`` and those that did not count."""
ENDS = 100
MOST_ODD = 1000


@dataclass(frozen=True)
class RequestRow:
    """One request and its reply."""

    place: int
    """In the order of sending, from 1."""
    time: str
    """In UTC."""
    local: str
    """By the clock on the wall, where that shows another time."""
    round: int
    purpose: str
    """And of which source, or in which well."""
    values: list[str]
    """Settings, conditions and readings."""
    verdict: str
    tone: str
    reason: str
    """Why it does not count, and what persons noted."""


@dataclass(frozen=True)
class RequestTable:
    """What of the requests is shown, and a sentence if that is not all."""

    rows: Sequence[RequestRow]
    note: str


def request_rows(summary: CampaignSummary, notes: Mapping[int, str] = MappingProxyType({})) -> RequestTable:
    """Return the table of requests, with what persons noted by the numbers of attempts."""
    useful = summary.sendings.counts
    n = len(useful)
    if n <= SHOWN:
        return RequestTable(_rows(summary, range(n), notes), "")
    useless = [place for place in np.flatnonzero(~useful).tolist() if ENDS <= place < n - ENDS]
    note = f"Of {n} requests these are the first and last {ENDS}, and "
    note += f"the first {MOST_ODD} of {len(useless)}" if len(useless) > MOST_ODD else f"all {len(useless)}"
    note += " others that brought no usable reading. An export has them all."
    return RequestTable(_rows(summary, [*range(ENDS), *useless[:MOST_ODD], *range(n - ENDS, n)], notes), note)


def _rows(summary: CampaignSummary, places: Sequence[int], notes: Mapping[int, str]) -> list[RequestRow]:
    """Requests by their place in the order of sending, from 0."""
    rows = summary.trail(summary.sendings.rows[list(places)].tolist())
    sources = {round_.number: round_.facts.source for round_ in summary.history.rounds}
    return [
        _asked(summary, place + 1, row, sources.get(row["round"]) or "", notes.get(row["seq"], ""))
        for place, row in zip(places, rows, strict=True)
    ]


def is_usable(row: Mapping[str, Any]) -> bool:
    """Return whether an attempt of the trail brought a usable reading."""
    return row["verdict"] is not None and ReplyClass(row["verdict"]).usable


def _asked(summary: CampaignSummary, place: int, row: Mapping[str, Any], source: str, note: str) -> RequestRow:
    space, known = summary.entry.space, row["conditions"] or {}
    settings = [format_setting(value) for value in space.shown_settings(row["settings"]).values()]
    conditions = [format_number(known[name]) if name in known else "" for name in space.condition_names]
    readings = [_reading(row, name, column) for name, column in zip(summary.channels, summary.columns, strict=True)]
    where = source if row["purpose"] == Purpose.SOURCE else row["sample"]
    return RequestRow(
        place=place,
        time=format_time(row["sent_at"]),
        local=format_local_time(row["sent_at"]),
        round=row["round"],
        purpose=f"{row['purpose']}, {where}" if where else row["purpose"],
        values=[*settings, *conditions, *readings],
        verdict=row["verdict"] or row["state"],
        tone="" if is_usable(row) else "bad",
        reason=row["reason"] if note in row["reason"] else "; ".join(filter(None, [row["reason"], f"noted: {note}"])),
    )


def _reading(row: Mapping[str, Any], name: str, column: int) -> str:
    computed = row["readings"][column] if row["readings"] else None
    value = (row["out"] or {}).get(name, computed)
    if value is None:
        return ""
    text = format_number(value) if isinstance(value, int | float) else repr(value)[:20]
    return f"≥ {text}" if row["censored"] and row["censored"][column] else text


# ---------------------------------------------------------------------- decisions


@dataclass(frozen=True)
class Chapter:
    """One round, or what was concluded after the last one."""

    title: str
    paragraphs: Sequence[str]


def round_chapters(summary: CampaignSummary) -> Iterator[Chapter]:
    """Tell what was decided, round by round."""
    history, campaign = summary.history, summary.campaign
    planned = campaign is not None and campaign.verification.replicates == "planned"
    readings = defaultdict[int, Counter[str]](Counter)
    for observation in (*history.observations, *history.of_sources):
        readings[observation.round][observation.purpose.value] += 1
    rounds = {round_.number: round_ for round_ in history.rounds}
    judged = {finding.round for finding in history.findings}
    numbers = sorted(rounds.keys() | judged)
    ends = set(numbers if len(numbers) <= SHOWN else numbers[:ENDS] + numbers[-ENDS:])
    chosen = [at for at in numbers if at in ends or at in judged][:MOST_ODD]
    if len(chosen) < len(numbers):
        sentence = f"Of {len(numbers)} rounds these are the first and last {ENDS} and those with a verdict, "
        sentence += f"{len(chosen)} in all."
        yield Chapter("Not all rounds are told", [sentence])
    for at in chosen:
        paragraphs = [" ".join(_reasons(rounds[at], summary.units))] if at in rounds else []
        if counts := readings.get(at):
            paragraphs.append("Read: " + ", ".join(f"{n} {purpose}" for purpose, n in counts.items()) + ".")
        paragraphs += [
            f"Candidate of the model {exam.model!r} for {'at most ' if planned else ''}{exam.replicates} "
            f"replicates: {summary.settings(exam.settings)}."
            for exam in history.exams
            if exam.round == at
        ]
        for finding in (finding for finding in history.findings if finding.round == at):
            paragraphs.append(f"{finding.target}: {finding.verdict.value} – {finding.sentence}.")
            if free := "; ".join(map(str, free_channels(finding, summary.units))):
                paragraphs.append(f"{free}.")
        yield Chapter(
            f"Round {at}: {_title(rounds[at])}" if at in rounds else f"After round {at - 1}",
            list(filter(None, paragraphs)),
        )


def _title(round_: Round) -> str:
    return f"{round_.kind.value} of {round_.target}" if round_.target else round_.kind.value


def _reasons(round_: Round, units: Mapping[str, str]) -> Iterator[str]:
    """The facts of a round in sentences."""
    facts = round_.facts
    if why := facts.why:
        yield f"{why}."
    if (history := facts.history) is not None:
        yield from _of_history(history)
    if model := facts.model:
        yield f"Model {model!r} fitted on {'an unknown number of' if facts.rows is None else facts.rows} rows."
    if chosen := facts.chosen:
        yield f"Why this model: {chosen}."
    if facts.law is not None:
        yield from (f"Law, {about}: {words}." for about, words in facts.law.words.items())
    if scores := facts.scores:
        words = [
            f"{name} {format_number(score.get('readings'))} and {format_number(score.get('settings'))}"
            for name, score in scores.items()
        ]
        yield f"Mean energy scores of readings, in spans, and of settings, less is better: {'; '.join(words)}."
    if facts.acquisition:
        yield f"What is read was chosen by the acquisition {facts.acquisition!r}."
    if facts.chance is not None:
        yield f"Chance that its candidate passes: {100 * facts.chance:.0f} %."
    if uncertainty := facts.uncertainty:
        yield f"Standard deviation of what it expects: {format_quantities(uncertainty, units)}."
    if facts.refused is not None and facts.refused > 0:
        yield f"{100 * facts.refused:.0f} % of its draws lay outside the box."
    if len(candidates := facts.candidates or ()) > 1:
        shares = [
            f"{format_quantities(candidate.settings or {})} ({100 * float_or_nan(candidate.share):.0f} %)"
            for candidate in candidates
        ]
        yield f"Distinct candidates, with their share of its draws: {'; '.join(shares)}."
    for name, rival in (facts.rivals or {}).items():
        foretold = f"foretold {rival.foretold or 0} readings, {rival.outside or 0} of them outside of its 99 % region"
        yield f"Rival {name!r} {foretold}, and {f'fell: {rival.fell}' if rival.fell else 'stands'}."
    for name, source in (facts.sources or {}).items():
        yield f"Source {name!r}, by {source.asked or 0} of its readings: {source}."
    for name, reason in (facts.skipped or {}).items():
        yield f"Model {name!r} was skipped: {reason}."


def _of_history(lesson: LessonFacts) -> Iterator[str]:
    """Say what was made of earlier campaigns."""
    nearest, chance = lesson.campaign, 100 * float_or_nan(lesson.probability)
    if nearest is None:
        yield f"No earlier campaign is like what is read here ({chance:.3g} % certain): nothing is learned from them."
    else:
        kind = "the same instrument" if lesson.kind == "the same" else "another instrument of the kind"
        yield f"Nearest earlier campaign: {nearest!r} on {lesson.instrument}, as of {kind} ({chance:.3g} % certain)."
    distances = {name: share for name, share in (lesson.distances or {}).items() if not np.isnan(share)}
    if distances:
        nearest_first = sorted(distances.items(), key=lambda item: item[1])
        words = [f"{name!r} {100 * share:.2g} %" for name, share in nearest_first]
        yield f"What is read here is off what they say by: {', '.join(words)}."
