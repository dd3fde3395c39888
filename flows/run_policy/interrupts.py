"""Ctrl-C, SIGTERM, the end of the terminal: once finishes the measurement under way and keeps it, twice ends at once.

A run of 'sdl up' ends in the same way when that is gone: nobody would watch it any more. So does a run that somebody
cancels in Prefect's UI, sets to another end there or deletes: by force Prefect only writes that down, of a run from a
terminal it can do no more.
"""

import contextvars
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sdl.system.signals import set_on_signal

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

SERVICE = "SDL_SERVICE"
"""Environment variable with the process that 'sdl up' runs its flows from."""
LOOK_S = 1.0
CANCEL_LOOK_S = 2.0
"""Between two looks at what Prefect shows of this run."""
PATIENCE_S = 10
"""For one answer of its server, seconds."""
GRACE_S = 120.0
"""For the measurement under way, once the service is gone."""

cancelled = set[str]()
"""Numbers of runs of this process that were seen to be cancelled."""
log = logging.getLogger("sdl.interrupts")  # below "sdl", whose words a terminal and Prefect show


@contextmanager
def finish_on_signal() -> Iterator[threading.Event]:
    """An event that is set by the first signal; the second one ends the process."""
    event, over = threading.Event(), threading.Event()
    # Prefect's settings are of this context, and the run's number too.
    watch = contextvars.copy_context().run
    threading.Thread(target=watch, args=(_watch_for_cancellation, event, over), daemon=True).start()
    try:
        with set_on_signal(event), _ends_with_service(event):
            yield event
    finally:
        over.set()


@contextmanager
def _ends_with_service(event: threading.Event) -> Iterator[None]:
    """Set the event when the service of this run is gone, too."""
    service = int(os.environ.get(SERVICE, "0")) if threading.current_thread() is threading.main_thread() else 0
    if service:
        threading.Thread(target=_follow, args=(service, event), daemon=True).start()
    try:
        yield
    finally:
        if service and os.getppid() != service:
            os._exit(128 + signal.SIGTERM)  # all is in the ledger; Prefect would try for minutes to tell a dead server


def _watch_for_cancellation(event: threading.Event, over: threading.Event) -> None:
    """Set the event when somebody cancelled this run, or the one that it is a part of, or ended or deleted this one."""
    from prefect import get_client, runtime  # not before the service has said where its server is
    from prefect.exceptions import ObjectNotFound

    if (own := runtime.flow_run.id) is None:
        return
    while not over.wait(CANCEL_LOOK_S):
        try:
            with get_client(httpx_settings={"timeout": PATIENCE_S}, sync_client=True) as client:
                shown = client.read_flow_run(UUID(own)).state
                whole = client.read_flow_run(UUID(str(runtime.flow_run.root_flow_run_id))).state
                ended = _is_ended(shown) or _is_cancelled(whole)
        except ObjectNotFound:
            ended = True
        except Exception as error:  # whatever Prefect makes of a server that is away: nobody cancels there
            log.debug("cannot see whether this run was cancelled: %s", error)
            continue
        if over.is_set():  # while it was asked: an end that is shown is that of the run itself
            return
        if ended:
            log.warning("cancelled in Prefect: finishing the measurement under way, which is kept")
            cancelled.add(own)
            event.set()
            return


def _is_cancelled(state: "State[Any] | None") -> bool:
    return state is not None and (state.is_cancelled() or state.is_cancelling())


def _is_ended(state: "State[Any] | None") -> bool:
    """Whether a person ended a run that is at work; that one has crashed Prefect says of whoever slept, too."""
    return _is_cancelled(state) or (state is not None and state.is_final() and not state.is_crashed())


def _follow(service: int, event: threading.Event) -> None:
    """Set the event when this process is no longer a child of the service."""
    while os.getppid() == service:
        time.sleep(LOOK_S)
    event.set()
    time.sleep(GRACE_S)
    os._exit(128 + signal.SIGTERM)
