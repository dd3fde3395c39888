"""Whether the instrument can give a target at all, by a fitted forward model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings, Window
from strategies.contract import InverseModel, Predicts
from strategies.correction.kriging import kriged
from strategies.correction.rows import TrainingRows
from strategies.numerics.jacobian import descend
from strategies.numerics.projection import STARTS, pool, project

STEP = 1e-5  # of the differences: short, because what lies beyond a tolerance begins with a kink
SLACK = 1e-3  # of a tolerance: a search that meets it may stop a rounding error outside
CERTAINTY = 3.0  # standard deviations of the model that are given to the target's benefit

Residuals = Callable[[Settings], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Reach:
    """The nearest that the instrument comes to a target, as far as a model knows."""

    settings: Settings
    """Where it comes nearest, ``(d,)``, in the unit box."""
    readings: Readings
    """What the model expects there, ``(p,)``."""
    excess: Readings
    """By how much each channel misses its tolerance there, in tolerances, ``(p,)``; 0 if met, NaN if free."""
    reachable: bool
    """False only if a channel misses by more than the uncertainty of the model explains."""


def reach(model: Predicts, window: Window, unit: Readings, uncertainty: Readings, d: int) -> Reach:
    """Search the unit box for settings that meet a target; every fixed channel at once, and not by its range alone.

    Least squares in units of the tolerances finds the nearest settings. Where those miss a channel, a second search
    counts only what lies beyond bounds and uncertainty, so that a miss in one channel cannot be the price of an
    over-exact other one. Deterministic.

    Args:
        model: A fitted model, or whoever knows.
        window: Where the readings are to lie, over ``p`` channels.
        unit: What counts as 1 in each channel, ``(p,)``: its tolerance, or a noise where there is one bound; positive.
        uncertainty: Standard deviation of the model's prediction near the target, ``(p,)``: not that of a reading.
        d: Number of knobs.

    Raises:
        InvalidInput: for a target without a fixed channel, or a fixed channel without a positive tolerance.
    """
    fixed = window.fixed
    if not fixed or not (unit[fixed] > 0).all():
        raise InvalidInput("a target needs a fixed channel and a positive tolerance for each one that is fixed")
    wanted, scale = window.at(fixed), unit[fixed]
    allowed = 1 + CERTAINTY * uncertainty[fixed] / scale

    def misfit(settings: Settings) -> NDArray[np.float64]:
        return wanted.missed(model.predict(settings)[:, fixed]) / scale

    def off(settings: Settings) -> NDArray[np.float64]:
        return wanted.off(model.predict(settings)[:, fixed], scale)

    def beyond(settings: Settings) -> NDArray[np.float64]:
        return np.maximum(off(settings) - allowed, 0.0)

    everywhere = pool(d)
    nearest = _least(misfit, everywhere)
    if beyond(nearest[None]).max() > SLACK:
        nearest = _least(beyond, np.vstack((nearest, everywhere)))
    excess = np.full(len(window), np.nan)
    excess[fixed] = np.maximum(off(nearest[None])[0] - 1, 0.0)
    return Reach(nearest, model.predict(nearest[None])[0], excess, bool(beyond(nearest[None]).max() <= SLACK))


def unreachable(
    model: InverseModel, targets: NDArray[np.float64], tolerance: NDArray[np.float64], rows: TrainingRows
) -> NDArray[np.bool_]:
    """Which of many targets ``(m, p)`` no settings give, ``(m,)``, by a fitted model and by what it misses nearby.

    The same question as ``reach`` asks, for all targets at once: least squares find the nearest settings of each, and
    only where those leave it open are the channels looked at one against another.

    Args:
        model: A fitted model.
        targets: Less their background, NaN where a channel is free.
        tolerance: Accepted deviation, ``(m, p)``, positive where the target is fixed.
        rows: What the model was fitted on, for what it misses and how certain that is.

    Raises:
        InvalidInput: for a target without a fixed channel, or a fixed channel without a positive tolerance.
    """
    near = project(model.predict, targets, tolerance, rows.settings.shape[1])
    missed, uncertainty = kriged(rows, rows.missing(model.predict), near.settings)
    again = project(model.predict, targets - missed, tolerance, rows.settings.shape[1])
    allowed = 1 + CERTAINTY * uncertainty / tolerance
    excess = np.abs(model.predict(again.settings) + missed - targets) / tolerance
    met = ~(excess > allowed + SLACK).any(axis=1)
    # Of c channels the worst misses by no less than the root mean square, however the miss is shared out.
    lost = np.sqrt(np.nanmean(excess**2, axis=1)) > np.where(np.isnan(targets), 0.0, allowed).max(axis=1)
    for one in np.flatnonzero(~met & ~lost):
        window = Window.about(targets[one] - missed[one], tolerance[one])
        nearest = reach(model, window, tolerance[one], uncertainty[one], rows.settings.shape[1])
        lost[one] = not nearest.reachable
    return np.asarray(lost)


def _least(residuals: Residuals, places: Settings) -> Settings:
    """Settings ``(d,)`` in the unit box of least squares, from the best few of some places ``(m, d)``."""
    starts = places[np.argsort((residuals(places) ** 2).sum(axis=1), kind="stable")[:STARTS]]
    ends, costs = descend(lambda settings, _: residuals(settings), starts, step=STEP)
    return np.asarray(ends[np.argmin(costs)])
