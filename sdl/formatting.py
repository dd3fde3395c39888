"""Numbers, moments and the words of strangers, made fit to be read."""

import math
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from reprlib import Repr
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOTHING = "–"
DEEPEST = 20
"""Levels of nesting that are kept of a reply beside its raw text."""


def visible(text: object) -> str:
    r"""The same text with every character that acts instead of showing written as its escape.

    Control characters, terminal sequences and marks that turn the direction of writing cannot hide anything then.

    >>> visible("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    """
    return "".join(character if _shows(character) else _escaped(character) for character in str(text))


def number(value: Any) -> str:
    """A number of any size to four digits, whole from 1000 on.

    >>> number(16384.3), number(0.53612), number(None), number(float("inf"))
    ('16384', '0.5361', '–', '∞')
    """
    number_ = measured(value)
    if math.isnan(number_):
        return NOTHING
    if math.isinf(number_):
        return "∞" if number_ > 0 else "−∞"
    plain = f"{number_:.0f}" if 1000 <= abs(number_) < 1e15 else f"{number_:.4g}"
    return plain.replace("-", "−")


def within(value: float, margin: float) -> str:
    """A number with its margin, to two digits of that.

    >>> within(16374.2, 30.35), within(0.53612, 0.0021), within(16384, float("nan"))
    ('16374 ± 30', '0.5361 ± 0.0021', '16384')
    """
    if not math.isfinite(value) or math.isnan(margin):
        return number(value)
    if not 1e-9 < margin < 1e9:
        return f"{number(value)} ± {number(margin)}"
    digits = decimals(margin)
    return f"{value:.{digits}f} ± {margin:.{digits}f}".replace("-", "−")


def decimals(margin: float) -> int:
    """Decimals that show a margin, and a reading that is off by it, to two digits; none where whole numbers do.

    >>> decimals(163.8), decimals(0.02), decimals(1.5)
    (0, 3, 1)
    """
    return max(0, 1 - math.floor(math.log10(margin)))


def against(name: str, value: float, wanted: float, allowed: float) -> str:
    """A reading against the one that is wanted, to two digits of what is allowed.

    >>> against("y", 1.234567, 1.2, 0.05)
    'y 1.235 for 1.200 ± 0.050'
    """
    digits = decimals(allowed)
    return f"{name} {value:.{digits}f} for {wanted:.{digits}f} ± {allowed:.{digits}f}"


def percent(share: float) -> str:
    """A share of 0 to 1 in whole percent.

    >>> percent(0.874)
    '87 %'
    """
    return f"{100 * share:.0f} %"


def measured(value: Any) -> float:
    """A number as the ledger keeps it: NaN for None, and for what is no number."""
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def listed(named: Mapping[str, Any], units: Mapping[str, str] | None = None) -> str:
    """Named numbers in one line.

    >>> listed({"R": 0.5, "G": 0.25}, {"R": "duty"})
    'R = 0.5 duty, G = 0.25'
    """
    units = units or {}
    return ", ".join(f"{name} = {number(value)} {units.get(name, '')}".rstrip() for name, value in named.items())


def span(seconds: float) -> str:
    """A length of time in its two largest units.

    >>> span(0.0123), span(0.83), span(42.3), span(135), span(7300), span(200_000)
    ('12 ms', '0.8 s', '42 s', '2 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for (name, size), (least, of) in pairwise((("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))):
        if whole >= size:
            rest = whole % size // of
            return f"{whole // size} {name} {rest} {least}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def moment(seconds: float | None) -> str:
    """Seconds since 1970 as a date and time (UTC)."""
    try:
        return NOTHING if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return NOTHING


def _shows(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def json_list(readings: NDArray[np.float64]) -> list[float | None]:
    """A row of readings for JSON, which has no NaN."""
    return [None if math.isnan(value) else value for value in readings.tolist()]


def array_from_json(values: Iterable[float | None]) -> NDArray[np.float64]:
    """A row of readings from JSON."""
    return np.array([math.nan if value is None else value for value in values], float)


def jsonable(value: Any, levels: int = DEEPEST) -> Any:
    """The same value in what JSON knows; numbers that it does not know and what is nested too deep become text."""
    if isinstance(value, Mapping | list | tuple) and not levels:
        return shown(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(each, levels - 1) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist(), levels)
    if isinstance(value, list | tuple):
        return [jsonable(each, levels - 1) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


_SHORT = Repr()


_SHORT.maxstring = _SHORT.maxother = 120


def shown(value: object) -> str:
    """Any value in a message: short, however long or deep it is.

    >>> shown("R"), shown([[[[[[[[]]]]]]]])
    ("'R'", '[[[[[[[...]]]]]]]')
    """
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python spells out no whole number of more than 4300 digits
        return "a number of thousands of digits"
