"""Whether rows from elsewhere were measured with the instrument as it is now: its gains then against its gains now.

Lamps age and are replaced. Rows of another epoch teach what is not so any more, and nothing in them shows it.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.analysis.background import Background
from sdl.space import Readings, Settings, Space

BETWEEN = 0.005
"""Share by which a gain differs between two sessions of one instrument, where nothing happened to it."""
WIDTH = 3.0
"""Standard deviations that a difference needs to be one."""
VAGUE = 0.1
"""Where only a larger change would be seen, the rows cannot tell."""
ENOUGH = 0.9
"""Share of rows with a reading: a channel that was often at its ceiling shows the dim rows alone."""
TINY = np.finfo(float).tiny

RowSet: TypeAlias = tuple[Settings, Readings]
"""Rows in the order of measuring: settings ``(n, d)``, and readings ``(n, p)`` with NaN where masked or too high."""


class GainFit(NamedTuple):
    """What one channel says of the gains, each ``(d,)``."""

    gain: NDArray[np.float64]
    """Now."""
    more: NDArray[np.float64]
    """What it was more then."""
    error: NDArray[np.float64]
    """Standard error of that."""


@dataclass(frozen=True)
class GainShift:
    """The gain of one knob then, against now."""

    knob: str
    channel: str
    """The one that shows the knob best."""
    change: float
    """Gain then by gain now, less 1."""
    error: float
    """Its standard error."""

    @property
    def limit(self) -> float:
        """Largest change that two sessions without any would show."""
        return WIDTH * float(np.hypot(BETWEEN, self.error))

    @property
    def real(self) -> bool:
        """Whether it is more than that."""
        return abs(self.change) > self.limit

    def __str__(self) -> str:
        return f"gain of {self.knob} at {self.channel} {100 * self.change:+.1f} % (±{100 * self.limit:.1f} %)"


def gain_shifts(space: Space, then: RowSet, now: RowSet) -> tuple[GainShift, ...]:
    """Return how much larger the gain of each knob was then; nothing where the rows cannot show it.

    Both sets share one curve a knob and channel, of the third degree, so that where on it they were measured does not
    look like a change; each has a gain and a background of its own. A background that was read between the rows is
    taken off before.

    Args:
        space: Knobs and channels of both.
        then: Rows from elsewhere.
        now: Rows of the present.
    """
    if any(knob.names for knob in space.knobs):  # of which there is no gain
        return ()
    x = space.to_unit(np.vstack((then[0], now[0])))
    net = np.vstack((_net(space, *then), _net(space, *now)))
    old = np.arange(len(x)) < len(then[0])
    bend = x * (1 - x)
    terms = np.column_stack((old, ~old, x, old[:, None] * x, bend, bend * (1 - 2 * x))).astype(float)
    switched = (x < 1).all(axis=1)  # a lamp that is always on is not switched any more, and beside its own curve
    tried = {name: _fit(terms[switched], net[switched, c], space.d) for c, name in enumerate(space.channel_names)}
    fits = {name: fit for name, fit in tried.items() if fit is not None}
    shifts = []
    for k, knob in enumerate(space.knob_names):
        best = max(fits, key=lambda channel: abs(fits[channel].gain[k]) / fits[channel].error[k], default=None)
        if best is None or WIDTH * fits[best].error[k] > VAGUE * abs(fits[best].gain[k]):
            return ()
        gain, more, error = (float(values[k]) for values in fits[best])
        shifts.append(GainShift(knob, best, more / gain, error / abs(gain)))
    return tuple(shifts)


def _fit(terms: NDArray[np.float64], readings: Readings, d: int) -> GainFit | None:
    """The fit of one channel ``(n,)``; None where it lacks readings or would say nothing."""
    finite = np.isfinite(readings)
    if finite.mean() < ENOUGH:
        return None
    for columns in (terms.shape[1], 2 + 2 * d):  # without the curve where the rows are too few for it
        inputs, n = terms[finite, :columns], int(finite.sum())
        if n >= 2 * columns and np.linalg.matrix_rank(inputs) == columns:
            coefficients = np.asarray(np.linalg.lstsq(inputs, readings[finite])[0], np.float64)
            variance = np.mean((readings[finite] - inputs @ coefficients) ** 2) * n / (n - columns)
            error = np.asarray(np.sqrt(variance * np.diag(np.linalg.inv(inputs.T @ inputs))), np.float64)
            gain, more = slice(2, 2 + d), slice(2 + d, 2 + 2 * d)
            return GainFit(coefficients[gain], coefficients[more], np.maximum(error[more], TINY))
    return None


def _net(space: Space, settings: Settings, readings: Readings) -> Readings:
    """Readings less the background, by the rows with all knobs off."""
    dark = space.at_off(settings)
    return np.asarray(readings - Background(np.flatnonzero(dark), readings[dark]).at(np.arange(len(readings))))
