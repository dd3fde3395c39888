"""The time that trainings may take: the one place where a decision looks at a clock."""

from time import monotonic

BLIND = 0.2
"""Part of the time in which the pace does not count yet: a machine that is busy for a moment must not decide."""

LEAST = 0.01
"""Part of an allowance that is left to whoever comes when it is spent."""


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


class Allowance:
    """Seconds that some trainings may take one after the other; what one leaves is for the next.

    Args:
        seconds: For all of them; infinite for as long as they take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._started = seconds, monotonic()

    def share(self, of: int) -> float:
        """What one of so many that are still to come may take, never nothing."""
        return max(self._seconds - (monotonic() - self._started), LEAST * self._seconds) / of
