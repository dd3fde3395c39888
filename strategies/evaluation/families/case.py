"""What a family draws: an instrument whose truth is known, and what is wanted of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sdl.campaign.definition import Campaign, Target
from sdl.instruments.protocol import Instrument
from sdl.space import Interval, Readings, Settings


class KnownInstrument(Instrument, Protocol):
    """An instrument that also tells what it would read without noise; no strategy may ask for that."""

    def truth(self, settings: Settings) -> Readings:
        """Noise-free readings ``(n, p)`` at settings ``(n, d)``, in the conditions of the last request."""


@dataclass(frozen=True, eq=False)
class Goal:
    """A target, and how near settings can come to it."""

    target: Target
    nearest: Settings
    """Settings that come nearest, in the units of the knobs, ``(d,)``."""
    miss: float = 0.0
    """Error of the worst channel there, in tolerances, in the conditions that the target was posed for."""
    bounds: Mapping[str, Interval] = field(default_factory=dict)
    """By channel that a target wants as large or as small as possible, where readings truly have to lie for that."""

    @property
    def reachable(self) -> bool:
        """Whether some settings give readings within the tolerance."""
        return self.miss <= 1


@dataclass(frozen=True, eq=False)
class Case:
    """One instrument of a family, and its targets."""

    instrument: KnownInstrument
    goals: tuple[Goal, ...]
    parts: Mapping[str, Any] = field(default_factory=dict)
    """Further parts of the campaign file; none for what a newcomer would write down."""

    def campaign(self, name: str, seed: int, budget: int = 100) -> Campaign:
        """What a person would write down for it."""
        return Campaign.model_validate(
            {
                "name": name,
                "seed": seed,
                "budget": budget,
                "instrument": {"plugin": name.partition(":")[0]},
                "targets": [goal.target for goal in self.goals],
                **self.parts,
            }
        )


class Family(Protocol):
    """A kind of instrument; the first line of its docstring says which. Registered as ``sdl.instrument_families``."""

    def __call__(self, rng: np.random.Generator) -> Case:
        """Draw one, the same for generators in the same state."""
