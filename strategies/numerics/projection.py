"""Targets projected onto what a forward model can produce, many at once."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.numerics.jacobian import STEP, Forward, checked, descend

POOL = 8
"""Binary logarithm of the number of settings that are tried before any search."""
STARTS = 4
"""Searches for each target, from the best of the pool."""

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projection:
    """The nearest that a forward model comes to each of ``m`` targets."""

    settings: Settings
    """Where it comes nearest, ``(m, d)``, in the unit box."""
    readings: Readings
    """Expected there, ``(m, p)``: the targets as the model can produce them, free channels filled in."""
    misses: Readings
    """Readings less the target, in units of the scale, ``(m, p)``; NaN where the channel is free."""

    @property
    def distance(self) -> Array:
        """Of each target from what the model can produce, in units of the scale over all fixed channels, ``(m,)``."""
        return np.asarray(np.sqrt(np.nansum(self.misses**2, axis=1)))


def project(
    forward: Forward, targets: Readings, scale: Readings, d: int, starts: int = STARTS, step: float = STEP
) -> Projection:
    """Project targets onto what a forward model can produce in the box, all of them at once.

    Least squares in units of the scale, by damped Gauss-Newton from the best few of a pool of Sobol points; each
    step asks the model once, for at most ``m * starts * (2 d + 1)`` rows. Deterministic. A projection takes the noise
    out of a target, and brings in what the model has wrong.

    Args:
        forward: Settings in the unit box ``(m, d)`` to readings ``(m, p)``: ``model.predict``.
        targets: Readings wanted, ``(m, p)``, NaN where free, which may differ between targets.
        scale: What counts as 1 in each channel, noise or tolerance, ``(p,)`` or ``(m, p)``; positive where fixed.
        d: Number of knobs.
        starts: Searches for each target, at most 256.
        step: Of the differences, see ``tangent``.

    Raises:
        InvalidInput: for arrays of another shape, a target without a fixed channel or with an infinite one, a scale
            that is not positive where the target is fixed, or a number of knobs or starts out of range.

    >>> circle = lambda x: np.column_stack((np.cos(np.pi * x[:, 0]), np.sin(np.pi * x[:, 0])))
    >>> found = project(circle, np.array([[2.0, 2.0], [-3.0, -4.0], [0.5, np.nan]]), np.ones(2), 1)
    >>> found.settings.ravel().round(4).tolist(), found.distance.round(4).tolist()
    ([0.25, 1.0, 0.3333], [1.8284, 4.4721, 0.0])
    """
    goals, fixed, weights = _weighted(targets, scale)
    if d < 1 or not 1 <= starts <= 2**POOL:
        raise InvalidInput(f"a projection needs d >= 1 and 1 to {2**POOL} starts, got {d} and {starts}")
    forward = checked(forward, goals.shape[1])

    def residuals(settings: Settings, which: NDArray[np.intp]) -> Array:
        return np.asarray((forward(settings) - goals[which]) * weights[which])

    tried = pool(d)
    level = forward(tried)
    # |level - target|^2 of all pairs, but for what is the same for all the pool.
    distance = weights**2 @ (level**2).T - 2 * (weights**2 * goals) @ level.T
    first = np.argsort(distance, axis=1, kind="stable")[:, :starts]
    which = np.repeat(np.arange(len(goals)), starts)
    ends, costs = descend(residuals, tried[first.ravel()], which, step)
    best = np.argmin(costs.reshape(-1, starts), axis=1)
    settings = ends.reshape(-1, starts, d)[np.arange(len(goals)), best]
    readings = forward(settings)
    return Projection(settings, readings, np.where(fixed, (readings - goals) * weights, np.nan))


def pool(d: int) -> Settings:
    """Points all over the unit box that are tried before any search, ``(2**POOL, d)``; the same at every time."""
    return np.asarray(qmc.Sobol(d, scramble=False).random_base2(POOL))


def _weighted(targets: Readings, scale: Readings) -> tuple[Readings, NDArray[np.bool_], Readings]:
    """Targets, 0 where free; where they are fixed; and 1 over the scale there, 0 where free; all ``(m, p)``."""
    goals = np.asarray(targets, float)
    if goals.ndim != 2 or not len(goals):
        raise InvalidInput(f"a projection needs targets (m, p), at least one, got shape {goals.shape}")
    fixed = ~np.isnan(goals)
    if bad := np.flatnonzero(np.isinf(goals).any(axis=1) | ~fixed.any(axis=1)).tolist():
        raise InvalidInput(f"each target needs a fixed channel and finite readings, targets {bad[:5]} have not")
    unit = np.asarray(scale, float)
    if unit.shape not in (goals.shape, goals.shape[1:]):
        raise InvalidInput(f"a scale needs the shape {goals.shape[1:]} or {goals.shape}, got {unit.shape}")
    unit = np.where(fixed, unit, np.inf)
    if not (unit > 0).all() or np.isinf(unit[fixed]).any():
        raise InvalidInput("a scale needs to be positive and finite in every fixed channel")
    return np.where(fixed, goals, 0.0), fixed, 1 / unit
