"""Knobs and channels, what is computed from these, and where readings are wanted to lie."""

from sdl.space.formula import Formula, FormulaText
from sdl.space.intervals import Interval, Window
from sdl.space.knobs_and_channels import (
    SAME,
    Channel,
    Knob,
    Quantity,
    Readings,
    Settings,
    Space,
    StatedChannel,
    is_number,
)

__all__ = [
    "SAME",
    "Channel",
    "Formula",
    "FormulaText",
    "Interval",
    "Knob",
    "Quantity",
    "Readings",
    "Settings",
    "Space",
    "StatedChannel",
    "Window",
    "is_number",
]
