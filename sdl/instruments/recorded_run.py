"""A recorded run of Claude-Light, played again at any settings: the light in its room and the noise of its readings."""

import json
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from sdl.errors import InvalidInput
from sdl.instruments.claude_light_space import SPACE
from sdl.instruments.protocol import Patience, Reply
from sdl.instruments.twin import Twin
from sdl.space import Readings, Settings, Space

GAP_S = 300.0
"""A longer pause ends a run."""
ROWS = 15
"""Of a run that is long enough to be played."""


class RecordedRun:
    """The noise-free twin, to whose readings is added what those of a recorded run were off it, row by row.

    That is the light in the room, which hardly changes within the two minutes of a run, and everything that made the
    readings scatter. What was off is played in its order, then backwards, so that it never jumps. Nobody knows which
    part of it was noise, so that there is no truth to hold a verdict against.

    Args:
        path: JSON lines with ``in``, ``out`` with Claude-Light's channels, and ``time`` in seconds.
        seed: Which of the runs: they are counted in the order of time, and from the first again after the last.

    Raises:
        InvalidInput: the file cannot be read, lacks something, or has no run of 15 rows.
    """

    def __init__(self, path: str | Path, seed: int = 0) -> None:
        runs = _runs(Path(path))
        self.space: Space = SPACE
        self.patience = Patience(attempts=1)
        self.identity = f"run {seed % len(runs)} of {Path(path).name}"
        self._lamp = Twin(noise=0.0, session_gain=False)
        settings, readings = runs[seed % len(runs)]
        seen, off = readings < SPACE.ceiling, readings - self._lamp.truth(settings)
        # A channel that was at its ceiling all the time tells nothing, and is taken to have had no light.
        usual = np.where(seen, off, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        off = np.where(seen, off, usual)
        self._off = cycle(np.concatenate([off, off[-2:0:-1]]))

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """One reading.

        Raises:
            InvalidInput: settings that the space does not have.
        """
        asked = self.space.settings(settings)
        counts = np.clip(np.rint(self._lamp.truth(asked) + next(self._off)), 0, SPACE.ceiling).astype(int)
        applied = self.space.named_settings(asked)
        readings = dict(zip(self.space.channel_names, counts.tolist(), strict=True))
        raw = json.dumps({"in": list(applied.values()), "out": readings})
        return Reply(applied=applied, readings=readings, raw=raw)

    def close(self) -> None:
        """Nothing is open."""


def _runs(path: Path) -> list[tuple[Settings, Readings]]:
    """Settings ``(n, d)`` and readings ``(n, p)`` of each long run, in the order of time."""
    try:
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        rows.sort(key=lambda row: float(row["time"]))
        settings = np.array([row["in"] for row in rows], float).reshape(-1, SPACE.d)
        readings = np.array([[row["out"][name] for name in SPACE.channel_names] for row in rows], float)
        times = np.array([row["time"] for row in rows], float)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"path: cannot read {str(path)!r}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        needed = f"'in' with {SPACE.d} numbers, 'out' with every channel and 'time'"
        raise InvalidInput(f"{path.name}: every row needs {needed}; {error!r}") from error
    ends = np.flatnonzero(np.diff(times) > GAP_S) + 1
    parts = zip(np.split(settings, ends), np.split(readings, ends), strict=True)
    runs = [part for part in parts if len(part[0]) >= ROWS]
    if not runs:
        raise InvalidInput(f"{path.name}: no run of {ROWS} rows without a pause of {GAP_S:g} s, in {len(rows)} rows")
    return runs
