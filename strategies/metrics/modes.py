"""How many of several separate families of answers a few draws find."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ModesFound:
    """Families found by a number of draws, over many repetitions."""

    share: float
    """Of the families, on average."""
    all: float
    """Share of the repetitions that found every one."""


def modes_found(family: NDArray[np.intp], families: int) -> ModesFound:
    """Count families among draws.

    Args:
        family: Number of the family of each draw, from 0, ``(r, n)`` for ``r`` repetitions; -1 for one off target.
        families: How many there are.

    >>> modes_found(np.array([[0, 1, 0], [1, -1, 1]]), 2)
    ModesFound(share=0.75, all=0.5)
    """
    hit = (family[:, :, None] == np.arange(families)).any(axis=1)
    return ModesFound(float(hit.mean()), float(hit.all(axis=1).mean()))
