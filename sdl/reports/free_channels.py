"""The channels that a target leaves free, as people read them: foretold, measured, and whether the interval held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sdl.formatting import count_decimals, format_interval, format_percent
from sdl.history import Finding, ForetoldFacts

NOT_HELD = "NOT HELD"


@dataclass(frozen=True)
class FreeChannel:
    """One channel left free, in words."""

    channel: str
    unit: str
    foretold: str
    measured: str
    """Empty where nothing was measured."""
    held: str
    """Whether the interval held; empty where nothing was measured."""
    level: str

    def __str__(self) -> str:
        words = f"{self.channel} left free: foretold {self.foretold} ({self.level})"
        return f"{words}, measured {self.measured}: {self.held}" if self.measured else words


def free_channels(finding: Finding, units: Mapping[str, str]) -> Sequence[FreeChannel]:
    """The channels that the target of a finding leaves free; none of one from before they were foretold."""
    free = finding.facts.free or {}
    return [_in_words(name, units.get(name, ""), facts) for name, facts in free.items()]


def _in_words(name: str, unit: str, facts: ForetoldFacts) -> FreeChannel:
    if facts.low is None or facts.high is None:
        return FreeChannel(name, unit, "", "", "", "")
    digits = count_decimals((facts.high - facts.low) / 2 or 1.0)
    held = "" if facts.held is None else "held" if facts.held else NOT_HELD
    return FreeChannel(
        channel=name,
        unit=unit,
        foretold=format_interval(facts.low, facts.high),
        measured="" if facts.mean is None else f"{facts.mean:.{digits}f}",
        held=held,
        level="" if facts.level is None else format_percent(facts.level),
    )
