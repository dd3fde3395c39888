"""A table of real measurements, from a CSV file with columns ``in.KNOB`` and ``out.CHANNEL``, for an emulator."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from sdl.errors import InvalidInput, suggest_nearest
from sdl.space import Readings, Settings
from sdl.system.named_files import check_regular

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
            raise InvalidInput(
                f"there is no table {name!r}{suggest_nearest(name, files)}: name one in {FOLDER} or a CSV file"
            )
        return cls.read(files.get(name, Path(name)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; rows with a gap, words for numbers, or a knob that never moved are left out.

        Raises:
            InvalidInput: if it cannot be read, or too little is left of it.
        """
        names, rows = _numbers(path)
        knobs = [
            place for place, name in enumerate(names) if name.startswith("in.") and len(np.unique(rows[:, place])) > 1
        ]
        channels = [place for place, name in enumerate(names) if name.startswith("out.")]
        if not knobs or not channels or len(rows) < 2 * len(knobs) + 3:
            raise InvalidInput(
                f"{path} needs columns in.KNOB and out.CHANNEL and {2 * len(knobs) + 3} rows of numbers, "
                f"got {len(knobs)} knobs that move, {len(channels)} channels and {len(rows)} rows"
            )
        return cls(_bare(names, knobs), _bare(names, channels), rows[:, knobs], rows[:, channels])


def _numbers(path: Path) -> tuple[list[str], Readings]:
    """The columns of a CSV file that hold numbers, and its rows without a gap, ``(n, columns)``."""
    try:
        check_regular(path)
        with path.open(newline="", encoding="utf-8") as file:
            names, *lines = csv.reader(file)
        rows = np.array([[_number(cell) for cell in line] for line in lines if line]).reshape(-1, len(names))
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidInput(f"cannot read {path}: {error}") from error
    filled = ~np.isnan(rows).all(axis=0)
    rows = rows[:, filled]
    return [name for name, kept in zip(names, filled, strict=True) if kept], rows[~np.isnan(rows).any(axis=1)]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def laboratory_files(folder: Path = FOLDER) -> dict[str, Path]:
    """The tables of a folder by name; none where there is no such folder."""
    return {path.stem: path for path in sorted(folder.glob("*.csv"))}


def _bare(names: list[str], places: list[int]) -> tuple[str, ...]:
    return tuple(names[place].partition(".")[2] for place in places)
