"""How long an exam should be at most, what its chances are, and when it is worth less than a new one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from sdl.looks import FEWEST, Look, Looks, looks
from sdl.space import Readings

OVERHEAD = 3
"""Requests that a new exam costs beyond its replicates: readings that missed the target, and perhaps a reference."""
BEGUN = 2
"""Replicates that every exam takes: one that is far off may be a disturbance."""
LONGER = 1.25
"""Ratio of the numbers of replicates that an exam may have."""


@dataclass(frozen=True, eq=False)
class Outlook:
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

    def chance(self, plan: Looks) -> float:
        """Probability that the candidate passes at one of the looks."""
        return float(self._passed(plan)[-1])

    def requests(self, plan: Looks) -> float:
        """Replicates that an exam takes on average, if it is not broken off."""
        numbers = np.array([look.replicates for look in plan])
        return float(numbers[0] + np.diff(numbers) @ (1 - self._passed(plan)[:-1]))

    def planned(self, most: int) -> Looks:
        """The looks of the exam, of at most ``most`` replicates, that has the best chance for each request."""
        plans = [looks(number, self.confidence) for number in _numbers(most)]
        return max(plans, key=lambda plan: self.chance(plan) / self.requests(plan))

    def price(self, most: int) -> float:
        """Requests until an exam is passed: this one and others like it, or one of a candidate that it has mended."""
        mended, after = self.learned(BEGUN), BEGUN
        return min(
            each.requests(plan) / (each.chance(plan) + _TINY) + before
            for each, before in ((self, 0), (mended, after))
            for plan in [each.planned(most)]
        )

    def learned(self, n: int) -> "Outlook":
        """The same after ``n`` more readings near the candidate, by which it is moved to the target."""
        known = 1 / (self.uncertainty**2 + _TINY) + n / (self.noise**2 + _TINY)
        return replace(self, uncertainty=np.sqrt(1 / known), off=0.0)

    def ideal(self) -> "Outlook":
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
        numbers, room = self._rooms([look for look in plan if look.replicates > k])
        left = numbers - k
        prior, seen = self.uncertainty**2 + self.drift * (k / 3 + 0.5) + _TINY, self.noise**2 / k
        trust = prior / (prior + seen)
        final = (k + left * trust) / numbers * off
        spread = left / numbers * np.sqrt(trust * seen + self.noise**2 / left + self.drift * left / 3) + _TINY
        passes = np.clip(ndtr((room - final) / spread) - ndtr((-room - final) / spread), 0, 1).prod(axis=1)
        mended = self.learned(k)
        new = mended.planned(plan[-1].replicates)
        price = (mended.requests(new) + OVERHEAD) / (mended.chance(new) + _TINY)
        return bool((passes * price <= left[:, 0]).all())

    def _passed(self, plan: Looks) -> NDArray[np.float64]:
        """Probability that the candidate has passed by each look, nearly: ``(looks,)``."""
        numbers, room = self._rooms(plan)
        spread = np.sqrt(self.noise**2 / numbers + self.uncertainty**2 + self.drift * (numbers / 3 + 0.5)) + _TINY
        near, far = (room - np.abs(self.off)) / spread, (room + np.abs(self.off)) / spread
        at = np.where(room > 0, ndtr(near) + ndtr(far) - 1, 0.0).prod(axis=1)
        return np.asarray(np.maximum.accumulate(at))

    def _rooms(self, plan: Sequence[Look]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Numbers of replicates ``(looks, 1)``, and how far off the mean may be then, ``(looks, p)``."""
        numbers, known, estimated = np.array(plan).T[:, :, None]
        quantile = np.where(self.estimated, stdtrit(np.maximum(numbers - 1, 1), 1 - estimated), -ndtri(known))
        return numbers, self.tolerance - quantile * self.noise / np.sqrt(numbers)


def _numbers(most: int) -> list[int]:
    numbers = [min(FEWEST, most)]
    while numbers[-1] < most:
        numbers.append(min(max(int(numbers[-1] * LONGER), numbers[-1] + 1), most))
    return numbers


_TINY = 1e-12
