"""Whether rows from elsewhere were measured with the instrument as it is now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl.analysis.gain_shift import GainShift, RowSet, gain_shifts
from sdl.formatting import array_from_json
from sdl.ledger.ledger import Ledger
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
        return any(shift.real for shift in self.shifts)

    def __str__(self) -> str:
        if not self.shifts:
            return (
                f"whether {self.instrument} is still as it was in these rows, they are too few or too unsteady to say"
            )
        words = ", ".join(str(shift) for shift in self.shifts if shift.real or not self.other)
        if self.other:
            return (
                f"OTHER EPOCH than what {self.instrument} measures now: {words}; measure anew rather than learn from it"
            )
        return f"as {self.instrument} measures now: {words}"


def compare_epochs(ledger: Ledger, space: Space, rows: Sequence[Mapping[str, Any]]) -> list[EpochComparison]:
    """Compare rows from elsewhere with each instrument of the ledger that has the same knobs and channels.

    Args:
        ledger: Whose own measurements say how instruments are now.
        space: Of the rows.
        rows: Like those of ``Ledger.trail``, in the order of measuring, all of them with readings.
    """
    return [
        EpochComparison(name, gain_shifts(space, _set(rows[-LATEST:]), now)) for name, now in _measured(ledger, space)
    ]


def _measured(ledger: Ledger, space: Space) -> Iterator[tuple[str, RowSet]]:
    """What each instrument with this space measured last."""
    entries = [entry for entry in ledger.entries() if entry.space == space and "imported" not in entry.config]
    for instrument in sorted({entry.instrument for entry in entries}):
        own = (entry for entry in entries if entry.instrument == instrument)
        latest_first = sorted(own, key=lambda entry: -entry.updated)
        rows = list[Mapping[str, Any]]()
        for entry in latest_first:
            if (wanting := LATEST - len(rows)) > 0:
                rows = [*(row for row in ledger.last_attempts(entry.id, wanting) if row["readings"]), *rows]
        if rows:
            yield instrument, _set(rows)


def _set(rows: Sequence[Mapping[str, Any]]) -> RowSet:
    return np.array([row["settings"] for row in rows], float), np.array(
        [array_from_json(row["readings"]) for row in rows]
    )
