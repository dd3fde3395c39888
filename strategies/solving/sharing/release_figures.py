"""What is given away of rows, what it costs, and what it keeps: a linear model with and without noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.errors import TooFewRows
from sdl.space import Readings, Settings, Space
from strategies.metrics.membership import FEWEST, Leak, mean_advantage, membership_advantage
from strategies.metrics.scores import absolute_errors
from strategies.models.private.gaussian_mechanism import PrivacyBudget
from strategies.models.private.private_statistics import PrivateStatistics, inputs
from strategies.models.private.shared_linear import channel_scale

Array = NDArray[np.float64]
TRIALS = 40
"""Choices of the rows, each with noise of its own."""
LEARN = 0.9
"""Share of the rows that the errors are by; members are half of the rows."""
KINDS = ("private", "without noise")


@dataclass(frozen=True, eq=False)
class BoundedRows:
    """Rows held to bounds that are declared."""

    readings: Readings
    """From -1 to 1 over the range of their channel, ``(n, p)``."""
    settings: Settings
    """In the unit box, ``(n, u)``."""
    moved: int
    """How many lay beyond a bound, and were moved to it."""
    half: Readings
    """Half of the range of each channel, ``(p,)``."""

    @classmethod
    def of(cls, settings: Settings, readings: Readings, space: Space) -> "BoundedRows":
        """Those in which every channel was read.

        Args:
            settings: In the units of the knobs, ``(n, d)``.
            readings: In those of the channels, ``(n, p)``; NaN where a channel was not read.
            space: Knobs and channels with their declared bounds.
        """
        complete = np.isfinite(readings).all(axis=1)
        middle, half = channel_scale(space)
        x, y = space.to_unit(settings[complete]), (readings[complete] - middle) / half
        beyond = (np.abs(y) > 1).any(axis=1) | ((x < 0) | (x > 1)).any(axis=1)
        return cls(np.clip(y, -1, 1), np.clip(x, 0, 1), int(beyond.sum()), half)

    def release(self, degree: int, budget: PrivacyBudget, entropy: int) -> PrivateStatistics:
        """What is given away of them.

        Args:
            degree: As ``PrivateStatistics.of`` takes it.
            budget: How much one row may change.
            entropy: Of the noise: 128 bits from the operating system, kept nowhere, since who knows them takes the
                noise away again.
        """
        return PrivateStatistics.of(self.readings, self.settings, degree, budget, np.random.default_rng(entropy))


@dataclass(frozen=True, eq=False)
class ReleaseFigures:
    """Of both kinds of model; they are made of the rows as they are, and are for nobody but their owner."""

    rmse: dict[str, Array]
    """Root of the mean squared error of a reading not seen, by kind, in the units of the readings, ``(p,)``."""
    membership: dict[str, Leak]
    """What a model fitted on half of the rows gives away, by kind."""


def measure_release(rows: BoundedRows, degree: int, budget: PrivacyBudget, seed: int) -> ReleaseFigures:
    """Fit both kinds on choices of the rows, and hold them against the others.

    Args:
        rows: Some of them for either purpose.
        degree: As ``PrivateStatistics.of`` takes it.
        budget: Of the private one.
        seed: Of choices and noise: what is given away has another noise.

    Raises:
        TooFewRows: with the number that is needed.
    """
    readings, settings, rng = rows.readings, rows.settings, np.random.default_rng(seed)
    n, q = len(readings), inputs(settings[:1], degree).shape[1]
    needed = max(2 * FEWEST, 2 * q + 2)
    if n < needed:
        raise TooFewRows(f"what is shared is measured on halves of the rows: that needs {needed}, got {n}")
    squares = {kind: list[Array]() for kind in KINDS}
    advantages = {kind: list[float]() for kind in KINDS}
    for _ in range(TRIALS):
        order = rng.permutation(n)
        for kind in KINDS:
            learn, rest = np.split(order, [int(LEARN * n)])
            model = _Fitted(kind, readings[learn], settings[learn], degree, budget, rng)
            squares[kind].append(absolute_errors(readings[rest], model.predict(settings[rest])).rmse ** 2)
            members, others = np.split(order, [n // 2])
            model = _Fitted(kind, readings[members], settings[members], degree, budget, rng)
            scores = model.attacked(readings, settings)
            leak = membership_advantage(scores[:, members], scores[:, others], rng)
            advantages[kind] += [] if leak is None else [leak.advantage]
    rmse = {kind: rows.half * np.sqrt(np.mean(each, axis=0)) for kind, each in squares.items()}
    return ReleaseFigures(rmse, {kind: mean_advantage(each) for kind, each in advantages.items()})


class _Fitted:
    """A linear model of either kind, with the sums that it was made from."""

    def __init__(
        self, kind: str, readings: Array, settings: Array, degree: int, budget: PrivacyBudget, rng: np.random.Generator
    ) -> None:
        self._degree, self._n, self._noise = degree, len(readings), 0.0
        if kind == "private":
            released = PrivateStatistics.of(readings, settings, degree, budget, rng)
            self._gram, self._cross, self._noise = released.gram, released.cross, released.noise
            self._coefficients = released.regression()[0]
        else:
            x = inputs(settings, degree)
            self._gram, self._cross = x.T @ x, x.T @ readings
            self._coefficients = np.asarray(np.linalg.lstsq(x, readings)[0])

    def predict(self, settings: Array) -> Array:
        """Expected readings ``(m, p)``."""
        return np.asarray(inputs(settings, self._degree) @ self._coefficients)

    def attacked(self, readings: Array, settings: Array) -> Array:
        """Scores of two attacks on rows of which half are members, ``(2, n)``.

        By the error of a row, and by the likelihood ratio of the sums with and without it, by somebody who knows how
        the sums and products of all these rows scatter.
        """
        x, y = inputs(settings, self._degree), readings
        parts = np.hstack([_products(x, x), np.sqrt(2) * _products(x, y)])
        sums = np.concatenate((self._gram.ravel(), np.sqrt(2) * self._cross.ravel()))
        off = parts - parts.mean(axis=0)
        scatter = self._n / 2 * np.cov(parts.T) + (self._noise**2 + _TINY) * np.eye(parts.shape[1])
        weighed = np.linalg.solve(scatter, off.T).T
        ratio = weighed @ (sums - self._n * parts.mean(axis=0)) - (weighed * off).sum(axis=1) / 2
        return np.stack((-np.linalg.norm(self.predict(settings) - readings, axis=1), ratio))


def _products(one: Array, other: Array) -> Array:
    return np.asarray((one[:, :, None] * other[:, None, :]).reshape(len(one), -1))


_TINY = 1e-9
