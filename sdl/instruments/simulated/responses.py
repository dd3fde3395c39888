"""Responses of instruments that are drawn at random: from settings in the unit box to noise-free readings.

Each maps settings ``(n, d)`` to readings ``(n, p)`` and gives 0 at the corner where every knob stands at its low end,
except ``Waves`` and ``Emulated``, which are those of a synthesis rather than of a lamp.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sdl.space import Readings, Settings

Array = NDArray[np.float64]


class Response(Protocol):
    """What an instrument would read without noise, background and sensor."""

    def __call__(self, unit: Settings) -> Readings:
        """Readings ``(n, p)`` at settings in the unit box ``(n, d)``."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Every knob adds its share to every channel.

    >>> Plane(np.array([[2.0, 0.0], [0.0, 3.0]]))(np.array([[0.5, 1.0]])).tolist()
    [[1.0, 3.0]]
    """

    slopes: Array
    """Change of a reading over the whole range of a knob, ``(d, p)``."""

    def __call__(self, unit: Settings) -> Readings:
        return np.asarray(unit @ self.slopes)


@dataclass(frozen=True, eq=False)
class Waves:
    """A smooth random function: a draw from a Gaussian process, by random Fourier features.

    References:
        Rahimi, Recht (2007), Random features for large-scale kernel machines, NeurIPS
    """

    frequencies: Array
    """``(m, d)``, radians over the range of a knob."""
    phases: Array
    """``(m,)``, radians."""
    weights: Array
    """``(m, p)``, in the units of the readings."""

    @classmethod
    def drawn(cls, amplitude: Readings, d: int, length: float, rng: np.random.Generator, m: int = 32) -> "Waves":
        """One with standard deviations ``amplitude`` ``(p,)`` that forgets itself over ``length`` of the unit box."""
        weights = np.sqrt(2 / m) * amplitude * rng.standard_normal((m, len(amplitude)))
        return cls(rng.standard_normal((m, d)) / length, rng.uniform(0, 2 * np.pi, m), weights)

    def __call__(self, unit: Settings) -> Readings:
        return np.asarray(np.cos(unit @ self.frequencies.T + self.phases) @ self.weights)


@dataclass(frozen=True, eq=False)
class Sum:
    """Two responses that add up, less what the second one reads where every knob is low."""

    first: Response
    second: Response

    def __call__(self, unit: Settings) -> Readings:
        corner = self.second(np.zeros((1, np.shape(unit)[-1])))
        return np.asarray(self.first(unit) + self.second(unit) - corner)


@dataclass(frozen=True, eq=False)
class Saturating:
    """``limit (1 - exp(-rates . settings))``: the more there is, the less more adds."""

    limit: Readings
    """``(p,)``."""
    rates: Array
    """``(d, p)``, none negative."""

    def __call__(self, unit: Settings) -> Readings:
        return np.asarray(-self.limit * np.expm1(-(unit @ self.rates)))


@dataclass(frozen=True, eq=False)
class Threshold:
    """Nothing until a weighted sum of the knobs nears its threshold, then all: a logistic curve."""

    limit: Readings
    """``(p,)``."""
    weights: Array
    """``(d, p)``, each column adding to one."""
    threshold: Readings
    """Weighted sum at half of the limit, ``(p,)``."""
    width: Readings
    """Over which the reading rises, ``(p,)``."""

    def __call__(self, unit: Settings) -> Readings:
        at_rest = expit(-self.threshold / self.width)
        return np.asarray(self.limit * (expit((unit @ self.weights - self.threshold) / self.width) - at_rest))


@dataclass(frozen=True, eq=False)
class Products:
    """Knobs that matter together: a plane and the products of pairs of knobs."""

    slopes: Array
    """``(d, p)``."""
    pairs: Array
    """Of two knobs, ``(d, d, p)``."""

    def __call__(self, unit: Settings) -> Readings:
        return np.asarray(unit @ self.slopes + np.einsum("ni,nj,ijp->np", unit, unit, self.pairs))


@dataclass(frozen=True, eq=False)
class Emulated:
    """The mean of a Gaussian process with a squared exponential kernel, see ``families.laboratories``."""

    centres: Settings
    """Where it was measured, in the unit box, ``(m, d)``."""
    lengths: Array
    """Of the kernel, ``(d,)``."""
    weights: Array
    """``(m, p)``, in the units of the readings."""
    mean: Readings
    """``(p,)``."""

    def __call__(self, unit: Settings) -> Readings:
        apart = ((unit[:, None] - self.centres) / self.lengths) ** 2
        return np.asarray(self.mean + np.exp(-apart.sum(axis=-1) / 2) @ self.weights)


@dataclass(frozen=True, eq=False)
class SilentSteps:
    """A response whose knobs move in steps that the instrument does not state."""

    response: Response
    steps: int
    """Over the whole range: 255 for a knob of 8 bits."""

    def __call__(self, unit: Settings) -> Readings:
        return self.response(np.rint(unit * self.steps) / self.steps)
