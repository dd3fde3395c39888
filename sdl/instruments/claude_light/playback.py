"""Playing back what was recorded: one JSON object a line, in the format of the paper's data."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from sdl.errors import InstrumentRefused, InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Channel, Knob, Settings, Space
from sdl.system.named_files import check_regular

FORMAT = 'expected {"in": [numbers], "out": {channel: number}}'
SHOWN = 10
DIGITS = 9
"""Decimals of a setting that count: 0.1 + 0.2 finds the record at 0.3."""


@dataclass(frozen=True)
class _Record:
    line: int
    settings: tuple[float, ...]
    out: dict[str, float]
    raw: str


class Recorded:
    """An instrument that answers from a file.

    Each line holds ``{"in": [0.1, 0.2, 0.3], "out": {"515nm": 31083}}``; other keys are passed over, and ``out`` may
    lack channels. Several records of one setting are played in their order, again from the first after the last.
    The knobs are R, G, B if there are three; the channels are Claude-Light's if the file has no others, or else all
    that the file has, in the order of their first appearance.

    Args:
        path: The file.
        nearest: Answer a setting that was not recorded with the nearest one that was, the box scaled to 1. The reply
            then echoes what was asked as applied; its raw text shows the record itself.

    Raises:
        InvalidInput: the file cannot be read, with the line of each fault (the first 10).
    """

    def __init__(self, path: str | Path, nearest: bool = False) -> None:
        name, text = Path(path).name, _read(Path(path))
        records = _records(name, text)
        self.space: Space = _space(name, records)
        self.patience = Patience(attempts=1)
        self.identity = f"recorded {name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self._nearest = nearest
        by_settings: dict[tuple[float, ...], list[_Record]] = {}
        for record in records:
            by_settings.setdefault(_key(record.settings), []).append(record)
        self._settings = np.array(list(by_settings))
        self._tapes = [cycle(tape) for tape in by_settings.values()]

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Return the next record of these settings.

        Raises:
            InvalidInput: settings that the space does not have.
            InstrumentRefused: no record of them, with the nearest one, unless ``nearest`` was asked for.
        """
        point = self.space.settings(settings)
        apart = np.linalg.norm(self.space.to_unit(self._settings) - self.space.to_unit(point), axis=1)
        at = int(apart.argmin())
        if not self._nearest and _key(point) != _key(self._settings[at]):
            raise InstrumentRefused(
                f"no record of {self.space.named_settings(point)}; the nearest is "
                f"{self.space.named_settings(self._settings[at])}, {apart[at]:.3g} away in the unit box",
                sent=False,
            )
        record = next(self._tapes[at])
        return Reply(applied=self.space.named_settings(point), readings=record.out, raw=record.raw)

    def close(self) -> None:
        """Nothing is open."""


def _key(settings: Settings | tuple[float, ...]) -> tuple[float, ...]:
    return tuple(np.round(settings, DIGITS).tolist())


def _read(path: Path) -> str:
    try:
        check_regular(path)
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"path: cannot read {str(path)!r}: {error}") from error


def _records(name: str, text: str) -> list[_Record]:
    records: list[_Record] = []
    faults: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if record := _record(number, line):
            records.append(record)
        elif line.strip():
            faults.append(f"{name}, line {number}: {FORMAT}, got {line[:80]!r}")
    width = len(records[0].settings) if records else 0
    faults += [
        f"{name}, line {record.line}: expected {width} settings as in the first record, got {len(record.settings)}"
        for record in records
        if len(record.settings) != width
    ]
    if not records and not faults:
        faults = [f"{name}: no record in it; {FORMAT} on each line"]
    _raise_first(faults)
    return records


def _record(number: int, line: str) -> _Record | None:
    with suppress(ValueError, OverflowError, RecursionError):
        match json.loads(line):
            case {"in": [_, *_] as settings, "out": dict() as out} if out:
                values: list[Any] = [*settings, *out.values()]
                if all(type(value) in (int, float) and math.isfinite(value) for value in values):
                    return _Record(number, tuple(map(float, settings)), out, line)
    return None


def _space(name: str, records: list[_Record]) -> Space:
    settings = np.array([record.settings for record in records])
    channels = list(dict.fromkeys(channel for record in records for channel in record.out))
    if settings.shape[1] == SPACE.d and set(channels) <= set(SPACE.channel_names):
        _raise_first(
            f"{name}, line {record.line}: Claude-Light's settings go from 0 to 1, got {list(record.settings)}"
            for record, inside in zip(records, SPACE.contains(settings), strict=True)
            if not inside
        )
        return SPACE
    width = settings.shape[1]
    names = "RGB" if width == 3 else [f"x{column}" for column in range(1, width + 1)]
    low, high = settings.min(axis=0, initial=0.0), settings.max(axis=0, initial=1.0)
    return Space(
        knobs=tuple(Knob(name=n, low=a, high=b) for n, a, b in zip(names, low.tolist(), high.tolist(), strict=True)),
        channels=tuple(Channel(name=channel, floor=None, integral=False) for channel in channels),
    )


def _raise_first(faults: Iterable[str]) -> None:
    if all_faults := list(faults):
        more = [f"and {len(all_faults) - SHOWN} more"] if len(all_faults) > SHOWN else []
        raise InvalidInput(all_faults[:SHOWN] + more)
