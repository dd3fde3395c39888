"""Whether rows from elsewhere were measured with the instrument as it is now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl.analysis.gain_shift import GainShift, Set, gain_shifts
from sdl.formatting import array_from_json
from sdl.ledger.ledger import Ledger
from sdl.reports.status_detail import last_attempts
from sdl.space import Space

LATEST = 500
"""Rows of an instrument that say how it is now, and of those from elsewhere."""


@dataclass(frozen=True)
class EpochComparison:
    """Rows from elsewhere beside what an instrument of the ledger measured last."""

    instrument: str
    shifts: tuple[GainShift, ...]
    """One a knob; none where the rows cannot tell."""

    @property
    def other(self) -> bool:
        """Whether they are of another epoch."""
        return any(each.real for each in self.shifts)

    def __str__(self) -> str:
        if not self.shifts:
            return (
                f"whether {self.instrument} is still as it was in these rows, they are too few or too unsteady to say"
            )
        told = ", ".join(str(each) for each in self.shifts if each.real or not self.other)
        if self.other:
            return (
                f"OTHER EPOCH than what {self.instrument} measures now: {told}; measure anew rather than learn from it"
            )
        return f"as {self.instrument} measures now: {told}"


def compare_epochs(ledger: Ledger, space: Space, rows: Sequence[Mapping[str, Any]]) -> list[EpochComparison]:
    """Rows from elsewhere against each instrument of the ledger that has the same knobs and channels.

    Args:
        ledger: Whose own measurements say how instruments are now.
        space: Of the rows.
        rows: Like those of ``Ledger.trail``, in the order of measuring, all of them with readings.
    """
    return [
        EpochComparison(name, gain_shifts(space, _set(rows[-LATEST:]), now)) for name, now in _measured(ledger, space)
    ]


def _measured(ledger: Ledger, space: Space) -> Iterator[tuple[str, Set]]:
    """What each instrument with this space measured last."""
    entries = [each for each in ledger.entries() if each.space == space and "imported" not in each.config]
    for instrument in sorted({each.instrument for each in entries}):
        mine = sorted((each for each in entries if each.instrument == instrument), key=lambda each: -each.updated)
        rows = list[Mapping[str, Any]]()
        for entry in mine:
            if (wanting := LATEST - len(rows)) > 0:
                rows = [*(each for each in last_attempts(ledger, entry.id, wanting) if each["readings"]), *rows]
        if rows:
            yield instrument, _set(rows)


def _set(rows: Sequence[Mapping[str, Any]]) -> Set:
    return np.array([row["settings"] for row in rows], float), np.array(
        [array_from_json(row["readings"]) for row in rows]
    )
