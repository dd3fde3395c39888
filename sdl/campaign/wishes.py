"""What a reading is wanted to be, in words: ``16384``, ``>= 12000``, ``3000 .. 4000``, ``maximum ± 150``."""

import math
import re

from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.space import Interval, is_number

NUMBER = r"\s*([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity))\s*"
"""A number, or a word that Python takes for one, so that it is refused as what it is."""
SIDE = re.compile(rf"\s*(>=|≥|<=|≤){NUMBER}")
LEAST = (">=", "≥")
RANGE = re.compile(rf"{NUMBER}(?:\.\.|:){NUMBER}")
ABOUT = re.compile(rf"{NUMBER}(?:(?:±|\+/?-)(.+))?")
PERCENTAGE = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*%\s*")
EXTREME = re.compile(rf"\s*(maximum|minimum)\s*(?:±|\+/?-){NUMBER}")
FORMS = "a number, or words such as '16384 ± 150', '>= 12000', '<= 9000', '3000 .. 4000' or 'maximum ± 150'"


def read_interval(wish: float | str, tolerance: float | str) -> Interval:
    """The interval that a reading is wanted to lie in.

    Args:
        wish: A number, or words.
        tolerance: Of a reading without words of its own: in its unit, or a percentage of it.

    Raises:
        InvalidInput: for other words, or an interval in which nothing lies.

    >>> [str(read_interval(wish, "1 %")) for wish in (16384, ">= 12000", "<=9e3", "3000 .. 4000", "5 ± 10 %")]
    ['16384 ± 164', 'at least 12000', 'at most 9000', '3500 ± 500', '5.00 ± 0.50']
    >>> str(read_interval("maximum ± 150", "1 %"))
    'the largest possible, to within 150'
    """
    if not isinstance(wish, str):
        return _about(wish, tolerance)
    if side := SIDE.fullmatch(wish):
        bound = _number(side[2])
        return Interval.at_least(bound) if side[1] in LEAST else Interval.at_most(bound)
    if extreme := EXTREME.fullmatch(wish):
        return _extreme(extreme[1], _number(extreme[2]))
    if RANGE.fullmatch(wish):
        low, high = read_range(wish)
        return Interval.about(low + (high - low) / 2, (high - low) / 2)
    if (about := ABOUT.fullmatch(wish)) is None:
        raise InvalidInput(f"needs {FORMS}, got {format_value(wish)}")
    return _about(_number(about[1]), tolerance if about[2] is None else about[2])


def read_range(text: str) -> tuple[float, float]:
    """The ends of ``LOW .. HIGH`` or ``LOW:HIGH``.

    Raises:
        InvalidInput: for other words, or a low end that is not below the high one.
    """
    if (ends := RANGE.fullmatch(text)) is None:
        raise InvalidInput(f"needs LOW .. HIGH, as in 3000 .. 4000, got {format_value(text)}")
    low, high = _number(ends[1]), _number(ends[2])
    if not low < high:
        raise InvalidInput(f"needs the least before the most, got {format_value(text)}")
    return low, high


def needs_tolerance(wish: float | str) -> bool:
    """Whether a wish is one reading without words of how far from it the true one may lie."""
    return not isinstance(wish, str)


def plain_wish(value: float | str) -> float | str:
    """A wish as it is kept: a number where it is no more than that.

    Raises:
        InvalidInput: for what is no wish.
    """
    if isinstance(value, str):
        about = ABOUT.fullmatch(value)
        if about is not None and about[2] is None:
            return _number(about[1])
        read_interval(value, 1.0)
        if side := SIDE.fullmatch(value):
            return f"{'>=' if side[1] in LEAST else '<='} {side[2]}"
        if extreme := EXTREME.fullmatch(value):
            return f"{extreme[1]} ± {extreme[2]}"
        ends = RANGE.fullmatch(value)
        return f"{ends[1]} .. {ends[2]}" if ends else " ".join(value.split())
    if not is_number(value):
        raise InvalidInput(f"needs {FORMS}, got {format_value(value)}")
    return float(value)


def is_tolerance(value: object) -> bool:
    """Whether a value is a tolerance: a number above 0, or a percentage."""
    number = _share(value) if isinstance(value, str) else value
    return isinstance(number, float | int) and is_number(number) and number > 0


def _extreme(which: str, allowance: float) -> Interval:
    if not allowance > 0:
        raise InvalidInput(f"needs an allowance above 0, as in '{which} ± 150', got {allowance:g}")
    return Interval.largest(allowance) if which == "maximum" else Interval.smallest(allowance)


def _about(wanted: float, tolerance: float | str) -> Interval:
    allowed = tolerance
    if isinstance(allowed, str):
        share = _share(allowed)
        try:
            allowed = float(allowed) if share is None else share * abs(wanted)
        except ValueError:
            allowed = math.nan
    if not 0 <= allowed < math.inf:
        raise InvalidInput(f"needs a tolerance above 0 or a percentage such as '1 %', got {format_value(tolerance)}")
    return Interval.about(wanted, allowed)


def _share(text: str) -> float | None:
    found = PERCENTAGE.fullmatch(text)
    return float(found[1]) / 100 if found else None


def _number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise InvalidInput(f"needs a finite number, got {text!r}")
    return value
