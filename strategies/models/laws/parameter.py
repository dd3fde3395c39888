"""A hidden parameter of a law: its unit, its bounds, and what is known of it before any reading."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """A number that a law has and nobody sets; rows tell it.

    Its prior is uniform between the bounds, of its logarithm on a logarithmic scale; with ``expected`` it is the normal
    distribution about that, cut off at the bounds.

    Raises:
        InvalidInput: for bounds or a prior that cannot be.

    >>> Parameter("Km", 0.01, 100, "mM", scale="log").values(np.array([0.0, 0.5, 1.0])).round(6).tolist()
    [0.01, 1.0, 100.0]
    """

    name: str
    low: float
    high: float
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"
    expected: float | None = None
    """What it is expected to be, if anything is known."""
    deviation: float | None = None
    """Standard deviation of that, in the unit; on a logarithmic scale its share of ``expected`` is that of a factor."""

    def __post_init__(self) -> None:
        faults = list[str]()
        if not -np.inf < self.low < self.high < np.inf:
            faults.append(f"needs finite low < high, got {self.low} and {self.high}")
        if self.scale not in ("linear", "log"):
            faults.append(f"needs the scale linear or log, got {self.scale!r}")
        if self.scale == "log" and not self.low > 0:
            faults.append(f"needs low above 0 for a logarithmic scale, got {self.low}")
        if (self.expected is None) != (self.deviation is None):
            faults.append("needs both expected and deviation, or neither")
        elif self.expected is not None and self.deviation is not None:
            if not self.low <= self.expected <= self.high:
                faults.append(f"needs expected within {self.low} to {self.high}, got {self.expected}")
            if not 0 < self.deviation < np.inf:
                faults.append(f"needs a deviation above 0, got {self.deviation}")
        if faults:
            raise InvalidInput([f"parameter {self.name!r} {fault}" for fault in faults])

    @property
    def ends(self) -> tuple[float, float]:
        """Its bounds on its own scale: their logarithms, or themselves."""
        return (np.log(self.low), np.log(self.high)) if self.scale == "log" else (self.low, self.high)

    def values(self, places: Array) -> Array:
        """What it is at places ``(...)`` between its bounds, from 0 to 1."""
        low, high = self.ends
        scaled = low + places * (high - low)
        return np.asarray(np.exp(scaled) if self.scale == "log" else scaled)

    @property
    def prior(self) -> tuple[float, float]:
        """Where it is expected between its bounds, from 0 to 1, and the standard deviation; infinite if uniform."""
        if self.expected is None or self.deviation is None:
            return 0.5, np.inf
        low, high = self.ends
        if self.scale == "log":
            at, width = np.log(self.expected), self.deviation / self.expected
        else:
            at, width = self.expected, self.deviation
        return (at - low) / (high - low), width / (high - low)
