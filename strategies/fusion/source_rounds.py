"""Rounds at other sources than the instrument: a design, and more while one tells more for its price."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.campaign.source import SourcePart
from sdl.history import History, Purpose, Request, Round, RoundFacts, RoundKind, SourceFacts
from sdl.space import Settings, Space
from strategies.fusion.fused import Fused
from strategies.fusion.source_choice import Askable, next_batch
from strategies.posterior import NextReading, Pursuit

WORTH = 0.5
"""Requests to the instrument that the design at a source is worth ..."""
FEWEST, MOST = 3, 24
"""... and its settings at least, and at most."""
FREE = 1e-9
"""Price of a request to the instrument where it costs nothing."""

Begun = tuple[Round, list[Request]]
"""A round at a source, and what it asks."""


def first_of_source(
    campaign: Campaign, history: History, number: int, left: int, design: Callable[[int], Settings]
) -> Begun | None:
    """The first round of a source that was not asked yet: a design; None where all were.

    Args:
        campaign: Whose sources they are.
        history: What the campaign has done.
        number: Of the round.
        left: Requests that the campaign may still send.
        design: So many settings ``(n, d)`` all over the box.
    """
    asked = {round_.facts.source for round_ in history.rounds}
    for source in campaign.sources:
        if source.name not in asked and (most := _left(campaign, history, source, left)) > 0:
            n = max(FEWEST, int(WORTH / relative_price(campaign, source)))
            return _asked(number, source.name, design(min(most, MOST, n)), RoundFacts(why=f"a design at {source.name}"))
    return None


def next_of_sources(
    campaign: Campaign,
    history: History,
    number: int,
    left: int,
    fused: Fused,
    pursuit: Pursuit,
    reading: NextReading,
    space: Space,
    rng: np.random.Generator,
) -> Begun | None:
    """A round at a source that tells more for its price than the instrument; None where none does.

    Args:
        campaign: Whose sources they are.
        history: What the campaign has done.
        number: Of the round.
        left: Requests that the campaign may still send.
        fused: What is known.
        pursuit: The target.
        reading: What would be read next at the instrument.
        space: Of the instrument.
        rng: Source of randomness.
    """
    sources = [
        Askable(source.name, place + 1, relative_price(campaign, source), _left(campaign, history, source, left))
        for place, source in enumerate(campaign.sources)
    ]
    found = next_batch(fused, pursuit, reading, sources, rng)
    if found is None:
        return None
    name, batch = found
    why = f"{name} tells more for its price"
    facts = RoundFacts(why=why, chance=reading.chance, sources=source_facts(campaign, fused))
    return _asked(number, name, space.from_unit(batch), facts)


def source_facts(campaign: Campaign, fused: Fused) -> Mapping[str, SourceFacts]:
    """What a round records of the sources of a campaign."""
    return fused.facts(campaign.channels, [source.name for source in campaign.sources])


def relative_price(campaign: Campaign, source: SourcePart) -> float:
    """The price of a request to a source, in requests to the instrument."""
    own = 1.0 if campaign.price is None else campaign.price.request
    return source.price / max(own, FREE)


def _asked(number: int, name: str, settings: Settings, facts: RoundFacts) -> Begun:
    requests = [Request(number, i, 0, Purpose.SOURCE, row) for i, row in enumerate(settings)]
    return Round(number, RoundKind.SOURCE, facts=replace(facts, source=name)), requests


def _left(campaign: Campaign, history: History, source: SourcePart, left: int) -> int:
    """Requests that a source may still be sent: half of what is left of the budget is kept for the instrument."""
    names = {round_.number: round_.facts.source for round_ in history.rounds}
    asked = Counter(names.get(row.round) for row in history.of_sources)
    return min(source.most - asked[source.name], left // 2)
