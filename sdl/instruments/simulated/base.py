"""What instruments that compute their readings have in common: noise on request, a prior of settings, rows of both."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias

import numpy as np

from sdl.errors import InvalidInput
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Channel, Knob, Readings, Settings, Space

Draw: TypeAlias = Callable[[int, np.random.Generator], Settings]
"""How many, and the source of randomness, to settings ``(n, d)``."""

EXACT = 1e-6
"""What a channel states as the noise of exact readings: decisions weigh by it, and cannot by 0."""


class Simulated(ABC):
    """An instrument whose truth is a formula.

    Args:
        seed: Of the noise.
        noise: Standard deviation of one reading, in its unit; 0 answers exactly.
    """

    NAME: ClassVar[str]
    KNOBS: tuple[Knob, ...]
    CHANNELS: ClassVar[Mapping[str, str]]
    """Unit of each channel."""

    def __init__(self, seed: int = 0, noise: float = 0.0) -> None:
        if not 0 <= noise < np.inf:
            raise InvalidInput(f"noise: needs a number that is not negative, got {noise}")
        channels = tuple(
            Channel(name=name, unit=unit, floor=None, integral=False, noise=max(noise, EXACT))
            for name, unit in self.CHANNELS.items()
        )
        self.space: Space = Space(knobs=self.KNOBS, channels=channels)
        self.patience = Patience(attempts=1)
        self.identity = f"{self.NAME}-{seed}"
        self._noise, self._rng = noise, np.random.default_rng(seed)

    @abstractmethod
    def truth(self, settings: Settings) -> Readings:
        """Return noise-free readings ``(n, p)`` at settings ``(n, d)``, in the box or not; NaN where there is none."""

    @abstractmethod
    def prior(self, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` within the bounds as they occur, which is what inverse models are to learn."""

    def rows(self, n: int, rng: np.random.Generator) -> tuple[Readings, Settings]:
        """Return readings ``(n, p)``, with the noise of the instrument, at settings ``(n, d)`` drawn from the prior."""
        settings = self.prior(n, rng)
        readings = self.truth(settings)
        return readings + self._noise * rng.standard_normal(readings.shape), settings

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading.

        Raises:
            InvalidInput: settings that the space does not have.
        """
        point = self.space.settings(settings)
        readings = self.truth(point[None])[0]
        applied = self.space.named_settings(point)
        noisy = readings + self._noise * self._rng.standard_normal(readings.size)
        named_readings = self.space.named_readings(noisy)
        raw = json.dumps({"in": list(applied.values()), "out": named_readings})
        return Reply(applied=applied, readings=named_readings, raw=raw)

    def close(self) -> None:  # noqa: B027
        """Nothing to leave safe."""


def draw_within_bounds(space: Space, draw: Draw, n: int, rng: np.random.Generator) -> Settings:
    """Return the first ``n`` draws that lie within the bounds, ``(n, d)``: a prior cut at the box."""
    accepted = np.empty((0, space.d))
    while len(accepted) < n:
        drawn = draw(n + 16, rng)
        accepted = np.concatenate((accepted, drawn[space.contains(drawn)]))
    return accepted[:n]
