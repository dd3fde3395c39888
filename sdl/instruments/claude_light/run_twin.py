"""A recorded run of Claude-Light, played again at any settings: the light in its room and the noise of its readings."""

import json
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import numpy as np

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.recordings import GAP_S, ROWS, Runs
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Space


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
        runs = Runs.read(Path(path))
        if not runs.long:
            raise InvalidInput(
                f"{Path(path).name}: no run of {ROWS} rows without a pause of {GAP_S:g} s, in {len(runs.run)} rows"
            )
        played = runs.run == runs.long[seed % len(runs.long)]
        self.space: Space = SPACE
        self.patience = Patience(attempts=1)
        self.identity = f"run {seed % len(runs.long)} of {Path(path).name}"
        self._lamp = Twin(noise=0.0, session_gain=False)
        below_ceiling, offset = runs.unclipped[played], runs.readings[played] - self._lamp.truth(runs.settings[played])
        # A channel that was at its ceiling all the time tells nothing, and is taken to have had no light.
        usual = np.where(below_ceiling, offset, 0.0).sum(axis=0) / np.maximum(below_ceiling.sum(axis=0), 1)
        offset = np.where(below_ceiling, offset, usual)
        self._off = cycle(np.concatenate([offset, offset[-2:0:-1]]))

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading.

        Raises:
            InvalidInput: settings that the space does not have.
        """
        point = self.space.settings(settings)
        counts = np.clip(np.rint(self._lamp.truth(point) + next(self._off)), 0, SPACE.ceiling).astype(int)
        applied = self.space.named_settings(point)
        readings = dict(zip(self.space.channel_names, counts.tolist(), strict=True))
        raw = json.dumps({"in": list(applied.values()), "out": readings})
        return Reply(applied=applied, readings=readings, raw=raw)

    def close(self) -> None:
        """Nothing is open."""
