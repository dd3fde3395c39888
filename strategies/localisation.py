"""Localisation: settings that nearly give a target are moved until a forward model says that they give it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.adam import adam
from strategies.contract import Predicts
from strategies.jacobian import Forward, inside
from strategies.jacobian import tangent as by_differences

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Tangent: TypeAlias = Callable[[Settings], tuple[Readings, Array]]
"""Settings ``(m, d)`` to readings ``(m, p)`` and their slopes ``(m, p, d)``; ``Surrogate.tangent`` is one."""
Method: TypeAlias = Literal["gauss-newton", "gradient"]
METHODS: tuple[Method, ...] = ("gauss-newton", "gradient")
STEPS: dict[Method, int] = {"gauss-newton": 12, "gradient": 100}
LIMIT = 0.1
"""Longest step of Gauss-Newton, as a share of the box: beyond it a slope says little."""
DAMPING = 1e-6
"""Of Gauss-Newton, as a share of the squared slopes: it keeps a step finite where readings do not move."""
SETTLED = 1e-5
"""A miss, in units of the scale, from which on nothing is gained."""
GAIN, HOPELESS = 0.99, 0.01
"""A step that leaves more than this of the miss is the last, and so is one shorter than this part of the longest."""
ARRIVED = 1e-2
"""A miss, in units of the scale, up to which a start has arrived."""
RATE = 3e-3
"""Of gradient descent, as a share of the box."""
USUAL, ALLOWANCE = 0.99, 1.5
"""Share of the rows whose distance to the next one counts as usual, and how much farther one may go."""


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


@dataclass(frozen=True, eq=False)
class Region:
    """Where a forward model has data: no farther from a row of its fit than rows are from each other."""

    rows: KDTree
    radius: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The region of rows at settings ``(n, d)``; everywhere if there are less than two distinct ones."""
        sites = np.unique(settings, axis=0)
        rows = KDTree(sites)
        if len(sites) < 2:
            return cls(rows, np.inf)
        apart = np.asarray(rows.query(sites, 2)[0])[:, 1]
        return cls(rows, float(ALLOWANCE * np.quantile(apart, USUAL)))

    def strayed(self, settings: Settings) -> Mask:
        """Which of the settings ``(m, d)`` lie outside."""
        return np.asarray(np.isinf(self.rows.query(settings, distance_upper_bound=self.radius)[0]))


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

    Gauss-Newton takes the shortest step that would meet the target if the readings were linear,
    ``x -= J' (J J' + damping)^-1 r``, so that draws of a posterior keep their spread along its solutions. A step is
    at most ``LIMIT`` long, shorter again after one that made it worse, and slides along walls. Gradient descent is
    Adam on the squared misses, as in the paper, for comparison: it needs some ten times the steps.

    Args:
        tangent: Forward model with its slopes; ``differences`` makes one of any ``predict``.
        starts: Settings ``(m, d)``; those outside the box begin at its wall.
        wanted: Readings, ``(m, p)`` or ``(p,)``, NaN where free.
        scale: What counts as 1 in each channel, ``(p,)``: the span of the rows.
        region: Where the forward model has data.
        method: Of descent.
        tolerance: Miss up to which a start has arrived, ``(m,)`` or one for all.
        steps: At most; as many as the method needs unless told.

    Raises:
        InvalidInput: for an unknown method, or arrays that do not match.

    References:
        Zhang, Bi, Fung (2023), arXiv:2212.01016, for localisation by gradient descent;
        Ben-Israel (1966), doi:10.1016/0022-247X(66)90115-6, for the shortest step

    >>> circle = differences(lambda x: ((x - 0.5) ** 2).sum(axis=1, keepdims=True))
    >>> rows = Region.of(np.random.default_rng(0).random((500, 2)))
    >>> found = localise(circle, np.array([[0.8, 0.5], [0.5, 0.1]]), np.array([0.04]), np.ones(1), rows)
    >>> found.settings.round(3).tolist(), found.arrived.tolist()
    ([[0.7, 0.5], [0.5, 0.3]], [True, True])
    """
    if method not in METHODS:
        raise InvalidInput(f"localisation needs the method {' or '.join(METHODS)}, got {method!r}")
    at = inside(np.clip(starts, 0.0, 1.0), 2).copy()
    unit = np.asarray(scale, float)
    try:
        target = np.broadcast_to(np.asarray(wanted, float), (len(at), unit.size))
    except ValueError:
        raise InvalidInput(
            f"{len(at)} starts and a scale {unit.shape} need readings of {unit.size} channels, got {np.shape(wanted)}"
        ) from None

    def look(settings: Settings, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        """Misses ``(m, p)`` and their slopes ``(m, p, d)``, in units of the scale, 0 where free."""
        readings, slopes = tangent(settings)
        free = np.isnan(target[rows])
        left = np.where(free, 0.0, (readings - target[rows]) / unit)
        return left, np.where(free[:, :, None], 0.0, slopes / unit[:, None])

    descend = {"gauss-newton": _gauss_newton, "gradient": _gradient}[method]
    misses = descend(look, at, STEPS[method] if steps is None else steps)
    return Localised(at, misses, region.strayed(at), np.broadcast_to(np.asarray(tolerance, float), (len(at),)))


def differences(forward: Forward) -> Tangent:
    """A forward model with slopes by differences, for one that has none of its own."""
    return lambda settings: by_differences(forward, settings, step=1e-3)


def slopes_of(model: Predicts) -> Tangent:
    """A fitted model's forward half with its slopes: its own ones, or those of its surrogate, or else differences."""
    known: Tangent | None = getattr(model, "tangent", None) or getattr(
        getattr(model, "surrogate", None), "tangent", None
    )
    return differences(model.predict) if known is None else known


Look: TypeAlias = Callable[[Settings, NDArray[np.intp]], tuple[Array, Array]]


def _gauss_newton(look: Look, at: Settings, steps: int) -> Array:
    """Move settings ``(m, d)`` in place; their misses ``(m,)``."""
    busy = np.arange(len(at))
    left, slopes = look(at, busy)
    misses, limit = np.linalg.norm(left, axis=1), np.full(len(at), LIMIT)
    for _ in range(steps):
        kept = (misses[busy] > SETTLED) & (limit[busy] > HOPELESS * LIMIT)
        busy, left, slopes = busy[kept], left[kept], slopes[kept]
        if not busy.size:
            break
        trial = np.clip(at[busy] - _shortest(at[busy], left, slopes, limit[busy]), 0.0, 1.0)
        new, bends = look(trial, busy)
        distance = np.linalg.norm(new, axis=1)
        better = distance < misses[busy]
        won, slow = busy[better], distance > GAIN * misses[busy]
        at[won], misses[won] = trial[better], distance[better]
        left[better], slopes[better] = new[better], bends[better]
        limit[busy] = np.where(better, np.where(slow, 0.0, np.minimum(2 * limit[busy], LIMIT)), limit[busy] / 4)
    return np.asarray(misses)


def _shortest(at: Settings, left: Array, slopes: Array, limit: Array) -> Settings:
    """Damped steps of least length ``(m, d)``; a knob that would leave the box stays, and the others do its part."""
    step = _solved(left, slopes)
    held = ((at <= 0) & (step > 0)) | ((at >= 1) & (step < 0))
    if (again := held.any(axis=1)).any():
        step[again] = _solved(left[again], np.where(held[again][:, None], 0.0, slopes[again]))
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, limit[:, None] / np.maximum(length, _TINY)))


def _solved(left: Array, slopes: Array) -> Settings:
    square = slopes @ slopes.mT
    p = square.shape[1]
    damping = DAMPING * np.trace(square, axis1=1, axis2=2) / p + _TINY
    return np.asarray(
        (slopes.mT @ np.linalg.solve(square + damping[:, None, None] * np.eye(p), left[..., None]))[..., 0]
    )


def _gradient(look: Look, at: Settings, steps: int) -> Array:
    """Move settings ``(m, d)`` in place; their misses ``(m,)``."""
    rows = np.arange(len(at))

    def gradient(settings: Settings) -> Array:
        left, slopes = look(settings, rows)
        return np.asarray((slopes.mT @ left[..., None])[..., 0])

    at[:] = adam(gradient, at, steps, RATE, lambda settings: np.clip(settings, 0.0, 1.0))
    return np.asarray(np.linalg.norm(look(at, rows)[0], axis=1))


_TINY = 1e-12
