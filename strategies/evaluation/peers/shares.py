"""A space as libraries for optimisation want it: numbers from 0 to 1, names, and sums of numbers that have a bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl.space import Knob, Settings, Space
from sdl.space.constraints import read_comparisons

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A sum of knobs, from 0 to 1 each, that has a bound: ``sum(slopes * knobs) <= bound``, or equal to it."""

    slopes: Mapping[str, float]
    """By the names of the knobs that it is made of."""
    bound: float
    equal: bool


def columns(space: Space, unit: Settings) -> dict[str, list[Any]]:
    """Points ``(n, u)`` of the unit box by knob: shares of its range, on its scale, or names."""
    settings = space.from_unit(unit)
    return {
        knob.name: [knob.names[round(value)] for value in column] if knob.names else knob.to_unit(column)[:, 0].tolist()
        for knob, column in zip(space.knobs, settings.T, strict=True)
    }


def point(space: Space, row: Mapping[str, Any]) -> Settings:
    """The point ``(u,)`` of the unit box of one such row."""
    settings = [
        float(knob.names.index(row[knob.name]))
        if knob.names
        else float(knob.from_unit(np.array([float(row[knob.name])])))
        for knob in space.knobs
    ]
    return np.clip(space.to_unit(np.array(settings)), 0.0, 1.0)


def levels(knob: Knob) -> list[float] | None:
    """Shares of the range of a number that has so many values only; None of any other."""
    return None if knob.choices is None or knob.names else knob.to_unit(knob.choices)[:, 0].tolist()


def lines(space: Space) -> list[Line]:
    """The constraints that are sums."""
    found = [_lines(space, text) for text in space.constraints.always]
    return [line for some in found if some is not None for line in some]


def sums_steps(space: Space) -> bool:
    """Whether some sum is of numbers that have so many values only."""
    summed = {name for line in lines(space) for name in line.slopes}
    return any(knob.name in summed and levels(knob) is not None for knob in space.knobs)


def bent(space: Space) -> bool:
    """Whether some constraint is no sum."""
    return bool(space.constraints.never) or any(_lines(space, text) is None for text in space.constraints.always)


def _lines(space: Space, text: str) -> list[Line] | None:
    found = list[Line]()
    for comparison in read_comparisons(text):
        parts = comparison.linear(space.knobs)
        if parts is None or comparison.sign == "!=" or _logarithmic(space.knobs, parts[0]):
            return None
        sign = -1.0 if comparison.sign in (">=", ">") else 1.0
        slopes = sign * parts[0] * (space.high - space.low)
        bound = -sign * (parts[1] + float(parts[0] @ space.low))
        named = {name: slope for name, slope in zip(space.knob_names, slopes.tolist(), strict=True) if slope}
        found.append(Line(named, bound, comparison.sign == "="))
    return found


def _logarithmic(knobs: Sequence[Knob], slopes: Array) -> bool:
    return any(slope and knob.scale == "log" for knob, slope in zip(knobs, slopes.tolist(), strict=True))
