"""Rows that a model has not seen: what it predicts for them, and how good its draws are there."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput, TooFewRows
from sdl.space import Readings, Settings
from strategies.contract import InverseModel
from strategies.fitting.guard import failure_sentence, require_finite
from strategies.fitting.training_rows import Incomplete
from strategies.metrics.scores import energy_score
from strategies.models.base.noise import span
from strategies.numerics.distinct_rows import distinct_rows

FOLDS = 5
DRAWS = 64
"""Draws that a score stands on: the models are compared by differences, which are larger than what this leaves."""
MOST = 40
"""Settings at which a model is scored at most, spread over all of them."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What models fitted without a row, and without the others at its setting, make of it."""

    predicted: Readings
    """Readings, ``(n, p)``; NaN where too few rows were left."""
    scores: Array
    """Energy scores, ``(k, 2)``, a row for each distinct setting, NaN where not scored: of simulated readings, in spans
    of each channel, and of settings drawn for the readings, in the unit box."""
    failure: str = ""
    """Why there are no scores, if the model failed on the way."""


def predict_held_out(
    make: Callable[[], InverseModel],
    readings: Readings,
    settings: Settings,
    *,
    scored: bool,
    partial: Incomplete | None = None,
) -> HeldOut:
    """Fit ``FOLDS`` models, each without a part of the distinct settings, and ask them about that part.

    Replicates go together: a model that knows one of them would only have to remember it. A fold on which the model
    lacks rows stays NaN.

    Args:
        make: Makes a model that is not fitted.
        readings: Shape ``(n, p)``.
        settings: In the unit box, ``(n, d)``.
        scored: Whether to score draws as well, which takes longer than a prediction.
        partial: Rows with gaps, that every model which learns from them has seen.
    """
    partial = partial or Incomplete(settings[:0], readings[:0])
    first, place = distinct_rows(settings)
    judged = np.unique(np.linspace(0, len(first) - 1, MOST * scored).round().astype(int))
    predicted, scores = np.full(readings.shape, np.nan), np.full((len(first), 2), np.nan)
    try:
        for fold in range(FOLDS):
            out = place % FOLDS == fold
            try:
                model = make()
                model.fit(*partial.added_to(model, readings[~out], settings[~out]))
            except (TooFewRows, InvalidInput):
                continue
            predicted[out] = require_finite(model.predict(settings[out]), "predictions", readings[out].shape)
            if (which := judged[judged % FOLDS == fold]).size:
                rows, rng = first[which], np.random.default_rng(fold)  # the same numbers for every model
                scores[which] = _scores(model, readings[rows], settings[rows], span(readings), rng)
    except Exception as error:  # a model is anybody's code: what it raises must not end a campaign
        return HeldOut(predicted, np.full_like(scores, np.nan), failure_sentence(error))
    return HeldOut(predicted, scores)


def _scores(
    model: InverseModel, readings: Readings, settings: Settings, unit: Readings, rng: np.random.Generator
) -> Array:
    """Energy scores of rows ``(m, .)``, both ways, ``(m, 2)``."""
    simulated = require_finite(model.simulate(settings, DRAWS, rng), "simulated readings", (DRAWS, *readings.shape))
    each = [require_finite(model.sample(row, DRAWS, rng), "draws", (DRAWS, settings.shape[1])) for row in readings]
    drawn = np.stack(each, axis=1)
    box = np.ones(settings.shape[1])
    return np.column_stack((energy_score(simulated, readings, unit), energy_score(drawn, settings, box)))
