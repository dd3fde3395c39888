"""Answers of models taken with care: a model is anybody's code."""

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput, SdlError
from sdl.formatting import escape_invisible

Array = NDArray[np.float64]


class NotFinite(SdlError):
    """A model answered with a number that is none."""


def require_finite(values: Array, what: str, shape: tuple[int, ...]) -> Array:
    """The same values, as numbers.

    Raises:
        InvalidInput: for another shape than this.
        NotFinite: if one of them is not.
    """
    array = np.asarray(values, float)
    if array.shape != shape:
        raise InvalidInput(f"its {what} have the shape {array.shape}, and {shape} was asked for")
    if not np.isfinite(array).all():
        raise NotFinite(f"its {what} are not all finite")
    return array


def failure_sentence(error: BaseException) -> str:
    """Why a model failed, in a line: as it says itself if it refused on purpose, else with the kind of error."""
    line = escape_invisible(next(iter(str(error).strip().splitlines()), ""))[:200]
    if isinstance(error, SdlError):
        return line
    return f"it failed with {type(error).__name__}" + (f": {line}" if line else "")
