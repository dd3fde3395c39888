"""How many replicates an exam should have, what its chances are, and when it can no longer pass."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from sdl.space import Readings
from sdl.verification import half_width

OVERHEAD = 10
"""Requests that a failed exam costs beyond its own: a fresh reference, and readings that missed the target."""
FEWEST = 3
CHUNK = 3
"""Replicates between two looks at whether the exam can still pass."""


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

    def chance(self, n: int) -> float:
        """Probability that the candidate passes with ``n`` replicates."""
        room = self._room(n)
        spread = np.sqrt(self.noise**2 / n + self.uncertainty**2 + self.drift * (n / 3 + 0.5)) + _TINY
        return float(np.prod(np.where(room > 0, 2 * ndtr(room / spread) - 1, 0.0)))

    def replicates(self, most: int) -> int:
        """The number of replicates, at most ``most``, with the best chance for each request that it costs."""
        numbers = range(min(FEWEST, most), most + 1)
        return numbers[int(np.argmax([self.chance(n) / (n + OVERHEAD) for n in numbers]))]

    def learned(self, n: int) -> "Outlook":
        """The same after ``n`` more readings near the candidate."""
        known = 1 / (self.uncertainty**2 + _TINY) + n / (self.noise**2 + _TINY)
        return replace(self, uncertainty=np.sqrt(1 / known))

    def ideal(self) -> "Outlook":
        """The same with a candidate that is known to be right, in a steady light."""
        return replace(self, uncertainty=np.zeros_like(self.uncertainty), drift=np.zeros_like(self.drift))

    def hopeless(self, off: Readings, k: int, planned: int) -> bool:
        """Whether the rest of an exam is worth less than a new one.

        Breaking off can only turn a pass into no verdict, so it leaves the confidence of VERIFIED as it is.

        Args:
            off: Mean of the ``k`` replicates so far, less the target, ``(p,)``.
            k: Their number.
            planned: Replicates that the exam was begun with, more than ``k``.
        """
        left = planned - k
        prior, seen = self.uncertainty**2 + self.drift * (k / 3 + 0.5) + _TINY, self.noise**2 / k
        trust = prior / (prior + seen)
        final = (k + left * trust) / planned * off
        spread = left / planned * np.sqrt(trust * seen + self.noise**2 / left + self.drift * left / 3) + _TINY
        room = self._room(planned)
        passes = np.prod(np.clip(ndtr((room - final) / spread) - ndtr((-room - final) / spread), 0, 1))
        return bool(passes / left < self.chance(planned) / (planned + 1))

    def _room(self, n: int) -> Readings:
        return self.tolerance - half_width(self.noise, n, self.confidence)


_TINY = 1e-12
