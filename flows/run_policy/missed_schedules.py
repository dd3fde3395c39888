"""Runs that a schedule began: of those missed in an outage, one is made up for and the others are not."""

from collections.abc import Callable
from typing import Any

from prefect import runtime
from prefect.states import Completed

from sdl.formatting import format_time
from sdl.history import Entry
from sdl.ledger.ledger import Ledger

TAG = "auto-scheduled"
"""What Prefect's scheduler puts on a run; one that a person asked for is never left out."""


def skipped_state(where: str, work_done_at: Callable[[Entry], float | None]) -> Any:
    """Return the state in which a scheduled run ends at once; None if it has to work.

    It need not work where the ledger shows that the same was done after the moment for which the run was due.

    Args:
        where: File or URL of the ledger.
        work_done_at: When an entry did the same, seconds since 1970; None if it is another kind of entry.
    """
    due = runtime.flow_run.scheduled_start_time
    if due is None or TAG not in (runtime.flow_run.tags or []):
        return None
    with Ledger(where) as book:
        moments = [at for entry in book.entries() if (at := work_done_at(entry)) is not None]
    last = max(moments, default=0.0)
    if last < due.timestamp():
        return None
    words = f"was due {format_time(due.timestamp())} UTC, and the ledger has one from {format_time(last)} UTC"
    return Completed(name="Skipped", message=words)
