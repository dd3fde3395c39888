"""What is on record of each model that a campaign was offered answers by: its data, its domain, how it was right.

A card adds up what rounds and findings say of themselves, after "Model cards for model reporting" (Mitchell et al.,
2019, https://doi.org/10.1145/3287560.3287596); nothing is fitted for it, and what is not on record is None.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl.formatting import count_words, format_interval, format_number, format_percent, make_jsonable
from sdl.history import Entry, Finding, History, LawFacts, Round, RoundFacts, Verdict

Range = tuple[float | None, float | None]
"""Least and greatest value; None where there is none."""


@dataclass(frozen=True)
class RecordedData:
    """What a model was fitted on the last time."""

    rows: int | None
    """Readings of the campaign."""
    earlier: str | None
    """Name of the earlier campaign whose rows were taken besides."""
    settings: Mapping[str, Range]
    """Of the readings that taught, by knob."""
    readings: Mapping[str, Range]
    """Of the same, by channel, as they were read: the model sees them less their background."""


@dataclass(frozen=True)
class RecordedCalibration:
    """How a model's words compare with what was measured afterwards."""

    held_out: int | None
    """Distinct settings that it was asked about without having seen them."""
    missed: Mapping[str, float]
    """Root mean square of what it missed there, by channel."""
    energy_scores: Mapping[str, float]
    """Means over these rows: of ``readings``, in spans, and of ``settings``; the smaller the better."""
    exams: Mapping[str, int]
    """Verdicts on the candidates that it offered, by verdict."""
    stated_chance: float | None
    """Mean of the chances of passing that were stated for these candidates."""
    passed: float | None
    """Part of them that passed."""
    intervals: int
    """Intervals that were foretold for channels left free, and measured."""
    intervals_level: float | None
    """How often these were to hold."""
    intervals_held: float | None
    """How often they did."""

    def words(self) -> list[str]:
        """The same in phrases for people."""
        phrases = []
        if self.missed:
            misses = ", ".join(f"{name} {format_number(miss)}" for name, miss in self.missed.items())
            phrases += [f"misses settings that it has not seen, {self.held_out} of them, by {misses} (rms)"]
        if self.energy_scores:
            scores = ", ".join(f"{format_number(score)} of {what}" for what, score in self.energy_scores.items())
            phrases += [f"energy score {scores}"]
        if self.exams and self.passed is not None:
            verdicts = ", ".join(f"{number} {verdict}" for verdict, number in self.exams.items())
            stated = "" if self.stated_chance is None else f", of {format_percent(self.stated_chance)} as stated"
            phrases += [f"candidates {verdicts}: {format_percent(self.passed)} passed{stated}"]
        if self.intervals_level is not None and self.intervals_held is not None:
            level, held = format_percent(self.intervals_level), format_percent(self.intervals_held)
            phrases += [f"{count_words(self.intervals, 'interval')} at {level} for channels left free: {held} held"]
        return phrases


@dataclass(frozen=True)
class ModelCard:
    """A model that a campaign was offered answers by."""

    model: str
    """As the campaign file names it."""
    options: Mapping[str, Any]
    """As the campaign file states them."""
    rounds: tuple[int, ...]
    """In which it was asked; it is fitted anew before each."""
    chosen: str | None
    """Why it was taken the last time, in words that follow its name."""
    data: RecordedData
    domain: Mapping[str, Range]
    """Settings that may be answered, by knob; beyond those of the data an answer is a guess."""
    calibration: RecordedCalibration
    refused: float | None
    """Part of its draws that lay outside of the domain, the last time that this was counted."""
    law: LawFacts | None
    """Its parameters by the last round that it was asked in, where it is a law."""
    passed_over: Mapping[str, str]
    """Models that could not be fitted or failed the last time, and why."""
    seed: int | None
    """Of the campaign: the chance of a round is drawn from this and the number of the round."""
    versions: Mapping[str, str]
    """Of the programs that began the campaign."""

    def plain(self) -> dict[str, Any]:
        """The same in what JSON knows."""
        plain: dict[str, Any] = make_jsonable(asdict(replace(self, law=None)))
        return plain if self.law is None else plain | {"law": self.law.to_json()}

    def words(self) -> dict[str, str]:
        """The same in sentences for people, by what each is about."""
        data, calibration = self.data, self.calibration
        options = ", ".join(f"{name} = {value!r}" for name, value in self.options.items())
        times = f"fitted {count_words(len(self.rounds), 'time')}, for rounds {self.rounds[0]} to {self.rounds[-1]}"
        earlier = f" and those of campaign {data.earlier}" if data.earlier else ""
        rows = "no number of readings on record" if data.rows is None else count_words(data.rows, "reading")
        limits = [f"{name} could not be used: {why}" for name, why in self.passed_over.items()]
        if self.refused is not None:
            limits += [f"{format_percent(self.refused)} of its draws lay outside of the domain"]
        return {
            "model": "; ".join(filter(None, [options, times, self.chosen])),
            "data": f"{rows}{earlier}: {_ranges(data.settings)}; {_ranges(data.readings)}",
            "domain": _ranges(self.domain),
            "calibration": "; ".join(calibration.words()) or "nothing on record",
            **({} if self.law is None else self.law.words),
            "limits": "; ".join(limits) or "none on record",
            "seed and version": f"seed {self.seed}, sdl {self.versions.get('sdl', 'unknown')}",
        }


def model_cards(entry: Entry, history: History) -> list[ModelCard]:
    """Return a card for each model that was asked, in the order of their first rounds."""
    asked = dict.fromkeys(round_.facts.model for round_ in history.rounds if round_.facts.model)
    return [_card(entry, history, model) for model in asked]


def _card(entry: Entry, history: History, model: str) -> ModelCard:
    rounds = [round_ for round_ in history.rounds if round_.facts.model == model]
    last, facts = rounds[-1], rounds[-1].facts
    seed = entry.config.get("seed")
    refused = [round_.facts.refused for round_ in rounds if round_.facts.refused is not None]
    return ModelCard(
        model=model,
        options=_options(entry.config, model),
        rounds=tuple(round_.number for round_ in rounds),
        chosen=facts.chosen,
        data=_data(entry, history, last),
        domain={
            knob.name: (None, None) if knob.names else (float(knob.low), float(knob.high)) for knob in entry.space.knobs
        },
        calibration=_calibration(history, rounds, model),
        refused=refused[-1] if refused else None,
        law=facts.law,
        passed_over=dict(facts.skipped or {}),
        seed=seed if isinstance(seed, int) else None,
        versions=entry.versions,
    )


def _options(config: Mapping[str, Any], model: str) -> dict[str, Any]:
    stated = config.get("models")
    parts = [part for part in stated if isinstance(part, Mapping)] if isinstance(stated, Sequence) else []
    mine = next((part for part in parts if part.get("plugin") == model), {})
    return {key: value for key, value in mine.items() if key != "plugin"}


def _data(entry: Entry, history: History, last: Round) -> RecordedData:
    taught = [row for row in history.observations if row.round < last.number and row.purpose.teaches]
    settings = np.array([row.settings for row in taught]).reshape(len(taught), entry.space.d)
    readings = np.array([row.readings for row in taught]).reshape(len(taught), entry.space.p)
    judged = entry.space.columns([name for name in last.facts.uncertainty or () if name in entry.space.channel_names])
    lesson = last.facts.history
    return RecordedData(
        rows=last.facts.rows,
        earlier=lesson.campaign if lesson else None,
        settings=dict(zip(entry.space.knob_names, map(_range, settings.T), strict=True)),
        readings={entry.space.channel_names[column]: _range(readings[:, column]) for column in judged},
    )


def _range(values: NDArray[np.float64]) -> Range:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (None, None)


def _calibration(history: History, rounds: Sequence[Round], model: str) -> RecordedCalibration:
    asked = next((round_.facts for round_ in reversed(rounds) if round_.facts.asked), RoundFacts())
    missed = zip(asked.uncertainty or (), asked.missed or (), strict=False)
    judged = [finding for finding in _judged(history, model) if finding.settings is not None]
    numbers = {finding.round for finding in judged}
    chances = [round_.facts.chance for round_ in rounds if round_.number in numbers and round_.facts.chance is not None]
    free = [each for finding in judged for each in (finding.facts.free or {}).values() if each.held is not None]
    levels = [each.level for each in free if each.level is not None]
    return RecordedCalibration(
        held_out=asked.asked,
        missed={name: float(miss) for name, miss in missed if np.isfinite(miss)},
        energy_scores={
            what: score for what, score in (asked.scores or {}).get(model, {}).items() if np.isfinite(score)
        },
        exams=dict(Counter(finding.verdict.value for finding in judged)),
        stated_chance=_mean(chances),
        passed=_mean([finding.verdict is Verdict.VERIFIED for finding in judged]),
        intervals=len(free),
        intervals_level=_mean(levels),
        intervals_held=_mean([bool(each.held) for each in free]),
    )


def _judged(history: History, model: str) -> Iterator[Finding]:
    """Verdicts on candidates that a model offered."""
    offered = {(exam.round, exam.target) for exam in history.exams if exam.model == model}
    yield from (finding for finding in history.findings if (finding.round, finding.target) in offered)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _ranges(ranges: Mapping[str, Range]) -> str:
    shown = [
        f"{name} {format_interval(low, high)}"
        for name, (low, high) in ranges.items()
        if low is not None and high is not None
    ]
    return ", ".join(shown) or "no range on record"
