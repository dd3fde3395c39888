"""From an answer that is known to one that is wanted: settings along the straight line between the two readings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Target
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.jacobian import STEP, Forward, asked, checked, inside, tangent

FOLD = 1e-3
"""Least singular value, relative to the largest at the start, that still counts as a way on."""
PULL = 10.0
"""Times that the way's length would bring a path back to its line; 0 follows the slopes alone."""
LOST = 0.02
"""Distance from the line, as a share of the box, at which a path has jumped off it."""
NEAR = 30.0
"""Times the singular value of a fold below which a path that lost its line lost it to that fold."""
WALL = 1e-6
"""How far beyond a wall of the box is rounding."""
LOOKS = 4000
"""Times that a path may look at the model, lest it rattle along a kink for ever."""

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Path:
    """Settings that follow a straight line of readings, as far as they could."""

    settings: Settings
    """In the unit box, ``(k, d)``, from the known ones on to where the path ended."""
    shares: Array
    """Share of the way at each of them, ``(k,)``, from 0 to at most 1."""
    readings: Readings
    """Expected where the path ended, ``(p,)``: by the model, moved to agree with the readings of the known pair."""
    reached: bool
    """Whether the readings there meet the target within one standard deviation of noise in every fixed channel."""
    reason: str
    """Where and why the path ended, and what to do if that is not at the target."""

    @property
    def share(self) -> float:
        """Share of the way that was covered, 0 to 1."""
        return float(self.shares[-1])


def follow(
    forward: Forward,
    settings: Settings,
    target: Target,
    noise: Readings,
    readings: Readings | None = None,
    *,
    pull: float = PULL,
    fold: float = FOLD,
    step: float = STEP,
    knobs: Sequence[str] = (),
) -> Path:
    """Follow the line of readings from a known pair to a target by ``dx/ds = J^+ (target - readings)``.

    The readings move in a straight line over the fixed channels and the settings with them: by the move of least
    norm where knobs are more than channels, by least squares in units of the noise where they are fewer. Of the model
    only the slopes count and its changes, so that its error at the known pair is of no matter. The path ends where
    the Jacobian degenerates (a fold: beyond it this branch has no settings), where a setting reaches a wall of the
    box, or where the integration cannot go on. It stays on the branch of the known pair, which a search does not.

    Args:
        forward: Settings in the unit box ``(m, d)`` to readings ``(m, p)``: ``model.predict``.
        settings: The known ones, ``(d,)``, in the unit box.
        target: Readings wanted, ``(p,)``, NaN where free.
        noise: Standard deviation of one reading, ``(p,)``, positive where the target is fixed.
        readings: Measured at the known settings, ``(p,)``, finite where the target is fixed; by default
            those of the model.
        pull: How strongly a Newton step draws the path back to its line, against errors that add up; 0 is off.
        fold: Least singular value of the Jacobian in units of noise, relative to the largest at the start, at which
            the path ends; above 0, below 1. A direction that is below it from the start on is left alone.
        step: Of the differences, see ``tangent``.
        knobs: Their names, for the reason; by default x1, x2 and so on.

    Raises:
        InvalidInput: for arrays of another shape, settings outside the box, noise or an option out of its range, a
            target without a fixed channel, or readings that lack one.

    References:
        Kitchin (2025), doi:10.1039/d5dd00137d, for the idea;
        Allgower, Georg (2003), doi:10.1137/1.9780898719154, for predictors, correctors and folds

    >>> path = follow(lambda x: (2 * x - 1) ** 2, np.array([0.9]), np.array([0.04]), np.array([0.01]))
    >>> path.reached, path.settings[-1].round(4).tolist()
    (True, [0.6])
    >>> path = follow(lambda x: (2 * x - 1) ** 2, np.array([0.9]), np.array([-0.64]), np.array([0.01]))
    >>> path.reached, round(path.share, 3), path.settings[-1].round(2).tolist()
    (False, 0.5, [0.5])
    """
    start = inside(settings, 1)
    names = knobs or [f"x{k}" for k in range(1, start.size + 1)]
    line = _Line.through(forward, start, target, noise, readings, pull, fold, step, names)
    with one_thread():
        return line.follow(start)


def _known(readings: ArrayLike, fixed: NDArray[np.intp], p: int) -> Readings:
    row = np.asarray(readings, float)
    if row.shape != (p,) or not np.isfinite(row[fixed]).all():
        raise InvalidInput(f"known readings need shape ({p},) and finite values in the fixed channels, got {row}")
    return row


@dataclass(frozen=True, eq=False)
class _Line:
    """The line of readings and what it takes to follow it; slopes and misses in units of the noise."""

    forward: Forward
    fixed: NDArray[np.intp]
    unit: Readings
    known: Readings
    offset: Readings
    target: Target
    pull: float
    fold: float
    step: float
    knobs: Sequence[str]

    @classmethod
    def through(
        cls,
        forward: Forward,
        start: Settings,
        target: Target,
        noise: Readings,
        readings: Readings | None,
        pull: float,
        fold: float,
        step: float,
        knobs: Sequence[str],
    ) -> Self:
        """The line from readings at a start to a target; see ``follow``."""
        if not (pull >= 0 and 0 < fold < 1):
            raise InvalidInput(f"a path needs pull >= 0 and a fold between 0 and 1, got {pull} and {fold}")
        goal = np.asarray(target, float)
        fixed, unit = asked(goal, noise)
        forward = checked(forward, goal.size)
        expected = forward(start[None])[0]
        known = expected if readings is None else _known(readings, fixed, goal.size)
        known = np.where(np.isnan(known), expected, known)
        return cls(
            forward=forward,
            fixed=fixed,
            unit=unit,
            known=known,
            offset=known - expected,
            target=goal,
            pull=pull,
            fold=fold,
            step=step,
            knobs=knobs,
        )

    def follow(self, start: Settings) -> Path:
        values = self._slopes(start)[2]
        widest, rank = float(values[0]), int((values > self.fold * values[0]).sum())
        if not rank:
            reason = "no setting moves the fixed channels at the known settings: start from another pair"
            return Path(start[None], np.zeros(1), self.known, False, f"The path ended at its start: {reason}.")
        looks = [0]

        def velocity(share: float, settings: Settings) -> Array:
            looks[0] += 1
            if looks[0] > LOOKS:  # a velocity that is no number makes the integrator give up and keep the path
                return np.full(start.size, np.nan)
            way, off, _ = self._course(share, settings, rank, widest)
            return way + self.pull * off

        def ends(share: float, settings: Settings) -> float:
            return float(self._margins(share, settings, rank, widest).min())

        ends.terminal = True  # type: ignore[attr-defined]  # how solve_ivp wants to be told
        course = solve_ivp(velocity, (0.0, 1.0), start, events=ends, rtol=1e-6, atol=1e-8, max_step=0.05)
        left = self._margins(course.t[-1], course.y[:, -1], rank, widest)
        return self._ended(course.y.T, course.t, course.status, left)

    def _ended(self, settings: Settings, shares: Array, status: int, left: Array) -> Path:
        """The path, given how the integration ended (0 at the end, 1 at a margin, -1 given up) and what was left."""
        settings = np.clip(settings, 0.0, 1.0)
        readings = self._slopes(settings[-1])[0]
        worst = float(np.abs((readings - self.target)[self.fixed] / self.unit).max())
        which = int(np.argmin(left)) if status == 1 else 1
        if which == 1 and left[0] < NEAR * self.fold:
            which = 0
        reason = _arrived(worst) if status == 0 or worst <= 1 else _stopped(which, settings[-1], self.knobs)
        reason = f"After {100 * shares[-1]:.1f} % of the way {reason}."
        return Path(settings, shares, readings, worst <= 1, reason)

    def _margins(self, share: float, settings: Settings, rank: int, widest: float) -> Array:
        """What is left until a fold, until the line is lost and until each wall; the first at 0 ends the path."""
        _, off, weakest = self._course(share, settings, rank, widest)
        walls = np.minimum(settings, 1 - settings) + WALL
        return np.array([weakest - self.fold, LOST - np.linalg.norm(off), *walls])

    def _course(self, share: float, settings: Settings, rank: int, widest: float) -> tuple[Array, Array, float]:
        """Velocity along the line, step back to it, both ``(d,)``, and the weakest singular value that counts."""
        readings, slopes, _ = self._slopes(np.clip(settings, 0.0, 1.0))
        left, values, right = np.linalg.svd(slopes, full_matrices=False)
        # Beyond a fold a step may be tried before it is refused, and must be a number.
        least = 0.1 * self.fold * widest
        inverse = (right[:rank].T / np.maximum(values[:rank], least)) @ left[:, :rank].T
        way = (self.target - self.known)[self.fixed] / self.unit
        behind = (self.known - readings)[self.fixed] / self.unit + share * way
        return inverse @ way, inverse @ behind, float(values[rank - 1]) / widest

    def _slopes(self, settings: Settings) -> tuple[Readings, Array, Array]:
        """Readings ``(p,)`` at the level of the known ones, slopes ``(c, d)`` and their singular values."""
        readings, slopes = tangent(self.forward, settings[None], self.step)
        scaled = slopes[0, self.fixed] / self.unit[:, None]
        return readings[0] + self.offset, scaled, np.linalg.svd(scaled, compute_uv=False)


def _arrived(worst: float) -> str:
    """What to say at the end of the line, where a channel misses by so many standard deviations of noise."""
    if worst <= 1:
        return "the target was reached"
    return (
        f"the line ended but a channel misses the target by {worst:.3g} standard deviations of noise: its channels do "
        "not go together here; free a channel, or ask for the target's projection onto what can be reached"
    )


def _stopped(which: int, settings: Settings, knobs: Sequence[str]) -> str:
    """Why a path ended early: 0 a fold, 1 off its line, from 2 on the wall of a setting."""
    if which == 0:
        return (
            "the Jacobian degenerates, a fold: readings further on have no settings on this branch; "
            "start from a pair on another branch, or ask for the target's projection onto what can be reached"
        )
    if which == 1:
        return (
            "the slopes no longer keep the path on its line, as at a kink or a fold that is narrower than the step of "
            "the differences: start from a nearer pair, or take another step"
        )
    bound = "upper" if settings[which - 2] > 0.5 else "lower"
    return (
        f"{knobs[which - 2]} reaches its {bound} bound: choose a target less far, free a channel, or start from "
        "another pair"
    )
