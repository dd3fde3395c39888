"""Settings that keep to known ones as far as the noise of the readings allows: Tikhonov, and truncated singular values.

Both stop fitting where noise begins (the discrepancy principle), and both say what that costs: the one keeps near the
prior in every direction, the other leaves the directions that the readings hardly determine where the prior is.
"""

from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Target
from strategies.numerics.jacobian import STEP, Forward, asked, checked, descend, inside, tangent
from strategies.numerics.projection import project

STRENGTHS = (1e-9, 1e15)
"""Weakest and strongest pull to the prior; in units of noise the one binds nothing and the other everything."""
HALVINGS = 30
"""Of the interval in which the strength is sought."""
STEPS = 30
"""Most linear steps of a truncated search ..."""
SHORTER = 10
"""... each of which is halved at most so many times, until it misses by less."""

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kept:
    """Settings that keep to a prior in some way, and how near they come to the target."""

    settings: Settings
    """In the unit box, ``(d,)``."""
    readings: Readings
    """Expected there, ``(p,)``."""
    misfit: float
    """Sum over the fixed channels of the squared deviations from the target in units of noise."""
    allowed: float
    """Misfit that noise alone explains: the number of fixed channels, times ``tau`` squared."""

    @property
    def met(self) -> bool:
        """Whether the misfit is no more than the noise explains."""
        return self.misfit <= self.allowed

    @property
    def numbers(self) -> str:
        """Misfit and what is allowed, in words."""
        return f"a misfit of {self.misfit:.3g} where noise explains {self.allowed:.3g}"


@dataclass(frozen=True, eq=False)
class Regularised(Kept):
    """Settings that keep to a prior as far as the noise of the readings allows."""

    strength: float
    """Weight of the squared distance from the prior, in the box, against the misfit; infinite if the prior itself
    answers, 0 if nothing comes within the noise."""

    @property
    def reason(self) -> str:
        """What came out, in a sentence."""
        if not self.met:
            return f"Nothing in the box comes within the noise, the nearest has {self.numbers}: project the target."
        if np.isinf(self.strength):
            return f"The prior settings answer the target within the noise, with {self.numbers}."
        return f"The settings keep to the prior with strength {self.strength:.3g}, with {self.numbers}."


def regularised(
    forward: Forward, target: Target, noise: Readings, prior: Settings, tau: float = 1.0, step: float = STEP
) -> Regularised:
    """Answer with the settings nearest to a prior that the noise cannot tell from the target (Tikhonov, Morozov).

    Least in the box is ``misfit + strength * |settings - prior|^2``, and the strength is the largest whose misfit is
    not above what noise explains (the discrepancy principle): what the target does not determine stays at the prior,
    and noise is not fitted. If no strength does, the answer is the least squares of the misfit, of those the nearest
    to the prior.

    Args:
        forward: Settings in the unit box ``(m, d)`` to readings ``(m, p)``: ``model.predict``.
        target: Readings wanted, ``(p,)``, NaN where free.
        noise: Standard deviation of one reading, ``(p,)``, positive where the target is fixed.
        prior: Settings to keep to, ``(d,)``, in the unit box.
        tau: Deviations of one standard deviation of noise that a channel is allowed on average.
        step: Of the differences, see ``tangent``.

    Raises:
        InvalidInput: for arrays of another shape, a prior outside the box, a ``tau`` or noise that is not positive,
            or a target without a fixed channel.

    References:
        Engl, Hanke, Neubauer (1996), ISBN 978-0-7923-4157-4, ch. 4, 5 and 10

    >>> found = regularised(lambda x: 100 * x.sum(axis=1, keepdims=True), np.array([80.0]), np.ones(1), np.full(2, 0.5))
    >>> found.settings.round(3).tolist(), found.met
    ([0.405, 0.405], True)
    """
    problem = _Problem.pose(forward, target, noise, prior, tau, step)
    if (best := problem.answer(problem.prior, np.inf)).met:
        return best
    goal = np.asarray(target, float)[None]
    free = project(problem.forward, goal, noise, problem.prior.size, step=step).settings[0]
    best = problem.solve(STRENGTHS[0], problem.prior, free)
    return problem.strongest(best, free) if best.met else replace(best, strength=0.0)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Readings that are wanted, over the ``c`` channels that are fixed, and settings to keep to."""

    forward: Forward
    fixed: NDArray[np.intp]
    unit: Readings
    wanted: Readings
    """Shape ``(c,)``."""
    prior: Settings
    allowed: float
    step: float

    @classmethod
    def pose(cls, forward: Forward, target: Target, noise: Readings, prior: Settings, tau: float, step: float) -> Self:
        """What is asked of ``regularised`` and of ``truncated``; errors as theirs."""
        if not tau > 0:
            raise InvalidInput(f"the discrepancy principle needs tau > 0, got {tau}")
        fixed, unit = asked(target, noise)
        start, goal = inside(prior, 1), np.asarray(target, float)
        return cls(checked(forward, goal.size), fixed, unit, goal[fixed], start, tau**2 * fixed.size, step)

    def missed(self, settings: Settings) -> Array:
        """Readings at settings ``(m, d)`` less those wanted, ``(m, c)``, in units of the noise."""
        return np.asarray((self.forward(settings)[:, self.fixed] - self.wanted) / self.unit)

    def answer(self, settings: Settings, strength: float) -> Regularised:
        """Settings ``(d,)`` as an answer that was found with a strength."""
        misfit = float((self.missed(settings[None]) ** 2).sum())
        return Regularised(settings, self.forward(settings[None])[0], misfit, self.allowed, strength)

    def solve(self, strength: float, *starts: Settings) -> Regularised:
        """The best of the searches with a strength from these starts."""

        def residuals(settings: Settings, _: NDArray[np.intp]) -> Array:
            return np.hstack((self.missed(settings), np.sqrt(strength) * (settings - self.prior)))

        ends, costs = descend(residuals, np.array(starts), step=self.step)
        return self.answer(ends[np.argmin(costs)], strength)

    def strongest(self, best: Regularised, free: Settings) -> Regularised:
        """The answer of the largest strength that is met, given one that is and what a search without a prior finds."""
        weak, strong = STRENGTHS
        for _ in range(HALVINGS):
            middle = float(np.sqrt(weak * strong))
            tried = self.solve(middle, self.prior, free, best.settings)
            weak, strong, best = (middle, strong, tried) if tried.met else (weak, middle, best)
        return best


@dataclass(frozen=True, eq=False)
class Truncated(Kept):
    """Settings that leave the prior only along the directions that the readings determine best."""

    kept: int
    """Directions that were moved along, the best determined ones."""
    given_up: Array
    """The others, a row each, ``(d - kept, d)``: along these the settings stay where the prior is."""

    @property
    def reason(self) -> str:
        """What came out, in a sentence."""
        kept = f"{self.kept} of {self.settings.size} directions leave the prior"
        if not self.met:
            return f"No number of directions comes within the noise; the nearest, where {kept}, has {self.numbers}."
        return f"Only {kept}, with {self.numbers}."


def truncated(
    forward: Forward, target: Target, noise: Readings, prior: Settings, tau: float = 1.0, step: float = STEP
) -> Truncated:
    """Answer along as few directions as bring the target within the noise (truncated singular values, Morozov).

    From the prior linear steps go along the first ``k`` right singular vectors of the Jacobian in units of noise, and
    back to the prior along the others; ``k`` is the least number that is enough.

    Args:
        forward: Settings in the unit box ``(m, d)`` to readings ``(m, p)``: ``model.predict``.
        target: Readings wanted, ``(p,)``, NaN where free.
        noise: Standard deviation of one reading, ``(p,)``, positive where the target is fixed.
        prior: Settings to keep to, ``(d,)``, in the unit box.
        tau: Deviations of one standard deviation of noise that a channel is allowed on average.
        step: Of the differences, see ``tangent``.

    Raises:
        InvalidInput: as ``regularised``.

    References:
        Hansen (1987), doi:10.1007/BF01937276

    >>> found = truncated(lambda x: 100 * x.sum(axis=1, keepdims=True), np.array([80.0]), np.ones(1), np.full(2, 0.5))
    >>> found.settings.round(3).tolist(), found.kept, np.abs(found.given_up).round(2).tolist()
    ([0.4, 0.4], 1, [[0.71, 0.71]])
    """
    problem = _Problem.pose(forward, target, noise, prior, tau, step)
    tried = [_along(problem, kept) for kept in range(min(problem.fixed.size, problem.prior.size) + 1)]
    return next((each for each in tried if each.met), min(tried, key=lambda each: each.misfit))


def _along(problem: _Problem, kept: int) -> Truncated:
    """Settings that leave the prior along so many directions, by Gauss-Newton steps that only ever gain."""
    at, prior = problem.prior, problem.prior
    misfit = float((problem.missed(at[None]) ** 2).sum())
    directions = np.eye(prior.size)
    for _ in range(STEPS):
        slopes = tangent(problem.forward, at[None], problem.step)[1][0, problem.fixed] / problem.unit[:, None]
        left, values, directions = np.linalg.svd(slopes)
        few = min(kept, int((values > np.finfo(float).eps * max(values[0], 1.0)).sum()))
        move = -(left[:, :few].T @ problem.missed(at[None])[0]) / values[:few]
        way = directions[:few].T @ move + directions[few:].T @ (directions[few:] @ (prior - at))
        for part in 0.5 ** np.arange(SHORTER):
            trial = np.clip(at + part * way, 0.0, 1.0)
            missed = float((problem.missed(trial[None]) ** 2).sum())
            if missed < misfit:
                break
        else:
            break
        at, misfit = trial, missed
    readings = problem.forward(at[None])[0]
    return Truncated(at, readings, misfit, problem.allowed, kept, directions[kept:])
