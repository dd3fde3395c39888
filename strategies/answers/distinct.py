"""From thousands of draws to the distinct answers among them, the most robust first.

Where a target leaves knobs free its answers are whole families, curves and surfaces. Draws are of one family if a way
from one to the other stays on it; a family answers with draws that are spread over it, and one that noise alone has
spread with a single draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.answers.clustering import SEPARATION, DrawCluster
from strategies.answers.families import ALLOWED, STEP, Array, Numbers, families
from strategies.contract import Target
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.jacobian import Forward, asked, checked, tangent
from strategies.numerics.unit_box import in_unit_box

APART = 0.15
"""Distance in the unit box from which on two answers of one family count as two."""
CENTRAL = 200


@dataclass(frozen=True, eq=False)
class DistinctAnswer(DrawCluster):
    """One of several answers; its spread and share are those of the draws that it stands for."""

    family: int
    """Number of the family; answers of one family can be moved into each other without leaving the target."""
    readings: Readings
    """By the forward model, ``(p,)``."""
    off: float
    """Largest distance from the target in a channel that it fixes, in standard deviations of a reading."""
    fragility: float
    """What settings that are off by ``slip`` cost: change of the readings, root mean square, in the same unit."""


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """Settings that are answers already."""

    settings: Settings
    """In the unit box, ``(k, d)``."""
    families: Sequence[int]
    """Number of the family of each."""

    def near(self, settings: Settings) -> bool:
        """Whether one of them is as good as the same settings ``(d,)``."""
        return bool((np.linalg.norm(self.settings - settings, axis=1) < SEPARATION).any())


def distinct_answers(
    draws: Settings,
    forward: Forward,
    target: Target,
    noise: ArrayLike,
    *,
    slip: float | Settings = 0.01,
    apart: float = APART,
    most: int = 24,
    known: KnownAnswers | None = None,
) -> list[DistinctAnswer]:
    """Distinct answers among draws ``(n, d)``, the least fragile first; none if all draws are outside the box.

    Draws outside the unit box are refused, and those that miss the target by more than the others too.

    Args:
        draws: In the unit box, one target; from ``InverseModel.sample``, best localised.
        forward: What gives readings, such as ``model.predict``; asked for some tens of rows a draw and knob.
        target: Shape ``(p,)``; NaN where a channel is free.
        noise: Standard deviation of one reading, ``(p,)``.
        slip: How far off settings may be set, in the unit box; one number or one for each knob.
        apart: Distance in the unit box within which draws of a family are spoken for by one of them.
        most: Answers at most, of the families with most draws.
        known: Settings that are answers already: those of their family that are within ``apart`` are not offered, nor
            those that are as close as ``SEPARATION`` to one of them.

    Raises:
        InvalidInput: for a target without fixed channel, noise that is not positive there, or a distance below 0.

    >>> angle = np.linspace(0, 2 * np.pi, 60)
    >>> ring = 0.5 + 0.3 * np.column_stack((np.cos(angle), np.sin(angle)))
    >>> bowl = lambda settings: ((settings - 0.5) ** 2).sum(axis=1, keepdims=True)
    >>> found = distinct_answers(ring, bowl, np.array([0.09]), [0.001], apart=0.3)
    >>> len(found), {each.family for each in found}
    (4, {0})
    """
    if not apart > 0 or most < 1:
        raise InvalidInput(f"distinct answers need apart > 0 and most >= 1, got {apart} and {most}")
    question = _Question.of(forward, target, noise)
    drawn = in_unit_box(draws)
    with one_thread():
        inside, times = np.unique(draws[drawn], axis=0, return_counts=True)
        if not len(inside):
            return []
        first = known or KnownAnswers(np.empty((0, inside.shape[1])), ())
        crowd = _Crowd.of(question, inside, times, first, apart, most)
        answers = crowd.answers(question, first, slip, int(drawn.sum()))
    return sorted(answers, key=lambda answer: answer.fragility)


@dataclass(frozen=True, eq=False)
class _Question:
    """A target and the model that is asked for it, over the ``c`` channels that it fixes."""

    model: Forward
    fixed: NDArray[np.intp]
    unit: Readings
    """Standard deviation of one reading, ``(c,)``."""
    wanted: Readings
    """In these units, ``(c,)``."""

    @classmethod
    def of(cls, forward: Forward, target: Target, noise: ArrayLike) -> Self:
        fixed, unit = asked(target, noise)
        return cls(checked(forward, np.size(target)), fixed, unit, np.asarray(target, float)[fixed] / unit)

    def missed(self, settings: Settings) -> Array:
        """Readings at settings ``(m, d)`` less the target, ``(m, c)``."""
        return np.asarray(self.model(settings)[:, self.fixed] / self.unit - self.wanted)

    def worst(self, readings: Readings) -> float:
        """Largest distance of readings ``(p,)`` from the target."""
        return float(np.abs(readings[self.fixed] / self.unit - self.wanted).max())

    def fragility(self, slopes: Array, slip: float | Settings) -> float:
        """What settings off by ``slip`` cost where the readings have these slopes ``(p, d)``."""
        return float(np.sqrt(((slopes[self.fixed] / self.unit[:, None] * slip) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True, eq=False)
class _Crowd:
    """Answers that are known and draws that come as near as any, ``n`` together, and who speaks for whom."""

    settings: Settings
    """The known ones first, ``(n, d)``."""
    times: Numbers
    """How often each was drawn, ``(n,)``; 0 for those that are known."""
    family: Numbers
    """Label of the family of each, ``(n,)``."""
    chosen: Numbers
    """Rows of those that speak for others, the known ones first."""
    owner: Numbers
    """Place in ``chosen`` of who speaks for each, ``(n,)``; -1 where nobody does."""

    @classmethod
    def of(
        cls, question: _Question, draws: Settings, times: Numbers, known: KnownAnswers, apart: float, most: int
    ) -> Self:
        off, k = np.abs(question.missed(draws)).max(axis=1), len(known.settings)
        near = off <= max(ALLOWED, float(np.quantile(off, 0.1)))
        settings = np.concatenate((known.settings, draws[near]))
        family = families(settings, question.missed, apart)
        chosen, owner = _spread(settings, family, apart, most, k)
        return cls(settings, np.concatenate((np.zeros(k, times.dtype), times[near])), family, chosen, owner)

    def answers(
        self, question: _Question, known: KnownAnswers, slip: float | Settings, drawn: int
    ) -> list[DistinctAnswer]:
        """Those of ``drawn`` draws that speak for others and are no answers yet."""
        rows, new = self.chosen, range(len(known.settings), len(self.chosen))
        readings, slopes = tangent(question.model, self.settings[rows], STEP)
        numbers = _numbers(self.family[rows], known.families)
        return [
            DistinctAnswer(
                settings=self.settings[rows[place]],
                spread=np.repeat(self.settings[mine], self.times[mine], axis=0).std(axis=0),
                share=float(self.times[mine].sum() / drawn),
                family=numbers[int(self.family[rows[place]])],
                readings=readings[place],
                off=question.worst(readings[place]),
                fragility=question.fragility(slopes[place], slip),
            )
            for place in new
            if not known.near(self.settings[rows[place]])
            for mine in [self.owner == place]
        ]


def _numbers(labels: Numbers, known: Sequence[int]) -> dict[int, int]:
    """Number of the family of each label, in the order of ``labels``, of which the first have ``known`` ones."""
    numbers = dict[int, int]()
    for label, number in zip(labels.tolist(), known, strict=False):
        numbers.setdefault(label, number)
    for label in labels.tolist():
        numbers.setdefault(label, 1 + max((*numbers.values(), *known), default=-1))
    return numbers


def _spread(settings: Settings, family: Numbers, apart: float, most: int, k: int) -> tuple[Numbers, Numbers]:
    """Rows of draws that speak for all, and which of them speaks for each, ``(n,)``; -1 where none does.

    The first ``k``; of each other family the most central draw; then always the draw that is farthest from those that
    speak for its family. At most ``most`` beside the first.
    """
    labels, sizes = np.unique(family, return_counts=True)
    new = [label for label in labels[np.argsort(-sizes)] if label not in family[:k]]
    chosen = [*range(k), *(_central(settings, np.flatnonzero(family == label)) for label in new[:most])]
    owner, distance = np.full(len(settings), -1), np.full(len(settings), np.inf)
    place = 0
    while place < len(chosen):
        row = chosen[place]
        mine = np.linalg.norm(settings - settings[row], axis=1)
        nearer = (family == family[row]) & (mine < distance)
        owner[nearer], distance[nearer] = place, mine[nearer]
        place += 1
        known = np.where(owner >= 0, distance, 0.0)
        if place == len(chosen) < k + most and known.max() > apart:
            chosen.append(int(known.argmax()))
    return np.array(chosen, np.intp), owner


def _central(settings: Settings, rows: Numbers) -> int:
    """The row whose settings are nearest to all others, as far as some of them tell."""
    some = rows[:: max(len(rows) // CENTRAL, 1)]
    return int(rows[cdist(settings[rows], settings[some]).sum(axis=1).argmin()])
