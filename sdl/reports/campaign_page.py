"""A campaign as one HTML page that holds all it shows: verdicts first, then what they stand on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from sdl import __version__
from sdl.analysis.background import Background
from sdl.formatting import measured, moment
from sdl.history import Observation, Purpose
from sdl.ledger.controls import Controls
from sdl.ledger.ledger import Ledger
from sdl.reports import figures
from sdl.reports.campaign_log import chapters, request_rows
from sdl.reports.campaign_summary import CampaignSummary, ChannelResult
from sdl.reports.figures import Bar, Light
from sdl.reports.html import template, write_page
from sdl.space import Readings
from sdl.system import failpoints as killpoints

Each = TypeVar("Each")

DRAWN = 2000
"""Readings in a figure; more are one spot, and take minutes to draw."""
CERTAINTY = 2.0
"""Standard deviations that the band of the background is wide to either side."""
MOST_BARS = 60
"""Targets in their figure, where there are many."""
MOST_QUANTITIES = 8
"""Knobs and channels in the pair plot."""


def write_campaign_page(ledger: Ledger, name: str, path: str | Path) -> Path:
    """Write the report of a campaign, in place of an earlier one, and return where it lies.

    Raises:
        InvalidInput: if there is no such campaign, or the file cannot be written.
    """
    return write_page(render_campaign_page(ledger, name), Path(path))


def targets_figure(ledger: Ledger, name: str) -> str | None:
    """Targets against measured as the URI of a figure; None where there is no target."""
    return _targets_figure(CampaignSummary.of(ledger, name))


def render_campaign_page(ledger: Ledger, campaign_name: str) -> str:
    """The report of a campaign at any stage, as HTML that loads nothing.

    Raises:
        InvalidInput: if there is no such campaign.
    """
    story = CampaignSummary.of(ledger, campaign_name)
    parity, course = _parity(story), _Course.of(story)
    killpoints.passing("in-report")
    return template("report.html").render(
        version=__version__,
        story=story,
        parity=parity,
        asked=request_rows(story),
        thinning=_thinning(story),
        lamps=course.lamps,
        chapters=list(chapters(story)),
        notices=[(moment(each.at), each.sent, each.by, each.text) for each in Controls(ledger).notices(story.entry.id)],
        config=json.dumps(_brief(story.entry.config), indent=2, ensure_ascii=False),
        figures={
            "targets": _targets_figure(story),
            "parity": parity and figures.parity([story.labelled(name) for name in parity.channels], parity.sets),
            "pairs": _pairs_figure(story),
            "uncertainty": _uncertainty_figure(story),
            "background": _background_figure(story, course),
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
    names = [each.get("campaign") for each in lessons if isinstance(each, dict)]
    return {**config, "history": {**history, "lessons": names}}


def _parity(story: CampaignSummary) -> ScoredParity | None:
    """Of the latest round whose facts have it."""
    for round_ in reversed(story.history.rounds):
        if (parity := round_.facts.parity) is not None:
            shown = [name for name in ("train", "test") if name in parity.sets]
            sets = {name: (parity.sets[name].measured, parity.sets[name].predicted) for name in shown}
            scores = [
                _score(channel, name, measured_[:, column], predicted[:, column])
                for column, channel in enumerate(parity.channels)
                for name, (measured_, predicted) in sets.items()
            ]
            return ScoredParity(round_.number, parity.channels, sets, scores)
    return None


def _score(channel: str, rows: str, one: Readings, other: Readings) -> Score:
    known = np.isfinite(one) & np.isfinite(other)
    one, off = one[known], (other - one)[known]
    if not one.size:
        return Score(channel, rows, 0, np.nan, np.nan, np.nan)
    spread = float(((one - one.mean()) ** 2).sum())
    r2 = 1 - float((off**2).sum()) / spread if spread > 0 else np.nan
    return Score(channel, rows, one.size, r2, float(np.abs(off).mean()), float(np.sqrt((off**2).mean())))


# ---------------------------------------------------------------------- figures


def _targets_figure(story: CampaignSummary) -> str | None:
    """A bar for each channel of each target, or of very many targets the farthest off, with their worst channels."""
    lines = [(result.target, line) for result in story.results for line in result.lines]
    lines += [
        (f"{result.target} {answer.place}", line)
        for result in story.results
        for answer in result.answers
        for line in answer.lines
    ]
    if story.many:
        worst = [(result.target, max(result.lines, key=_reach)) for result in story.results if result.lines]
        farthest = sorted(range(len(worst)), key=lambda place: -_reach(worst[place][1]))[:MOST_BARS]
        lines = [worst[place] for place in sorted(farthest)]
    bars = [Bar(f"{name}: {line.channel}", line.off, line.margin / line.tolerance) for name, line in lines]
    return figures.targets(bars) if bars else None


def _reach(line: ChannelResult) -> float:
    """The far end of a bar, in tolerances; 0 where nothing is known."""
    return float(np.nan_to_num(abs(line.off) + line.room))


def _pairs_figure(story: CampaignSummary) -> str | None:
    names = [*story.entry.space.knob_names, *story.channels][:MOST_QUANTITIES]
    seen = _thinned(story.history.observations)
    if not seen:
        return None
    values = np.array([[*each.settings, *each.readings[story.columns]] for each in seen])[:, : len(names)]
    answers = [answer for result in story.results for answer in result.answers]
    means = [{line.channel: line.mean for line in each.lines} for each in answers]
    marked = [
        [*each.settings, *(mean.get(name, np.nan) for name in story.channels)][: len(names)]
        for each, mean in zip(answers, means, strict=True)
    ]
    return figures.pairs([story.labelled(name) for name in names], values, [each.purpose for each in seen], marked)


def _uncertainty_figure(story: CampaignSummary) -> str | None:
    known = _thinned([round_ for round_ in story.history.rounds if round_.facts.uncertainty])
    names = dict.fromkeys(name for round_ in known for name in round_.facts.uncertainty or ())
    if not known:
        return None
    channels = {
        story.labelled(name): [measured((round_.facts.uncertainty or {}).get(name)) for round_ in known]
        for name in names
    }
    chance = [measured(round_.facts.chance) for round_ in known]
    return figures.uncertainty([round_.number for round_ in known], channels, chance)


@dataclass(frozen=True, eq=False)
class _Course:
    """What was read in the course of a campaign, as far as it can be drawn, and the light meanwhile."""

    seen: Sequence[Observation]
    places: Sequence[int]
    """Of each among all requests."""
    conditions: Background

    @classmethod
    def of(cls, story: CampaignSummary) -> Self:
        """Of a campaign, of which an observation may have been masked since the others were read."""
        places: list[int] = (1 + story.sendings.observed).tolist()
        seen = list(story.history.observations[: len(places)])
        shown = figures.drawable([each.readings for each in seen])
        for place in np.flatnonzero(np.isnan(shown).any(axis=-1)).tolist():
            seen[place] = replace(seen[place], readings=shown[place])
        return cls(seen, places, Background.of(seen, story.entry.space.p))

    @property
    def lamps(self) -> list[tuple[int, int]]:
        """Requests between which a lamp was switched."""
        seq, found = self.conditions.seq, np.flatnonzero(self.conditions.switched)
        return [(self.places[seq[i]], self.places[seq[i + 1]]) for i in found.tolist()]


def _background_figure(story: CampaignSummary, course: _Course) -> str | None:
    seen, places, conditions = course.seen, course.places, course.conditions
    references = _thinned([each for each in seen if each.purpose is Purpose.REFERENCE])
    if not references or not story.channels:
        return None
    between = np.array([each.seq for each in _thinned(seen)])
    state, width = conditions.at(between), CERTAINTY * conditions.deviation(between)
    lights = [
        Light(story.labelled(name), [float(each.readings[c]) for each in references], state[:, c], width[:, c])
        for name, c in zip(story.channels, story.columns, strict=True)
    ]
    examined = dict[int, list[int]]()
    for each in seen:
        if each.purpose is Purpose.VERIFICATION:
            examined.setdefault(each.round, []).append(places[each.seq])
    exams = [
        (exam.target, examined[exam.round][0], examined[exam.round][-1])
        for exam in _thinned(story.history.exams)
        if exam.round in examined
    ]
    at = [places[each.seq] for each in references]
    return figures.background(at, [places[seq] for seq in between.tolist()], lights, exams)


def _thinned(every: Sequence[Each]) -> Sequence[Each]:
    """As many as can be told apart in a figure, evenly from the first to the last."""
    if len(every) <= DRAWN:
        return every
    return [every[place] for place in np.linspace(0, len(every) - 1, DRAWN).round().astype(int)]


def _thinning(story: CampaignSummary) -> str:
    """A sentence if figures do not show everything; empty if they do."""
    n = len(story.history.observations)
    return f"Of {n} readings {DRAWN} are drawn, evenly from the first to the last." if n > DRAWN else ""
