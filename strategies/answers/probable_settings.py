"""Where a reading is likeliest to be the one that is wanted: what to measure while no candidate is worth an exam."""

import numpy as np
from scipy.spatial.distance import cdist

from sdl.space import Readings, Settings
from strategies.answers.distinct import APART as FARTHER
from strategies.contract import Predicts, Target
from strategies.correction.corrected_model import CorrectedModel
from strategies.correction.rows import TrainingRows
from strategies.numerics.localisation import localise
from strategies.numerics.support import Region

APART = 0.1
"""Distance in the unit box that settings of one batch keep from each other."""
REPEATED = 0.01
"""Distance in the unit box within which a setting was measured already."""


def probable_settings(
    model: Predicts, target: Target, tolerance: Readings, rows: TrainingRows, starts: Settings, known: Settings, n: int
) -> Settings:
    """Up to ``n`` settings ``(m, d)``, those first at which a reading is most likely to be the target.

    By the density of a reading there, of which a model and what it misses by the rows tell the mean and the variance:
    a place counts where the target is expected, and also where nothing is known yet. Tried are the starts and where
    they are led by the way to the target, wherever that ends.

    Args:
        model: Fitted.
        target: Less the background, ``(p,)``, NaN where free.
        tolerance: Largest allowed error, ``(p,)``, positive where the target is fixed.
        rows: What was measured.
        starts: Settings in the unit box, ``(k, d)``.
        known: Settings that are answers already, ``(m, d)``: the others are looked for farther away.
        n: Size of the batch.

    References:
        Astudillo, Frazier (2019), arXiv:1906.01537, for beliefs about readings in the place of beliefs about distances
    """
    fixed = np.flatnonzero(np.isfinite(target))
    forward = CorrectedModel.of(model, rows, target)
    unit = np.where(np.isfinite(target), tolerance, 1.0)
    ends = localise(forward.tangent, starts, target, unit, Region.of(rows.settings)).settings
    pool = np.concatenate((ends, starts))
    spread = np.hypot(forward.missed.at(pool)[1], rows.noise)[:, fixed]
    off = (forward.predict(pool)[:, fixed] - target[fixed]) / spread
    worth = -(0.5 * off**2 + np.log(spread)).sum(axis=1)
    worth[cdist(pool, rows.settings).min(axis=1) < REPEATED] = -np.inf
    worth[(cdist(pool, known) < FARTHER).any(axis=1)] = -np.inf
    chosen = list[int]()
    while len(chosen) < n and np.isfinite(worth).any():
        chosen.append(int(worth.argmax()))
        worth[np.linalg.norm(pool - pool[chosen[-1]], axis=1) < APART] = -np.inf
    return np.asarray(pool[np.array(chosen, int)])
