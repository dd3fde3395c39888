"""What a process asked the instrument before it died may still be measured: the instrument is left in silence for it.

Nobody waits for that answer any more, but the next request would overlap with it.
"""

import logging
import threading

from sqlalchemy import func, select

from sdl.ledger import Ledger
from sdl.schema import attempts, campaigns, now

LAST = 20
"""Replies that tell how long one takes."""
USUAL_S = 1.0
"""How long a reply takes where none is known."""
FACTOR = 3.0
"""Times the slowest of them that the instrument is given."""

log = logging.getLogger(__name__)


def silence(ledger: Ledger, instrument: str) -> float:
    """Seconds for which an instrument may still be at work for a process that is gone; 0 as a rule."""
    mine = campaigns.c.instrument == instrument
    newest = select(func.max(attempts.c.id)).where(attempts.c.campaign == campaigns.c.id).scalar_subquery()
    last = select(*attempts.c["state", "sent_at"]).where(
        attempts.c.id == select(func.max(newest)).where(mine).scalar_subquery()
    )
    with ledger.engine.connect() as connection:
        row = connection.execute(last).one_or_none()
        if row is None or row.state not in ("SENT", "UNKNOWN"):
            return 0.0
        whose = attempts.c.campaign.in_(select(campaigns.c.id).where(mine))
        replies = select(attempts.c.seconds).where(whose, attempts.c.seconds.is_not(None))
        took = connection.execute(replies.order_by(attempts.c.id.desc()).limit(LAST)).scalars().all()
    most = FACTOR * max(took, default=USUAL_S)
    return float(most - min(max(now() - row.sent_at, 0.0), most))


def wait_out(ledger: Ledger, instrument: str, interrupted: threading.Event | None = None) -> None:
    """Wait until an instrument has done what a process that is gone asked of it.

    Args:
        ledger: That knows what was asked.
        instrument: Its identity; it has to be held.
        interrupted: Set it to end the wait.
    """
    if seconds := silence(ledger, instrument):
        log.info("%s may still be at work for a process that ended: waiting %.1f s", instrument, seconds)
        (interrupted or threading.Event()).wait(seconds)
