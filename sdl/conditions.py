"""The background as a condition: what reference readings say of the light at any moment of a campaign.

Moments are places in the order of requests, not times: a clock that jumps changes no decision.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.history import Observation, Purpose
from sdl.space import Readings


@dataclass(frozen=True, eq=False)
class Conditions:
    """The background through a campaign, known where a reference was read and uncertain between.

    Between two references it is taken to walk at random, pinned at both ends (a Brownian bridge); before the first
    and after the last one it walks freely.
    """

    seq: NDArray[np.int_]
    """Places of the references in the order of requests, ``(k,)``."""
    references: Readings
    """Their readings, ``(k, p)``; NaN where masked."""

    @classmethod
    def of(cls, observations: Iterable[Observation], p: int) -> "Conditions":
        """Collect the references among observations of ``p`` channels."""
        taken = [each for each in observations if each.purpose is Purpose.REFERENCE]
        readings = np.array([each.readings for each in taken]).reshape(-1, p)
        return cls(np.array([each.seq for each in taken], int), readings)

    @property
    def latest(self) -> Readings:
        """The background by the last reference, ``(p,)``."""
        return np.asarray(self.at(self.seq[-1:] if self.seq.size else np.zeros(1, int))[0])

    def at(self, seq: NDArray[np.int_]) -> Readings:
        """Expected background ``(n, p)`` at places ``(n,)`` of the order; 0 for a channel never read in a reference."""
        expected = np.zeros((len(seq), self.references.shape[1]))
        for column, values in enumerate(self.references.T):
            known = np.isfinite(values)
            if known.any():
                expected[:, column] = np.interp(seq, self.seq[known], values[known])
        return expected

    @property
    def drift(self) -> Readings:
        """Variance that the background gains with each request, ``(p,)``; 0 until two references tell."""
        if self.seq.size < 2:
            return np.zeros(self.references.shape[1])
        steps = np.diff(self.references, axis=0) ** 2 / np.diff(self.seq)[:, None]
        return np.asarray(np.where(np.isfinite(steps), steps, 0.0).mean(axis=0))

    def covariance(self, seq: NDArray[np.int_]) -> NDArray[np.float64]:
        """Covariance ``(n, n)`` of the background at places ``(n,)``, for a drift of 1."""
        if not self.seq.size:
            return np.zeros((len(seq), len(seq)))
        span = np.searchsorted(self.seq, seq, side="right")
        into = np.abs(seq - self.seq[np.maximum(span - 1, 0)]).astype(float)
        earlier, later = np.minimum.outer(into, into), np.maximum.outer(into, into)
        length = np.diff(self.seq, prepend=-np.inf, append=np.inf)[span][:, None]
        return np.asarray(np.where(np.equal.outer(span, span), earlier * (1 - later / length), 0.0))
