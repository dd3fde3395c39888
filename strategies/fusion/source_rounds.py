"""Rounds at other sources than the instrument: a design, and more while one tells more for its price."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, eq=False)
class SourceRounds:
    """Who proposes the next round of a campaign as one at a source."""

    campaign: Campaign
    history: History
    """What it has done."""
    number: int
    """Of the round."""
    left: int
    """Requests that the campaign may still send."""

    def first(self, design: Callable[[int], Settings]) -> Begun | None:
        """The first round of a source that was not asked yet: a design; None where all were.

        Args:
            design: So many settings ``(n, d)`` all over the box.
        """
        asked = {round_.facts.source for round_ in self.history.rounds}
        for source in self.campaign.sources:
            if source.name not in asked and (most := self._left(source)) > 0:
                n = max(FEWEST, int(WORTH / relative_price(self.campaign, source)))
                facts = RoundFacts(why=f"a design at {source.name}")
                return self._begun(source.name, design(min(most, MOST, n)), facts)
        return None

    def next(
        self, fused: Fused, pursuit: Pursuit, reading: NextReading, space: Space, rng: np.random.Generator
    ) -> Begun | None:
        """A round at a source that tells more for its price than the instrument; None where none does.

        Args:
            fused: What is known.
            pursuit: The target.
            reading: What would be read next at the instrument.
            space: Of the instrument.
            rng: Source of randomness.
        """
        sources = [
            Askable(source.name, number, relative_price(self.campaign, source), self._left(source))
            for number, source in enumerate(self.campaign.sources, start=1)
        ]
        found = next_batch(fused, pursuit, reading, sources, rng)
        if found is None:
            return None
        name, batch = found
        why = f"{name} tells more for its price"
        facts = RoundFacts(why=why, chance=reading.chance, sources=source_facts(self.campaign, fused))
        return self._begun(name, space.from_unit(batch), facts)

    def _left(self, source: SourcePart) -> int:
        """Requests that a source may still be sent: half of what is left of the budget is kept for the instrument."""
        return min(max(source.most - len(self.history.asked_of_source(source.name)), 0), self.left // 2)

    def _begun(self, name: str, settings: Settings, facts: RoundFacts) -> Begun:
        requests = [Request(self.number, i, 0, Purpose.SOURCE, row) for i, row in enumerate(settings)]
        return Round(self.number, RoundKind.SOURCE, facts=replace(facts, source=name)), requests


def source_facts(campaign: Campaign, fused: Fused) -> Mapping[str, SourceFacts]:
    """What a round records of the sources of a campaign."""
    return fused.facts(campaign.channels, [source.name for source in campaign.sources])


def relative_price(campaign: Campaign, source: SourcePart) -> float:
    """The price of a request to a source, in requests to the instrument."""
    own = 1.0 if campaign.price is None else campaign.price.request
    return source.price / max(own, FREE)
