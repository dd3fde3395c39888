"""Ensembles: the same kind of model, fitted on all rows and then on rows drawn again."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings
from strategies.contract import InverseModel


def refit_on_resamples(
    model_factory: Callable[[], InverseModel],
    readings: Readings,
    settings: Settings,
    members: int,
    rng: np.random.Generator,
    first: InverseModel | None = None,
) -> list[InverseModel]:
    """Fit ``members`` models: the first on all rows, the others on bootstrap resamples of them.

    Every resample keeps as many distinct rows as the model needs, lest members fail by chance where rows are few.
    Where there are no more rows than that it may lack one of them: members that are all the same would say that
    there is nothing left to learn. A model that fails on a resample is left out.

    Args:
        model_factory: Makes a model that is not fitted, for instance its class.
        readings: Readings, ``(n, p)``.
        settings: Settings in the unit box, ``(n, d)``.
        members: How many models, at least 1.
        rng: The only source of randomness.
        first: The model fitted on all rows, if there is one already.

    Raises:
        TooFewRows: with the number that is needed.
        InvalidInput: for a value that is not finite or rows that do not match.

    References:
        Efron (1979), doi:10.1214/aos/1176344552
    """
    first = first or model_factory().fit(readings, settings)
    distinct = min(first.rows_needed(settings.shape[1], readings.shape[1]), len(settings) - 1)
    models = [first]
    for _ in range(members - 1):
        rows = _resample(len(settings), distinct, rng)
        with suppress(Exception):  # a model is anybody's code, and others of its kind were fitted
            models.append(model_factory().fit(readings[rows], settings[rows]))
    return models


def _resample(n: int, distinct: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows ``(n,)`` drawn with replacement, of which ``distinct`` differ for certain."""
    return np.concatenate((rng.permutation(n)[:distinct], rng.integers(n, size=n - distinct)))
