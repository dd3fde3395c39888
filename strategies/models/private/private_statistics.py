"""What a linear model has to know of its rows, as sums to which each row adds a bounded part, with noise.

The products of inputs with inputs and with readings go out first. A regression on these leaves residuals; their squares
go out second, each cut off at a bound. Where readings stand beyond the declared range of their channel, or settings
beyond that of their knob, they are moved to its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import combinations_with_replacement
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.models.private.gaussian_mechanism import PrivacyBudget

Array = NDArray[np.float64]
RESIDUALS = 0.15
"""Share of the budget that the residuals have."""
CUT = 0.2
"""Where residuals are cut off, in halves of the range of a channel."""
PRIOR = 1.0
"""Standard deviation of a coefficient before any row is seen, in halves of the range of a channel."""
GRAIN = 1e-3
"""Part of the noise that sums are rounded to: the last digits of a random number may give away what it was added to."""
LOOPS = 3
LARGEST = 1e12
"""No sum of a file is larger."""


def inputs(settings: Settings, degree: int) -> Array:
    """What readings are linear in, ``(m, q)``: 1, the settings ``(m, d)`` from -1 to 1, and their products for 2."""
    centred = 2 * settings - 1
    columns = [np.ones((len(settings), 1)), centred]
    if degree == 2:
        one, other = (list(each) for each in zip(*_pairs(settings.shape[1]), strict=True))
        columns.append(centred[:, one] * centred[:, other])
    return np.hstack(columns)


def slopes(settings: Settings, degree: int) -> Array:
    """Derivative of the inputs, ``(m, d, q)``."""
    d, centred = settings.shape[1], 2 * settings - 1
    parts = [np.zeros((len(settings), d, 1)), np.broadcast_to(np.eye(d), (len(settings), d, d))]
    if degree == 2:
        one, other = (list(each) for each in zip(*_pairs(d), strict=True))
        unit = np.eye(d)
        parts.append(unit[:, one] * centred[:, None, other] + unit[:, other] * centred[:, None, one])
    return 2 * np.concatenate(parts, axis=2)


def _pairs(d: int) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(range(d), 2))


@dataclass(frozen=True, eq=False)
class PrivateStatistics:
    """Noisy sums over the rows, and all that is made of them."""

    degree: int
    gram: Array
    """Products of the inputs, ``(q, q)``."""
    cross: Array
    """Products of inputs and readings, ``(q, p)``."""
    squares: Array
    """Squares of the residuals, ``(p,)``."""
    noise: float
    """Standard deviation of the noise of a square in ``gram``; that of a product of two is smaller by a root of 2."""
    noise_of_squares: float

    @classmethod
    def of(
        cls, readings: Readings, settings: Settings, degree: int, budget: PrivacyBudget, rng: np.random.Generator
    ) -> Self:
        """Sums over rows, readings from -1 to 1 over the range of their channel, settings in the unit box.

        Args:
            readings: Shape ``(n, p)``.
            settings: Shape ``(n, u)``.
            degree: 1, or 2 for products of settings too.
            budget: How much one row may change.
            rng: Of the noise. Whoever knows its seed takes the noise away again, so it has to come from the operating
                system where the sums are given away.
        """
        x, y = inputs(np.clip(settings, 0, 1), degree), np.clip(readings, -1, 1)
        q, p = x.shape[1], y.shape[1]
        sensitivity = np.sqrt(q**2 + 2 * q * p)  # of x x' and, twice, of x y', where no entry is above 1
        noise = float(budget.part(1 - RESIDUALS) * sensitivity)
        errors = noise * rng.standard_normal((q + p, q + p))
        errors = (errors + errors.T) / 2
        gram, cross = _rounded(x.T @ x + errors[:q, :q], noise), _rounded(x.T @ y + errors[:q, q:], noise)
        left = np.clip(y - x @ regress(gram, cross, noise, np.zeros(p))[0], -CUT, CUT)
        noise_of_squares = float(budget.part(RESIDUALS) * np.sqrt(p) * CUT**2)
        squares = (left**2).sum(axis=0) + noise_of_squares * rng.standard_normal(p)
        return cls(degree, gram, cross, _rounded(squares, noise_of_squares), noise, noise_of_squares)

    def plain(self) -> dict[str, Any]:
        """The same in what JSON knows."""
        return {name: np.asarray(value).tolist() for name, value in vars(self).items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], u: int, p: int) -> Self:
        """What ``plain`` was made from, for ``u`` axes of the unit box and ``p`` channels.

        Raises:
            InvalidInput: if it can be no such thing.
        """
        names = [each.name for each in fields(cls)]
        if set(plain) != set(names) or plain["degree"] not in (1, 2):
            raise InvalidInput(f"the sums need {', '.join(names)}, and a degree of 1 or 2")
        q = inputs(np.zeros((1, u)), plain["degree"]).shape[1]
        shapes = {"gram": (q, q), "cross": (q, p), "squares": (p,), "noise": (), "noise_of_squares": ()}
        faults, arrays = list[str](), dict[str, Array]()
        for name, shape in shapes.items():
            try:
                arrays[name] = np.array(plain[name], float)
            except (TypeError, ValueError):
                arrays[name] = np.array(np.nan)
            if arrays[name].shape != shape or not (np.abs(arrays[name]) < LARGEST).all():
                faults.append(f"{name} needs the shape {shape} and finite numbers")
        if not faults and not (arrays["noise"] > 0 and arrays["noise_of_squares"] > 0):
            faults.append("the noise needs to be above 0")
        if not faults and not np.array_equal(arrays["gram"], arrays["gram"].T):
            faults.append("gram needs to be symmetric")
        if faults:
            raise InvalidInput(faults)
        gram, cross, squares, noise, noise_of_squares = arrays.values()
        return cls(plain["degree"], gram, cross, squares, float(noise), float(noise_of_squares))

    @property
    def rows(self) -> float:
        """About how many rows there were, at least one more than there are inputs."""
        return float(max(self.gram[0, 0], len(self.gram) + 1))

    @property
    def variance(self) -> Array:
        """Of one reading of each channel, ``(p,)``, and one standard deviation of its noise more."""
        return np.asarray((np.maximum(self.squares, 0.0) + self.noise_of_squares) / self.rows)

    def regression(self) -> tuple[Array, Array]:
        """Coefficients by what the sums say, given what is known of their noise; see ``regress``."""
        return regress(self.gram, self.cross, self.noise, self.variance)


def regress(gram: Array, cross: Array, noise: float, variance: Array) -> tuple[Array, Array]:
    """Coefficients by noisy products, ``(q, p)``, and the covariance of those of each channel, ``(p, q, q)``.

    ``cross - gram @ b`` has mean 0 for the true coefficients b of a channel, and a covariance by the noise of its
    readings, of ``cross`` and, the more so the larger b is, of ``gram``. With a normal prior that makes a normal
    posterior, whatever the noise did to ``gram``; its covariance is taken at the coefficients of the loop before.

    Args:
        gram: Products of the inputs, ``(q, q)``.
        cross: Products of inputs and readings, ``(q, p)``.
        noise: As ``PrivateStatistics`` has it.
        variance: Of one reading of each channel, ``(p,)``.

    References:
        Bernstein, Sheldon (2019), Differentially private Bayesian linear regression, arXiv:1910.13153
    """
    q, found, covariances = len(gram), list[Array](), list[Array]()
    size, directions = np.linalg.eigh(gram)
    possible = (directions * np.maximum(size, 0.0)) @ directions.T
    for column, scatter in zip(cross.T, variance, strict=True):
        b: Array = np.zeros(q)
        posterior: Array = np.eye(q)
        for _ in range(LOOPS):
            unsure = scatter * possible + noise**2 / 2 * ((1 + b @ b) * np.eye(q) + np.outer(b, b))
            weighed = np.linalg.solve(unsure, gram)
            posterior = np.asarray(np.linalg.inv(gram @ weighed + np.eye(q) / PRIOR**2))
            b = posterior @ (weighed.T @ column)
        found.append(b)
        covariances.append(posterior)
    return np.stack(found, axis=1), np.stack(covariances)


def _rounded(sums: Array, noise: float) -> Array:
    return np.asarray(np.round(sums / (GRAIN * noise)) * (GRAIN * noise))
