"""What a fitted model offers for a target under the present background: distinct candidates, corrected locally."""

from dataclasses import dataclass

import numpy as np

from sdl.space import Readings, Settings
from strategies.answers.clustering import DrawCluster
from strategies.contract import Predicts, Target
from strategies.correction.kriging import missed_nearby
from strategies.correction.rows import TrainingRows
from strategies.numerics.jacobian import tangent

CORRECTIONS = 3
"""Steps towards the target from a model's answer; each gains a digit or two."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A candidate with what is expected of it."""

    settings: Settings
    """In the unit box, ``(d,)``."""
    spread: Settings
    """Standard deviation of the model's draws about it, ``(d,)``."""
    readings: Readings
    """Expected readings, background included, ``(p,)``."""
    uncertainty: Readings
    """Standard deviation of these, without the noise of a reading, ``(p,)``."""
    share: float
    """Part of the model's draws that this candidate stands for."""
    refused: float
    """Part of the draws that lay outside the box."""


def expected_readings(
    model: Predicts, settings: Settings, background: Readings, rows: TrainingRows, *, fresh: bool = False
) -> tuple[Readings, Readings]:
    """Expected readings at settings ``(d,)`` and their standard deviation, both ``(p,)``.

    Args:
        model: A fitted model.
        settings: In the unit box.
        background: By the last reference.
        rows: What was measured, and what is known of its errors and of the light of this moment.
        fresh: What would be expected, and how surely, if the background were read now and were found unchanged.
    """
    missed, uncertainty = missed_nearby(rows, model.predict, settings, fresh=fresh)
    return model.predict(settings[None])[0] + missed + background, uncertainty


def corrected(
    model: Predicts, target: Target, background: Readings, rows: TrainingRows, first: DrawCluster, lost: float
) -> Candidate:
    """A candidate, moved by what the model and the rows around it miss of the target ``(p,)``."""
    fixed, place, best, least = np.isfinite(target), first.settings, None, np.inf
    for left in reversed(range(1 + CORRECTIONS)):
        readings, uncertainty = expected_readings(model, place, background, rows)
        off = (target - readings)[fixed] / (rows.noise[fixed] + _TINY)
        if (worst := float(np.abs(off).max())) >= least:
            break
        best, least = Candidate(place, first.spread, readings, uncertainty, first.share, lost), worst
        if left:
            slopes = tangent(model.predict, place[None])[1][0, fixed] / (rows.noise[fixed, None] + _TINY)
            place = np.clip(place + np.linalg.lstsq(slopes, off)[0], 0.0, 1.0)
    assert best is not None
    return best


_TINY = 1e-12
