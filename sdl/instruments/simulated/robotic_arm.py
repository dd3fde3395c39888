"""A benchmark of inverse problems: an arm of three segments on a rail, and where its hand is."""

from typing import ClassVar

import numpy as np

from sdl.instruments.simulated.base import Simulated, draw_within_bounds
from sdl.space import Knob, Readings, Settings

LENGTHS = (0.5, 0.5, 1.0)
SPREAD = np.array([0.25, 0.5, 0.5, 0.5])
"""Standard deviations of rail and angles; the box ends at four of them."""


class RoboticArm(Simulated):
    """Reach and height of a hand from the height of the base and three angles, each normally distributed about 0.

    References:
        Ardizzone et al. (2019), arXiv:1808.04730; Kruse, Ardizzone, Rother, Koethe (2021), arXiv:2101.10763

    >>> RoboticArm().truth(np.array([[0.1, 0.0, 0.0, 0.0], [0.1, np.pi / 2, np.pi / 2, np.pi]])).round(6).tolist()
    [[2.0, 0.1], [1.5, 0.6]]
    """

    NAME = "robotic-arm"
    KNOBS = (
        Knob(name="rail", low=-1, high=1, unit="m"),
        *(Knob(name=joint, low=-2, high=2, unit="rad") for joint in ("shoulder", "elbow", "wrist")),
    )
    CHANNELS: ClassVar = {"reach": "m", "height": "m"}

    def truth(self, settings: Settings) -> Readings:
        """Return noise-free readings ``(n, 2)`` at settings ``(n, 4)``; see ``Simulated``."""
        rail, a, b, c = np.asarray(settings, float).T
        angles = np.column_stack((a, b - a, c - b - a))
        return np.column_stack((np.cos(angles) @ LENGTHS, rail + np.sin(angles) @ LENGTHS))

    def prior(self, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, 4)`` as they occur; see ``Simulated``."""
        return draw_within_bounds(self.space, lambda n, rng: SPREAD * rng.standard_normal((n, 4)), n, rng)
