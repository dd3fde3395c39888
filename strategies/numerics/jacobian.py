"""How readings change with settings, by differences, and the least squares that walk by it; many settings at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Target, fixed_columns
from strategies.numerics.blas_threads import one_thread

STEP = 1e-2
"""Width of a difference, as a share of the box: a model made of steps or of straight pieces has no slope closer by."""
MOST = 200
"""Steps of a search at most; few need more than 20, those that end on a fold of the readings."""
SETTLED = 1e-9
"""A move, as a share of the box, and a gain, as a share of the cost, that end a search."""
LEAST = 1e-9
"""Damping that keeps a step finite where settings are not determined."""
HOPELESS = 1e9
"""Damping at which a search gives up: no step of any length gains anything."""

Array: TypeAlias = NDArray[np.float64]
Forward: TypeAlias = Callable[[Settings], Readings]
"""Settings in the unit box ``(m, d)`` to expected readings ``(m, p)``; ``model.predict`` is one."""
Residuals: TypeAlias = Callable[[Settings, NDArray[np.intp]], Array]
"""Settings ``(m, d)`` and the number ``(m,)`` of the problem that each is tried for, to what is left ``(m, r)``."""


def tangent(forward: Forward, settings: Settings, step: float = STEP) -> tuple[Readings, Array]:
    """Readings ``(m, p)`` and their slopes ``(m, p, d)`` at settings ``(m, d)``, in readings per width of the box.

    Central differences; at a wall the three points that a parabola needs lie on its inner side, so the error is of
    second order everywhere and the model is never asked outside the box. One call with ``m * (2 d + 1)`` rows, those
    that belong to one of the settings together.

    Args:
        forward: What gives readings.
        settings: In the unit box.
        step: Distance between neighbours, a share of the box, above 0 and at most 0.25.

    Raises:
        InvalidInput: for another step, and settings outside the box.

    >>> readings, slopes = tangent(lambda settings: settings**2, np.array([[0.0], [0.5], [1.0]]))
    >>> slopes.ravel().round(6).tolist()
    [0.0, 1.0, 2.0]
    """
    if not 0 < step <= 0.25:
        raise InvalidInput(f"a difference needs a step above 0 and at most 0.25 of the box, got {step}")
    settings = inside(settings, 2)
    m, d = settings.shape
    one = np.where(settings < step, step, -step)
    two = np.where(settings < step, 2 * step, np.where(settings > 1 - step, -2 * step, step))
    offsets = np.concatenate([np.zeros((m, 1, d)), one[:, :, None] * np.eye(d), two[:, :, None] * np.eye(d)], axis=1)
    places = np.clip(settings[:, None] + offsets, 0.0, 1.0).reshape(-1, d)  # a sum may round to beyond the wall
    readings = np.asarray(forward(places), float).reshape(m, 2 * d + 1, -1)
    here, rest = readings[:, 0], readings[:, 1:] - readings[:, :1]
    one, two = one[:, :, None], two[:, :, None]
    slopes = (rest[:, :d] * two / one - rest[:, d:] * one / two) / (two - one)
    return here, np.asarray(slopes.transpose(0, 2, 1))


def descend(
    residuals: Residuals, starts: Settings, which: NDArray[np.intp] | None = None, step: float = STEP
) -> tuple[Settings, Array]:
    """Settings ``(m, d)`` of least squares in the unit box, one search from each start, and their costs ``(m,)``.

    Damped Gauss-Newton steps for all searches together, so that a model is asked once a step. A setting at a wall
    that the cost pushes against stays there and the others move (an active set); steps are cut off at the walls.

    Args:
        residuals: What is left; the cost is the sum of its squares.
        starts: In the unit box, ``(m, d)``.
        which: Number of the problem that each start belongs to, ``(m,)``; by default each its own.
        step: Of the differences, see ``tangent``. Where residuals have kinks, it must be short against their distance.

    Raises:
        InvalidInput: as ``tangent``.

    References:
        Marquardt (1963), doi:10.1137/0111030; Bertsekas (1982), doi:10.1137/0320018, for the walls
    """
    settings = inside(starts, 2).copy()
    m, d = settings.shape
    numbers = np.arange(m) if which is None else np.asarray(which)

    def look(at: Settings, searches: NDArray[np.intp]) -> _Seen:
        problems = np.repeat(numbers[searches], 2 * d + 1)
        left, slopes = tangent(lambda rows: residuals(rows, problems), at, step)
        return _Seen.of(left, slopes)

    with one_thread():
        searches = _Searches(settings, look(settings, np.arange(m)))
        for _ in range(MOST):
            if not searches.busy.size:
                break
            searches.advance(look)
    return searches.settings, searches.seen.cost


class _Seen(NamedTuple):
    """What searches see: cost ``(m,)``, half its gradient ``(m, d)`` and half its curvature ``(m, d, d)``."""

    cost: Array
    gradient: Array
    curvature: Array

    @classmethod
    def of(cls, left: Array, slopes: Array) -> "_Seen":
        """From what is left ``(m, r)`` and its slopes ``(m, r, d)``."""
        gradient, curvature = np.einsum("mrd,mr->md", slopes, left), np.einsum("mrd,mre->mde", slopes, slopes)
        return cls(cost=(left**2).sum(axis=1), gradient=gradient, curvature=curvature)


@dataclass(eq=False)
class _Searches:
    """Searches side by side: where they are, what they see there, and which still go on."""

    settings: Settings
    seen: _Seen

    def __post_init__(self) -> None:
        m = len(self.settings)
        self.busy, self.damping = np.arange(m), np.full(m, 1e-3)
        self.scale = np.diagonal(self.seen.curvature, axis1=1, axis2=2).copy()

    def advance(self, look: Callable[[Settings, NDArray[np.intp]], _Seen]) -> None:
        """Try a damped step for each that goes on; keep those that gain, and end those that have settled."""
        busy, (cost, gradient, curvature) = self.busy, self.seen
        trial = _stepped(self.settings[busy], gradient[busy], curvature[busy], self.scale[busy], self.damping[busy])
        tried = look(trial, busy)
        gain, move = cost[busy] - tried.cost, np.abs(trial - self.settings[busy]).max(axis=1)
        better = gain > 0
        settled = (move < SETTLED) | (better & (gain <= SETTLED * cost[busy]))
        won = busy[better]
        self.settings[won] = trial[better]
        cost[won], gradient[won], curvature[won] = (values[better] for values in tried)
        self.damping[busy] = np.maximum(self.damping[busy] * np.where(better, 0.1, 8.0), LEAST)
        self.scale[busy] = np.maximum(self.scale[busy], np.diagonal(curvature[busy], axis1=1, axis2=2))
        self.busy = busy[~settled & (self.damping[busy] < HOPELESS)]


def _stepped(settings: Settings, gradient: Array, curvature: Array, scale: Array, damping: Array) -> Settings:
    """Settings ``(m, d)`` after a damped step of each, within the walls."""
    held = ((settings <= 0) & (gradient > 0)) | ((settings >= 1) & (gradient < 0))
    scale = np.maximum(scale, 1e-9 * scale.max(axis=1, keepdims=True)) + np.finfo(float).tiny
    # In units of the scale, so that neither units nor a knob that moves nothing spoil the solution.
    unit = np.sqrt(scale)
    system = curvature / (unit[:, :, None] * unit[:, None, :])
    system = np.where(held[:, :, None] | held[:, None, :], 0.0, system)
    system += (damping[:, None] + held)[:, :, None] * np.eye(settings.shape[1])
    pull = np.where(held, 0.0, gradient / unit)
    move = np.linalg.solve(system, pull[:, :, None])[:, :, 0] / unit
    return np.asarray(np.clip(settings - move, 0.0, 1.0))


def inside(settings: ArrayLike, dimensions: int) -> Settings:
    """Settings ``(d,)`` or ``(m, d)`` if they lie in the unit box.

    Raises:
        InvalidInput: for another number of dimensions, no setting at all, or a value outside the box.
    """
    rows = np.asarray(settings, float)
    if rows.ndim != dimensions or not rows.shape[-1]:
        raise InvalidInput(f"settings need the shape {('(d,)', '(m, d)')[dimensions - 1]}, got {rows.shape}")
    if not ((rows >= 0) & (rows <= 1)).all():
        raise InvalidInput("settings need to lie in the unit box, from 0 to 1: scale them by Space.to_unit")
    return rows


def asked(target: Target, noise: ArrayLike) -> tuple[NDArray[np.intp], Readings]:
    """Columns of the channels that a target ``(p,)`` fixes, and the noise of each of them.

    Raises:
        InvalidInput: for a target without a fixed channel or an infinite one, noise of another shape, or noise that is
            not positive and finite in a fixed channel.
    """
    deviation = np.asarray(noise, float)
    fixed = fixed_columns(target, np.size(target))
    if deviation.shape != np.shape(target):
        raise InvalidInput(f"noise needs the shape of the target, {np.shape(target)}, got {deviation.shape}")
    if not ((deviation[fixed] > 0) & np.isfinite(deviation[fixed])).all():
        raise InvalidInput(f"noise needs to be positive in every fixed channel, got {deviation[fixed].tolist()}")
    return fixed, deviation[fixed]


def checked(forward: Forward, p: int) -> Forward:
    """The same forward model, held to finite readings of ``p`` channels.

    Raises:
        InvalidInput: when called, if it gives anything else.
    """

    def held(settings: Settings) -> Readings:
        readings = np.asarray(forward(settings), float)
        if readings.shape != (len(settings), p):
            raise InvalidInput(f"a forward model needs to give readings {(len(settings), p)}, got {readings.shape}")
        if broken := np.flatnonzero(~np.isfinite(readings).all(axis=1)).tolist():
            raise InvalidInput(f"a forward model needs to give finite readings, got others at {settings[broken[0]]}")
        return readings

    return held
