"""What all channels of an instrument have nearly in common, so that readings of each say something of the others.

An instrument that states too little noise does so for every channel, and noise that one reading passes on to the next
does so in all. So what is believed of such a hyperparameter is a mixture of narrow normal
distributions, and the readings of all other channels say how likely each of them is.
"""

from collections.abc import Sequence

import numpy as np

from strategies.posterior.covariance import CORRELATION, NOISE, Matrix

COMMON = (NOISE, CORRELATION)
"""Hyperparameters that channels have in common: that of the noise as a factor of what is stated."""
EACH = np.array([0.15, 0.5])
"""Standard deviation of a channel's own about the common one."""
RIGHT = 0.05
"""Chance that a stated noise is right."""
OFF_BY = 0.8
"""Standard deviation of the logarithm of the factor by which it is too small where it is not ..."""
SELDOM = 0.02
"""... and how many times as seldom it is too large: successive readings may be alike by accident."""
LEAST = 1e-9
PLACES = 27


def places(limits: Sequence[tuple[float, float]]) -> Matrix:
    """Where each of the common ones may be, ``(c, k)``, increasing: within limits, the noise's about 0."""
    low, high = np.array(limits, float).T
    found = np.linspace(low, high, PLACES, axis=1)
    found[0] = EACH[0] * (np.arange(PLACES) - PLACES // 2)
    return np.asarray(found)


def believed(at: Matrix, means: Matrix, deviations: Matrix) -> Matrix:
    """Chance of each place ``(c, k)`` before any reading; means and deviations ``(c,)`` are not those of the noise."""
    chances = np.exp(-0.5 * ((at - means[:, None]) / deviations[:, None]) ** 2)
    chances[0] = np.exp(-0.5 * (at[0] / OFF_BY) ** 2) * np.where(at[0] < 0, SELDOM, 1.0)
    chances /= chances.sum(axis=1, keepdims=True)
    chances[0] = RIGHT * (np.arange(PLACES) == PLACES // 2) + (1 - RIGHT) * chances[0]
    return np.asarray(np.maximum(chances, LEAST))


def penalties(values: Matrix, at: Matrix, chances: Matrix) -> tuple[Matrix, Matrix]:
    """Minus the logarithm of the density of a channel's own values ``(c,)``, and its slopes."""
    off = (values[:, None] - at) / EACH[:, None]
    shares = chances * np.exp(-0.5 * off**2) + np.finfo(float).tiny
    totals = shares.sum(axis=1)
    return -np.log(totals), (shares * off).sum(axis=1) / totals / EACH


def likelihoods_at(values: Matrix, likelihoods: Matrix, at: Matrix) -> Matrix:
    """How likely a channel's readings make each of the places ``(c, k)``.

    Args:
        values: Own values of each that is common, ``(c, m)``, not decreasing.
        likelihoods: How likely the readings are by each of these, ``(c, m)``.
        at: The places.
    """
    near = np.exp(-0.5 * ((at[:, :, None] - values[:, None]) / EACH[:, None, None]) ** 2)
    found = np.einsum("ckm,cm->ck", near, likelihoods * np.gradient(values, axis=1))
    return np.asarray(np.maximum(found / np.maximum(found.max(axis=1, keepdims=True), LEAST), LEAST))


def of_others(own_likelihoods: Sequence[Matrix], before: Matrix) -> list[Matrix]:
    """Chances of the places by the readings of all other channels, ``(c, k)`` for every channel.

    Args:
        own_likelihoods: How likely each channel's readings make the places, ``(c, k)``.
        before: Chances before any reading.
    """
    every = np.log(before) + sum(np.log(likelihood) for likelihood in own_likelihoods)
    chances = [
        np.exp(every - np.log(own) - (every - np.log(own)).max(axis=1, keepdims=True)) for own in own_likelihoods
    ]
    return [np.maximum(chance / chance.sum(axis=1, keepdims=True), LEAST) for chance in chances]
