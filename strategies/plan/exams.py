"""How long an exam should be at most, what its chances are, and when it is over before its last replicate.

It is over when its verdict is certain, or when the rest is worth less than a new exam.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from sdl.analysis.background import Background
from sdl.analysis.group_sequential import FEWEST, plan_looks, single_look
from sdl.analysis.verification import judge_exam, known_noise
from sdl.campaign.sections import VerificationPart
from sdl.campaign.validation import ResolvedTarget
from sdl.history import Exam, History, Looks, Purpose, Verdict
from sdl.space import Readings, Space
from strategies.fitting.training_rows import undecided

OVERHEAD = 3
"""Requests that a new exam costs beyond its replicates: readings that missed the target, and perhaps a reference."""
BEGUN = 2
"""Replicates that every exam takes: one that is far off may be a disturbance."""
LONGER = 1.25
"""Ratio of the numbers of replicates that an exam may have."""


class ExamChance(NamedTuple):
    """What is likely to become of an exam that is not broken off."""

    chance: float
    """That the candidate passes at one of the looks."""
    requests: float
    """Replicates that it takes on average."""

    @property
    def price(self) -> float:
        """Requests until an exam like it is passed."""
        return self.requests / (self.chance + _TINY)


@dataclass(frozen=True, eq=False)
class ExamForecast:
    """What is known before an exam, over the channels that the target fixes; every array is ``(p,)``."""

    noise: Readings
    """Standard deviation of one reading."""
    tolerance: Readings
    """Largest allowed error."""
    uncertainty: Readings
    """Standard deviation of the expected reading at the candidate."""
    drift: Readings
    """Variance that the background gains with each request."""
    confidence: float
    """Of each of the two one-sided tests."""
    estimated: NDArray[np.bool_] | bool = False
    """Whether the exam has to estimate the noise from its replicates."""
    off: Readings | float = 0.0
    """Expected reading at the candidate less the target."""

    def fate(self, plan: Looks) -> ExamChance:
        """What becomes of an exam with these looks."""
        return self._fates((plan,), _levels(plan))[0]

    def chance(self, plan: Looks) -> float:
        """Probability that the candidate passes at one of the looks."""
        return self.fate(plan).chance

    def planned(self, most: int) -> Looks:
        """The looks of the exam, of at most ``most`` replicates, that has the best chance for each request."""
        plans, levels = _plans(most, self.confidence)
        fates = self._fates(plans, levels)
        return plans[max(range(len(plans)), key=lambda each: fates[each].chance / fates[each].requests)]

    def price(self, most: int) -> float:
        """Requests until an exam is passed: this one and others like it, or one of a candidate that it has mended."""
        mended = self.learned(BEGUN)
        return min(self.fate(self.planned(most)).price, mended.fate(mended.planned(most)).price + BEGUN)

    def learned(self, n: int) -> "ExamForecast":
        """The same after ``n`` more readings near the candidate, by which it is moved to the target."""
        precision = 1 / (self.uncertainty**2 + _TINY) + n / (self.noise**2 + _TINY)
        return replace(self, uncertainty=np.sqrt(1 / precision), off=0.0)

    def ideal(self) -> "ExamForecast":
        """The same with a candidate that is known to be right, in a steady light."""
        nothing = np.zeros_like(self.uncertainty)
        return replace(self, uncertainty=nothing, drift=np.zeros_like(self.drift), off=0.0)

    def hopeless(self, off: Readings, k: int, plan: Looks) -> bool:
        """Whether the rest of an exam is worth less than a new one of a candidate that these replicates have mended.

        Breaking off can only turn a pass into no verdict, so it leaves the confidence of VERIFIED as it is.

        Args:
            off: Mean of the ``k`` replicates so far, less the target, ``(p,)``.
            k: Their number.
            plan: Looks that the exam was begun with.
        """
        numbers, room = self._rooms(_levels(tuple(look for look in plan if look.replicates > k)))
        left = numbers - k
        prior, seen = self.uncertainty**2 + self.drift * (k / 3 + 0.5) + _TINY, self.noise**2 / k
        trust = prior / (prior + seen)
        final = (k + left * trust) / numbers * off
        spread = left / numbers * np.sqrt(trust * seen + self.noise**2 / left + self.drift * left / 3) + _TINY
        passes = np.clip(ndtr((room - final) / spread) - ndtr((-room - final) / spread), 0, 1).prod(axis=1)
        mended = self.learned(k)
        new = mended.fate(mended.planned(plan[-1].replicates))
        price = (new.requests + OVERHEAD) / (new.chance + _TINY)
        return bool((passes * price <= left[:, 0]).all())

    def _fates(self, plans: Sequence[Looks], levels: "_Levels") -> list[ExamChance]:
        """What becomes of some exams; ``levels`` are those of the looks of all of them, one exam after the other."""
        inside, chances, first = self._inside(levels), list[ExamChance](), 0
        for plan in plans:
            numbers, last = levels.numbers[first : first + len(plan), 0], first + len(plan)
            passed = np.maximum.accumulate(inside[first:last])
            requests = numbers[0] + np.diff(numbers) @ (1 - passed[:-1])
            chances.append(ExamChance(float(passed[-1]), float(requests)))
            first = last
        return chances

    def _inside(self, levels: "_Levels") -> NDArray[np.float64]:
        """Probability that the candidate would pass at each look alone, nearly: ``(looks,)``."""
        numbers, room = self._rooms(levels)
        spread = np.sqrt(self.noise**2 / numbers + self.uncertainty**2 + self.drift * (numbers / 3 + 0.5)) + _TINY
        near, far = (room - np.abs(self.off)) / spread, (room + np.abs(self.off)) / spread
        return np.asarray(np.where(room > 0, ndtr(near) + ndtr(far) - 1, 0.0).prod(axis=1))

    def _rooms(self, levels: "_Levels") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Numbers of replicates ``(looks, 1)``, and how far off the mean may be then, ``(looks, p)``."""
        quantile = np.where(self.estimated, levels.estimated, levels.known)
        return levels.numbers, self.tolerance - quantile * self.noise / np.sqrt(levels.numbers)


def exam_batch_size(exam: Exam, rule: VerificationPart, k: int) -> int:
    """How many replicates to take until the next look, of which ``k`` are there."""
    if rule.replicates == "planned":
        return BEGUN - k if k < BEGUN else 1
    return exam.replicates - k


def exam_has_ended(
    exam: Exam, target: ResolvedTarget, history: History, rule: VerificationPart, space: Space, columns: Sequence[int]
) -> bool:
    """Whether a verdict is due.

    Args:
        exam: With its plan.
        target: Over all channels.
        history: With the replicates that are there.
        rule: Of the campaign.
        space: Of the instrument.
        columns: Channels that some target fixes.
    """
    replicates, fixed = history.taken(Purpose.VERIFICATION), [c for c in columns if np.isfinite(target.readings[c])]
    k = len(replicates)
    if rule.replicates != "planned" or k < BEGUN:
        return False
    if undecided(space, replicates, columns):
        return False  # a lamp for a moment: with another replicate it teaches nothing, but as it is it would
    if judge_exam(exam, target, replicates, rule, space).verdict is not Verdict.INCONCLUSIVE:
        return True
    readings = np.array([replicate.readings[fixed] for replicate in replicates])
    if not np.isfinite(readings).all():
        return True  # at the ceiling, which no target can be near
    known = known_noise(rule, space)[fixed]
    noise = np.where(np.isnan(known), readings.std(axis=0, ddof=1), known)
    drift = Background.of(history.observations, space.p).drift
    uncertainty, tolerance = exam.uncertainty[fixed], target.tolerance[fixed]
    outlook = ExamForecast(noise, tolerance, uncertainty, drift[fixed], rule.confidence, np.isnan(known))
    plan = exam.looks or single_look(exam.replicates, rule.confidence)  # earlier versions planned none
    return outlook.hopeless(readings.mean(axis=0) - target.readings[fixed], k, plan)


class _Levels(NamedTuple):
    """Looks ``(looks, 1)``: numbers of replicates, and how many standard errors inside the mean has to be then."""

    numbers: NDArray[np.float64]
    known: NDArray[np.float64]
    estimated: NDArray[np.float64]


@cache
def _levels(plan: Looks) -> _Levels:
    numbers, known, estimated = np.array(plan).T[:, :, None]
    return _Levels(numbers, -ndtri(known), stdtrit(np.maximum(numbers - 1, 1), 1 - estimated))


@cache
def _plans(most: int, confidence: float) -> tuple[tuple[Looks, ...], _Levels]:
    """Every exam of at most ``most`` replicates that is thought of, and the levels of all of them."""
    plans = tuple(plan_looks(number, confidence) for number in _numbers(most))
    return plans, _levels(tuple(chain(*plans)))


def _numbers(most: int) -> list[int]:
    numbers = [min(FEWEST, most)]
    while numbers[-1] < most:
        numbers.append(min(max(int(numbers[-1] * LONGER), numbers[-1] + 1), most))
    return numbers


_TINY = 1e-12
