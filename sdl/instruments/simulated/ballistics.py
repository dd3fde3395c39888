"""A benchmark of inverse problems: a ball is thrown through air, and where does it land?"""

from typing import ClassVar

import numpy as np

from sdl.instruments.simulated.base import Simulated, draw_within_bounds
from sdl.space import Knob, Readings, Settings

GRAVITY = 9.81
MASS = 0.2
DRAG = 0.25


class Ballistics(Simulated):
    """Distance at which a ball lands that is thrown at an angle and a speed, against drag in proportion to its speed.

    The moment of landing is the last root of the height, in closed form by Lambert's function. What is thrown from
    below the ground and does not come out of it never lands: the box begins at the ground, and ``truth`` is NaN there.
    Positions are normally distributed, angles uniform, speeds by Poisson; the box ends at four standard deviations.

    References:
        Kruse, Ardizzone, Rother, Koethe (2021), arXiv:2101.10763; Corless et al. (1996), doi:10.1007/BF02124750
    """

    NAME = "ballistics"
    KNOBS = (
        Knob(name="place", low=-2, high=2, unit="m"),
        Knob(name="height", low=0, high=3.5, unit="m"),
        Knob(name="angle", low=9, high=81, unit="degrees"),
        Knob(name="speed", low=0, high=40, unit="m/s"),
    )
    CHANNELS: ClassVar = {"distance": "m"}

    def truth(self, settings: Settings) -> Readings:
        """Return noise-free readings ``(n, 1)`` at settings ``(n, 4)``; see ``Simulated``."""
        place, height, angle, speed = np.asarray(settings, float).T
        across, up = speed * np.cos(np.radians(angle)), speed * np.sin(np.radians(angle))
        time = _landing(height, up)
        return np.asarray(place - across * MASS / DRAG * np.expm1(-DRAG * time / MASS))[:, None]

    def prior(self, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, 4)`` as they occur; see ``Simulated``."""
        return draw_within_bounds(self.space, _thrown, n, rng)


def _landing(height: Readings, up: Readings) -> Readings:
    """Seconds ``(n,)`` until a ball comes down to the height 0; NaN where it never does.

    With time s in units of mass / drag the height is 0 where s + a exp(-s) = b.
    """
    from scipy.special import lambertw  # loads longer than all else here

    a = 1 + up * DRAG / (GRAVITY * MASS)
    b = a + height * DRAG**2 / (GRAVITY * MASS**2)
    # The principal branch is the later one of two roots.
    root = np.asarray(lambertw(np.asarray(-a * np.exp(-b), complex), 0))
    root[np.isnan(root)] = -1  # where both are one, SciPy has no value
    later = b + root.real
    lands = (height >= 0) | (np.isreal(root) & (later >= 0))  # who stands on the ground is down, whatever rounding says
    return np.asarray(np.where(lands, np.maximum(later, 0), np.nan) * MASS / DRAG)


def _thrown(n: int, rng: np.random.Generator) -> Settings:
    """Throws ``(n, 4)`` of the prior, before it is cut at the box."""
    places = rng.normal((0, 1.5), 0.5, (n, 2))
    return np.column_stack((places, rng.uniform(9, 81, n), rng.poisson(15, n)))
