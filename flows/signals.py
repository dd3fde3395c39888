"""Ctrl-C and SIGTERM: once finishes the measurement under way and keeps it, twice ends at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)


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

    for number in HANDLED:
        signal.signal(number, handle)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
