"""An inverse problem looked at: what a target determines at a candidate, how noise moves it, what can be had at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Target
from strategies.jacobian import STEP, Forward, asked, checked, descend, inside, tangent

POOL = 8
"""Binary logarithm of the number of settings that are tried before any search."""
STARTS = 4
"""Searches for each target, from the best of the pool."""
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
        alone, joined = share > 1 - OPEN, (share > OPEN) & (share <= 1 - OPEN)
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
    start, wanted = inside(prior, 1), np.asarray(target, float)[fixed]
    forward, allowed = checked(forward, len(target)), tau**2 * fixed.size

    def missed(settings: Settings) -> Array:
        return np.asarray((forward(settings)[:, fixed] - wanted) / unit)

    def found(settings: Settings, strength: float) -> Regularised:
        misfit = float((missed(settings[None]) ** 2).sum())
        return Regularised(settings, forward(settings[None])[0], strength, misfit, allowed)

    def solved(strength: float, *starts: Settings) -> Regularised:
        def residuals(settings: Settings, _: NDArray[np.intp]) -> Array:
            return np.hstack((missed(settings), np.sqrt(strength) * (settings - start)))

        ends, costs = descend(residuals, np.array(starts), step=step)
        return found(ends[np.argmin(costs)], strength)

    if (best := found(start, np.inf)).met:
        return best
    free = project(forward, np.asarray(target, float)[None], noise, start.size, step=step).settings[0]
    weak, strong = STRENGTHS
    best = solved(weak, start, free)
    if not best.met:
        return replace(best, strength=0.0)
    for _ in range(HALVINGS):
        middle = float(np.sqrt(weak * strong))
        tried = solved(middle, start, free, best.settings)
        weak, strong, best = (middle, strong, tried) if tried.met else (weak, middle, best)
    return best


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
    wanted, fixed, weights = _weighted(targets, scale)
    if d < 1 or not 1 <= starts <= 2**POOL:
        raise InvalidInput(f"a projection needs d >= 1 and 1 to {2**POOL} starts, got {d} and {starts}")
    forward = checked(forward, wanted.shape[1])

    def residuals(settings: Settings, which: NDArray[np.intp]) -> Array:
        return np.asarray((forward(settings) - wanted[which]) * weights[which])

    pool = qmc.Sobol(d, scramble=False).random_base2(POOL)
    level = forward(pool)
    # |level - target|^2 of all pairs, but for what is the same for all the pool.
    distance = weights**2 @ (level**2).T - 2 * (weights**2 * wanted) @ level.T
    first = np.argsort(distance, axis=1, kind="stable")[:, :starts]
    which = np.repeat(np.arange(len(wanted)), starts)
    ends, costs = descend(residuals, pool[first.ravel()], which, step)
    best = np.argmin(costs.reshape(-1, starts), axis=1)
    settings = ends.reshape(-1, starts, d)[np.arange(len(wanted)), best]
    readings = forward(settings)
    return Projection(settings, readings, np.where(fixed, (readings - wanted) * weights, np.nan))


def _weighted(targets: Readings, scale: Readings) -> tuple[Readings, NDArray[np.bool_], Readings]:
    """Targets, 0 where free; where they are fixed; and 1 over the scale there, 0 where free; all ``(m, p)``."""
    wanted = np.asarray(targets, float)
    if wanted.ndim != 2 or not len(wanted):
        raise InvalidInput(f"a projection needs targets (m, p), at least one, got shape {wanted.shape}")
    fixed = ~np.isnan(wanted)
    if bad := np.flatnonzero(np.isinf(wanted).any(axis=1) | ~fixed.any(axis=1)).tolist():
        raise InvalidInput(f"each target needs a fixed channel and finite readings, targets {bad[:5]} have not")
    unit = np.asarray(scale, float)
    if unit.shape not in (wanted.shape, wanted.shape[1:]):
        raise InvalidInput(f"a scale needs the shape {wanted.shape[1:]} or {wanted.shape}, got {unit.shape}")
    unit = np.where(fixed, unit, np.inf)
    if not (unit > 0).all() or np.isinf(unit[fixed]).any():
        raise InvalidInput("a scale needs to be positive and finite in every fixed channel")
    return np.where(fixed, wanted, 0.0), fixed, 1 / unit
