"""Backgrounds of instruments that are drawn at random: what reaches the sensor while every knob is off.

Time is counted in requests: ``advance`` is called once before each reading.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sdl.space import Readings


class AddedLight(Protocol):
    """Something that adds to every reading, whatever the settings."""

    @property
    def level(self) -> Readings:
        """What it adds at this moment, ``(p,)``."""

    def advance(self, rng: np.random.Generator) -> None:
        """Let one request pass."""


@dataclass(frozen=True, eq=False)
class Steady:
    """The same for ever."""

    level: Readings
    """``(p,)``."""

    def advance(self, rng: np.random.Generator) -> None:
        """Nothing changes."""


@dataclass(eq=False)
class Daylight:
    """Light whose logarithm wanders about its median and forgets itself: an Ornstein-Uhlenbeck process, with a lag.

    It begins at its median, so that a target that is posed for the median can be met at once.
    """

    median: Readings
    """``(p,)``."""
    scatter: float
    """Standard deviation of the logarithm in the long run."""
    memory: float
    """Requests after which the logarithm has kept 1/e of what it was."""
    lag: float = 0.0
    """Requests by which it follows that process, as no cloud passes at once."""
    ahead: float = 0.0
    """The process that it follows, in standard deviations."""
    state: float = 0.0
    """Of the logarithm, in standard deviations of that process."""

    @property
    def level(self) -> Readings:
        return np.asarray(self.median * np.exp(self.scatter * self.state))

    def advance(self, rng: np.random.Generator) -> None:
        kept = np.exp(-1 / self.memory)
        self.ahead = float(kept * self.ahead + np.sqrt(1 - kept**2) * rng.standard_normal())
        share = -np.expm1(-1 / self.lag) if self.lag > 0 else 1.0
        self.state = float(self.state + share * (self.ahead - self.state))


@dataclass(eq=False)
class SwitchedLamp:
    """A lamp that is switched on, then off, then on, each time after the same number of requests."""

    room: Readings
    """Without the lamp, ``(p,)``."""
    lamp: Readings
    """What the lamp adds, ``(p,)``."""
    every: int
    """Requests between two switches."""
    passed: int = -1
    """Requests before the present one; the first has number 0."""

    @property
    def level(self) -> Readings:
        on = self.passed // self.every % 2 == 1
        return np.asarray(self.room + self.lamp * on)

    def advance(self, rng: np.random.Generator) -> None:
        self.passed += 1
