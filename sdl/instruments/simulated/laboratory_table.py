"""A table of real measurements, from a CSV file with columns ``in.KNOB`` and ``out.CHANNEL``, for an emulator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from sdl.errors import InvalidInput, nearest
from sdl.space import Readings, Settings

FOLDER = Path("../shared/data/laboratories")
"""Where the tables of several public laboratories lie; a checkout may be without it."""


@dataclass(frozen=True, eq=False)
class LaboratoryTable:
    """Rows of settings and of what was read there; repeats are rows of their own."""

    knobs: tuple[str, ...]
    channels: tuple[str, ...]
    settings: Settings
    """``(n, d)``, in the units of the file."""
    readings: Readings
    """``(n, p)``."""

    @classmethod
    def named(cls, name: str) -> Self:
        """Read a table of the folder by its name, or any file by its path.

        Raises:
            InvalidInput: if there is no such table, or it cannot be read.
        """
        files = laboratory_files()
        if name not in files and not name.endswith(".csv"):
            raise InvalidInput(f"there is no table {name!r}{nearest(name, files)}: name one in {FOLDER} or a CSV file")
        return cls.read(files.get(name, Path(name)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; rows with a gap, words for numbers, or a knob that never moved are left out.

        Raises:
            InvalidInput: if it cannot be read, or too little is left of it.
        """
        try:
            rows = pd.read_csv(path).apply(pd.to_numeric, errors="coerce")
        except (OSError, ValueError) as error:
            raise InvalidInput(f"cannot read {path}: {error}") from error
        rows = rows.dropna(axis="columns", how="all").dropna()
        knobs = [name for name in rows if str(name).startswith("in.") and rows[name].nunique() > 1]
        channels = [name for name in rows if str(name).startswith("out.")]
        if not knobs or not channels or len(rows) < 2 * len(knobs) + 3:
            raise InvalidInput(
                f"{path} needs columns in.KNOB and out.CHANNEL and {2 * len(knobs) + 3} rows of numbers, "
                f"got {len(knobs)} knobs that move, {len(channels)} channels and {len(rows)} rows"
            )
        settings, readings = rows[knobs].to_numpy(float), rows[channels].to_numpy(float)
        return cls(_bare(knobs), _bare(channels), settings, readings)


def laboratory_files(folder: Path = FOLDER) -> dict[str, Path]:
    """The tables of a folder by name; none where there is no such folder."""
    return {path.stem: path for path in sorted(folder.glob("*.csv"))}


def _bare(columns: list[str]) -> tuple[str, ...]:
    return tuple(name.partition(".")[2] for name in columns)
