"""Retraining: from what the campaign has seen to a fitted inverse model and the rows it stands on."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl import plugins
from sdl.campaign import Plugin
from sdl.conditions import Conditions
from sdl.errors import InvalidInput, TooFewRows
from sdl.history import History, Observation, Purpose
from sdl.space import Readings, Settings, Space
from strategies.contract import InverseModel
from strategies.residuals import Rows

FOLDS = 5
FEWEST_REPEATS = 2
"""Repeated readings, beyond the first of each setting, from which on they tell the noise."""
OUTLYING = 6.0
"""Robust standard deviations from the median of its replicates from which on a reading is left out of fits."""
FEWEST_TO_JUDGE = 3
MEMBERS = 6
"""Refits on resampled rows whose disagreement is the model's own uncertainty."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model fitted before a round, frozen from then on."""

    round: int
    name: str
    """Of the model; empty if none could be fitted yet."""
    model: InverseModel | None
    settings: Settings
    """What it was fitted on, in the unit box, ``(n, d)``."""
    readings: Readings
    """The same, background subtracted, ``(n, p)`` over the channels of the targets."""
    skipped: Mapping[str, str]
    """Models that were preferred and could not be fitted, and why."""
    scatter: Readings
    """Standard deviation of the model's residuals, ``(p,)``."""
    repeated: Readings
    """Standard deviation of readings at one setting, ``(p,)``; NaN if too few were repeated to tell."""
    held_out: Readings
    """Readings predicted by models that did not see the row, ``(n, p)``; NaN where too few rows were left."""

    def parity(self, most: int = 200) -> dict[str, dict[str, Readings]]:
        """Measured against predicted for the last rows, seen (train) and not seen (test) by the model."""
        if self.model is None:
            return {}
        measured, seen = self.readings[-most:], self.model.predict(self.settings[-most:])
        fresh = np.isfinite(self.held_out[-most:]).all(axis=1)
        return {
            "train": {"measured": measured, "predicted": seen},
            "test": {"measured": measured[fresh], "predicted": self.held_out[-most:][fresh]},
        }


def build(part: Plugin) -> InverseModel:
    """A fresh model as the campaign names it."""
    model: InverseModel = plugins.build("sdl.inverse_models", part.plugin, part.options)
    return model


def fit(models: Sequence[Plugin], space: Space, columns: Sequence[int], history: History, round_: int) -> Fitted:
    """Fit the first model that can be fitted on all that was learned before a round.

    Args:
        models: In the order of preference.
        space: Of the instrument.
        columns: Channels that matter, of which each row has a value.
        history: What the campaign has seen.
        round_: Rounds before it count.
    """
    earlier = [each for each in history.observations if each.round < round_]
    seen = _lit(space, earlier, columns)
    settings = _settings(space, seen)
    readings = _readings(seen, columns) - _background(Conditions.of(earlier, space.p), seen, columns)
    skipped = {}
    for part in models:
        model = build(part)
        try:
            model.fit(readings, settings)
        except (TooFewRows, InvalidInput) as error:
            skipped[part.plugin] = str(error)
            continue
        freedom = max(len(seen) - space.d, 1)
        scatter = np.sqrt(((readings - model.predict(settings)) ** 2).sum(axis=0) / freedom)
        held_out = _held_out(part, readings, settings)
        repeated = _repeated(settings, readings)
        return Fitted(round_, part.plugin, model, settings, readings, skipped, scatter, repeated, held_out)
    nothing = np.full(len(columns), np.nan)
    return Fitted(round_, "", None, settings, readings, skipped, nothing, nothing, np.full(readings.shape, np.nan))


def rows(space: Space, columns: Sequence[int], history: History, noise: Readings) -> Rows:
    """Everything seen so far with its present background, for the local correction.

    Args:
        space: Of the instrument.
        columns: Channels that matter.
        history: What the campaign has seen.
        noise: Standard deviation of one reading of those channels.
    """
    conditions = Conditions.of(history.observations, space.p)
    seen = _lit(space, history.observations, columns)
    readings = _readings(seen, columns) - _background(conditions, seen, columns)
    drift = conditions.drift[list(columns)]
    return Rows(_settings(space, seen), readings, noise, drift, conditions.covariance(_order(seen)))


def _repeated(settings: Settings, readings: Readings) -> Readings:
    """Standard deviation of readings at one setting, ``(p,)``: their noise, without what a model misses."""
    _, place, times = np.unique(settings, axis=0, return_inverse=True, return_counts=True)
    if (freedom := len(settings) - len(times)) < FEWEST_REPEATS:
        return np.full(readings.shape[1], np.nan)
    at = np.eye(len(times))[place]
    means = (at / times).T @ readings
    return np.asarray(np.sqrt(((readings - at @ means) ** 2).sum(axis=0) / freedom))


def _held_out(part: Plugin, readings: Readings, settings: Settings) -> Readings:
    """Each row as predicted by a model fitted without it and its neighbours in a fold, ``(n, p)``."""
    predicted = np.full(readings.shape, np.nan)
    for fold in range(FOLDS):
        out = np.arange(len(readings)) % FOLDS == fold
        try:
            predicted[out] = build(part).fit(readings[~out], settings[~out]).predict(settings[out])
        except (TooFewRows, InvalidInput):
            continue
    return predicted


def _lit(space: Space, observations: Sequence[Observation], columns: Sequence[int]) -> list[Observation]:
    """Observations that a fit may use: no references, a value in every channel that matters, no outlier."""
    lit = [
        each
        for each in observations
        if each.purpose is not Purpose.REFERENCE and np.isfinite(each.readings[list(columns)]).all()
    ]
    places = defaultdict[tuple[int, int], list[Observation]](list)
    for each in lit:
        places[each.round, each.index].append(each)
    outlying = {each.seq for replicates in places.values() for each in _outliers(space, replicates, columns)}
    return [each for each in lit if each.seq not in outlying]


def _outliers(space: Space, replicates: Sequence[Observation], columns: Sequence[int]) -> list[Observation]:
    """Replicates that do not belong to the others: somebody else used the instrument, or a lamp was lit for a moment.

    Judged by the median and its absolute deviation, which one bad reading does not move, and never below the known
    noise, since three readings may agree by chance.
    """
    if len(replicates) < FEWEST_TO_JUDGE:
        return []
    off = np.abs(_readings(replicates, columns) - np.median(_readings(replicates, columns), axis=0))
    scale = np.fmax(1.4826 * np.median(off, axis=0), space.noise[list(columns)])
    far = np.flatnonzero((off > OUTLYING * scale).any(axis=1))
    return [replicates[row] for row in far.tolist()]


def _settings(space: Space, seen: Sequence[Observation]) -> Settings:
    return space.to_unit(np.array([each.settings for each in seen]).reshape(-1, space.d))


def _readings(seen: Sequence[Observation], columns: Sequence[int]) -> Readings:
    return np.array([each.readings[list(columns)] for each in seen]).reshape(-1, len(columns))


def _order(seen: Sequence[Observation]) -> NDArray[np.int_]:
    return np.array([each.seq for each in seen], int)


def _background(conditions: Conditions, seen: Sequence[Observation], columns: Sequence[int]) -> Readings:
    return conditions.at(_order(seen))[:, list(columns)]
