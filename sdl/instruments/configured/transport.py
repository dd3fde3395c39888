"""What a protocol does for a configured instrument: take an order, ask for an answer, within a time."""

import time
from typing import Protocol, TypeVar

Order = TypeVar("Order")
OrderOf = TypeVar("OrderOf", contravariant=True)


class Deadline:
    """When something has to be done.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def extend(self, seconds: float) -> None:
        """Allow some more."""
        self._end += seconds

    @property
    def left(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: there are none.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time for it is over")
        return seconds


class Transport(Protocol[OrderOf]):
    """A line to an apparatus, in one protocol.

    Methods raise ``OSError`` where the line fails, ``TimeoutError`` where no answer comes in time, and an
    ``InstrumentError`` where they know better.
    """

    @property
    def place(self) -> str:
        """Where the apparatus is, for its identity and for messages; no secrets."""

    def open(self, deadline: Deadline) -> bool:
        """See to it that the line is open; return whether it was opened just now."""

    def send(self, order: OrderOf, value: float | str | None, deadline: Deadline) -> None:
        """Send an order, whose places are filled, with the value that it is to set, if it is one for a single knob."""

    def ask(self, order: OrderOf, deadline: Deadline) -> str:
        """Send an order and return its answer."""

    def drop(self) -> None:
        """Let go of the line; what comes on it later belongs to nobody. It never fails."""
