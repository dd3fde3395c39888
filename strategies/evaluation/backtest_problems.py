"""The problems of the back-test: an instrument, what is wanted of it, and what befalls it on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput, UnknownPlugin, nearest
from sdl.instruments.claude_light.recordings import FILE, FOLDER
from sdl.instruments.protocol import Instrument

WHITE = {"445nm": 16384.0, "515nm": 16384.0, "630nm": 16384.0}
"""The paper's target, counts."""

UNLIT = {"background": {"every": 0}}
"""Where there is no background."""


@dataclass(frozen=True)
class Problem:
    """One problem of the back-test; a seed makes it one of many."""

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
    """After how many requests somebody switches a lamp on, and its counts at 515nm."""

    def campaign(self, seed: int, budget: int, tolerance: float | str | None = None) -> Campaign:
        """What a person would write down for it."""
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

    def build(self, seed: int) -> Instrument:
        """The instrument of a seed.

        Raises:
            UnknownPlugin: if it is not installed.
        """
        built: Instrument = plugins.build("sdl.instruments", self.instrument, {**self.options, "seed": seed})
        return built

    def befall(self, instrument: Any, done: int) -> None:
        """What happens to the instrument after a number of requests."""
        if self.lamp is not None and done == self.lamp[0]:
            instrument.lamp = self.lamp[1]

    @property
    def lacking(self) -> str:
        """Why it cannot be posed here, in a sentence; empty if it can."""
        try:
            self.build(0)
        except (UnknownPlugin, InvalidInput) as error:
            return f"{self.name} is left out: {error}"
        return ""


PROBLEMS = {
    each.name: each
    for each in (
        Problem("dark", "the paper's target on the twin at night", "twin"),
        Problem(
            "daylight",
            "the same by day: 1500 counts at 515nm in the median, forgotten within an hour",
            "twin",
            {"daylight": 1500.0, "memory_h": 1.0},
        ),
        Problem(
            "lamp",
            "the same at night, until after the eighth request a lamp of 2000 counts at 515nm is switched on",
            "twin",
            lamp=(8, 2000.0),
        ),
        Problem(
            "ageing",
            "the same at night with LEDs that lose 0.03 % of their light with each request",
            "twin",
            {"drift": -30.0},
        ),
        Problem(
            "recorded",
            "the same in the light and with the noise of a real run, another one for each seed",
            "recorded-run",
            {"path": str(FOLDER / FILE)},
        ),
        Problem(
            "robotic-arm",
            "four joints, two readings: reach 1.6 and height 0.4 of an arm that trembles",
            "robotic-arm",
            {"noise": 0.01},
            {"reach": 1.6, "height": 0.4},
            tolerance=0.02,
            parts=UNLIT,
        ),
        Problem(
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


def posed(names: list[str] | None = None) -> list[Problem]:
    """The problems of these names; all of them unless told.

    Raises:
        InvalidInput: for every name that there is not.
    """
    asked = names or list(PROBLEMS)
    if faults := [f"unknown problem {name!r}{nearest(name, PROBLEMS)}" for name in asked if name not in PROBLEMS]:
        raise InvalidInput(faults)
    return [PROBLEMS[name] for name in asked]
