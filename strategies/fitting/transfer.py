"""Which earlier campaign the present instrument is most like, by its first readings, and what its rows then tell.

Each lesson is tried as what the instrument still is (its gains within what two sessions differ by), as another
instrument of the kind (gains and mixing of the knobs off by as much as two of a series differ by), and against nothing
known at all. How probable today's first readings are, given its rows, decides: the fingerprint of the instrument, and
the detection of a history that misleads, in one number (a Bayes factor). A lesson that is taken comes into the fits
translated into what would be read today, and into the local correction with all that is uncertain about it.

References:
    Kennedy & O'Hagan (2000), doi:10.1093/biomet/87.1.1, for a response that is another one's times a factor and more;
    Kass & Raftery (1995), doi:10.1080/01621459.1995.10476572, for the choice
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from sdl.analysis.gain_shift import BETWEEN
from sdl.campaign.lesson import Lesson
from sdl.history import LessonFacts
from sdl.space import Readings, Settings, Space
from strategies.correction.evidence import evidences, kernel
from strategies.correction.kriging import LENGTHS, USUAL, Kriging
from strategies.correction.rows import EarlierRows, TrainingRows, unshared

APART = {"the same": BETWEEN, "of its kind": 0.15}
"""Standard deviation of the gains of what a lesson may be of, as a share of them."""
PRIOR = {True: {"the same": 0.8, "of its kind": 0.15}, False: {"the same": 0.1, "of its kind": 0.7}}
"""How probable each is before anything is read, by whether it is of the same instrument; the rest: unlike it."""
STRAY = 0.03
"""Slope of a knob that its rows do not show, as a share of the largest of that channel: another lamp may reach it."""
STEEP = 3.0
"""Standard deviation of slopes of which nothing is known, in largest readings of the channel."""
FIRST = 30
"""Readings of the campaign that decide: later ones would only say the same again."""


@dataclass(frozen=True, eq=False)
class Transfer:
    """What is known of earlier campaigns against today's readings, and the one of them that is learned from."""

    distances: Mapping[str, float | None]
    """Root mean square of what each one, by name, misses of today's readings, as a share of them; None before the
    first."""
    lesson: Lesson | None = None
    """The one that today's readings are most like; None if they are more likely like none."""
    kind: str = ""
    """What it is of: a key of ``APART``."""
    probability: float = 1.0
    """Of that, or of being like none."""
    earlier: EarlierRows | None = None
    """Its rows."""

    @property
    def apart(self) -> float:
        """Standard deviation of its gains from today's, as a share of them."""
        return APART.get(self.kind, max(APART.values()))

    def translated(self, rows: TrainingRows) -> tuple[Settings, Readings]:
        """The lesson's settings ``(m, d)`` and what would be read there today ``(m, p)``, by its rows and today's.

        NaN where a channel was not read.
        """
        if self.earlier is None:
            return rows.settings[:0], rows.readings[:0]
        known = np.vstack((self.earlier.readings, rows.readings))
        told = Kriging.of(rows, known).at(self.earlier.settings, fresh=True)[0]
        return self.earlier.settings, np.where(np.isfinite(self.earlier.readings), told, np.nan)

    @property
    def facts(self) -> LessonFacts:
        """What a round records of it."""
        return LessonFacts(
            campaign=None if self.lesson is None else self.lesson.campaign,
            instrument=None if self.lesson is None else self.lesson.instrument,
            kind=self.kind,
            probability=self.probability,
            distances={name: np.nan if off is None else off for name, off in self.distances.items()},
        )


def nearest_lesson(
    lessons: Sequence[Lesson], space: Space, channels: Sequence[str], rows: TrainingRows, at_least: NDArray[np.bool_]
) -> Transfer:
    """The lesson that today's readings are most like, if they are not more likely like none.

    Args:
        lessons: What earlier campaigns taught, the latest first, at least one.
        space: Of the instrument.
        channels: Of interest.
        rows: What was read today, in order.
        at_least: Which of these readings stand for a channel at its ceiling, ``(n, p)``.
    """
    today = _Today.of(rows, at_least)
    told = [_Told.of(lesson, space, channels) for lesson in lessons]
    scale = np.fmax.reduce([each.largest for each in told] + [np.abs(today.readings).max(axis=0, initial=1.0)])
    score, distances = dict[tuple[int, str], float](), dict[str, float | None]()
    for place, each in enumerate(told):
        distances[each.lesson.campaign], factors = each.held_against(today, scale)
        for kind, factor in factors.items():
            score[place, kind] = factor + float(np.log(PRIOR[each.lesson.same][kind] / len(told)))
    unlike = float(np.log(np.mean([1 - sum(PRIOR[each.same].values()) for each in lessons])))
    whole = float(logsumexp([*score.values(), unlike]))
    if (none := float(np.exp(unlike - whole))) > 0.5:
        return Transfer(distances, probability=none)
    # Before anything is read, the one that says most, and of those the latest.
    best = max(score, key=lambda at: (round(score[at], 6), np.isfinite(told[at[0]].readings).sum(), -at[0]))
    lesson, kind = told[best[0]], best[1]
    chance = float(np.exp(score[best] - whole))
    return Transfer(distances, lesson.lesson, kind, chance, lesson.earlier(APART[kind], scale))


@dataclass(frozen=True, eq=False)
class _Today:
    """The first readings of the campaign."""

    settings: Settings
    readings: Readings
    errors: NDArray[np.float64]
    """Covariance, ``(p, n, n)``."""
    at_least: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: TrainingRows, at_least: NDArray[np.bool_]) -> "_Today":
        n = min(len(rows.settings), FIRST)
        shared, drift = rows.shared(np.arange(n)), np.broadcast_to(rows.drift, rows.readings.shape)[:n]
        errors = [
            noise**2 * np.eye(n) + walk[:, None] * shared for noise, walk in zip(rows.noise, drift.T, strict=True)
        ]
        return cls(rows.settings[:n], rows.readings[:n], np.array(errors), at_least[:n])


@dataclass(frozen=True, eq=False)
class _Told:
    """What a lesson says, in the box and the channels of today."""

    lesson: Lesson
    settings: Settings
    readings: Readings
    deviations: Readings

    @classmethod
    def of(cls, lesson: Lesson, space: Space, channels: Sequence[str]) -> "_Told":
        settings, readings, deviations = lesson.arrays(space, channels)
        return cls(lesson=lesson, settings=settings, readings=readings, deviations=deviations)

    @property
    def largest(self) -> Readings:
        return np.asarray(np.nan_to_num(np.abs(self.readings)).max(axis=0))

    def earlier(self, apart: float, scale: Readings) -> EarlierRows:
        """Its rows, if its gains are so far from today's."""
        errors = []
        for c, deviation in enumerate(np.nan_to_num(self.deviations).T):
            read = np.isfinite(self.readings[:, c])
            slopes = np.abs(np.linalg.lstsq(self.settings[read], self.readings[read, c])[0])
            moved = apart * self.settings * (slopes + STRAY * slopes.max(initial=0.0))
            lit = scale[c] ** 2 if self.lesson.lit else 0.0
            errors.append(np.diag(deviation**2) + moved @ moved.T + lit)
        return EarlierRows(self.settings, self.readings, np.array(errors), STEEP * scale)

    def held_against(self, today: _Today, scale: Readings) -> tuple[float | None, dict[str, float]]:
        """How far its own prediction is from today's readings, and the Bayes factor of each kind against none."""
        if not len(today.settings):
            return None, dict.fromkeys(APART, 0.0)
        alone = self.earlier(APART["the same"], scale)
        rows = TrainingRows(today.settings[:0], today.readings[:0], scale, scale, unshared, earlier=alone)
        expected = Kriging.of(rows, self.readings).at(today.settings)[0]
        known = ~(today.at_least & (expected >= today.readings)) & np.isfinite(self.readings).any(axis=0)
        off = np.where(known, today.readings - expected, 0.0)
        distance = float(np.sqrt((off**2).sum() / max((np.where(known, today.readings, 0.0) ** 2).sum(), 1.0)))
        factors = dict[str, float]()
        for kind, apart in APART.items():
            errors = self.earlier(apart, scale).errors
            factors[kind] = sum(
                _factor(self, errors[c], today, known[:, c], c, float(scale[c])) for c in range(len(scale))
            )
        return distance, factors


def _factor(
    told: _Told, errors: NDArray[np.float64], today: _Today, known: NDArray[np.bool_], c: int, scale: float
) -> float:
    """Logarithm of how much more probable today's readings of a channel are with a lesson's rows than without."""
    read = np.isfinite(told.readings[:, c])
    before = told.settings[read], told.readings[read, c], errors[np.ix_(read, read)]
    now = today.settings[known], today.readings[known, c], today.errors[c][np.ix_(known, known)]
    if not read.any() or not known.any():
        return 0.0
    both = np.vstack((before[0], now[0])), np.concatenate((before[1], now[1])), block_diag(before[2], now[2])
    return _evidence(*both, scale) - _evidence(*before, scale) - _evidence(*now, scale)


def _evidence(settings: Settings, readings: NDArray[np.float64], errors: NDArray[np.float64], scale: float) -> float:
    """Logarithm of the marginal likelihood of readings ``(n,)`` of one channel, up to a constant for each of them."""
    between = cdist(settings, settings)
    kernels = {length: kernel(between, length) for length in LENGTHS}
    planes = (STEEP * scale) ** 2 * settings @ settings.T
    return float(logsumexp(list(evidences(kernels, errors + planes, readings, scale, USUAL).values())))
