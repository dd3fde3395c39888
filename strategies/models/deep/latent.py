"""Noise that a generative model turns into settings: independent, or spread evenly so that few draws find them all."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from sdl.errors import InvalidInput
from sdl.space import Space
from strategies.designs import MaximinLatinHypercube

Array: TypeAlias = NDArray[np.float64]
Latent: TypeAlias = Literal["independent", "maximin", "sobol"]
LATENTS: tuple[Latent, ...] = ("independent", "maximin", "sobol")
TRIES = 2_000_000
"""Distances that the search for a maximin hypercube looks at, over all hypercubes that it tries."""
EDGE = 1e-6


def normal(latent: Latent, shape: tuple[int, int, int], rng: np.random.Generator) -> Array:
    """Standard normal noise ``(m, n, d)`` for ``m`` targets.

    Args:
        latent: ``independent``; ``sobol``, a scrambled Sobol sequence; or ``maximin``, of some Latin hypercubes the one
            whose closest two points are farthest apart. The ``n`` points of these two are the same for each target,
            moved by another amount for each.
        shape: Of the noise.
        rng: The only source of randomness.

    >>> noise = normal("sobol", (1, 64, 1), np.random.default_rng(0))
    >>> bool(abs(np.quantile(noise, 0.75) - 0.674) < 0.05)
    True
    """
    m, n, d = shape
    if latent == "independent":
        return rng.standard_normal(shape)
    if latent == "sobol":
        points = qmc.Sobol(d, rng=rng).random_base2((n - 1).bit_length())[:n]
    elif latent == "maximin":
        tries = int(np.clip(TRIES // n**2, 1, MaximinLatinHypercube.tries))
        space = Space.unit(*(str(knob) for knob in range(d)))
        points = MaximinLatinHypercube(tries).propose(space, n, rng)
    else:
        raise InvalidInput(f"latent needs to be one of {', '.join(LATENTS)}, got {latent!r}")
    moved = points if m == 1 else (points + rng.random((m, 1, d))) % 1.0
    return np.asarray(ndtri(np.clip(np.broadcast_to(moved, shape), EDGE, 1 - EDGE)))
