"""An instrument put together from parts: a response, a gain that drifts, a background, errors and a sensor."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdl.instruments.protocol import Patience, Reply
from sdl.instruments.simulated.backgrounds import AddedLight
from sdl.instruments.simulated.reading_errors import Normal, ReadingErrors
from sdl.instruments.simulated.responses import Response
from sdl.space import Readings, Settings, Space


@dataclass(frozen=True, eq=False)
class NoiseSize:
    """Standard deviation of one reading, true whatever the instrument states."""

    lit: Readings
    """With some knob on, where the response is 0, ``(p,)``."""
    dark: Readings
    """With all knobs off, ``(p,)``."""
    growth: Readings | float = 0.0
    """By which share of the response it grows, added in quadrature, ``(p,)``."""

    def at(self, response: Readings, off: NDArray[np.bool_]) -> Readings:
        """Where the response is ``(..., p)``, and all knobs are off or not, ``(...)``."""
        return np.where(off[..., None], self.dark, np.hypot(self.lit, self.growth * response))


@dataclass(eq=False)
class Composed:
    """An instrument that computes ``gain * response(settings) + background + error`` and reads it with a sensor.

    The sensor rounds to its own step and cuts at the floor and the ceiling that the space states. Time is counted in
    requests: gain, background and errors move on with each one, and ``truth`` is that of the last request.
    """

    name: str
    space: Space
    response: Response
    """Of settings in the unit box."""
    noise: NoiseSize
    background: AddedLight
    rng: np.random.Generator
    """Of errors and background."""
    errors: ReadingErrors = field(default_factory=Normal)
    gain_drift: float = 0.0
    """By which share of the first one the gain changes with each request."""
    sensor_step: Readings | None = None
    """Least difference between two readings, ``(p,)``; None if it reads any value."""
    requests: int = 0
    """Answered so far."""
    patience: Patience = field(default_factory=lambda: Patience(attempts=1))

    @property
    def identity(self) -> str:
        return self.name

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """One reading.

        Raises:
            InvalidInput: settings that the space does not have.
        """
        asked = self.space.settings(settings)
        self.background.advance(self.rng)
        self.requests += 1
        error = self.noise_at(asked[None])[0] * self.errors.draw(self.space.p, self.rng)
        named = self.space.named_readings(self._sensed(self.truth(asked[None])[0] + error))
        applied = self.space.named_settings(asked)
        return Reply(applied=applied, readings=named, raw=json.dumps({"in": list(applied.values()), "out": named}))

    def truth(self, settings: Settings) -> Readings:
        """Noise-free readings ``(n, p)`` at settings ``(n, d)`` at the last request, neither rounded nor cut."""
        return np.asarray(self._driven(settings) + self.background.level)

    def noise_at(self, settings: Settings) -> Readings:
        """True standard deviation of one reading ``(n, p)`` at settings ``(n, d)``."""
        off = np.all(np.asarray(settings) == self.space.off, axis=-1)
        return self.noise.at(self._driven(settings), off)

    def close(self) -> None:
        """Nothing to leave safe."""

    def _driven(self, settings: Settings) -> Readings:
        """What the knobs add, ``(n, p)``."""
        gain = 1 + self.gain_drift * max(self.requests - 1, 0)
        return np.asarray(gain * self.response(self.space.to_unit(self.space.reachable(np.asarray(settings, float)))))

    def _sensed(self, readings: Readings) -> Readings:
        if self.sensor_step is not None:
            readings = np.rint(readings / self.sensor_step) * self.sensor_step
        floor = np.array([-np.inf if channel.floor is None else channel.floor for channel in self.space.channels])
        return np.clip(readings, floor, self.space.ceiling)
