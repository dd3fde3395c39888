"""Whether a target can be had in the light of this moment, by a model and by all that was measured."""

import numpy as np
from numpy.typing import ArrayLike

from sdl.space import Readings, Settings, Window
from strategies.answers.reachability import CERTAINTY, SLACK, Reach, reach
from strategies.contract import Predicts
from strategies.correction.corrected_model import CorrectedModel
from strategies.correction.rows import TrainingRows
from strategies.numerics.projection import pool


def corrected_reachability(
    model: Predicts,
    window: Window,
    background: Readings,
    rows: TrainingRows,
    missed: ArrayLike = 0.0,
) -> tuple[Reach, Readings, Readings]:
    """How near the instrument comes to a window of readings in a background ``(p,)``.

    That it cannot be reached has to hold out against what the model misses by the rows, how uncertain that is, and how
    far off it was at settings that it had not seen, ``missed``, ``(p,)``: at the settings that should come nearest, at
    all that were measured and all over the box.

    Returns:
        The reach, the readings there with their background, and what is not known of them, 0 if that did not matter.
    """
    d, fixed, wanted = rows.settings.shape[1], window.fixed, window.less(background)
    unit = wanted.unit(rows.noise)
    first = reach(model, wanted, unit, np.zeros(len(background)), d)
    if first.reachable:
        return first, first.readings + background, np.zeros(len(background))
    lit = wanted.aim(rows.readings, unit)
    forward = CorrectedModel.of(model, rows, lit)

    def unsure(settings: Settings) -> Readings:
        return np.hypot(forward.missed.at(settings)[1], missed)

    nearest = reach(forward, wanted, unit, unsure(first.settings[None])[0], d)
    places = np.vstack((nearest.settings, rows.like(lit).settings, pool(d)))
    readings, doubt = forward.predict(places), unsure(places)
    off = wanted.off(readings, unit)[:, fixed]
    possible = (off <= 1 + SLACK + CERTAINTY * doubt[:, fixed] / unit[fixed]).all(axis=1)
    at = int(np.where(possible | ~possible.any(), (np.maximum(off, 0.0) ** 2).sum(axis=1), np.inf).argmin())
    excess = np.full(len(window), np.nan)
    excess[fixed] = np.maximum(off[at] - 1, 0.0)
    best = Reach(places[at], readings[at], excess, bool(possible.any()))
    return best, readings[at] + background, doubt[at]
