"""A campaign as its report tells it: what matters in it, and what came of its targets."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Self, TypeVar

import numpy as np

from sdl.analysis import answer_count
from sdl.analysis.spending import describe_spending, spent_on_sources
from sdl.campaign.definition import MANY_TARGETS, Campaign, Target
from sdl.errors import InvalidInput
from sdl.formatting import count_words, format_quantities
from sdl.history import Entry, Finding, History, Verdict
from sdl.ledger.bulk_reads import Sendings
from sdl.ledger.ledger import Ledger
from sdl.reports.free_channels import FreeChannel, free_channels
from sdl.space import Interval

Item = TypeVar("Item")

MOST_CHANNELS = 12
"""Channels drawn and listed; the others are named, or counted where they are more than ``MOST_NAMED``."""
MOST_NAMED = 40
TONES = {Verdict.VERIFIED: "good", Verdict.REFUTED: "bad", Verdict.NOT_REACHABLE: "bad"}


def thin(items: Sequence[Item], most: int) -> Sequence[Item]:
    """As many as can be told apart, evenly from the first to the last."""
    if len(items) <= most:
        return items
    return [items[place] for place in np.linspace(0, len(items) - 1, most).round().astype(int)]


@dataclass(frozen=True)
class ChannelResult:
    """One channel of a target; NaN where a number is not known."""

    channel: str
    unit: str
    wanted: Interval
    mean: float = np.nan
    """Of the replicates; of the nearest reachable settings, expected, where nothing reaches the target."""
    margin: float = np.nan
    background: float = np.nan

    @property
    def off(self) -> float:
        """How far the mean is from the reading wanted, or from the only bound, in units of ``one``."""
        return (self.mean - self.wanted.wanted) / self.one

    @property
    def room(self) -> float:
        """How much farther it may be, in the same; 0 if that is not known."""
        return float(np.nan_to_num(self.margin / self.one))

    @property
    def missed(self) -> float:
        """How far it is off, in the same; 0 where it lies within a single bound."""
        return self.wanted.missed(self.mean) / self.one

    @property
    def one(self) -> float:
        """What counts as one: the tolerance; beside a single bound the margin, or a hundredth of that bound."""
        if not self.wanted.one_sided:
            return self.wanted.above
        return self.margin if self.margin > 0 else 0.01 * abs(self.wanted.wanted) or 1.0


@dataclass(frozen=True)
class Passed:
    """One of several verified answers of a target."""

    place: int
    """From 1 on, in the order of their exams."""
    family: int
    settings: Sequence[float]
    """By knob."""
    lines: Sequence[ChannelResult]
    free: Sequence[FreeChannel] = ()


@dataclass(frozen=True)
class Result:
    """A target and what came of it."""

    target: str
    verdict: str
    tone: str
    """``good``, ``bad`` or ``open``."""
    sentence: str
    lines: Sequence[ChannelResult]
    settings: str = ""
    knobs: Sequence[float] = ()
    """The same settings as numbers; none where there are none."""
    light: str = ""
    """The background that it holds for, in words; empty if it is not known."""
    examined: bool = True
    """Whether the means were measured, not expected."""
    answers: Sequence[Passed] = ()
    """Those that are verified, where several are wanted."""
    readings: int = 0
    """Taken in the rounds of its exams, references among them."""
    free: Sequence[FreeChannel] = ()
    """Channels that it leaves free, foretold at its settings."""
    confidence: float | None = None
    """Of its margins, on either side; None where they are not known."""
    delta_e: str = ""
    """How far the colour is from the one that is wanted, in words; empty where none is wanted."""

    @property
    def off(self) -> float:
        """By how much its worst channel missed, in tolerances; NaN if that is not known."""
        return float(np.max([abs(line.missed) for line in self.lines])) if self.lines else np.nan


@dataclass(frozen=True, eq=False)
class CampaignSummary:
    """What the ledger holds of one campaign."""

    entry: Entry
    history: History
    sendings: Sendings
    trail: Callable[[Collection[int]], Sequence[Mapping[str, Any]]]
    """Attempts by the numbers of their rows."""

    @classmethod
    def of(cls, ledger: Ledger, name: str) -> Self:
        """Read a campaign from the ledger.

        Raises:
            InvalidInput: if there is none of that name.
        """
        entry = ledger.entry(name)
        trail = partial(ledger.trail, entry.id)
        return cls(entry, ledger.history(entry.id), ledger.sendings(entry.id), trail)

    @cached_property
    def campaign(self) -> Campaign | None:
        """What was written down, as far as it can be read; None where readings were taken without a campaign file."""
        config = self.entry.config
        known = {key: value for key, value in config.items() if key in Campaign.model_fields}
        for written in (config, known):
            with suppress(InvalidInput):
                return Campaign.parse(written)
        return None

    @cached_property
    def unread(self) -> str:
        """What this program does not understand of what was written down; empty if it does."""
        if "targets" not in self.entry.config:
            return ""
        try:
            Campaign.parse(self.entry.config)
        except InvalidInput as error:
            faults = "; ".join(error.faults)
            return (
                "This program does not understand all of the configuration that the ledger keeps, which stands below "
                f"as it is ({faults}): see whether another version wrote it"
            )
        return ""

    @property
    def channels(self) -> list[str]:
        """Channels that matter: some of those of the targets, or else the first that were ever read."""
        return list(thin(self._named, MOST_CHANNELS)) if self.campaign is not None else self._named[:MOST_CHANNELS]

    @property
    def unshown(self) -> str:
        """Channels that matter as well and are neither drawn nor listed, in words; empty if there are none."""
        others = [name for name in self._named if name not in set(self.channels)]
        return ", ".join(others) if len(others) <= MOST_NAMED else f"{len(others)} of {len(self._named)} channels"

    @cached_property
    def _named(self) -> list[str]:
        """Channels of the targets, or else all that were ever read."""
        names = self.entry.space.channel_names
        if self.campaign is not None:
            return [name for name in self.campaign.channels if name in names]
        if not self.history.observations:
            return list(names)
        finite = np.isfinite(np.array([observation.readings for observation in self.history.observations]))
        return [names[column] for column in np.flatnonzero(finite.any(axis=0))]

    @cached_property
    def columns(self) -> list[int]:
        """Their columns."""
        return self.entry.space.columns(self.channels)

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of each knob and channel."""
        space = self.entry.space
        return {channel.name: channel.unit for channel in space.channels} | {k.name: k.unit for k in space.knobs}

    @cached_property
    def results(self) -> list[Result]:
        """Every target of the campaign, then every other one that was judged."""
        targets = {target.name: target for target in self.campaign.targets} if self.campaign else {}
        names = dict.fromkeys([*targets, *(finding.target for finding in self.history.findings)])
        return [self._result(name, targets.get(name)) for name in names]

    @property
    def many(self) -> bool:
        """Whether there are so many targets that a table comes before what is to be said of each."""
        return len(self.results) > MANY_TARGETS

    @property
    def confidence(self) -> float | None:
        """Of the margins of the verdicts; None without a verdict that has them."""
        return next((result.confidence for result in self.results if result.confidence), None)

    @property
    def shared(self) -> int:
        """Readings that were taken for all targets."""
        return self._taken[None]

    @property
    def headline(self) -> str:
        """How many targets are verified, with how many requests."""
        sent = f"{self.history.sent} request{'' if self.history.sent == 1 else 's'} sent"
        if self.many:
            sent += f", {self.history.sent / len(self.results):.1f} a target"
        plate, n = self.entry.space.plate, self.history.plates
        if plate is not None and n:
            several = plate.rows == 1  # instruments, or places of a carousel
            sent += f" in {n} batch{'' if n == 1 else 'es'}" if several else f" on {count_words(n, 'plate')}"
        if self.campaign is not None and (price := self.campaign.price) is not None:
            sent += f", {describe_spending(price, self.entry.space, self.history, self.campaign.sources)} spent"
        if not self.results:
            return f"No target was set; {sent}."
        verified = sum(result.verdict == Verdict.VERIFIED for result in self.results)
        return f"{verified} of {len(self.results)} target{'' if len(self.results) == 1 else 's'} verified, {sent}."

    @property
    def sources(self) -> list[str]:
        """What each source was asked, what it cost, and what it was found to be, in sentences."""
        parts = () if self.campaign is None else self.campaign.sources
        price = None if self.campaign is None else self.campaign.price
        spent = spent_on_sources(parts, self.history)
        found = next((each.facts.sources for each in reversed(self.history.rounds) if each.facts.sources), {})
        unit = "requests to the instrument" if price is None else price.unit
        return [
            f"Source {part.name!r}: {count_words(round(spent[part.name] / part.price), 'request')} for "
            f"{spent[part.name]:g} {unit} in all; {found.get(part.name, 'nothing is known of its bias')}."
            for part in parts
        ]

    def labelled(self, name: str) -> str:
        """Return a knob or channel with its unit."""
        return f"{name} ({self.units[name]})" if self.units.get(name) else name

    def settings(self, settings: Any) -> str:
        """Write settings ``(d,)`` with their names and units."""
        return format_quantities(self.entry.space.shown_settings(settings), self.units)

    @cached_property
    def _taken(self) -> Counter[str | None]:
        """Readings by the target that their round was about; None for those that served all."""
        about = {round_.number: round_.target for round_ in self.history.rounds}
        return Counter(about.get(observation.round) for observation in self.history.observations)

    def _result(self, name: str, target: Target | None) -> Result:
        judged = [finding for finding in self.history.findings if finding.target == name]
        if not judged:
            sentence = "no candidate has been judged so far"
            return Result(name, "NO VERDICT YET", "open", sentence, self._wishes(target), readings=self._taken[name])
        last = self.history.concluded(name) or judged[-1]
        # A target that was given up has no numbers of its own: the last candidate's say how close it came.
        source = next((finding for finding in [last, *reversed(judged)] if finding.facts), last)
        lines = self._lines(source) or self._wishes(target)
        formulas = self.entry.space.formulas  # what is computed has no light of its own
        light = {each.channel: each.background for each in lines if each.channel not in formulas}
        light = {name: level for name, level in light.items() if np.isfinite(level)}
        verdict, sentence, answers = last.verdict, last.sentence, list[Passed]()
        if target is not None and target.answers != 1:
            verdict, sentence = answer_count.concluding_verdict(target, judged)
            answers = self._answers(answer_count.passed_findings(target, judged))
        return Result(
            target=name,
            verdict=verdict.value,
            tone=TONES.get(verdict, "open"),
            sentence=sentence,
            lines=[] if answers else lines,
            answers=answers,
            settings="" if answers or source.settings is None else self.settings(source.settings),
            knobs=() if source.settings is None else source.settings.tolist(),
            light=format_quantities({name: light[name] for name in thin(list(light), MOST_CHANNELS)}, self.units),
            examined=source.verdict is not Verdict.NOT_REACHABLE,
            readings=self._taken[name],
            free=() if answers else free_channels(source, self.units),
            confidence=source.facts.confidence,
            delta_e=""
            if answers or target is None or target.colour is None
            else target.colour.describe({line.channel: line.mean for line in lines}),
        )

    def _answers(self, passed: Sequence[Finding]) -> list[Passed]:
        return [
            Passed(
                place,
                answer_count.family_of(finding),
                finding.settings.tolist(),
                self._lines(finding),
                free_channels(finding, self.units),
            )
            for place, finding in enumerate(passed, start=1)
            if finding.settings is not None
        ]

    def _lines(self, finding: Finding) -> list[ChannelResult]:
        facts, channels = finding.facts, finding.facts.channels or ()
        nothing = np.full(len(channels), np.nan)
        best = facts.readings if facts.mean is None else facts.mean
        columns = [nothing if column is None else column for column in (best, facts.margin, facts.background)]
        if (window := facts.window) is None:
            return []
        return [
            ChannelResult(channels[c], self.units.get(channels[c], ""), window[c], *(float(row[c]) for row in columns))
            for c in window.fixed
        ]

    def _wishes(self, target: Target | None) -> list[ChannelResult]:
        if target is None:
            return []
        units = self.units
        return [ChannelResult(name, units.get(name, ""), target.interval(name)) for name in target.readings]
