"""What a status says of a request: done, worth another try, or refused."""

import time
from collections.abc import Collection
from email.utils import mktime_tz, parsedate_tz
from urllib.parse import urlsplit

from sdl.errors import BadReply, InstrumentRefused, InstrumentUnavailable
from sdl.instruments.http.bounded_request import HttpResponse

PASSING = (429, 500, 502, 503, 504)


def check_status(answer: HttpResponse, place: str, longest_wait: float, expected: Collection[int] = (200,)) -> None:
    """Raise what a status means, unless it is an expected one.

    Args:
        answer: What came back.
        place: Who answered, for the message.
        longest_wait: Seconds that we wait at most before another try, whatever the server asks for.
        expected: Statuses of a request that was done.

    Raises:
        InstrumentUnavailable: a passing fault of the server (429, 5xx).
        InstrumentRefused: any other fault, or a redirect.
        BadReply: another status than expected.
    """
    message = f"{place} answered {answer.status}"
    if answer.status in expected:
        return
    if answer.status in PASSING:
        wait = min(_retry_after(answer.headers.get("Retry-After", "")), longest_wait)
        raise InstrumentUnavailable(message, raw=answer.text, wait=wait)
    if 300 <= answer.status < 400:
        where = _without_secrets(answer.headers.get("Location", "nowhere"))
        raise InstrumentRefused(f"{message} and points to {where!r}; no redirect is followed", raw=answer.text)
    if answer.status >= 400:
        raise InstrumentRefused(message, raw=answer.text)
    raise BadReply(f"{message} instead of {' or '.join(map(str, expected))}", raw=answer.text)


def _retry_after(header: str) -> float:
    """Seconds that a Retry-After header asks for, as a number or as a date; 0 if it cannot be read."""
    try:
        if header.isdecimal():
            return float(header)
        date = parsedate_tz(header)
        return max(0.0, mktime_tz(date) - time.time()) if date else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _without_secrets(location: str) -> str:
    """A redirect's aim without user info and query, for showing."""
    try:
        parts = urlsplit(location)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()[:200]
    except ValueError:
        return "a place that cannot be read"
