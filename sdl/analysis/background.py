"""The background as a state: what reference readings say of the light at any moment of a campaign, and how surely.

Moments are places in the order of requests, not times: a clock that jumps changes no decision. Light that forgets
itself in hours has no time for that within a campaign; from one reference to the next it walks at random.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from sdl.history import Observation, Purpose
from sdl.space import Readings

USUAL = 0.007
"""Part of itself by which a background changes from one request to the next, until references show it."""
UNNOTICED = 1e-4
"""Part of the other readings below which a change of the background does not matter."""
LATEST = 500
"""Readings that show what the others are like, so that a decision takes no longer late in a campaign."""
WORTH = 2.0
"""Stretches between references that these two are worth."""
SWITCHED = 25.0
"""How many times its expected variance a change must have, over all channels, for a lamp that was switched."""


@dataclass(frozen=True, eq=False)
class Background:
    """The background through a campaign: the state of a filter over its references, which are read as exact.

    Between two references it walks at random, pinned at both ends (a Brownian bridge); before the first and after the
    last one it walks freely. How fast is learned from the stretches between references, all channels together: the
    covariance of the steps spans only the spectra that were seen to come and go. A stretch with a change far beyond
    the others has a lamp in it that was switched at a moment which nobody knows. That is as uncertain as a walk that is
    just so fast as to explain the change, so it is one, and leaves the speed elsewhere as it is.
    """

    seq: NDArray[np.int_]
    """Places of the references in the order of requests, ``(k,)``."""
    references: Readings
    """Their readings, ``(k, p)``; NaN where masked."""
    usual: Readings = field(default_factory=lambda: np.zeros(1))
    """What the latest readings are like that are not references, ``(p,)``."""

    @classmethod
    def of(cls, observations: Iterable[Observation], p: int) -> "Background":
        """Collect the references among observations of ``p`` channels."""
        observations, reference = list(observations), Purpose.REFERENCE  # looked up once: there may be very many
        references = [observation for observation in observations if observation.purpose is reference]
        latest_first = (observation for observation in reversed(observations) if observation.purpose is not reference)
        lit = islice(latest_first, LATEST)
        readings = np.array([observation.readings for observation in references]).reshape(-1, p)
        lit_readings = np.array([observation.readings for observation in lit]).reshape(-1, p)
        usual = np.nan_to_num(np.abs(lit_readings)).max(axis=0, initial=0.0)
        return cls(np.array([observation.seq for observation in references], int), readings, usual)

    @property
    def latest(self) -> Readings:
        """The background by the last reference, ``(p,)``."""
        return np.asarray(self.at(self.seq[-1:] if self.seq.size else np.zeros(1, int))[0])

    def at(self, seq: NDArray[np.int_]) -> Readings:
        """Return the expected background ``(n, p)`` at places ``(n,)``; 0 for a channel never read in a reference."""
        expected = np.zeros((len(seq), self.references.shape[1]))
        for column, values in enumerate(self.references.T):
            finite = np.isfinite(values)
            if finite.any():
                expected[:, column] = np.interp(seq, self.seq[finite], values[finite])
        return expected

    @property
    def drift(self) -> Readings:
        """Variance that the background gains with each request, switched lamps aside, ``(p,)``."""
        return self._walks[0]

    @property
    def switched(self) -> NDArray[np.bool_]:
        """Which stretches between two references have a lamp in them that was switched, ``(k - 1,)``."""
        return self._walks[1]

    def drifts(self, seq: NDArray[np.int_]) -> Readings:
        """Return the variance ``(n, p)`` that the background gains with each request about places ``(n,)``."""
        drifts, lamp = np.tile(self.drift, (len(seq), 1)), self.unknown(seq)
        drifts[lamp] = self._steps[np.searchsorted(self.seq, seq[lamp], side="right") - 1]
        return drifts

    def unknown(self, seq: NDArray[np.int_]) -> NDArray[np.bool_]:
        """Return whether a lamp was switched about places ``(n,)``, on an unknown side of them, ``(n,)``."""
        stretch = np.searchsorted(self.seq, seq, side="right") - 1
        inside = (stretch >= 0) & (stretch < len(self.switched))
        return np.asarray(inside & np.append(self.switched, False)[np.where(inside, stretch, -1)], bool)

    def covariance(self, seq: NDArray[np.int_]) -> NDArray[np.float64]:
        """Return the covariance ``(n, n)`` of the background at places ``(n,)``, for a drift of 1."""
        if not self.seq.size:
            return np.zeros((len(seq), len(seq)))
        span = np.searchsorted(self.seq, seq, side="right")
        into = np.abs(seq - self.seq[np.maximum(span - 1, 0)]).astype(float)
        earlier, later = np.minimum.outer(into, into), np.maximum.outer(into, into)
        length = np.diff(self.seq, prepend=-np.inf, append=np.inf)[span][:, None]
        return np.asarray(np.where(np.equal.outer(span, span), earlier * (1 - later / length), 0.0))

    def deviation(self, seq: NDArray[np.int_]) -> Readings:
        """Return the background's standard deviation ``(n, p)`` at places ``(n,)``; infinite without a reference."""
        if not self.seq.size:
            return np.full((len(seq), self.references.shape[1]), np.inf)
        after = np.searchsorted(self.seq, seq, side="right")
        into = np.abs(seq - self.seq[np.maximum(after - 1, 0)])
        length = np.diff(self.seq, prepend=-np.inf, append=np.inf)[after]
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(self.drifts(seq) * (into * (1 - into / length))[:, None]))

    def since(self, seq: NDArray[np.int_]) -> NDArray[np.float64]:
        """Count the requests from the last reference to places ``(n,)``; 0 before it, or without one."""
        return np.maximum(seq - self.seq[-1], 0.0) if self.seq.size else np.zeros(len(seq))

    @cached_property
    def _steps(self) -> Readings:
        """Variance by which each stretch between two references explains its change, ``(k - 1, p)``; 0 if unread."""
        with np.errstate(over="ignore", invalid="ignore"):  # a stranger's instrument may say anything
            changes = np.diff(self.references, axis=0) ** 2 / np.diff(self.seq)[:, None]
        return np.nan_to_num(changes)

    @cached_property
    def _walks(self) -> tuple[Readings, NDArray[np.bool_]]:
        with np.errstate(over="ignore", invalid="ignore"):
            return self._learned()

    def _learned(self) -> tuple[Readings, NDArray[np.bool_]]:
        level = np.nan_to_num(np.abs(self.references)).mean(axis=0) if self.seq.size else np.zeros(1)
        prior = (USUAL * level) ** 2 + (UNNOTICED * self.usual) ** 2
        drift = np.zeros(self.references.shape[1]) + (prior if self.seq.size else 0.0)
        switched = np.zeros(len(self._steps), bool)
        sizes = (self._steps / (drift + _TINY)).mean(axis=1)
        learned, n = 1.0, WORTH  # in units of what is usual, from the steadiest stretch on
        for stretch in np.argsort(sizes, kind="stable").tolist():
            switched[stretch] = sizes[stretch] > SWITCHED * learned
            if not switched[stretch]:
                learned, n = (learned * n + sizes[stretch]) / (n + 1), n + 1
        calm = self._steps[~switched]
        return (WORTH * drift + calm.sum(axis=0)) / (WORTH + len(calm)), switched


_TINY = 1e-12
