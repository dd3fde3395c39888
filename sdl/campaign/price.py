"""What measuring costs, in money or in time, what may be spent, and by when all has to be measured."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from sdl.campaign.safety import check_time_zone
from sdl.campaign.section import Section
from sdl.formatting import format_value
from sdl.space import SAME, Settings, Space

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
"""Units of time: prices in one of them tell what can still be measured before a deadline."""

NO_SOURCES: Mapping[str, float] = {}

SLACK = 1e-9
"""Part of a budget by which sums of prices may exceed it: to a computer, three times 0.1 is more than 0.3."""

DAY = 10
"""Characters of a day without a time, of which nobody knows whether its beginning is meant or its end."""

TIMES = {
    "s": {"s", "sec", "secs", "second", "seconds"},
    "min": {"min", "mins", "minute", "minutes"},
    "h": {"h", "hr", "hrs", "hour", "hours", "d", "day", "days"},
}
"""What persons write for a time, by what has to stand there."""


def _moment(text: str) -> str:
    _read_moment(text)
    return text


def _read_moment(text: str) -> time | datetime:
    written = text.strip()
    written = f"0{written}" if written[1:2] == ":" else written
    for kind in (time, datetime):
        try:
            found = kind.fromisoformat(written)
        except ValueError:
            continue
        if found.tzinfo is None and (kind is time or len(written) > DAY):
            return found
    raise ValueError(
        "needs a time such as '07:00', or a day with it as '2031-05-20 07:00', in the zone that 'timezone' names, got "
        f"{format_value(text)}"
    )


def _written(moment: Any) -> Any:
    """A time or a day with it as text, where TOML has a value of its own for it."""
    if isinstance(moment, datetime):
        return moment.isoformat(" ")
    return moment.isoformat() if isinstance(moment, time | date) else moment


class PricePart(Section):
    """What measuring costs; the plan spends no more than the budget of it, and less where it can."""

    unit: str = Field(default="min", min_length=1, max_length=20)
    """Of all prices and of the budget; those in ``s``, ``min`` or ``h`` are the time that measuring takes."""
    request: float = Field(default=1.0, ge=0, le=1e12)
    """Of each request."""
    plate: float = Field(default=0.0, ge=0, le=1e12)
    """Of each plate, beside that of its wells."""
    knobs: dict[str, Annotated[float, Field(ge=0, le=1e12)]] = Field(default_factory=dict)
    """Of moving a knob, by its name, where settings are measured one by one."""
    budget: float | None = Field(default=None, gt=0, le=1e15)
    """What may be spent in all; the campaign's budget of requests holds as well."""
    deadline: Annotated[str, BeforeValidator(_written), AfterValidator(_moment)] | None = None
    """When nothing is sent any more: a time of the day, the next one after the campaign began, or a day and a time."""
    timezone: Annotated[str, AfterValidator(check_time_zone)] = "UTC"
    """Of the deadline."""

    @field_validator("unit")
    @classmethod
    def _one_of_time(cls, unit: str) -> str:
        """Refuse what is no word, and what a person takes for time, and the plan for money."""
        unit = unit.strip()
        if not (unit and unit.isprintable()):
            raise ValueError(f"needs a word such as 'EUR' or 'min', got {format_value(unit)}")
        time = next((word for word, others in TIMES.items() if unit.casefold() in others and unit != word), None)
        if time is not None:
            raise ValueError(f"is a time: write {time!r}, so that the plan knows it for one")
        return unit

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.budget is not None and self.request > self.budget:
            raise ValueError(f"budget {self.budget:g} {self.unit} does not pay one request of {self.request:g}")
        if not (self.request or self.plate or any(self.knobs.values())) and self.budget is not None:
            raise ValueError("budget bounds nothing where everything is free: give a price, or leave it out")
        return self

    def faults(self, space: Space, sources: Mapping[str, float] = NO_SOURCES) -> list[str]:
        """Return why it does not fit a space, and the prices of sources by their names, as sentences."""
        found = [f"knobs.{name}: there is no such knob" for name in self.knobs if name not in space.knob_names]
        if space.plate is None and self.plate:
            found.append("plate: this instrument measures one by one, and has no plates")
        if space.plate is not None and self.knobs:
            found.append("knobs: on a plate each well has settings of its own, and no knob is moved")
        asked = {"request": self.dearest(space)} | {
            f"request to source {name!r}": cost for name, cost in sources.items()
        }
        if self.budget is not None and not found:
            words = f"budget: {self.budget:g} {self.unit} may not pay the first"
            found += [f"{words} {what}: {cost:g}" for what, cost in asked.items() if cost > self.budget * (1 + SLACK)]
        return found

    def dearest(self, space: Space) -> float:
        """Return what one more request costs at most: with a plate of its own, or with all knobs moved."""
        return self.request + (self.plate if space.plate else sum(self.knobs.values()))

    def spent(self, space: Space, settings: Settings, plates: int) -> float:
        """Return what was spent.

        Args:
            space: Of the instrument.
            settings: Of all requests that were sent, whatever became of them, ``(n, d)``, in the order of sending.
            plates: Plates sent.
        """
        total = self.request * len(settings) + self.plate * plates
        if self.knobs and len(settings) > 1:
            moved = np.abs(np.diff(settings, axis=0)) > SAME * (space.high - space.low)
            total += float(moved.sum(axis=0) @ [self.knobs.get(name, 0.0) for name in space.knob_names])
        return total

    def ends_at(self, begun: float) -> float | None:
        """Return when nothing is sent any more, in seconds since 1970; None where there is no deadline.

        Args:
            begun: When the campaign began, in such seconds.
        """
        if self.deadline is None:
            return None
        zone, moment = ZoneInfo(self.timezone), _read_moment(self.deadline)
        if isinstance(moment, datetime):
            return moment.replace(tzinfo=zone).timestamp()
        today = datetime.fromtimestamp(begun, zone).date()
        days = [datetime.combine(today + timedelta(day), moment, zone) for day in (0, 1)]
        # A time that a clock shows twice, as it is put back, is the next of the two as well.
        times = [day.replace(fold=fold).timestamp() for day in days for fold in (0, 1)]
        return min(each for each in times if each > begun)
