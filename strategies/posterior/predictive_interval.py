"""The predictive interval: where the mean of some readings at settings will lie, each channel by itself.

It holds what the rows leave unknown of the noise-free reading and the noise of the readings themselves, by the Student
distribution whose degrees of freedom say how well that noise is known.
"""

import numpy as np
from scipy.special import stdtrit

from sdl.space import Readings, Settings
from strategies.posterior.posterior import Posterior

LEVEL = 0.9
"""Of the intervals: so many of the readings lie in them."""


def predict_interval(
    posterior: Posterior, settings: Settings, readings: int = 1, unsure: float | Readings = 0.0
) -> tuple[Readings, Readings]:
    """Lowest and highest mean of so many readings at settings ``(m, d)``, both ``(m, p)``.

    Args:
        posterior: Of all rows so far.
        settings: In the unit box.
        readings: Of which the mean is predicted.
        unsure: Standard deviation of what is added to all readings, ``(p,)``.
    """
    mean, deviation = posterior.at(settings)
    noise = np.column_stack([channel.noise(mean[:, c]) for c, channel in enumerate(posterior.channels)])
    margin = stdtrit(posterior.degrees, (1 + LEVEL) / 2) * np.sqrt(deviation**2 + noise**2 / readings + unsure**2)
    return mean - margin, mean + margin
