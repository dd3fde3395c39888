"""One reading of an instrument: its unit, what its sensor can return, and what is known of its noise."""

from pydantic import Field

from sdl.space.formula import FormulaText
from sdl.space.knob import Quantity


class Channel(Quantity):
    """One reading of the instrument."""

    unit: str = "counts"
    floor: float | None = 0.0
    """Least value that the sensor can return; anything below it is not a reading."""
    ceiling: float | None = None
    """Value at which the sensor saturates: a reading there says "at least"."""
    noise: float | None = None
    """Known standard deviation of one reading in the middle of the range, same unit; None if unknown."""
    integral: bool = True
    """Whether the sensor counts: a fractional reading is then a fault."""
    formula: FormulaText | None = Field(default=None, exclude_if=lambda formula: formula is None)
    """What it is computed from other channels by, as ``445nm / 630nm``; None where it is measured."""


class StatedChannel(Channel):
    """A channel as a file states it: any number, unless the file says otherwise."""

    unit: str = ""
    floor: float | None = None
    integral: bool = False
