"""Rounds at other sources than the instrument: a design, and more while one tells more for its price."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sdl.campaign.definition import Campaign
from sdl.campaign.source import SourcePart
from sdl.campaign.validation import ResolvedTarget
from sdl.history import History, Purpose, Request, Round, RoundFacts, RoundKind, SourceFacts
from sdl.space import Settings
from strategies.fusion.fused import Fused
from strategies.fusion.source_choice import Asked, next_batch
from strategies.plan.assessment import Assessment
from strategies.plan.round_context import RoundContext, requests_left
from strategies.plan.steps import Measure

WORTH = 0.5
"""Requests to the instrument that the design at a source is worth ..."""
FEWEST, MOST = 3, 24
"""... and its settings at least, and at most."""
FREE = 1e-9
"""Price of a request to the instrument where it costs nothing."""


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is known by the instrument and all sources."""

    insight: Assessment
    """By all."""
    own: Assessment | None
    """By the instrument alone: what is concluded without a reading is by this. None while it has said too little."""
    judging: Assessment
    """What exams are judged by: the instrument, and slopes of sources that are known to be like it."""
    fused: Fused | None = None
    """None where no source was asked."""

    @property
    def facts(self) -> Mapping[str, SourceFacts] | None:
        """What a round records of the sources."""
        if self.fused is None:
            return None
        campaign = self.insight.campaign
        return self.fused.facts(campaign.channels, [source.name for source in campaign.sources])

    def misleads(self, target: ResolvedTarget) -> bool:
        """Whether sources leave no settings for a target, of which the instrument has not said so."""
        return self.insight.reading(target) is None or self.insight.nearest(target).out_of_reach


def first_of_source(
    campaign: Campaign, history: History, number: int, design: Callable[[int], Settings]
) -> Measure | None:
    """The first round of a source that was not asked yet: a design; None where all were."""
    asked = {round_.facts.source for round_ in history.rounds}
    for source in campaign.sources:
        if source.name not in asked and (left := _left(campaign, history, source)) > 0:
            settings = design(min(left, MOST, max(FEWEST, int(WORTH / relative_price(campaign, source)))))
            return _measured(number, source.name, settings, RoundFacts(why=f"a design at {source.name}"))
    return None


def ask_source(turn: RoundContext, outlook: Outlook) -> Measure | None:
    """A round at a source that tells more for its price than the instrument; None where none does.

    Args:
        turn: Whose round it would be, by all that is known.
        outlook: That.
    """
    reading = turn.insight.reading(turn.target)
    assert reading is not None, "where no settings are left the target is given up"
    assert outlook.fused is not None, "there are sources"
    sources = [
        Asked(source.name, place + 1, relative_price(turn.campaign, source), _left(turn.campaign, turn.history, source))
        for place, source in enumerate(turn.campaign.sources)
    ]
    rng = turn.rng(3)
    found = next_batch(outlook.fused, turn.insight.pursuit(turn.target), reading, sources, rng)
    if found is None:
        return None
    name, batch = found
    facts = RoundFacts(
        why=f"{name} tells more for its price", target=turn.target.name, chance=reading.chance, sources=outlook.facts
    )
    return _measured(turn.number, name, turn.insight.space.from_unit(batch), facts)


def relative_price(campaign: Campaign, source: SourcePart) -> float:
    """The price of a request to a source, in requests to the instrument."""
    own = 1.0 if campaign.price is None else campaign.price.request
    return source.price / max(own, FREE)


def _measured(number: int, name: str, settings: Settings, facts: RoundFacts) -> Measure:
    round_ = Round(number, RoundKind.SOURCE, facts=replace(facts, source=name))
    return Measure(round_, [Request(number, i, 0, Purpose.SOURCE, row) for i, row in enumerate(settings)])


def _left(campaign: Campaign, history: History, source: SourcePart) -> int:
    """Requests that a source may still be sent: half of what is left of the budget is kept for the instrument."""
    names = {round_.number: round_.facts.source for round_ in history.rounds}
    asked = Counter(names.get(row.round) for row in history.of_sources)
    return min(source.most - asked[source.name], requests_left(campaign, history) // 2)
