"""The background of rows of many runs, each in its own light, and of today, by readings at known settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from sdl.errors import InvalidInput
from sdl.interchange.export_import import Data
from sdl.interchange.file_contents import name_lines
from sdl.space import Readings, Settings, Space
from strategies.solving.backgrounds.run_backgrounds import RunBackgrounds
from strategies.solving.backgrounds.runs import find_runs
from strategies.solving.backgrounds.subtracted_background import SubtractedBackground

COMPLETE = 0.9
"""Part of the rows in which a channel has to be read, below its ceiling, to tell the light of a run."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Readings of today at known settings."""

    settings: Settings
    """All knobs, in their units, ``(m, all)``."""
    readings: Readings
    """All channels, ``(m, p)``; NaN where one was not read."""

    @classmethod
    def named(cls, space: Space, settings: Mapping[str, float], readings: Mapping[str, float]) -> Self:
        """One reading, by the names of knobs and channels.

        Raises:
            InvalidInput: for every name and value that the space does not have.
        """
        return cls(space.settings(settings)[None], space.readings(readings)[None])

    @classmethod
    def gather(cls, parts: Sequence[Self]) -> Self:
        """All of them together, at least one."""
        return cls(np.vstack([each.settings for each in parts]), np.vstack([each.readings for each in parts]))


def anchored_background(data: Data, columns: list[int], anchors: Anchors) -> SubtractedBackground:
    """The background of each row of a file by its run, and that of the anchors.

    Args:
        data: All rows of the file.
        columns: Of the channels that the target fixes.
        anchors: Of today.

    Raises:
        InvalidInput: if the anchors lack one of these channels, or the runs are too short to tell anything.
    """
    names, known = data.space.channel_names, np.asarray(np.isfinite(anchors.readings).all(axis=0))
    if lacking := [names[column] for column in columns if not known[column]]:
        raise InvalidInput(f"anchor: {', '.join(lacking)} is missing; give every channel of the target")
    read = np.isfinite(data.readings)
    telling = [c for c in range(len(names)) if c in columns or (known[c] and read[:, c].mean() >= COMPLETE)]
    whole = np.asarray(read[:, telling].all(axis=1))
    runs = find_runs(data.times, data.sources)
    unit, among = data.space.to_unit(data.settings), [telling.index(column) for column in columns]
    learned = RunBackgrounds.learn(data.readings[whole][:, telling], unit[whole], runs[whole])
    background, covariance = learned.at(anchors.readings[:, telling], data.space.to_unit(anchors.settings))
    levels = np.full((len(runs), len(columns)), np.nan)
    labels = np.unique(runs[whole])
    lit = np.isin(runs, labels)
    levels[lit] = learned.levels[np.searchsorted(labels, runs[lit])][:, among]
    square = np.ix_(among, among)
    deviation = np.sqrt(np.diag(covariance)[among])
    said = ", ".join(f"{names[c]} ± {value:.3g}" for c, value in zip(columns, deviation.tolist(), strict=True))
    note = (
        f"the rows are of {len(labels)} runs, each in a light of its own that was subtracted, and the answers are for "
        f"that of the anchor, which is known to {said}"
    )
    lost_rows = ~lit & np.asarray(read[:, columns].all(axis=1))
    lines = data.lines[lost_rows].tolist() if data.lines.size else []
    lost = [f"{name_lines(lines)} are of runs whose light nothing tells, and were left out"] if lines else []
    return SubtractedBackground(lit, levels, note, lost, background[among], covariance[square])
