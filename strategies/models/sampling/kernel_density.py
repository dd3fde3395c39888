"""Which settings occur, before any reading is asked for: those of the rows, and some way around each of them."""

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from sdl.space import Settings
from strategies.models.base.scaling import Array, Walled
from strategies.numerics.unit_box import in_unit_box

MOST = 16
"""Knobs, beyond which rows are too few to say what lies between them: draws are then the rows."""
JUDGED, ROWS = 400, 4000
"""Rows by which a width is judged, and of which the estimate is made meanwhile, at most."""
FACTORS = (0.4, 0.6, 0.8, 1.25, 1.7, 2.5)
"""By which a width may change at a time."""
PASSES = 3
FINEST, WIDEST = 0.02, 1.0
"""Of a width, in standard deviations of the knob."""
TRIES = 20
"""Rounds of draws in place of those that left the box."""


@dataclass(frozen=True, eq=False)
class KernelDensity:
    """A kernel estimate of the density of rows, of which one can draw as many as one likes.

    Every knob has a width of its own, which says best where rows lie that were left out. Rows are drawn together by as
    much as the widths push them apart, so that their scatter stays what it is; walls at which rows stop lie at
    infinity.

    References:
        West (1993), Journal of the Royal Statistical Society B 55(2), 409-422, for rows drawn together;
        Habbema, Hermans, van den Broek (1974), and Duin (1976), doi:10.1109/TC.1976.1674577, for widths by likelihood
    """

    places: Walled
    rows: Array
    """In coordinates, ``(n, d)``."""
    widths: Array
    """Of each knob, ``(d,)``; 0 where draws are rows."""

    @classmethod
    def of(cls, settings: Settings, rng: np.random.Generator) -> Self:
        """Learn from settings ``(n, d)`` in the unit box, at least two of them distinct."""
        places = Walled.of(settings)
        rows = places.to(settings)
        some = rows[rng.permutation(len(rows))[: JUDGED + ROWS]]
        d = rows.shape[1]
        widths = np.zeros(d) if d > MOST else _widths(some, rows.std(axis=0) > 0)
        return cls(places, rows, widths * (len(some) / len(rows)) ** (1 / (d + 4)))

    @property
    def smooth(self) -> bool:
        """Whether draws are anything but rows."""
        return bool(self.widths.any())

    def draw(self, n: int, rng: np.random.Generator) -> Settings:
        """``n`` settings in the unit box, ``(n, d)``."""
        drawn = self._drawn(n, rng)
        for _ in range(TRIES):
            if not (out := np.flatnonzero(~in_unit_box(drawn))).size:
                break
            drawn[out] = self._drawn(len(out), rng)
        return np.clip(drawn, 0.0, 1.0)

    def _drawn(self, n: int, rng: np.random.Generator) -> Settings:
        some = self.rows[rng.integers(len(self.rows), size=n)]
        if not self.smooth:
            return self.places.back(some)
        return self.places.back(_together(some, self.widths) + self.widths * rng.standard_normal(some.shape))


def _widths(rows: Array, moving: NDArray[np.bool_]) -> Array:
    """Of each knob ``(d,)``, changed one after the other as long as rows that are left out become likelier."""
    n, d = rows.shape
    held, kept = np.split(rows, [max(min(JUDGED, n // 5), 1)])
    widths = np.where(moving, n ** (-1 / (d + 4)), 0.0)
    best = _likelihood(held, kept, widths)
    for knob, factor in product(np.tile(np.flatnonzero(moving), PASSES), FACTORS):
        trial = widths.copy()
        trial[knob] = np.clip(factor * widths[knob], FINEST, WIDEST)
        if (value := _likelihood(held, kept, trial)) > best:
            best, widths = value, trial
    return widths


def _together(rows: Array, widths: Array) -> Array:
    """Rows whose scatter, of size 1, is as much less as draws of these widths add to it."""
    return np.asarray(rows * np.sqrt(1 - widths**2))


def _likelihood(held: Array, kept: Array, widths: Array) -> float:
    """Mean logarithm of the density at rows held out, of the estimate by those kept."""
    moving = widths > 0
    unit = widths[moving]
    centres, places = _together(kept[:, moving], unit) / unit, held[:, moving] / unit
    squares = (places**2).sum(axis=1)[:, None] - 2 * places @ centres.T + (centres**2).sum(axis=1)
    return float(logsumexp(-squares / 2, axis=1).mean() - np.log(unit).sum())
