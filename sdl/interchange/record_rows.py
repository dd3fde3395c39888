"""What one record of an exported file, or of one from elsewhere, becomes in the ledger, and the other way round."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sdl.formatting import json_list, jsonable
from sdl.history import Purpose, ReplyClass
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import Screened, screen_reply
from sdl.interchange.csv_parquet import is_plain
from sdl.interchange.jsonl import COLUMNS, Record
from sdl.space import Space

Row: TypeAlias = dict[str, Any]
"""A row as ``Ledger.trail`` gives it."""
Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]


class _Measured(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    settings_in: list[float] = Field(alias="in", min_length=1)
    time: float | None = None
    raw: str = ""


class Reading(_Measured):
    """A record from elsewhere, in the paper's format; other keys are passed over."""

    out: dict[str, Any]

    @property
    def believed(self) -> bool:
        """Whether its readings may count."""
        return True

    def asked(self, knobs: Sequence[str]) -> dict[str, float]:
        """What was asked: as far as we know what was applied."""
        if len(self.settings_in) != len(knobs):
            raise ValueError(f"needs {len(knobs)} settings ({', '.join(knobs)}), got {self.settings_in}")
        return dict(zip(knobs, self.settings_in, strict=True))

    def row(self, index: int, space: Space, asked: Mapping[str, float]) -> Row:
        """The row of the trail that it becomes."""
        if odd := [name for name, value in self.out.items() if isinstance(value, float) and not math.isfinite(value)]:
            raise ValueError(f"{', '.join(odd)} is not finite: leave out what was not read")
        out = {name: value for name, value in self.out.items() if value is not None}
        settings = space.settings(asked)
        screened = screen_reply(space, settings, Reply(asked, out, self.raw))
        place = {"round": 0, "index": index, "replicate": 0, "attempt": 1, "purpose": Purpose.IMPORTED}
        judged = {"state": "DONE", "verdict": screened.verdict, "reason": screened.reason, **_believed(screened)}
        said = {"applied": dict(asked), "out": out, "raw": self.raw}
        times = {"sent_at": self.time, "done_at": None, "seconds": None}
        return {**place, **judged, **said, **times, "settings": settings.tolist()}


class Attempt(_Measured):
    """A record that was exported."""

    model_config = ConfigDict(extra="forbid")

    out: dict[str, Any] | None = None
    round: Count
    index: Count
    replicate: Count
    attempt: Count
    purpose: Annotated[Purpose, Field(strict=False)]
    state: Literal["SENT", "DONE", "FAILED", "UNKNOWN"]
    verdict: Annotated[ReplyClass, Field(strict=False)] | None = None
    reason: str = ""
    settings: dict[str, float]
    applied: dict[str, Any] | None = None
    censored: list[str] = []
    done: float | None = None
    seconds: float | None = None

    @property
    def believed(self) -> bool:
        """Whether its readings counted."""
        return self.verdict is not None and self.verdict.usable

    def asked(self, knobs: Sequence[str]) -> dict[str, float]:
        """What was asked."""
        if set(self.settings) != set(knobs):
            raise ValueError(f"needs settings of {', '.join(knobs)}, got {self.settings}")
        if self.settings_in != _applied(self.settings, self.applied):
            raise ValueError(f"'in' is {self.settings_in}, but applied is {self.applied} for {self.settings}")
        return self.settings

    def row(self, _: int, space: Space, asked: Mapping[str, float]) -> Row:
        """The row of the trail that it was; the readings that count are judged anew."""
        row = self.model_dump(include={*COLUMNS, "out"}) | {"sent_at": self.time, "done_at": self.done}
        row |= {
            "settings": space.settings(asked).tolist(),
            "out": jsonable(self.out),
            "applied": jsonable(self.applied),
        }
        if not self.believed:
            return row | {"readings": None, "censored": None}
        screened = screen_reply(space, np.array(row["settings"]), Reply(asked, self.out or {}, self.raw))
        if not screened.verdict.usable or self.state != "DONE":
            raise ValueError(f"it cannot be {self.verdict} and {self.state}: {screened.reason or 'no answer came'}")
        # A ceiling that the space does not know of was known when this was measured.
        censored = screened.censored | np.isin(space.channel_names, self.censored)
        readings = np.where(censored, np.nan, screened.readings)
        verdict = ReplyClass.OK_CENSORED if censored.any() else ReplyClass.OK
        return row | {"verdict": verdict, "readings": json_list(readings), "censored": censored.tolist()}


def _believed(screened: Screened) -> Row:
    if not screened.verdict.usable:
        return {"readings": None, "censored": None}
    return {"readings": json_list(screened.readings), "censored": screened.censored.tolist()}


def record(space: Space, row: Row) -> Record:
    """The record of a row of the trail."""
    asked = space.named_settings(row["settings"])
    out = row["out"] and {name: _canonical(value) for name, value in row["out"].items()}
    names = [name for name, at in zip(space.channel_names, row["censored"] or [], strict=False) if at]
    found = row | {"settings": asked, "censored": names, "time": row["sent_at"], "done": row["done_at"]}
    return {"in": _applied(asked, row["applied"]), "out": out, **{name: found[name] for name in COLUMNS}}


def _applied(asked: Mapping[str, float], applied: Mapping[str, Any] | None) -> list[float]:
    """The settings applied, or those asked where the instrument does not say."""
    said: list[Any] = [(applied or {}).get(name) for name in asked]
    return [float(value) for value in said] if all(map(is_plain, said)) else list(asked.values())


def _canonical(value: Any) -> Any:
    """One way to write a number: tables do not tell 1 from 1.0."""
    return int(value) if is_plain(value) and value == int(value) else value
