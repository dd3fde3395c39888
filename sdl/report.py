"""A campaign as one HTML page that holds all it shows: verdicts first, then what they stand on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sdl import __version__, figures, killpoints
from sdl.figures import Bar
from sdl.history import Purpose
from sdl.ledger import Ledger
from sdl.page import template, write_page
from sdl.proceedings import chapters, counts, requests
from sdl.space import Readings
from sdl.story import Story
from sdl.text import measured

MOST_QUANTITIES = 8
"""Knobs and channels in the pair plot."""


def write(ledger: Ledger, name: str, path: str | Path) -> Path:
    """Write the report of a campaign, in place of an earlier one, and return where it lies.

    Raises:
        InvalidInput: if there is no such campaign, or the file cannot be written.
    """
    return write_page(render(ledger, name), Path(path))


def targets_figure(ledger: Ledger, name: str) -> str | None:
    """Targets against measured as the URI of a figure; None where there is no target."""
    return _targets_figure(Story.of(ledger, name))


def render(ledger: Ledger, campaign_name: str) -> str:
    """The report of a campaign at any stage, as HTML that loads nothing.

    Raises:
        InvalidInput: if there is no such campaign.
    """
    story = Story.of(ledger, campaign_name)
    parity = _parity(story)
    killpoints.passing("in-report")
    return template("report.html").render(
        version=__version__,
        story=story,
        parity=parity,
        asked=requests(story),
        chapters=list(chapters(story)),
        config=json.dumps(dict(story.entry.config), indent=2, ensure_ascii=False),
        figures={
            "targets": _targets_figure(story),
            "parity": parity and figures.parity([story.labelled(name) for name in parity.channels], parity.sets),
            "pairs": _pairs_figure(story),
            "uncertainty": _uncertainty_figure(story),
            "background": _background_figure(story),
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
class Parity:
    """A model's predictions against what was measured."""

    round: int
    channels: Sequence[str]
    sets: Mapping[str, tuple[Readings, Readings]]
    """By name (``train``, ``test``), measured and predicted, both ``(n, p)``."""
    scores: Sequence[Score]


def _parity(story: Story) -> Parity | None:
    """Of the latest round whose facts have it."""
    for round_ in reversed(story.history.rounds):
        if facts := round_.facts.get("parity"):
            channels: list[str] = facts["channels"]
            sets = {name: _pair(facts[name], len(channels)) for name in ("train", "test") if facts.get(name)}
            scores = [
                _score(channel, name, one[:, column], other[:, column])
                for column, channel in enumerate(channels)
                for name, (one, other) in sets.items()
            ]
            return Parity(round_.number, channels, sets, scores)
    return None


def _pair(facts: Mapping[str, Any], p: int) -> tuple[Readings, Readings]:
    one, other = (np.array(facts[key], float).reshape(-1, p) for key in ("measured", "predicted"))
    return one, other


def _score(channel: str, rows: str, one: Readings, other: Readings) -> Score:
    known = np.isfinite(one) & np.isfinite(other)
    one, off = one[known], (other - one)[known]
    if not one.size:
        return Score(channel, rows, 0, np.nan, np.nan, np.nan)
    spread = float(((one - one.mean()) ** 2).sum())
    r2 = 1 - float((off**2).sum()) / spread if spread > 0 else np.nan
    return Score(channel, rows, one.size, r2, float(np.abs(off).mean()), float(np.sqrt((off**2).mean())))


# ---------------------------------------------------------------------- figures


def _targets_figure(story: Story) -> str | None:
    bars = [
        Bar(
            f"{result.target}: {line.channel}", (line.mean - line.target) / line.tolerance, line.margin / line.tolerance
        )
        for result in story.results
        for line in result.lines
    ]
    return figures.targets(bars) if bars else None


def _pairs_figure(story: Story) -> str | None:
    seen, names = story.history.observations, [*story.entry.space.knob_names, *story.channels][:MOST_QUANTITIES]
    if not seen:
        return None
    values = np.array([[*each.settings, *each.readings[story.columns]] for each in seen])[:, : len(names)]
    return figures.pairs([story.labelled(name) for name in names], values, [each.purpose for each in seen])


def _uncertainty_figure(story: Story) -> str | None:
    known = [round_ for round_ in story.history.rounds if round_.facts.get("uncertainty")]
    names = dict.fromkeys(name for round_ in known for name in round_.facts["uncertainty"])
    if not known:
        return None
    channels = {
        story.labelled(name): [measured(round_.facts["uncertainty"].get(name)) for round_ in known] for name in names
    }
    chance = [measured(round_.facts.get("chance of passing")) for round_ in known]
    return figures.uncertainty([round_.number for round_ in known], channels, chance)


def _background_figure(story: Story) -> str | None:
    seen = [(place, row) for place, row in enumerate(story.trail, start=1) if counts(row)]
    references = [(place, row) for place, row in seen if row["purpose"] == Purpose.REFERENCE]
    if not references or not story.channels:
        return None
    channels = {
        story.labelled(name): [measured(row["readings"][column]) for _, row in references]
        for name, column in zip(story.channels, story.columns, strict=True)
    }
    exams = []
    for exam in story.history.exams:
        of_exam = (exam.round, Purpose.VERIFICATION)
        places = [place for place, row in seen if (row["round"], row["purpose"]) == of_exam]
        exams += [(exam.target, places[0], places[-1])] if places else []
    return figures.background([place for place, _ in references], channels, exams)
