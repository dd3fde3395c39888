"""The time of day, in one place, so that a test can move it."""

import time


def now() -> float:
    """Return the seconds since 1970: for people to read, never for a decision."""
    return time.time()
