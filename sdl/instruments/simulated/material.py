"""A benchmark of inverse problems with a thousand knobs: how stiff is a material that repeats a cell of pixels?"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.instruments.simulated.base import Simulated
from sdl.instruments.simulated.homogenisation import effective_modulus
from sdl.space import Knob, Readings, Settings

VOID = 1e-4
"""Modulus of an empty pixel: the equations need something there."""
WAVES = 5
"""Of the random field of a cell, along each axis: shapes of about a fifth of it."""
SOLID = (0.15, 0.75)
"""Share of a cell that its shapes fill, beside its struts."""


class Material(Simulated):
    """Young's modulus of a square lattice of cells, 32 x 32 pixels each by default, in that of the solid.

    A knob is the share of solid in a pixel, ``rho``; its modulus is ``rho**3``. Those of the prior are either solid or
    empty, and symmetric as a square: a frame, a cross or both, one or two pixels wide, which carry some load for sure,
    and shapes where a random field is highest.

    Args:
        side: Pixels along a cell, even; a campaign is quick with 8.
        seed: Of the noise.
        noise: Standard deviation of one reading.

    References:
        Bendsoe, Sigmund (1999), doi:10.1007/s004190050248, for the modulus of pixels that are partly solid

    >>> Material().truth(np.stack((np.ones(1024), np.full(1024, 0.5)))).round(4).tolist()
    [[1.0], [0.1251]]
    """

    NAME = "material"
    CHANNELS: ClassVar = {"modulus": "of the solid"}

    def __init__(self, side: int = 32, seed: int = 0, noise: float = 0.0) -> None:
        if side < 4 or side % 2:
            raise InvalidInput(f"side: needs an even number of pixels from 4 on, got {side}")
        self.side = side
        self.KNOBS = tuple(Knob(name=f"p{row:02}{column:02}") for row in range(side) for column in range(side))
        super().__init__(seed, noise)

    def truth(self, settings: Settings) -> Readings:
        """Return noise-free readings ``(n, 1)`` at settings ``(n, d)``; see ``Simulated``."""
        rho = np.clip(np.asarray(settings, float), 0, 1).reshape(-1, self.side, self.side)
        return effective_modulus(VOID + (1 - VOID) * rho**3)[:, None]

    def prior(self, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` as they occur; see ``Simulated``."""
        return np.asarray((_struts(self.side, n, rng) | _shapes(self.side, n, rng)).reshape(n, -1), float)


def _struts(side: int, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Frames, crosses or both, ``(n, side, side)``."""
    pixel = np.arange(side)
    from_edge = np.minimum(pixel, pixel[::-1])
    from_middle = side // 2 - 1 - from_edge
    distances = [np.minimum(distance[:, None], distance) for distance in (from_edge, from_middle)]
    width = rng.integers(1, 3, n)
    which = np.array([[True, False], [False, True], [True, True]])[rng.integers(3, size=n)]
    shapes = [which[:, kind, None, None] & (distances[kind] < width[:, None, None]) for kind in range(2)]
    return np.asarray(shapes[0] | shapes[1])


def _shapes(side: int, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where a smooth random field, symmetric as a square, is highest, ``(n, side, side)``."""
    wave, half = np.arange(WAVES), side // 2
    weights = rng.standard_normal((n, WAVES, WAVES)) / (1 + wave[:, None] ** 2 + wave**2)
    shape = np.cos(2 * np.pi * np.outer(wave, (np.arange(half) + 0.5) / side))
    field = shape.T @ weights @ shape
    field = field + field.mT
    share = rng.uniform(*SOLID, n)
    level = np.sort(field.reshape(n, -1))[np.arange(n), ((1 - share) * half**2).astype(int)]
    solid = field > level[:, None, None]
    solid = np.concatenate((solid, solid[:, ::-1]), axis=1)
    return np.concatenate((solid, solid[:, :, ::-1]), axis=2)
