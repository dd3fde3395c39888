"""Ctrl-C, SIGTERM and a terminal that is closed: once lets the measurement under way end and be kept.

Twice ends the process at once.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

log = logging.getLogger("sdl.interrupts")  # below "sdl", whose words a terminal and Prefect show


@contextmanager
def set_on_signal(event: threading.Event) -> Iterator[None]:
    """Set an event at the first signal during the block; only a main thread gets signals, others go on as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, signals = {number: signal.getsignal(number) for number in HANDLED}, list[int]()
    if before[signal.SIGHUP] is signal.SIG_IGN:  # by nohup: it is to outlive its terminal
        del before[signal.SIGHUP]

    def handle(number: int, frame: FrameType | None) -> None:
        if signals:
            os._exit(128 + number)  # the request under way becomes UNKNOWN at the next start
        signals.append(number)
        event.set()
        log.warning("finishing the measurement under way, which is kept; once more ends at once, and its reply is lost")

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
