"""Which rows were measured together: a pause, another source, or an hour of measuring ends a run."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PAUSE_S, SLOW = 300.0, 10.0
"""Seconds without a row that end a run, or so many times the usual time between two rows, whichever is more."""
LONGEST_S = 3600.0
"""Light is not the same for longer: what goes on is another run."""
DAY_S, LATEST_DAY = 86400.0, 10**6
"""Seconds of a day, and days since 1970 (or before) from which on no calendar is of use."""


def find_runs(times: NDArray[np.float64], sources: Sequence[str]) -> NDArray[np.int_]:
    """The run of each row ``(n,)``, numbered from 0 in the order of the rows.

    Args:
        times: Seconds since 1970, ``(n,)``; NaN where unknown: such rows are one run for each source.
        sources: Of each row, in words of the file; empty where there are none.
    """
    of = np.unique(list(sources), return_inverse=True)[1].ravel() if sources else np.zeros(len(times), int)
    runs, after = np.zeros(len(times), int), 0
    for source in range(int(of.max(initial=-1)) + 1):
        timed = np.flatnonzero((of == source) & np.isfinite(times))
        order = timed[np.argsort(times[timed], kind="stable")]
        runs[(of == source) & ~np.isfinite(times)] = after
        after += 1
        if order.size:
            runs[order] = after + _pieces(times[order])
            after = int(runs[order].max()) + 1
    _, first, number = np.unique(runs, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[number.ravel()])


def _pieces(times: NDArray[np.float64]) -> NDArray[np.int_]:
    """The run of each of the times ``(n,)``, which increase."""
    between = np.diff(times)
    usual = float(np.median(between[between > 0])) if (between > 0).any() else 0.0
    pause = np.concatenate(([True], between > max(PAUSE_S, SLOW * usual)))
    stretch = np.cumsum(pause) - 1
    into = times - times[pause][stretch]
    hours = np.floor(into / max(LONGEST_S, 20 * usual)).astype(int)
    return np.asarray(np.cumsum(np.concatenate(([0], (np.diff(stretch) > 0) | (np.diff(hours) > 0)))))


def say_pooled(times: NDArray[np.float64], sources: Sequence[str]) -> list[str]:
    """That rows of several days or sources are taken together, if they are."""
    known = times[np.isfinite(times)]
    days = sorted({int(day) for day in np.floor(known / DAY_S)})
    a_night = len(days) > 1 and np.ptp(known) < DAY_S / 2  # one that went on past midnight
    several = [f"{len(days)} days ({_date(days[0])} to {_date(days[-1])})"] if len(days) > 1 and not a_night else []
    several += [f"{len(set(sources))} sources"] if len(set(sources)) > 1 else []
    if not several:
        return []
    return [
        f"rows of {' and '.join(several)} were taken together, and what changed between them, such as light, is "
        "an error of the answers; one reading of today, given as --anchor, makes them for its light"
    ]


def _date(day: int) -> str:
    near = abs(day) < LATEST_DAY
    return str(np.datetime64(day, "D")) if near else f"day {day}"
