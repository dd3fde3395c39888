"""What an instrument's statement of its noise is worth: it may be off by a factor, nearly the same for all channels.

So each channel's readings say something of the noise of the others, and a statement that they contradict is soon
forgotten. Factors are logarithms, and what is believed of them is a weight at each of some places.
"""

from collections.abc import Sequence

import numpy as np

from strategies.posterior.covariance import Matrix

FACTORS = 0.2 * np.arange(-10, 11)
"""Logarithms of the factors by which a statement may be too small."""
EACH = 0.15
"""Standard deviation of a channel's own factor about the common one."""
RIGHT = 0.4
"""Chance that the statement is right."""
OFF_BY = 0.8
"""Standard deviation of the logarithm of the factor where it is not ..."""
SELDOM = 0.25
"""... and how many times as seldom it is too large as too small: successive readings may be alike by accident."""
LEAST = 1e-9


def believed() -> Matrix:
    """Chance of each of the common factors before any reading, ``(k,)``."""
    wrong = np.exp(-0.5 * (FACTORS / OFF_BY) ** 2) * np.where(FACTORS < 0, SELDOM, 1.0)
    return np.asarray(RIGHT * (np.abs(FACTORS) < LEAST) + (1 - RIGHT) * wrong / wrong.sum())


def penalty(factor: float, chances: Matrix) -> tuple[float, float]:
    """Minus the logarithm of the density of a channel's factor, and its slope."""
    off = (factor - FACTORS) / EACH
    shares = np.log(chances) - 0.5 * off**2
    most = shares.max()
    shares = np.exp(shares - most)
    total = float(shares.sum())
    return float(-most - np.log(total)), float(shares @ off / total / EACH)


def told(factors: Matrix, likelihoods: Matrix) -> Matrix:
    """How likely a channel's readings make each of the common factors, ``(k,)``.

    Args:
        factors: Factors of the channel's own, ``(m,)``, increasing.
        likelihoods: How likely its readings are by each of these, ``(m,)``.
    """
    near = np.exp(-0.5 * ((FACTORS[:, None] - factors) / EACH) ** 2)
    found = near @ (likelihoods * np.gradient(factors))
    return np.asarray(found / found.max())


def of_others(each: Sequence[Matrix | None]) -> list[Matrix]:
    """Chance of each of the common factors by the readings of all other channels, ``(k,)`` for every channel.

    Args:
        each: What each channel's readings tell; None where nothing is stated.
    """
    found = []
    for own in range(len(each)):
        chances = believed()
        for place, likelihood in enumerate(each):
            if likelihood is not None and place != own:
                chances = chances * np.maximum(likelihood, LEAST)
        found.append(np.maximum(chances / chances.sum(), LEAST))
    return found
