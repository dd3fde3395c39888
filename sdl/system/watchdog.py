"""Deadlines of many short calls, watched by one thread: to start one for each call costs more than the call."""

import heapq
import os
import threading
import time
from collections.abc import Callable
from itertools import count


class Watchdog:
    """Calls what is overdue, once, in a thread of its own that lasts as long as the process."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._numbers = count()
        self._overdue = dict[int, Callable[[], object]]()
        self._deadlines = list[tuple[float, int]]()
        self._thread: threading.Thread | None = None
        self._wakes = float("inf")

    def watch(self, seconds: float, overdue: Callable[[], object]) -> int:
        """Have something called after so many seconds, unless it is let go of before; returns by what number it is."""
        if self._process != os.getpid():  # to a copy no thread comes along, and its lock may be held
            Watchdog.__init__(self)
        with self._changed:
            number, at = next(self._numbers), time.monotonic() + seconds
            self._overdue[number] = overdue
            heapq.heappush(self._deadlines, (at, number))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif at < self._wakes:  # as a rule it sleeps on, until a deadline that nobody needs any more
                self._changed.notify()
        return number

    def let_go(self, number: int) -> None:
        """Call nothing for a number any more; a call that has begun is waited for."""
        with self._changed:
            self._overdue.pop(number, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                while self._deadlines and (
                    self._deadlines[0][0] <= time.monotonic() or self._deadlines[0][1] not in self._overdue
                ):
                    overdue = self._overdue.pop(heapq.heappop(self._deadlines)[1], None)
                    if overdue is not None:
                        overdue()
                self._wakes = self._deadlines[0][0] if self._deadlines else float("inf")
                self._changed.wait(self._wakes - time.monotonic() if self._deadlines else None)
