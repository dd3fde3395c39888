"""Localisation: settings that nearly give a target are moved until a forward model says that they give it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Differentiable, HasSurrogate, Predicts
from strategies.numerics.adam import adam
from strategies.numerics.gauss_newton import Look, gauss_newton
from strategies.numerics.jacobian import Forward, inside
from strategies.numerics.jacobian import tangent as by_differences
from strategies.numerics.support import Mask, Region

Array: TypeAlias = NDArray[np.float64]
Tangent: TypeAlias = Callable[[Settings], tuple[Readings, Array]]
"""Settings ``(m, d)`` to readings ``(m, p)`` and their slopes ``(m, p, d)``; ``Surrogate.tangent`` is one."""
Method: TypeAlias = Literal["gauss-newton", "gradient"]
METHODS: tuple[Method, ...] = ("gauss-newton", "gradient")
STEPS: dict[Method, int] = {"gauss-newton": 12, "gradient": 100}
ARRIVED = 1e-2
"""A miss, in units of the scale, up to which a start has arrived."""
RATE = 3e-3
"""Of gradient descent, as a share of the box."""


@dataclass(frozen=True, eq=False)
class Localised:
    """Where each start ended."""

    settings: Settings
    """In the unit box, ``(m, d)``."""
    misses: Array
    """Distance from the target there, by the forward model, in units of the scale over all fixed channels, ``(m,)``."""
    strayed: Mask
    """Which ended where the forward model has no data, so that what it says there is a guess, ``(m,)``."""

    tolerance: Array
    """Of a miss, ``(m,)``."""

    @property
    def arrived(self) -> Mask:
        """Which are answers: they give the target, by a forward model that knows the place, ``(m,)``."""
        return np.asarray(~self.strayed & (self.misses <= self.tolerance))

    def chosen(self, m: int, n: int) -> Array:
        """``n`` of the ends for each of ``m`` targets, whose starts were as many and in a row, ``(m, n, d)``.

        Those that arrived, over again if they are fewer; all of them where none did.
        """
        arrived = self.arrived.reshape(m, -1)
        order = np.argsort(~arrived, axis=1, kind="stable")
        count = np.where(arrived.any(axis=1), arrived.sum(axis=1), arrived.shape[1])
        place = np.take_along_axis(order, np.arange(n) % count[:, None], axis=1)
        return np.take_along_axis(self.settings.reshape(*arrived.shape, -1), place[..., None], axis=1)


def localise(
    tangent: Tangent,
    starts: Settings,
    wanted: Readings,
    scale: Readings,
    region: Region,
    method: Method = "gauss-newton",
    tolerance: ArrayLike = ARRIVED,
    steps: int | None = None,
) -> Localised:
    """Move starts to where a forward model gives what is wanted, all of them at once and none out of the box.

    Gauss-Newton takes the shortest way, so that draws of a posterior keep their spread along its solutions. Gradient
    descent is Adam on the squared misses, as in the paper, for comparison: it needs some ten times the steps.

    Args:
        tangent: Forward model with its slopes; ``differences`` makes one of any ``predict``.
        starts: Settings ``(m, d)``; those outside the box begin at its wall.
        wanted: Readings, ``(m, p)`` or ``(p,)``, NaN where free.
        scale: What counts as 1 in each channel, ``(p,)``: the span of the rows.
        region: Where the forward model has data.
        method: Of descent.
        tolerance: Miss up to which a start has arrived, ``(m,)`` or one for all.
        steps: At most; by default as many as the method needs.

    Raises:
        InvalidInput: for an unknown method, or arrays that do not match.

    References:
        Zhang, Bi, Fung (2023), arXiv:2212.01016, for localisation by gradient descent

    >>> circle = differences(lambda x: ((x - 0.5) ** 2).sum(axis=1, keepdims=True))
    >>> rows = Region.of(np.random.default_rng(0).random((500, 2)))
    >>> found = localise(circle, np.array([[0.8, 0.5], [0.5, 0.1]]), np.array([0.04]), np.ones(1), rows)
    >>> found.settings.round(3).tolist(), found.arrived.tolist()
    ([[0.7, 0.5], [0.5, 0.3]], [True, True])
    """
    if method not in METHODS:
        raise InvalidInput(f"localisation needs the method {' or '.join(METHODS)}, got {method!r}")
    at = inside(np.clip(starts, 0.0, 1.0), 2).copy()
    look = _look(tangent, wanted, np.asarray(scale, float), len(at))
    descend = {"gauss-newton": gauss_newton, "gradient": _gradient}[method]
    misses = descend(look, at, STEPS[method] if steps is None else steps)
    return Localised(at, misses, region.strayed(at), np.broadcast_to(np.asarray(tolerance, float), (len(at),)))


def _look(tangent: Tangent, wanted: Readings, unit: Readings, m: int) -> Look:
    """How far ``m`` settings are from what is wanted of them, and how that changes.

    The answer has the misses ``(m, p)`` and their slopes ``(m, p, d)``, in units of the scale, 0 where free.
    """
    try:
        target = np.broadcast_to(np.asarray(wanted, float), (m, unit.size))
    except ValueError:
        raise InvalidInput(
            f"{m} starts and a scale {unit.shape} need readings of {unit.size} channels, got {np.shape(wanted)}"
        ) from None

    def look(settings: Settings, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        readings, slopes = tangent(settings)
        free = np.isnan(target[rows])
        left = np.where(free, 0.0, (readings - target[rows]) / unit)
        return left, np.where(free[:, :, None], 0.0, slopes / unit[:, None])

    return look


def differences(forward: Forward) -> Tangent:
    """A forward model with slopes by differences, for one that has none of its own."""
    return lambda settings: by_differences(forward, settings, step=1e-3)


def slopes_of(model: Predicts) -> Tangent:
    """A fitted model's forward half with its slopes: its own ones, or those of its surrogate, or else differences."""
    if isinstance(model, Differentiable):
        return model.tangent
    if isinstance(model, HasSurrogate) and model.surrogate is not None:
        return model.surrogate.tangent
    return differences(model.predict)


def _gradient(look: Look, at: Settings, steps: int) -> Array:
    """Move settings ``(m, d)`` in place; their misses ``(m,)``."""
    rows = np.arange(len(at))

    def gradient(settings: Settings) -> Array:
        left, slopes = look(settings, rows)
        return np.asarray((slopes.mT @ left[..., None])[..., 0])

    at[:] = adam(gradient, at, steps, RATE, lambda settings: np.clip(settings, 0.0, 1.0))
    return np.asarray(np.linalg.norm(look(at, rows)[0], axis=1))
