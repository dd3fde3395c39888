"""An inverse problem looked at: what a target determines at a candidate, how noise moves it, what can be had at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Target
from strategies.numerics.jacobian import STEP, Forward, asked, checked, descend, inside, tangent
from strategies.numerics.projection import project

OPEN = 0.1
"""Share of a knob in the undetermined directions from which on it is not determined by itself."""
STRENGTHS = (1e-9, 1e15)
"""Weakest and strongest pull to the prior; in units of noise the one binds nothing and the other everything."""
HALVINGS = 30

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What the fixed channels of a target say about the settings near a candidate, to first order."""

    settings: Settings
    """The candidate, in the unit box, ``(d,)``."""
    fixed: NDArray[np.intp]
    """Columns of the ``c`` channels that the target fixes."""
    jacobian: Array
    """Change of those channels with each setting over the width of its box, in units of the reading, ``(c, d)``."""
    singular: Array
    """Singular values of the Jacobian in units of noise, largest first, ``(d,)``; 0 where channels are fewer."""
    directions: Array
    """Directions in the box that belong to them, a row each, ``(d, d)``."""
    determined: NDArray[np.bool_]
    """For each direction, whether crossing the box along it changes the readings by more than their noise, ``(d,)``."""
    per_count: Array
    """How far one unit of a channel moves each setting, as a share of the box, ``(c, d)``; least squares in units of
    noise, and nothing along directions that are not determined."""
    deviation: Array
    """Standard deviation of each setting for the noise of one reading of each channel, as a share of the box,
    ``(d,)``; the length of the box along directions that are not determined, at most 1."""

    @property
    def condition(self) -> float:
        """How much better the best determined direction is than the worst; infinite if one has no effect at all."""
        return float(self.singular[0] / self.singular[-1]) if self.singular[-1] > 0 else np.inf

    @property
    def undetermined(self) -> Array:
        """Directions of settings that the target leaves open, a row each, ``(q, d)``."""
        return np.asarray(self.directions[~self.determined])

    def sentences(self, knobs: Sequence[str], channels: Sequence[str], unit: str = "count") -> list[str]:
        """The diagnosis in plain sentences.

        Args:
            knobs: Names of the ``d`` knobs.
            channels: Names of all ``p`` channels.
            unit: What a reading of 1 is called.

        Raises:
            InvalidInput: for fewer or more knobs than settings, or too few channels.
        """
        if len(knobs) != self.settings.size or len(channels) <= self.fixed.max():
            raise InvalidInput(
                f"sentences need {self.settings.size} knobs and the names of all channels, at least "
                f"{self.fixed.max() + 1}, got {len(knobs)} and {len(channels)}"
            )
        share = np.linalg.norm(self.undetermined, axis=0)
        alone = share**2 > 1 - OPEN**2
        joined = (share > OPEN) & ~alone
        if joined.sum() == 1:
            alone, joined = alone | joined, np.zeros_like(joined)
        said = []
        for j, knob in enumerate(knobs):
            if alone[j]:
                said.append(f"{knob} is not determined by this target.")
            elif not joined[j]:
                said.append(f"{knob} is determined within {self.deviation[j]:.2g} of its range.")
                i = int(np.argmax(np.abs(self.per_count[:, j])))
                moved, channel = abs(self.per_count[i, j]), channels[self.fixed[i]]
                said.append(f"1 {unit} at {channel} moves {knob} by {moved:.2g} of its range.")
        if joined.any():
            said.append(self._combined(knobs, np.flatnonzero(joined)))
        if self.determined.all():
            said.append(f"The condition number in units of noise is {self.condition:.3g}.")
        return said

    def _combined(self, knobs: Sequence[str], joined: NDArray[np.intp]) -> str:
        """What is known of knobs that are not determined by themselves."""
        names = [knobs[j] for j in joined]
        known = self.directions[self.determined][:, joined]
        _, sizes, rows = np.linalg.svd(known, full_matrices=False)
        rows = rows[sizes > 0.5]
        text = f"{', '.join(names[:-1])} and {names[-1]} are not determined separately"
        sums = [_sum(row, names) for row in rows]
        return f"{text}: only {' and '.join(sums)}." if sums else f"{text}, nor is any sum of them."


def _sum(weights: Array, names: Sequence[str]) -> str:
    """A weighted sum, the largest weight positive: ``0.71 G + 0.71 B``."""
    weights = weights * np.sign(weights[np.argmax(np.abs(weights))])
    terms = [(weight, name) for weight, name in zip(weights, names, strict=True) if abs(weight) >= 0.05]
    text = "".join(f" {'-' if weight < 0 else '+'} {abs(weight):.2f} {name}" for weight, name in terms)
    return text.removeprefix(" + ")


def diagnose(forward: Forward, settings: Settings, target: Target, noise: Readings, step: float = STEP) -> Diagnosis:
    """Look at an inverse problem at a candidate.

    Args:
        forward: Settings in the unit box ``(m, d)`` to readings ``(m, p)``: ``model.predict``.
        settings: The candidate, ``(d,)``, in the unit box.
        target: Readings wanted, ``(p,)``; only which of them are free (NaN) matters here.
        noise: Standard deviation of one reading, ``(p,)``, positive where the target is fixed.
        step: Of the differences, see ``tangent``.

    Raises:
        InvalidInput: for arrays of another shape, settings outside the box, noise that is not positive, or a target
            without a fixed channel.

    References:
        Aster, Borchers, Thurber (2018), ISBN 978-0-12-804651-7, ch. 3, for singular values and resolution

    >>> seen = diagnose(lambda x: 100 * x.sum(axis=1, keepdims=True), np.array([0.5, 0.5]), np.zeros(1), np.ones(1))
    >>> seen.sentences(["G", "B"], ["445nm"])
    ['G and B are not determined separately: only 0.71 G + 0.71 B.']
    """
    candidate = inside(settings, 1)
    fixed, unit = asked(target, noise)
    slopes = tangent(checked(forward, len(target)), candidate[None], step)[1][0, fixed]
    left, values, directions = np.linalg.svd(slopes / unit[:, None])
    singular = np.zeros(candidate.size)
    singular[: values.size] = values
    lengths = 1 / np.abs(directions).max(axis=1)  # of the box along each direction
    determined = singular * lengths > 1
    rows = np.flatnonzero(determined)
    per_count = (left[:, rows] / singular[rows]) @ directions[rows] / unit[:, None]
    spread = np.minimum(lengths, 1 / np.maximum(singular, np.finfo(float).tiny))
    deviation = np.minimum(np.linalg.norm(spread[:, None] * directions, axis=0), 1.0)
    return Diagnosis(candidate, fixed, slopes, singular, directions, determined, per_count, deviation)


@dataclass(frozen=True, eq=False)
class Regularised:
    """Settings that keep to a prior as far as the noise of the readings allows."""

    settings: Settings
    """In the unit box, ``(d,)``."""
    readings: Readings
    """Expected there, ``(p,)``."""
    strength: float
    """Weight of the squared distance from the prior, in the box, against the misfit; infinite if the prior itself
    answers, 0 if nothing comes within the noise."""
    misfit: float
    """Sum over the fixed channels of the squared deviations from the target in units of noise."""
    allowed: float
    """Misfit that noise alone explains: the number of fixed channels, times ``tau`` squared."""

    @property
    def met(self) -> bool:
        """Whether the misfit is no more than the noise explains."""
        return self.misfit <= self.allowed

    @property
    def reason(self) -> str:
        """What came out, in a sentence."""
        numbers = f"a misfit of {self.misfit:.3g} where noise explains {self.allowed:.3g}"
        if not self.met:
            return f"Nothing in the box comes within the noise, the nearest has {numbers}: project the target."
        if np.isinf(self.strength):
            return f"The prior settings answer the target within the noise, with {numbers}."
        return f"The settings keep to the prior with strength {self.strength:.3g}, with {numbers}."


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
    if not tau > 0:
        raise InvalidInput(f"the discrepancy principle needs tau > 0, got {tau}")
    fixed, unit = asked(target, noise)
    start, wanted = inside(prior, 1), np.asarray(target, float)
    forward = checked(forward, wanted.size)
    problem = _Tikhonov(forward, fixed, unit, wanted[fixed], start, tau**2 * fixed.size, step)
    if (best := problem.answer(start, np.inf)).met:
        return best
    free = project(forward, wanted[None], noise, start.size, step=step).settings[0]
    best = problem.solve(STRENGTHS[0], start, free)
    return problem.strongest(best, free) if best.met else replace(best, strength=0.0)


@dataclass(frozen=True, eq=False)
class _Tikhonov:
    """Readings that are wanted, over the ``c`` channels that are fixed, and settings to keep to."""

    forward: Forward
    fixed: NDArray[np.intp]
    unit: Readings
    wanted: Readings
    """Shape ``(c,)``."""
    prior: Settings
    allowed: float
    step: float

    def missed(self, settings: Settings) -> Array:
        """Readings at settings ``(m, d)`` less those wanted, ``(m, c)``, in units of the noise."""
        return np.asarray((self.forward(settings)[:, self.fixed] - self.wanted) / self.unit)

    def answer(self, settings: Settings, strength: float) -> Regularised:
        """Settings ``(d,)`` as an answer that was found with a strength."""
        misfit = float((self.missed(settings[None]) ** 2).sum())
        return Regularised(settings, self.forward(settings[None])[0], strength, misfit, self.allowed)

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
