"""The time of day, and the time since the system was started, in one place, so that a test can move them."""

import time
from functools import cache

from sdl.system.processes import BOOT


def now() -> float:
    """Return the seconds since 1970: for people to read, never for a decision, since anybody may set that clock."""
    return time.time()


def moment() -> float:
    """Return seconds by a clock that nobody sets and that goes on while the machine sleeps: good for differences."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def uptime() -> str:
    """Return which boot this is and the seconds since it, asleep or awake: ``1f0c2a77 8123.25``; empty if unknown."""
    return f"{this_boot()} {moment():.2f}" if this_boot() else ""


def seconds_since(earlier: str) -> float | None:
    """Return the seconds since a moment that ``uptime`` named; None if that was in another boot or on another host."""
    boot, _, seconds = earlier.partition(" ")
    return moment() - float(seconds) if boot == this_boot() else None


@cache
def this_boot() -> str:
    """Return the number of this boot; empty where the system has none."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""
