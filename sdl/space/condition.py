"""What nobody chooses and is known of each reading: a temperature, a humidity, the lot of a feedstock as a number."""

from typing import Self

from pydantic import Field, model_validator

from sdl.space.knob import Quantity


class Condition(Quantity):
    """One condition of the instrument's surroundings."""

    low: float | None = Field(default=None, exclude_if=lambda low: low is None)
    """What it usually is at least, and at most: campaigns count its changes in parts of that; None in rows of files."""
    high: float | None = Field(default=None, exclude_if=lambda high: high is None)

    @model_validator(mode="after")
    def _usual(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"condition {self.name!r} needs both low and high, what it usually is, or neither")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"condition {self.name!r} needs low below high, got {self.low:g} and {self.high:g}")
        return self
