"""A campaign as one HTML page that holds all it shows: verdicts first, then what they stand on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from sdl import __version__
from sdl.analysis.background import Background
from sdl.analysis.model_card import model_cards
from sdl.formatting import float_or_nan, format_local_time, format_quantities, format_time
from sdl.history import Observation, Purpose
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.people.samples import Samples
from sdl.reports import figures
from sdl.reports.campaign_log import request_rows, round_chapters
from sdl.reports.campaign_summary import MOST_CHANNELS, CampaignSummary, ChannelResult, thin
from sdl.reports.figures import Bar, Light, MarkedFigure
from sdl.reports.html import render_page, write_page
from sdl.reports.survey_figures import SurveyFigures, SurveyRows
from sdl.space import Readings
from sdl.system import failpoints

DRAWN = 2000
"""Readings in a figure; more are one spot, and take minutes to draw."""
CERTAINTY = 2.0
"""Standard deviations that the band of the background is wide to either side."""
MOST_BARS = 60
"""In the figure of targets."""
MOST_QUANTITIES = 8
"""Knobs and channels in the pair plot; of more, channels are drawn against knobs alone."""


def write_campaign_page(ledger: Ledger, name: str, path: str | Path) -> Path:
    """Write the report of a campaign, in place of an earlier one, and return where it lies.

    Raises:
        InvalidInput: if there is no such campaign, or the file cannot be written.
    """
    return write_page(render_campaign_page(ledger, name), Path(path))


def draw_targets_figure(ledger: Ledger, name: str) -> str | None:
    """Return targets against measured as the URI of a figure; None where there is no target."""
    return _targets_figure(CampaignSummary.of(ledger, name))


def render_campaign_page(ledger: Ledger, campaign_name: str) -> str:
    """Return the report of a campaign at any stage, as HTML that loads nothing.

    Raises:
        InvalidInput: if there is no such campaign.
    """
    summary = CampaignSummary.of(ledger, campaign_name)
    parity, course = _parity(summary), _Course.of(summary)
    failpoints.pass_failpoint("in-report")
    return render_page(
        "report.html",
        version=__version__,
        summary=summary,
        parity=parity,
        law=_law(summary),
        shown=MOST_CHANNELS,
        requests=request_rows(summary, Samples(ledger, summary.entry.id).notes()),
        thinning=_thinning(summary),
        left_out=max(0, len(_bars(summary)) - MOST_BARS),
        lamps=course.lamps,
        chapters=list(round_chapters(summary)),
        cards=model_cards(summary.entry, summary.history),
        notices=[
            (format_time(notice.at), format_local_time(notice.at), notice.sent, notice.who, notice.text)
            for notice in Controls(ledger).notices(summary.entry.id)
        ],
        config=json.dumps(_brief(summary.entry.config), indent=2, ensure_ascii=False),
        figures={
            "targets": _targets_figure(summary),
            "parity": parity and _parity_figure(summary, parity),
            **_data_figures(summary, course),
            "uncertainty": _uncertainty_figure(summary),
            "background": _background_figure(summary, course),
        },
    )


# ---------------------------------------------------------------------- parity


@dataclass(frozen=True)
class Score:
    """How well a model predicts one channel."""

    channel: str
    rows: str
    n: int
    r2: float
    mae: float
    rmse: float


@dataclass(frozen=True, eq=False)
class ScoredParity:
    """A model's predictions against what was measured."""

    round: int
    channels: Sequence[str]
    sets: Mapping[str, tuple[Readings, Readings]]
    """By name (``train``, ``test``), measured and predicted, both ``(n, p)``."""
    scores: Sequence[Score]


def _brief(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the rows that earlier campaigns taught: their names alone."""
    history = config.get("history")
    if not isinstance(history, dict) or not isinstance(lessons := history.get("lessons"), list):
        return dict(config)
    names = [lesson.get("campaign") for lesson in lessons if isinstance(lesson, dict)]
    return {**config, "history": {**history, "lessons": names}}


def _law(summary: CampaignSummary) -> dict[str, str]:
    """The parameters of the law that was fitted last, in words by what each is about; none without one."""
    fitted = (round_.facts.law for round_ in reversed(summary.history.rounds))
    return next((facts.words for facts in fitted if facts is not None), {})


def _parity(summary: CampaignSummary) -> ScoredParity | None:
    """Of the latest round whose facts have it."""
    for round_ in reversed(summary.history.rounds):
        if (parity := round_.facts.parity) is not None:
            shown = [name for name in ("train", "test") if name in parity.sets]
            sets = {name: (parity.sets[name].measured, parity.sets[name].predicted) for name in shown}
            scores = [
                _score(channel, name, true[:, column], expected[:, column])
                for column, channel in enumerate(parity.channels)
                for name, (true, expected) in sets.items()
            ]
            return ScoredParity(round_.number, parity.channels, sets, scores)
    return None


def _score(channel: str, rows: str, true: Readings, expected: Readings) -> Score:
    finite = np.isfinite(true) & np.isfinite(expected)
    true, error = true[finite], (expected - true)[finite]
    if not true.size:
        return Score(channel, rows, 0, np.nan, np.nan, np.nan)
    spread = float(((true - true.mean()) ** 2).sum())
    r2 = 1 - float((error**2).sum()) / spread if spread > 0 else np.nan
    return Score(channel, rows, true.size, r2, float(np.abs(error).mean()), float(np.sqrt((error**2).mean())))


# ---------------------------------------------------------------------- figures


def _parity_figure(summary: CampaignSummary, parity: ScoredParity) -> str:
    columns = thin(range(len(parity.channels)), MOST_CHANNELS)
    sets = {name: (true[:, columns], expected[:, columns]) for name, (true, expected) in parity.sets.items()}
    return figures.draw_parity([summary.labelled(parity.channels[column]) for column in columns], sets)


def _targets_figure(summary: CampaignSummary) -> str | None:
    """A bar for each channel of each target, of many targets for their worst; of very many those farthest off."""
    lines = _bars(summary)
    farthest = sorted(range(len(lines)), key=lambda place: -_reach(lines[place][1]))[:MOST_BARS]
    bars = [
        Bar(
            f"{name}: {line.channel}",
            line.off,
            line.margin / line.one,
            line.wanted.below / line.one,
            line.wanted.above / line.one,
        )
        for name, line in (lines[place] for place in sorted(farthest))
    ]
    return figures.draw_targets(bars) if bars else None


def _bars(summary: CampaignSummary) -> list[tuple[str, ChannelResult]]:
    """What there is to draw of the targets, with the name of each."""
    if summary.many:
        return [(result.target, max(result.lines, key=_reach)) for result in summary.results if result.lines]
    lines = [(result.target, line) for result in summary.results for line in result.lines]
    return lines + [
        (f"{result.target} {answer.place}", line)
        for result in summary.results
        for answer in result.answers
        for line in answer.lines
    ]


def _reach(line: ChannelResult) -> float:
    """The far end of a bar, in tolerances; 0 where nothing is known."""
    return float(np.nan_to_num(abs(line.missed) + line.room))


def _data_figures(summary: CampaignSummary, course: "_Course") -> dict[str, Any]:
    """What was read: ``pairs`` of all quantities for targets of few channels, else as a ``survey``; None the other."""
    observations, space = thin(summary.history.observations, DRAWN), summary.entry.space
    few = len(space.knobs) + len(summary.channels) <= MOST_QUANTITIES
    if not observations or not summary.channels:
        return {"pairs": None, "survey": None}
    answers = [answer for result in summary.results for answer in result.answers]
    means = [{line.channel: line.mean for line in answer.lines} for answer in answers]
    rows = SurveyRows(
        knobs=[summary.labelled(name) for name in space.knob_names],
        channels=[summary.labelled(name) for name in summary.channels],
        settings=np.array([observation.settings for observation in observations]),
        readings=np.array([observation.readings[summary.columns] for observation in observations]),
        purposes=[observation.purpose for observation in observations],
        categories={place: knob.names for place, knob in enumerate(space.knobs) if knob.names},
        answers=[
            (answer.settings, [mean.get(name, np.nan) for name in summary.channels])
            for answer, mean in zip(answers, means, strict=True)
        ],
    )
    if few and summary.results:
        words = [course.words(observation, summary) for observation in observations]
        return {"pairs": _pairs_figure(rows, words), "survey": None}
    return {"pairs": None, "survey": SurveyFigures.of(rows)}


def _pairs_figure(rows: SurveyRows, words: Sequence[str]) -> MarkedFigure:
    values = np.column_stack((rows.settings, rows.readings))
    answers = [[*settings, *readings] for settings, readings in rows.answers]
    return figures.draw_pairs([*rows.knobs, *rows.channels], values, rows.purposes, answers, rows.categories, words)


def _uncertainty_figure(summary: CampaignSummary) -> str | None:
    rounds = thin([round_ for round_ in summary.history.rounds if round_.facts.uncertainty], DRAWN)
    known = dict.fromkeys(name for round_ in rounds for name in round_.facts.uncertainty or ())
    names = thin(list(known), MOST_CHANNELS)
    if not rounds:
        return None
    channels = {
        summary.labelled(name): [float_or_nan((round_.facts.uncertainty or {}).get(name)) for round_ in rounds]
        for name in names
    }
    chance = [float_or_nan(round_.facts.chance) for round_ in rounds]
    return figures.draw_uncertainty([round_.number for round_ in rounds], channels, chance)


@dataclass(frozen=True, eq=False)
class _Course:
    """What was read in the course of a campaign, as far as it can be drawn, and the light meanwhile."""

    seen: Sequence[Observation]
    places: Sequence[int]
    """Of each among all requests."""
    background: Background

    @classmethod
    def of(cls, summary: CampaignSummary) -> Self:
        """Read the course of a campaign, an observation of which may have been masked since the others were read."""
        places: list[int] = (1 + summary.sendings.observed).tolist()
        observations = list(summary.history.observations[: len(places)])
        readings = figures.mask_undrawable([observation.readings for observation in observations])
        for place in np.flatnonzero(np.isnan(readings).any(axis=-1)).tolist():
            observations[place] = replace(observations[place], readings=readings[place])
        return cls(observations, places, Background.of(observations, summary.entry.space.p))

    def words(self, observation: Observation, summary: CampaignSummary) -> str:
        """What was asked and read in a sentence; an imported reading has no request."""
        space, which = summary.entry.space, f"reading {observation.seq + 1}"
        if observation.seq < len(self.places):
            which = f"request {self.places[observation.seq]}"
        read = dict(zip(summary.channels, observation.readings[summary.columns].tolist(), strict=True))
        settings = format_quantities(space.shown_settings(observation.settings), summary.units)
        return f"{which}, {observation.purpose}: {settings}; read {format_quantities(read, summary.units)}"

    @property
    def lamps(self) -> list[tuple[int, int]]:
        """Requests between which a lamp was switched."""
        seq, stretches = self.background.seq, np.flatnonzero(self.background.switched)
        return [(self.places[seq[i]], self.places[seq[i + 1]]) for i in stretches.tolist()]


def _background_figure(summary: CampaignSummary, course: _Course) -> MarkedFigure | None:
    observations, places, background = course.seen, course.places, course.background
    references = thin([observation for observation in observations if observation.purpose is Purpose.REFERENCE], DRAWN)
    if not references or not summary.channels:
        return None
    between = np.array([observation.seq for observation in thin(observations, DRAWN)])
    state, width = background.at(between), CERTAINTY * background.deviation(between)
    lights = [
        Light(
            summary.labelled(name),
            [float(observation.readings[c]) for observation in references],
            state[:, c],
            width[:, c],
        )
        for name, c in zip(summary.channels, summary.columns, strict=True)
    ]
    examined = dict[int, list[int]]()
    for observation in observations:
        if observation.purpose is Purpose.VERIFICATION:
            examined.setdefault(observation.round, []).append(places[observation.seq])
    exams = [
        (exam.target, examined[exam.round][0], examined[exam.round][-1])
        for exam in thin(summary.history.exams, DRAWN)
        if exam.round in examined
    ]
    at = [places[observation.seq] for observation in references]
    words = [course.words(observation, summary) for observation in references]
    return figures.draw_background(at, [places[seq] for seq in between.tolist()], lights, exams, words)


def _thinning(summary: CampaignSummary) -> str:
    """A sentence if figures do not show everything; empty if they do."""
    n = len(summary.history.observations)
    return f"Of {n} readings {DRAWN} are drawn, evenly from the first to the last." if n > DRAWN else ""
