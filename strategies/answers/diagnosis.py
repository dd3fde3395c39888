"""An inverse problem looked at: what a target determines at a candidate, and how noise moves it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Target
from strategies.numerics.jacobian import STEP, Forward, asked, checked, inside, tangent

OPEN = 0.1
"""Share of a knob in the undetermined directions from which on it is not determined by itself."""

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
        sentences = []
        for j, knob in enumerate(knobs):
            if alone[j]:
                sentences.append(f"{knob} is not determined by this target.")
            elif not joined[j]:
                sentences.append(f"{knob} is determined within {self.deviation[j]:.2g} of its range.")
                i = int(np.argmax(np.abs(self.per_count[:, j])))
                moved, channel = abs(self.per_count[i, j]), channels[self.fixed[i]]
                sentences.append(f"1 {unit} at {channel} moves {knob} by {moved:.2g} of its range.")
        if joined.any():
            sentences.append(self._combined(knobs, np.flatnonzero(joined)))
        if self.determined.all():
            sentences.append(f"The condition number in units of noise is {self.condition:.3g}.")
        return sentences

    def _combined(self, knobs: Sequence[str], joined: NDArray[np.intp]) -> str:
        """What is known of knobs that are not determined by themselves."""
        names = [knobs[j] for j in joined]
        loadings = self.directions[self.determined][:, joined]
        _, sizes, rows = np.linalg.svd(loadings, full_matrices=False)
        rows = rows[sizes > 0.5]
        text = f"{', '.join(names[:-1])} and {names[-1]} are not determined separately"
        sums = [weighted_sum(row, names) for row in rows]
        return f"{text}: only {' and '.join(sums)}." if sums else f"{text}, nor is any sum of them."


def weighted_sum(weights: Array, names: Sequence[str]) -> str:
    """A weighted sum, the largest weight positive.

    >>> weighted_sum(np.array([0.28, -0.96]), ["a", "b"])
    '-0.28 a + 0.96 b'
    """
    weights = weights * np.sign(weights[np.argmax(np.abs(weights))])
    terms = [(weight, name) for weight, name in zip(weights, names, strict=True) if abs(weight) >= 0.05]
    text = "".join(f" {'-' if weight < 0 else '+'} {abs(weight):.2f} {name}" for weight, name in terms)
    return f"-{text[3:]}" if text.startswith(" - ") else text.removeprefix(" + ")


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
