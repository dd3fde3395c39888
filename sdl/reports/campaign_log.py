"""What was asked and decided in a campaign, request by request and round by round, as its report shows it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl.formatting import listed, measured, moment, number
from sdl.history import LessonFacts, ReplyClass, Round
from sdl.reports.campaign_summary import CampaignSummary

SHOWN = 500
"""Requests that are all shown; of more, the first and last ``ENDS`` and those that did not count."""
ENDS = 100
MOST_ODD = 1000


@dataclass(frozen=True)
class RequestRows:
    """One request and its reply."""

    place: int
    """In the order of sending, from 1."""
    time: str
    round: int
    purpose: str
    settings: list[str]
    verdict: str
    tone: str
    reason: str
    readings: list[str]


@dataclass(frozen=True)
class Requests:
    """What of the requests is shown, and a sentence if that is not all."""

    rows: Sequence[RequestRows]
    note: str


def request_rows(story: CampaignSummary) -> Requests:
    """The table of requests."""
    useful = story.sendings.counts
    n = len(useful)
    if n <= SHOWN:
        return Requests(_rows(story, range(n)), "")
    odd = [place for place in np.flatnonzero(~useful).tolist() if ENDS <= place < n - ENDS]
    note = f"Of {n} requests these are the first and last {ENDS}, and "
    note += f"the first {MOST_ODD} of {len(odd)}" if len(odd) > MOST_ODD else f"all {len(odd)}"
    note += " others that brought no usable reading. An export has them all."
    return Requests(_rows(story, [*range(ENDS), *odd[:MOST_ODD], *range(n - ENDS, n)]), note)


def _rows(story: CampaignSummary, places: Sequence[int]) -> list[RequestRows]:
    """Requests by their place in the order of sending, from 0."""
    found = story.trail(story.sendings.rows[list(places)].tolist())
    return [_asked(story, place + 1, row) for place, row in zip(places, found, strict=True)]


def counts(row: Mapping[str, Any]) -> bool:
    """Whether an attempt of the trail brought a usable reading."""
    return row["verdict"] is not None and ReplyClass(row["verdict"]).usable


def _asked(story: CampaignSummary, place: int, row: Mapping[str, Any]) -> RequestRows:
    return RequestRows(
        place=place,
        time=moment(row["sent_at"]),
        round=row["round"],
        purpose=row["purpose"],
        settings=[number(value) for value in row["settings"]],
        verdict=row["verdict"] or row["state"],
        tone="" if counts(row) else "bad",
        reason=row["reason"],
        readings=[_reading(row, name, column) for name, column in zip(story.channels, story.columns, strict=True)],
    )


def _reading(row: Mapping[str, Any], name: str, column: int) -> str:
    value = (row["out"] or {}).get(name)
    if value is None:
        return ""
    shown = number(value) if isinstance(value, int | float) else repr(value)[:20]
    return f"≥ {shown}" if row["censored"] and row["censored"][column] else shown


# ---------------------------------------------------------------------- decisions


@dataclass(frozen=True)
class Chapter:
    """One round, or what was concluded after the last one."""

    title: str
    paragraphs: Sequence[str]


def chapters(story: CampaignSummary) -> Iterator[Chapter]:
    """What was decided, round by round."""
    history = story.history
    taken = defaultdict[int, Counter[str]](Counter)
    for each in history.observations:
        taken[each.round][each.purpose.value] += 1
    rounds = {round_.number: round_ for round_ in history.rounds}
    judged = {finding.round for finding in history.findings}
    every = sorted(rounds.keys() | judged)
    ends = set(every if len(every) <= SHOWN else every[:ENDS] + every[-ENDS:])
    shown = [at for at in every if at in ends or at in judged][:MOST_ODD]
    if len(shown) < len(every):
        told = (
            f"Of {len(every)} rounds these are the first and last {ENDS} and those with a verdict, {len(shown)} in all."
        )
        yield Chapter("Not all rounds are told", [told])
    for at in shown:
        paragraphs = [" ".join(_reasons(rounds[at], story.units))] if at in rounds else []
        if read := taken.get(at):
            paragraphs.append("Read: " + ", ".join(f"{n} {purpose}" for purpose, n in read.items()) + ".")
        paragraphs += [
            f"Candidate of the model {exam.model!r} for {'at most ' if len(exam.looks) > 1 else ''}{exam.replicates} "
            f"replicates: {story.settings(exam.settings)}."
            for exam in history.exams
            if exam.round == at
        ]
        paragraphs += [f"{f.target}: {f.verdict.value} – {f.sentence}." for f in history.findings if f.round == at]
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
    if scores := facts.scores:
        each = (f"{name} {number(of.get('readings'))} and {number(of.get('settings'))}" for name, of in scores.items())
        yield f"Mean energy scores of readings, in spans, and of settings, less is better: {'; '.join(each)}."
    if facts.chance is not None:
        yield f"Chance that its candidate passes: {100 * facts.chance:.0f} %."
    if uncertainty := facts.uncertainty:
        yield f"Standard deviation of what it expects: {listed(uncertainty, units)}."
    if facts.refused is not None and facts.refused > 0:
        yield f"{100 * facts.refused:.0f} % of its draws lay outside the box."
    if len(candidates := facts.candidates or ()) > 1:
        shares = (f"{listed(each.settings or {})} ({100 * measured(each.share):.0f} %)" for each in candidates)
        yield f"Distinct candidates, with their share of its draws: {'; '.join(shares)}."
    for name, reason in (facts.skipped or {}).items():
        yield f"Model {name!r} was skipped: {reason}."


def _of_history(lesson: LessonFacts) -> Iterator[str]:
    """What was made of earlier campaigns."""
    nearest, chance = lesson.campaign, 100 * measured(lesson.probability)
    if nearest is None:
        yield f"No earlier campaign is like what is read here ({chance:.3g} % certain): nothing is learned from them."
    else:
        of = "the same instrument" if lesson.kind == "the same" else "another instrument of the kind"
        yield f"Nearest earlier campaign: {nearest!r} on {lesson.instrument}, as of {of} ({chance:.3g} % certain)."
    far = {name: off for name, off in (lesson.distances or {}).items() if not np.isnan(off)}
    if far:
        each = (f"{name!r} {100 * off:.2g} %" for name, off in sorted(far.items(), key=lambda one: one[1]))
        yield f"What is read here is off what they say by: {', '.join(each)}."
