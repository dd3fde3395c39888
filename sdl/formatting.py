"""Numbers, moments and the words of strangers, made fit to be read."""

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from reprlib import Repr
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOTHING = "–"
DEEPEST = 20
"""Levels of nesting that are kept of a reply beside its raw text."""
SHORTEST_SECRET = 4
"""Characters of a secret that is looked for in what others say."""
SECRET_PLACE = re.compile(r"\{secret:(?P<name>[^{}.]*)\}")
"""Where in a text a secret goes, as ``{secret:lab-token}``; with a point in it, it is the form of a number."""
HIDDEN = frozenset(
    ["\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"]
    + [
        chr(code)
        for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0E), (0xE0100, 0xE01EF))
        for code in range(first, last + 1)
    ]
)
"""Letters and marks, by what Unicode calls them, of which nothing is to be seen; U+FE0F, which emoji have, aside."""
_secrets = set[str]()
"""What this process was told in confidence, as it may be written."""


def escape_invisible(text: object) -> str:
    r"""Return the text with every character that acts instead of showing written as its escape.

    Control characters, terminal sequences and marks that turn the direction of writing cannot hide anything then.

    >>> escape_invisible("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    """
    return "".join(character if _shows(character) else _escaped(character) for character in str(text))


CONFIDENTIAL = re.compile(r"auth(?!or\b|ority)|cookie|token|secret|passw|(api|access|private)[-_]?key", re.IGNORECASE)
"""Names whose value belongs in no file."""


def shows_whole(name: str) -> bool:
    r"""Return whether a name is one line in which every character shows, so that nothing hides in it.

    >>> [shows_whole(name) for name in ("blue light", "blue\u3164light", "blue\u200b", "blue\ufe0f")]
    [True, False, False, False]
    """
    return name.isprintable() and not any(letter in HIDDEN or "\ufe00" <= letter <= "\ufe0f" for letter in name)


PASSWORD = re.compile(
    r"(?P<before>//[^:/@?#]*:).*(?=@)|(?P<query>(?:^|[?&\s])(?:ssl)?password\s*=\s*)[^&\s]*"
    rf"|(?P<options>[?&]options\s*=\s*)(?=[^&\s]*(?:{CONFIDENTIAL.pattern}|pwd))[^&\s]*",
    re.IGNORECASE,
)
"""Of the URL of a database; PostgreSQL takes settings of any name as ``options``."""
BARE = re.compile(r"^(?P<before>[^\s:/@]+:)(?!//)\S+(?=@)")
"""A name and a password before a host, without the scheme that makes it a URL."""
TOKEN = re.compile(r"(?P<query>[?&][\w.-]*(?:passw|token|secret|key|auth|sig)[\w.-]*=)[^&#\s]*", re.IGNORECASE)
"""What else of a URL is nobody's to read."""


def has_password(url: str) -> bool:
    """Return whether a URL holds a password.

    >>> [has_password(url) for url in ("postgresql://me:x@host/lab", "postgresql://host/lab?password=x", "a:b@c.db")]
    [True, True, False]
    >>> has_password("host=db Password = x"), has_password("postgresql://host/lab?options=-c%20app.token%3Dx")
    (True, True)
    """
    return PASSWORD.search(url) is not None


def hide_password(url: str) -> str:
    """Return a URL for people to read.

    >>> hide_password("postgresql://me:p@ss/word@host/lab?sslpassword=x"), hide_password("http://host/api?v=1&api_key=x")
    ('postgresql://me:***@host/lab?sslpassword=***', 'http://host/api?v=1&api_key=***')
    >>> hide_password("me:p@ss@proxy:3128")
    'me:***@proxy:3128'
    """
    shown = BARE.sub(r"\g<before>***", url)
    shown = PASSWORD.sub(lambda found: f"{found['before'] or found['query'] or found['options']}***", shown)
    return TOKEN.sub(r"\g<query>***", shown)


def found_twice(names: Sequence[str]) -> list[str]:
    """Return the names that are there more than once, in alphabetical order.

    >>> found_twice(["b", "a", "b"])
    ['b']
    """
    return sorted({name for name in names if names.count(name) > 1})


def keep_secret(value: str) -> None:
    """Have ``hide_secrets`` hide what this process was told in confidence; what is shorter is in every text."""
    if len(value) >= SHORTEST_SECRET:
        _secrets.update((value, quote(value), quote(value, safe=""), quote_plus(value)))
        _secrets.update(written(value)[1:-1] for written in (repr, json.dumps))


def hide_secrets(text: str) -> str:
    """Return a text of others, such as a driver's words or an instrument's answer, without the secrets they know."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def format_number(value: Any) -> str:
    """Write a number of any size with four digits; from 1000 on as a whole number.

    >>> format_number(16384.3), format_number(0.53612), format_number(None), format_number(float("inf"))
    ('16384', '0.5361', '–', '∞')
    """
    number_ = float_or_nan(value)
    if math.isnan(number_):
        return NOTHING
    if math.isinf(number_):
        return "∞" if number_ > 0 else "−∞"
    plain = f"{number_:.0f}" if 1000 <= abs(number_) < 1e15 else f"{number_:.4g}"
    return plain.replace("-", "−")


def format_with_margin(value: float, margin: float) -> str:
    """Write a number with its margin, to two digits of the margin.

    >>> format_with_margin(16374.2, 30.35), format_with_margin(0.53612, 0.0021), format_with_margin(16384, float("nan"))
    ('16374 ± 30', '0.5361 ± 0.0021', '16384')
    """
    if not math.isfinite(value) or math.isnan(margin):
        return format_number(value)
    if not 1e-9 < margin < 1e9:
        return f"{format_number(value)} ± {format_number(margin)}"
    digits = count_decimals(margin)
    return f"{value:.{digits}f} ± {margin:.{digits}f}".replace("-", "−")


def count_words(number: int, noun: str) -> str:
    """Write a number of things.

    >>> count_words(1, "sample"), count_words(0, "sample")
    ('1 sample', '0 samples')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def count_decimals(margin: float) -> int:
    """Return the decimals that show a margin, and a reading that is off by it, to two digits; 0 for large margins.

    >>> count_decimals(163.8), count_decimals(0.02), count_decimals(1.5)
    (0, 3, 1)
    """
    return max(0, 1 - math.floor(math.log10(margin)))


def format_interval(low: float, high: float) -> str:
    """Write the ends of an interval, to two digits of half its width.

    >>> format_interval(8917.13, 9058.0), format_interval(0.5, 0.5)
    ('8917 to 9058', '0.5 to 0.5')
    """
    digits = count_decimals((high - low) / 2 or 1.0)
    return f"{low:.{digits}f} to {high:.{digits}f}"


def format_percent(share: float) -> str:
    """Write a share from 0 to 1 in whole percent.

    >>> format_percent(0.874)
    '87 %'
    """
    return f"{100 * share:.0f} %"


def float_or_nan(value: Any) -> float:
    """Read a number as the ledger keeps it: NaN for None, and for what is no number."""
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def format_quantities(named: Mapping[str, Any], units: Mapping[str, str] | None = None) -> str:
    """Write named numbers in one line.

    >>> format_quantities({"R": 0.5, "G": 0.25}, {"R": "duty"})
    'R = 0.5 duty, G = 0.25'
    """
    units = units or {}
    return ", ".join(
        f"{name} = {format_setting(value)} {units.get(name, '')}".rstrip() for name, value in named.items()
    )


def format_setting(value: Any) -> str:
    """Write a setting as a number is written; the name of a category stays as it is."""
    return value if isinstance(value, str) else format_number(value)


def format_duration(seconds: float) -> str:
    """Write a length of time in its two largest units.

    >>> [format_duration(seconds) for seconds in (0.0123, 0.83, 42.3, 135, 7300, 200_000)]
    ['12 ms', '0.8 s', '42 s', '2 min 15 s', '2 h 1 min', '2 d 7 h']
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


def format_time(seconds: float | None) -> str:
    """Write seconds since 1970 as a date and time (UTC)."""
    try:
        return NOTHING if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return NOTHING


def format_local_time(seconds: float | None) -> str:
    """Write the same moment by the clock on the wall here, with its zone; empty where that shows UTC.

    The date stands before it where it is another one than in UTC.
    """
    try:
        here = datetime.fromtimestamp(math.nan if seconds is None else seconds, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return ""
    if not here.utcoffset():
        return ""
    date = "" if here.date() == here.astimezone(UTC).date() else f"{here:%Y-%m-%d} "
    return f"{date}{here:%H:%M:%S %Z}"


def format_moment(seconds: float | None) -> str:
    """Write a moment in UTC, and by the clock on the wall here in brackets."""
    local = format_local_time(seconds)
    return f"{format_time(seconds)} UTC" + (f" ({local})" if local else "")


def _shows(character: str) -> bool:
    return character in "\n\t" or (
        unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and character not in HIDDEN
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def json_list(readings: "NDArray[np.float64]") -> list[float | None]:
    """Return a row of readings as JSON, which has no NaN, can hold it: with None in its place."""
    return [None if math.isnan(value) else value for value in readings.tolist()]


def array_from_json(values: Iterable[float | None]) -> "NDArray[np.float64]":
    """Return a row of readings as ``json_list`` wrote it, with NaN for None."""
    import numpy as np  # which takes a command that shows its help a third of its time

    return np.array([math.nan if value is None else value for value in values], float)


def make_jsonable(value: Any, levels: int = DEEPEST) -> Any:
    """Return a value in types that JSON has; infinite numbers, NaN and what is nested too deep become text."""
    if isinstance(value, Mapping | list | tuple) and not levels:
        return format_value(value)
    if isinstance(value, Mapping):
        return {str(key): make_jsonable(item, levels - 1) for key, item in value.items()}
    if hasattr(value, "tolist"):  # an array, or a number of one
        return make_jsonable(value.tolist(), levels)
    if isinstance(value, list | tuple):
        return [make_jsonable(item, levels - 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float) else format_value(value)


_SHORT = Repr()


_SHORT.maxstring = _SHORT.maxother = 120


def format_value(value: object) -> str:
    """Write any value for a message: short, however long or deep it is, and without the password of a URL.

    >>> format_value("R"), format_value([[[[[[[[]]]]]]]])
    ("'R'", '[[[[[[[...]]]]]]]')
    """
    try:
        return _SHORT.repr(hide_password(value) if isinstance(value, str) else value)
    except ValueError:  # Python spells out no whole number of more than 4300 digits
        return "a number of thousands of digits"


def parse_json(text: str, constant: Callable[[str], float] = float) -> Any:
    """Read JSON that somebody else wrote.

    Args:
        text: As it came.
        constant: Of the words NaN and Infinity the number that they stand for; by default they pass, so that they are
            judged with other readings.

    Raises:
        ValueError: it is none, or a key stands twice in one object.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, parse_constant=constant, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := found_twice(names):
        raise ValueError(f"every key needs a name of its own, found twice: {', '.join(twice)}")
    return dict(pairs)
