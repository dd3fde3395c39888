"""Ctrl-C and SIGTERM: once finishes the measurement under way and keeps it, twice ends at once.

A run of 'sdl up' ends in the same way when that is gone: nobody would watch it any more.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)
SERVICE = "SDL_SERVICE"
"""Environment variable with the process that 'sdl up' runs its flows from."""
LOOK_S = 1.0
GRACE_S = 120.0
"""For the measurement under way, once the service is gone."""

log = logging.getLogger("sdl.interrupts")  # below "sdl", whose words a terminal and Prefect show


@contextmanager
def finish_on_signal() -> Iterator[threading.Event]:
    """An event that is set by the first signal; the second one ends the process."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in HANDLED}

    def handle(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            os._exit(128 + number)  # the request under way becomes UNKNOWN at the next start
        event.set()
        log.warning("finishing the measurement under way, which is kept; once more ends at once, and its reply is lost")

    for number in HANDLED:
        signal.signal(number, handle)
    service = int(os.environ.get(SERVICE, "0"))
    if service:
        threading.Thread(target=_follow, args=(service, event), daemon=True).start()
    try:
        yield event
    finally:
        if service and os.getppid() != service:
            os._exit(128 + signal.SIGTERM)  # all is in the ledger; Prefect would try for minutes to tell a dead server
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(service: int, event: threading.Event) -> None:
    """Set the event when this process is no longer a child of the service."""
    while os.getppid() == service:
        time.sleep(LOOK_S)
    event.set()
    time.sleep(GRACE_S)
    os._exit(128 + signal.SIGTERM)
