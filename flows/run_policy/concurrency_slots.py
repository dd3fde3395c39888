"""A run goes on where Prefect can no longer renew the slot that it has of its deployment's limit.

Prefect gives a slot back when a run is paused, and a few minutes later ends the run because it has none; so it does
where its server is away for long. One controller an instrument is the ledger's affair, not that of the
slots, and a campaign has to outlive both.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version
from typing import Any

from packaging.specifiers import SpecifierSet
from prefect.concurrency import _leases
from prefect.context import TagsContext
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger

TRIED = SpecifierSet("<3.10")
"""Versions of Prefect that end such a run, in the function below, which is not part of their API."""
NAME = "_handle_lease_renewal_failure"
LOST = (
    "Prefect no longer keeps this run's place in its limit, as after a pause; the run goes on, and the ledger lets "
    "only one at an instrument: nothing has to be done"
)


def keep_going() -> None:
    """Make what Prefect does about a slot that cannot be renewed a sentence in the run's log, in this process.

    Prefect would end the run, or write a traceback there; that is kept for those who look for debugging.
    """
    if version("prefect") not in TRIED:
        return
    handle: Callable[..., Any] = getattr(_leases, NAME)
    if hasattr(handle, "__wrapped__"):  # done already
        return

    @wraps(handle)
    def warn(exc: BaseException, lease_id: Any, raise_on_failure: bool, suppress_warnings: bool, scope: Any) -> None:
        handle(exc, lease_id, False, True, scope)
        if not suppress_warnings:
            _logger().warning(LOST)

    setattr(_leases, NAME, warn)


def _logger() -> Any:
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("concurrency")


@contextmanager
def none_by_tag() -> Iterator[None]:
    """Tasks that begin in the block do not have the tags of their run.

    For each tag of a task Prefect asks its server for a slot, so that no task could begin while that is away.
    """
    with TagsContext(current_tags=set()):
        yield
