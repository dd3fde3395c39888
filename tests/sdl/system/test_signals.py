"""What ends a measurement, and what does not."""

import os
import signal
import threading

import pytest

from sdl.system.signals import set_on_signal


@pytest.mark.fault("O-13")
def test_what_is_to_outlive_its_terminal_does():
    """As ``nohup`` starts it."""
    before, event = signal.signal(signal.SIGHUP, signal.SIG_IGN), threading.Event()
    try:
        with set_on_signal(event):
            os.kill(os.getpid(), signal.SIGHUP)
        assert not event.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)
