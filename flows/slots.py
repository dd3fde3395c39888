"""A run goes on where Prefect can no longer renew the slot that it has of its deployment's limit.

Prefect 3.8 gives a slot back when a run is paused, and a quarter of an hour later at most ends the run because it has
none; so it does where its server is away for long. One controller an instrument is the ledger's affair, not that of the
slots, and a campaign has to outlive both.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from prefect.concurrency import _leases
from prefect.context import TagsContext

NAME = "_handle_lease_renewal_failure"


def keep_going() -> None:
    """Make what Prefect does about a slot that cannot be renewed a warning, in this process."""
    handle: Callable[..., Any] | None = getattr(_leases, NAME, None)
    if handle is None or hasattr(handle, "__wrapped__"):  # another Prefect, or done already
        return

    @wraps(handle)
    def warn(exc: BaseException, lease_id: Any, raise_on_failure: bool, suppress_warnings: bool, scope: Any) -> None:
        handle(exc, lease_id, False, suppress_warnings, scope)

    setattr(_leases, NAME, warn)


@contextmanager
def none_by_tag() -> Iterator[None]:
    """Tasks that begin in the block do not have the tags of their run.

    For each tag of a task Prefect asks its server for a slot, so that no task could begin while that is away.
    """
    with TagsContext(current_tags=set()):
        yield
