"""What every inverse model asks of the arrays that come in, said once."""

import numpy as np
from numpy.typing import ArrayLike

from sdl.errors import InvalidInput, TooFewRows
from sdl.space import Readings, Settings
from strategies.contract import InverseModel


def complete_rows(model: InverseModel, readings: ArrayLike, settings: ArrayLike) -> tuple[Readings, Settings]:
    """Copy the rows that a model is to be fitted on, readings ``(n, p)`` and settings ``(n, d)``.

    Raises:
        InvalidInput: for shapes that do not match and values that are not finite.
        TooFewRows: with the number that the model needs.
    """
    y, x = np.array(readings, float), np.array(settings, float)
    if y.ndim != 2 or x.ndim != 2 or len(y) != len(x):
        raise InvalidInput(f"a fit needs readings (n, p) and settings (n, d), got {y.shape} and {x.shape}")
    if broken := np.flatnonzero(~(np.isfinite(y).all(axis=1) & np.isfinite(x).all(axis=1))).tolist():
        raise InvalidInput(f"a fit needs finite values, rows {broken[:5]} have others: leave those rows out")
    needed = model.rows_needed(x.shape[1], y.shape[1])
    if len(x) < needed:
        raise TooFewRows(f"{type(model).__name__} needs {needed} rows, got {len(x)}: measure {needed - len(x)} more")
    return y, x


def must_be_fitted(model: object, learned: str) -> None:
    """Refuse to use a model that lacks a learned attribute.

    Raises:
        NotFittedError: naming what to call first.
    """
    if not hasattr(model, learned):
        from sklearn.exceptions import NotFittedError  # a second of imports, needed on the way out only

        raise NotFittedError(f"this {type(model).__name__} has not learned anything yet: call fit first")


def complete_columns(settings: Settings, readings: Readings) -> tuple[Settings, Readings]:
    """Rows for a forward model, settings ``(n, d)`` and readings ``(n, p)``, if they match and all are finite.

    Raises:
        InvalidInput: naming the rows that are not.
    """
    x, y = np.asarray(settings, float), np.asarray(readings, float)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not len(x):
        raise InvalidInput(f"a fit needs settings (n, d) and readings (n, p), got {x.shape} and {y.shape}")
    if broken := np.flatnonzero(~(np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1))).tolist():
        raise InvalidInput(f"a fit needs finite values, rows {broken[:5]} have others: leave those rows out")
    return x, y
