"""The control chart of an instrument: is today's calibration what its earlier ones let expect?

Each knob's gain is one quantity. A jump shows in the gain itself, a slow drift in its exponentially weighted mean.

References:
    Montgomery, "Introduction to Statistical Quality Control" (8th edition 2019), chapters 6 (individuals) and 9 (EWMA)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Space

LEAST_SIGMA = 0.003
"""Share of the gain below which nothing is called a change: what the lamps of one instrument vary between sessions."""
WEIGHT = 0.2
"""Of the newest calibration in the weighted mean."""
WIDTH = 3.0
"""Standard deviations from the centre to a limit."""
MOVING_RANGE = 1.128
"""Mean range of two draws from a normal distribution, in standard deviations."""


@dataclass(frozen=True, eq=False)
class Chart:
    """The gain of one knob over the calibrations of an instrument, as a ratio to their median."""

    knob: str
    gains: NDArray[np.float64]
    """One a calibration, ``(n,)``, oldest first."""
    weighted: NDArray[np.float64]
    """Their exponentially weighted mean, ``(n,)``."""
    limit: float
    """Largest expected distance of a gain from 1."""
    drift_limit: float
    """Largest expected distance of the weighted mean from 1."""

    @property
    def alarm(self) -> str | None:
        """What is out of its band in the newest calibration; None if nothing is."""
        jump, drift = self.gains[-1] - 1, self.weighted[-1] - 1
        if abs(jump) > self.limit:
            return f"gain of {self.knob} is {100 * jump:+.2f} % off, {100 * self.limit:.2f} % are expected"
        if abs(drift) > self.drift_limit:
            return (
                f"gain of {self.knob} has drifted by {100 * drift:+.2f} %, {100 * self.drift_limit:.2f} % are expected"
            )
        return None


def control_charts(space: Space, responses: Sequence[Readings]) -> list[Chart]:
    """Return the chart of each knob.

    Args:
        space: Of the instrument.
        responses: What each knob at its upper bound added, ``(d, p)``, one a calibration, oldest first; NaN where a
            channel was at its ceiling.

    Raises:
        ValueError: if there is no calibration.
    """
    if not responses:
        raise ValueError("a control chart needs one calibration at least, got none")
    return [_chart(name, np.array([response[k] for response in responses])) for k, name in enumerate(space.knob_names)]


def _chart(knob: str, rows: NDArray[np.float64]) -> Chart:
    """One knob's chart from its responses ``(n, p)``."""
    complete = np.isfinite(rows).all(axis=0)
    usual = np.median((rows[:-1] if len(rows) > 1 else rows)[:, complete], axis=0)
    if not usual.any():  # no channel is always below its ceiling, or the knob, fully on, adds nothing
        nothing = np.ones(len(rows))
        return Chart(knob, nothing, nothing, WIDTH * LEAST_SIGMA, WIDTH * LEAST_SIGMA)
    gains = rows[:, complete] @ usual / (usual @ usual)
    ranges = np.abs(np.diff(gains[:-1]))
    sigma = max(LEAST_SIGMA, ranges.mean() / MOVING_RANGE if len(ranges) else 0.0)
    weighted = np.empty_like(gains)
    mean = 1.0
    for place, gain in enumerate(gains):
        weighted[place] = mean = WEIGHT * gain + (1 - WEIGHT) * mean
    return Chart(knob, gains, weighted, WIDTH * sigma, WIDTH * sigma * float(np.sqrt(WEIGHT / (2 - WEIGHT))))
