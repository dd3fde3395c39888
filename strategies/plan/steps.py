"""What a plan asks for, one step after the other; whoever executes it asks again after each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sdl.history import Exam, Finding, History, Request, Round


@dataclass(frozen=True)
class Fit:
    """Retrain for a round."""

    round: int
    before: int
    """Rounds before this one are learned from."""


@dataclass(frozen=True, eq=False)
class Measure:
    """Write down the round and its measurements, then take them in this order."""

    round: Round
    requests: Sequence[Request]

    def begun(self, history: History) -> bool:
        """Whether all of it is written down already."""
        if not history.rounds or history.rounds[-1].number != self.round.number:
            return False
        return {request.key for request in self.requests} <= {request.key for request in history.under_way}


@dataclass(frozen=True, eq=False)
class Examine:
    """Freeze a candidate, and how its replicates are judged; they are measured after this."""

    round: Round
    exam: Exam
    requests: Sequence[Request]


@dataclass(frozen=True, eq=False)
class Together:
    """Write down several rounds, whose measurements are taken after this on one plate."""

    parts: Sequence[Measure | Examine]


@dataclass(frozen=True, eq=False)
class Conclude:
    """Write down a verdict."""

    finding: Finding


@dataclass(frozen=True)
class Stop:
    """There is nothing more to do, and why."""

    reason: str


Step: TypeAlias = Fit | Measure | Examine | Together | Conclude | Stop
