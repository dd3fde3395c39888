"""Times as other people write them, read into seconds since 1970."""

import math
from datetime import UTC, date, datetime
from typing import Any

UNITS = (1.0, 1e3, 1e6, 1e9)
"""Seconds, and what other clocks count: milliseconds, microseconds and nanoseconds."""
LATEST = 1e11
"""Seconds since 1970 beyond which a number counts something finer: the year 5138, and the March of 1973 in ms."""


def parse_time(value: Any) -> float | None:
    """Return the seconds since 1970 that a value says; None where there is none.

    Args:
        value: A number of seconds, milliseconds, microseconds or nanoseconds since 1970 (or since the beginning of the
            record, in seconds), a time in ISO 8601, or a ``datetime``. One without a zone is taken for UTC.

    Raises:
        ValueError: saying what it is instead.

    >>> [parse_time(each) for each in (None, 7, "1753991056850", "2025-07-31T19:44:16.85Z", "2025-07-31 15:44-04:00")]
    [None, 7.0, 1753991056.85, 1753991056.85, 1753991040.0]
    """
    moment = _moment(value.strip()) if isinstance(value, str) else value
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(moment, date):
        return datetime(moment.year, moment.month, moment.day, tzinfo=UTC).timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not abs(moment) < LATEST * UNITS[-1]:
        raise ValueError(f"time is {value!r}, give seconds since 1970 or a time such as 2025-07-31T19:44:16Z")
    return next(moment / unit for unit in UNITS if abs(moment) < LATEST * unit)


def _moment(text: str) -> Any:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return text
    return number if math.isfinite(number) else text
