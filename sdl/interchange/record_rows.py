"""What one record of an exported file, or of one from elsewhere, becomes in the ledger, and the other way round."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sdl.formatting import json_list, make_jsonable
from sdl.history import Purpose, ReplyClass
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import Screened, screen_reply
from sdl.interchange.formats.csv_parquet import is_plain
from sdl.interchange.formats.jsonl import COLUMNS, CONDITIONS, SAMPLE, Record
from sdl.space import Space

Row: TypeAlias = dict[str, Any]
"""A row as ``Ledger.trail`` gives it."""
Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]


class _Measured(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    settings_in: list[float] = Field(alias="in", min_length=1)
    conditions: dict[str, float | None] = Field(default={}, alias="cond")
    time: float | None = None
    raw: str = ""

    @property
    def known(self) -> dict[str, float] | None:
        """Conditions by name, those that are known; None where there are none."""
        return {name: value for name, value in self.conditions.items() if value is not None} or None


class Reading(_Measured):
    """A record from elsewhere, in the paper's format; other keys are passed over."""

    out: dict[str, Any]
    source: str = ""

    @property
    def believed(self) -> bool:
        """Whether its readings may count."""
        return True

    def asked(self, knobs: Sequence[str]) -> dict[str, float]:
        """Return the settings by knob: those that were applied, since nothing else is known."""
        if len(self.settings_in) != len(knobs):
            raise ValueError(f"needs {len(knobs)} settings ({', '.join(knobs)}), got {self.settings_in}")
        return dict(zip(knobs, self.settings_in, strict=True))

    def row(self, index: int, space: Space, named: Mapping[str, float]) -> Row:
        """Return the row of the trail that it becomes."""
        out = _said(self.out)
        settings = space.settings(named)
        screened = screen_reply(space, settings, Reply(named, out, self.raw))
        place = {"round": 0, "index": index, "replicate": 0, "attempt": 1, "purpose": Purpose.IMPORTED}
        judged = {"state": "DONE", "verdict": screened.verdict, "reason": screened.reason, **_believed(screened)}
        reply = {"applied": dict(named), "out": out, "raw": self.raw}
        times = {"sent_at": self.time, "done_at": None, "seconds": None}
        return {**place, **judged, **reply, **times, "settings": settings.tolist(), "conditions": self.known}


class Unpartnered(BaseModel):
    """A record from elsewhere that says what was read, and not at what settings."""

    model_config = ConfigDict(frozen=True, strict=True)

    out: dict[str, Any]

    def screened(self, space: Space) -> Screened:
        """Return its readings and what may be believed of them; settings have no say in that."""
        anywhere = space.named_settings(space.low)
        return screen_reply(space, space.low, Reply(anywhere, _said(self.out), ""))


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
    sample: str | None = None

    @property
    def believed(self) -> bool:
        """Whether its readings counted."""
        return self.verdict is not None and self.verdict.usable

    def asked(self, knobs: Sequence[str]) -> dict[str, float]:
        """Return the settings that were sent, by knob."""
        if set(self.settings) != set(knobs):
            raise ValueError(f"needs settings of {', '.join(knobs)}, got {self.settings}")
        if self.settings_in != _applied(self.settings, self.applied):
            raise ValueError(f"'in' is {self.settings_in}, but applied is {self.applied} for {self.settings}")
        return self.settings

    def row(self, _: int, space: Space, named: Mapping[str, float]) -> Row:
        """Return the row of the trail that it was; the readings that count are judged anew."""
        row = self.model_dump(include={*COLUMNS, SAMPLE, "out"}) | {"sent_at": self.time, "done_at": self.done}
        row |= {
            "settings": space.settings(named).tolist(),
            "out": make_jsonable(self.out),
            "applied": make_jsonable(self.applied),
            "conditions": self.known,
        }
        if not self.believed:
            return row | {"readings": None, "censored": None}
        reference = self.purpose is Purpose.REFERENCE
        reply = Reply(named, self.out or {}, self.raw)
        screened = screen_reply(space, np.array(row["settings"]), reply, reference=reference)
        if not screened.verdict.usable or self.state != "DONE":
            raise ValueError(f"it cannot be {self.verdict} and {self.state}: {screened.reason or 'no answer came'}")
        # A ceiling that the space does not know of was known when this was measured.
        censored = screened.censored | np.isin(space.channel_names, self.censored)
        readings = np.where(censored, np.nan, screened.readings)
        verdict = ReplyClass.OK_CENSORED if censored.any() else ReplyClass.OK
        return row | {"verdict": verdict, "readings": json_list(readings), "censored": censored.tolist()}


def _said(out: Mapping[str, Any]) -> dict[str, Any]:
    """What a record from elsewhere says of its channels, without those that it leaves empty."""
    numbers = {name: value for name, value in out.items() if isinstance(value, float)}
    if infinite := [name for name, value in numbers.items() if not math.isfinite(value)]:
        raise ValueError(f"{', '.join(infinite)} is not finite: leave out what was not read")
    return {name: value for name, value in out.items() if value is not None}


def _believed(screened: Screened) -> Row:
    if not screened.verdict.usable:
        return {"readings": None, "censored": None}
    return {"readings": json_list(screened.readings), "censored": screened.censored.tolist()}


def record_of_row(space: Space, row: Row) -> Record:
    """Return the record of a row of the trail."""
    named = space.named_settings(row["settings"])
    out = row["out"] and {name: _canonical(value) for name, value in row["out"].items()}
    names = [name for name, at in zip(space.channel_names, row["censored"] or [], strict=False) if at]
    values = row | {"settings": named, "censored": names, "time": row["sent_at"], "done": row["done_at"]}
    known = {CONDITIONS: row["conditions"]} if row.get("conditions") else {}
    sample = {SAMPLE: row[SAMPLE]} if row.get(SAMPLE) else {}
    columns = {name: values[name] for name in COLUMNS}
    return {"in": _applied(named, row["applied"]), "out": out, **known, **columns, **sample}


def _applied(named: Mapping[str, float], applied: Mapping[str, Any] | None) -> list[float]:
    """The settings applied, or those asked where the instrument does not say."""
    echoed: list[Any] = [(applied or {}).get(name) for name in named]
    return [float(value) for value in echoed] if all(map(is_plain, echoed)) else list(named.values())


def _canonical(value: Any) -> Any:
    """One way to write a number: tables do not tell 1 from 1.0."""
    return int(value) if is_plain(value) and value == int(value) else value
