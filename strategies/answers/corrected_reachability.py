"""Whether a target can be had in the light of this moment, by a model and by all that was measured."""

import numpy as np
from numpy.typing import ArrayLike

from sdl.space import Readings, Settings
from strategies.answers.reachability import CERTAINTY, SLACK, Reach, reach
from strategies.contract import Predicts, Target
from strategies.correction.corrected_model import CorrectedModel
from strategies.correction.rows import TrainingRows
from strategies.numerics.projection import pool

STUBBORN = 4
"""Times the settings that a plane needs."""


def patience(d: int) -> int:
    """Readings among ``d`` knobs that have to come no nearer to a target before anybody gives it up."""
    return STUBBORN * (d + 1)


def stuck(target: Target, tolerance: Readings, background: Readings, rows: TrainingRows) -> bool:
    """Whether the last settings that were measured came no nearer to a target ``(p,)`` than those before, noise apart.

    All that is seen of a response of any shape is whether one that is searched for the target has more to give.
    """
    fixed = np.isfinite(target)
    off = np.abs(rows.readings - (target - background))[:, fixed] / tolerance[fixed]
    distance, noise = np.linalg.norm(off, axis=1), np.linalg.norm(rows.noise[fixed] / tolerance[fixed])
    before = len(distance) - patience(rows.settings.shape[1])
    return before > 0 and bool(distance[before:].min() > distance[:before].min() - 2 * noise)


def corrected_reachability(
    model: Predicts,
    target: Target,
    tolerance: Readings,
    background: Readings,
    rows: TrainingRows,
    missed: ArrayLike = 0.0,
) -> tuple[Reach, Readings, Readings]:
    """How near the instrument comes to a target ``(p,)`` in a background.

    That it cannot be reached has to hold out against what the model misses by the rows, how uncertain that is, and how
    far off it was at settings that it had not seen, ``missed``, ``(p,)``: at the settings that should come nearest, at
    all that were measured and all over the box.

    Returns:
        The reach, the readings there with their background, and what is not known of them, 0 if that did not matter.
    """
    d, wanted, fixed = rows.settings.shape[1], target - background, np.isfinite(target)
    first = reach(model, wanted, tolerance, np.zeros(len(background)), d)
    if first.reachable:
        return first, first.readings + background, np.zeros(len(background))
    forward = CorrectedModel.of(model, rows, wanted)

    def unsure(settings: Settings) -> Readings:
        return np.hypot(forward.missed.at(settings)[1], missed)

    nearest = reach(forward, wanted, tolerance, unsure(first.settings[None])[0], d)
    places = np.vstack((nearest.settings, rows.like(wanted).settings, pool(d)))
    readings, doubt = forward.predict(places), unsure(places)
    off = np.abs(readings - wanted)[:, fixed] / tolerance[fixed]
    possible = (off <= 1 + SLACK + CERTAINTY * doubt[:, fixed] / tolerance[fixed]).all(axis=1)
    at = int(np.where(possible | ~possible.any(), (off**2).sum(axis=1), np.inf).argmin())
    excess = np.full(target.shape, np.nan)
    excess[fixed] = np.maximum(off[at] - 1, 0.0)
    found = Reach(places[at], readings[at], excess, bool(possible.any()))
    return found, readings[at] + background, doubt[at]
