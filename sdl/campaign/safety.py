"""What a person may ask for so that a campaign can be left alone: approval of settings, and what suspends it."""

import re
from datetime import time
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sdl.campaign.section import Section
from sdl.formatting import format_value
from sdl.space import NamedSettings

Occasion: TypeAlias = Literal["always", "first-round", "outside-range"]
"""When approval is asked for: for every round, for the first one, for settings beyond all that were measured."""
QUIET = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*")


def _several(value: Any) -> Any:
    """A bare string is a list of one."""
    return [value] if isinstance(value, str) else value


def check_time_zone(name: str) -> str:
    """Return the name of a time zone unchanged.

    Raises:
        ValueError: if it is not.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"needs a time zone such as 'Europe/Berlin' or 'UTC', got {format_value(name)}") from None
    return name


def parse_quiet_hours(text: str) -> tuple[time, time]:
    """Return the beginning and the end of quiet hours written as ``22:00-06:00``.

    Raises:
        ValueError: if they are written in another way.
    """
    match = QUIET.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    except ValueError:
        raise ValueError(f"needs quiet hours such as '22:00-06:00', got {format_value(text)}") from None
    if begin == end:
        raise ValueError(f"quiet hours that begin when they end leave no time to measure, got {format_value(text)}")
    return begin, end


def is_quiet(text: str, at: time) -> bool:
    """Return whether a time of the day lies within quiet hours, which may go past midnight."""
    begin, end = parse_quiet_hours(text)
    return begin <= at < end if begin < end else at >= begin or at < end


def _hours(text: str) -> str:
    parse_quiet_hours(text)
    return text


class ApprovalPart(Section):
    """A person sees the settings of a round before they are sent."""

    when: Annotated[tuple[Occasion, ...], BeforeValidator(_several)] = Field(default=("always",), min_length=1)
    """``always``, ``first-round``, or ``outside-range`` for settings beyond all that were measured; or several."""


class PatchPart(Section):
    """Settings that are measured again and again, to see whether the instrument still is what it was."""

    settings: NamedSettings = Field(min_length=1)
    """A value for every knob; lamps half on are a good choice."""
    every: int = Field(default=20, ge=2, le=100_000)
    """Requests between two of these readings; each comes right after a reference."""
    sigma: float = Field(default=5.0, gt=0, le=1000)
    """Standard deviations from the earlier ones, background subtracted, from which on the campaign is suspended."""


class SuspendPart(Section):
    """What suspends a campaign between two measurements, and how it goes on."""

    background: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Least and most that a channel may read with all knobs off, in its unit."""
    patch: PatchPart | None = None
    failures: float | None = Field(default=None, gt=0, le=1)
    """Share of the last requests without usable reading from which on it is suspended."""
    window: int = Field(default=20, ge=2, le=10_000)
    """How many last requests that share is taken of."""
    free_mb: float = Field(default=50.0, ge=0, le=1e9)
    """Free space, in millions of bytes, that must be left where the ledger lies."""
    quiet: Annotated[tuple[Annotated[str, AfterValidator(_hours)], ...], BeforeValidator(_several)] = ()
    """Hours of the day in which nothing is measured, such as ``22:00-06:00``."""
    timezone: Annotated[str, AfterValidator(check_time_zone)] = "UTC"
    """Of the quiet hours."""
    hold_off_s: float = Field(default=600.0, ge=0, le=86_400)
    """Seconds after which a suspended run that waits tries again; quiet hours end when they end."""
    resume: Literal["automatic", "person"] = "automatic"
    """Whether it goes on by itself after that, or when a person says so."""

    @model_validator(mode="after")
    def _bands(self) -> Self:
        if wrong := [name for name, (low, high) in self.background.items() if not low < high]:
            raise ValueError(f"background needs the least before the most, check {', '.join(wrong)}")
        if all(any(is_quiet(text, time(*divmod(minute, 60))) for text in self.quiet) for minute in range(24 * 60)):
            raise ValueError(f"quiet leaves no minute of the day to measure in: {', '.join(self.quiet)}")
        return self
