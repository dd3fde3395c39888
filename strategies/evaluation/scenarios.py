"""Scenarios of evaluation: an instrument, what is wanted of it, and what befalls it on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput, UnknownPlugin, suggest_nearest
from sdl.instruments.claude_light.recordings import FILE, FOLDER
from sdl.instruments.protocol import Instrument

WHITE = {"445nm": 16384.0, "515nm": 16384.0, "630nm": 16384.0}
"""The paper's target, counts."""
UNLIT = {"background": {"every": 0}}
"""Where there is no background."""


@dataclass(frozen=True)
class Scenario:
    """What a strategy is tried on; a seed makes it one of many."""

    name: str
    says: str
    """What it is, in a sentence."""
    instrument: str
    """A plug-in that takes a seed."""
    options: Mapping[str, Any] = field(default_factory=dict)
    readings: Mapping[str, float] = field(default_factory=lambda: WHITE)
    """The target."""
    tolerance: float | str = "1 %"
    parts: Mapping[str, Any] = field(default_factory=dict)
    """Further parts of the campaign."""
    lamp: tuple[int, float] | None = None
    """After how many requests somebody switches a lamp on, and its counts at 515nm; it adds 4.4 times that at 630nm."""

    def campaign(self, seed: int, budget: int, tolerance: float | str | None = None) -> Campaign:
        """The campaign that a person would write down for it.

        Args:
            seed: Of the campaign.
            budget: Requests that may be sent.
            tolerance: Instead of the scenario's own.
        """
        return Campaign.model_validate(
            {
                "name": self.name,
                "seed": seed,
                "budget": budget,
                "instrument": {"plugin": self.instrument, **self.options},
                "targets": [{"readings": self.readings, "tolerance": tolerance or self.tolerance}],
                **self.parts,
            }
        )

    def build(self, seed: int, **options: Any) -> Any:
        """The instrument of a seed; ``options`` go before those of the scenario.

        Raises:
            UnknownPlugin: if it is not installed.
        """
        built: Instrument = plugins.build("sdl.instruments", self.instrument, {**self.options, **options, "seed": seed})
        return built

    def befall(self, instrument: Any, done: int) -> None:
        """Let happen to the instrument what happens after a number of requests."""
        if self.lamp is not None and done == self.lamp[0]:
            instrument.lamp = self.lamp[1]

    @property
    def lacking(self) -> str:
        """Why it cannot be tried here, in a sentence; empty if it can."""
        try:
            self.build(0)
        except (UnknownPlugin, InvalidInput) as error:
            return f"{self.name} is left out: {error}"
        return ""


SCENARIOS = {
    each.name: each
    for each in (
        Scenario("dark", "the paper's target on the twin at night", "twin"),
        Scenario(
            "daylight",
            "the same by day: 1500 counts at 515nm in the median, forgotten within an hour",
            "twin",
            {"daylight": 1500.0, "memory_h": 1.0},
        ),
        Scenario(
            "lamp",
            "the same at night, until after the eighth request a lamp of 2000 counts at 515nm is switched on",
            "twin",
            lamp=(8, 2000.0),
        ),
        Scenario(
            "ageing",
            "the same at night with LEDs that lose 0.03 % of their light with each request",
            "twin",
            {"drift": -30.0},
        ),
        Scenario(
            "recorded",
            "the same in the light and with the noise of a real run, another one for each seed",
            "recorded-run",
            {"path": str(FOLDER / FILE)},
        ),
        Scenario(
            "robotic-arm",
            "four joints, two readings: reach 1.6 and height 0.4 of an arm that trembles",
            "robotic-arm",
            {"noise": 0.01},
            {"reach": 1.6, "height": 0.4},
            tolerance=0.02,
            parts=UNLIT,
        ),
        Scenario(
            "sinewave",
            "sin(3 pi x1) + cos(3 pi x2) = 1.2, which nine curves of settings give, with noise",
            "sinewave",
            {"noise": 0.02},
            {"y": 1.2},
            tolerance=0.05,
            parts=UNLIT,
        ),
    )
}


def scenarios_named(names: Sequence[str] = ()) -> list[Scenario]:
    """The scenarios of these names; all of them where none is given.

    Raises:
        InvalidInput: for every name that there is not.
    """
    names = names or list(SCENARIOS)
    if faults := [
        f"unknown problem {name!r}{suggest_nearest(name, SCENARIOS)}" for name in names if name not in SCENARIOS
    ]:
        raise InvalidInput(faults)
    return [SCENARIOS[name] for name in names]
