"""Real readings of Claude-Light, in the runs in which they were taken: a pause tells one from the next."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.space import Readings, Settings

FOLDER = Path("../shared/data/claude_light")
FILE = "daylight_and_dark_2025.jsonl"
GAP_S = 300.0
"""A longer pause ends a run."""
ROWS = 15
"""Of a run that is long enough to stand for itself."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Rows in the order of time."""

    channels: tuple[str, ...]
    settings: Settings
    """``(n, 3)``."""
    readings: Readings
    """``(n, p)`` over the channels."""
    run: NDArray[np.int_]
    """Which run each row belongs to, ``(n,)``."""
    reference: NDArray[np.bool_]
    """Whether the lamp was off to read the background, ``(n,)``."""
    time: NDArray[np.float64]
    """Unix seconds, ``(n,)``."""

    @classmethod
    def read(cls, path: Path, channels: Sequence[str] = SPACE.channel_names) -> Self:
        """Read JSON lines with ``in``, ``out``, ``time`` and, where the background was read, the ``tag`` that says so.

        Raises:
            InvalidInput: the file cannot be read, or a row lacks something.
        """
        if not path.is_file():
            raise InvalidInput(
                f"the records are not part of the project, and {str(path.absolute())!r} is not there: "
                f"give the path of {FILE}"
            )
        try:
            lines = filter(str.strip, path.read_text("utf-8").splitlines())
            rows = sorted(map(json.loads, lines), key=lambda row: float(row["time"]))
            settings = np.array([row["in"] for row in rows], float).reshape(-1, SPACE.d)
            readings = np.array([[row["out"][name] for name in channels] for row in rows], float)
        except (OSError, ValueError, KeyError, TypeError) as error:
            needed = f"'in' with {SPACE.d} numbers, 'out' with {', '.join(channels)} and 'time'"
            raise InvalidInput(f"{path.name}: every row needs {needed}; {error!r}") from error
        time = np.array([row["time"] for row in rows], float)
        reference = np.array([row.get("tag") == "background" for row in rows], bool)
        run = np.cumsum(np.diff(time, prepend=time[:1]) > GAP_S, dtype=np.int_)
        return cls(tuple(channels), settings, readings, run, reference, time)

    @property
    def long(self) -> list[int]:
        """Runs of at least 15 rows."""
        return [int(run) for run in np.flatnonzero(np.bincount(self.run) >= ROWS)]

    @property
    def unclipped(self) -> NDArray[np.bool_]:
        """Which readings are below the ceiling of their channel, ``(n, p)``."""
        return np.asarray(self.readings < SPACE.ceiling[SPACE.columns(self.channels)])
