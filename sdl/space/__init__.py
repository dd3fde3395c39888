"""Knobs and channels, what is computed from these, and where readings are wanted to lie."""

from sdl.space.batches import are_apart, refuse_batch, split_into_batches
from sdl.space.channel import Channel, StatedChannel
from sdl.space.condition import Condition
from sdl.space.constraints import UNCONSTRAINED, Constraints
from sdl.space.formula import Formula, FormulaText
from sdl.space.intervals import Interval, Window
from sdl.space.knob import SAME, Knob, NamedSettings, Quantity, is_number
from sdl.space.named_columns import NamedColumns, NeedsUnits
from sdl.space.plate import Plate, plain_well
from sdl.space.space import Readings, Settings, Space

__all__ = [
    "SAME",
    "UNCONSTRAINED",
    "Channel",
    "Condition",
    "Constraints",
    "Formula",
    "FormulaText",
    "Interval",
    "Knob",
    "NamedColumns",
    "NamedSettings",
    "NeedsUnits",
    "Plate",
    "Quantity",
    "Readings",
    "Settings",
    "Space",
    "StatedChannel",
    "Window",
    "are_apart",
    "is_number",
    "plain_well",
    "refuse_batch",
    "split_into_batches",
]
