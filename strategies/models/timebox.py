"""The time that a training may take: the one place where a decision looks at a clock."""

from time import monotonic

BLIND = 0.2
"""Part of the time in which the pace does not count yet: a machine that is busy for a moment must not decide."""


class TimeBox:
    """Seconds that so many steps may take.

    The plan is a number of steps, so that two fits on the same rows agree. Only where their pace shows that the
    seconds will not do are there fewer, and ``cut`` says then that the time was over first.

    Args:
        steps: Planned, at least 1.
        seconds: That they may take; infinite for as long as it takes.
    """

    def __init__(self, steps: int, seconds: float) -> None:
        self.steps, self.cut = steps, False
        self._seconds, self._started = seconds, monotonic()

    def left(self, done: int) -> int:
        """Steps still to go after so many, at the pace so far."""
        spent = monotonic() - self._started
        if not done or spent < BLIND * self._seconds:
            return self.steps - done
        left = min(self.steps - done, int((self._seconds - spent) / spent * done))
        self.cut = left <= 0 and done < self.steps
        return max(left, 0)
