"""What a process asked the instrument before it died may still be measured: the instrument is left in silence for it.

Nobody waits for that answer any more, but the next request would overlap with it.
"""

import logging
import threading
from statistics import median

from sdl.instruments.protocol import is_member
from sdl.ledger.lease import read_tokens
from sdl.ledger.ledger import Ledger
from sdl.ledger.queries import UnansweredRequest, unanswered_request
from sdl.system.clock import seconds_since

LAST = 20
"""Replies that say how long one takes."""
TIMES = 11.0
"""Times a usual reply that the instrument is given. Of 24,752 recorded requests to Claude-Light one in a thousand took
six times as long as usual, and the longest ten times, but for one stall of a minute: the slowest of late says nothing
of that."""
FIRST_S = 3.0
"""What it is given where no reply tells how long one takes."""

log = logging.getLogger(__name__)


def remaining_silence(ledger: Ledger, instrument: str) -> float:
    """Return the seconds for which an instrument may still be at work for a process that is gone; 0 as a rule.

    By what it was asked alone or as one of several. Clocks of two hosts may be a minute apart, so what was sent in
    another boot counts as sent just now.
    """
    with ledger.reading() as connection:
        known = [instrument, *(each for each in read_tokens(connection) if is_member(instrument, each))]
        requests = [unanswered_request(connection, each, LAST) for each in known]
    return max((_silence(request) for request in requests if request is not None), default=0.0)


def _silence(request: UnansweredRequest) -> float:
    most = TIMES * median(request.usual_replies_s) if request.usual_replies_s else FIRST_S
    return float(max(most - (seconds_since(request.sent_at) or 0.0), 0.0))


def wait_out_orphans(ledger: Ledger, instrument: str, interrupted: threading.Event | None = None) -> None:
    """Wait until an instrument has done what a process that is gone asked of it.

    Args:
        ledger: That knows what was asked.
        instrument: Its identity; it has to be held.
        interrupted: Set it to end the wait.
    """
    if seconds := remaining_silence(ledger, instrument):
        log.info("%s may still be at work for a process that ended: waiting %.1f s", instrument, seconds)
        (interrupted or threading.Event()).wait(seconds)
