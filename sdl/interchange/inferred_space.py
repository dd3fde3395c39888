"""The knobs and channels of a file that states none: Claude-Light's by their names, else as wide as the rows."""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from sdl.errors import InvalidInput, suggest_nearest
from sdl.instruments.claude_light.channels import SPACE
from sdl.space import Channel, Knob, Settings, Space

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""The least and the greatest setting of knobs, as a person states them."""
NO_CATEGORIES: Mapping[str, tuple[str, ...]] = {}


def is_claude_light(channels: Collection[str]) -> bool:
    """Whether channels have the names of Claude-Light's own."""
    own, theirs = set(SPACE.channel_names), set(channels)
    return bool(theirs) and (theirs <= own or own <= theirs)


def name_knobs(d: int, channels: Collection[str]) -> Sequence[str]:
    """Names of ``d`` settings that a file gives without any: R, G, B only where the channels are Claude-Light's."""
    ours = d == SPACE.d and is_claude_light(channels)
    return SPACE.knob_names if ours else [f"x{column}" for column in range(1, d + 1)]


def infer_space(
    path: Path,
    knobs: Sequence[str],
    channels: Sequence[str],
    values: Settings,
    categories: Mapping[str, tuple[str, ...]] = NO_CATEGORIES,
) -> Space:
    """Claude-Light's space if the names are its own, else one as wide as the settings ``(n, d)``.

    Args:
        path: Of the file, for what is said of it.
        knobs: Names of its settings.
        channels: Names of what was read.
        values: The settings, ``(n, d)``.
        categories: By knob the names that its settings are the places of.

    Raises:
        InvalidInput: if no channel has numbers, or names and settings make no space.
    """
    if not categories and set(knobs) == set(SPACE.knob_names) and (not channels or is_claude_light(channels)):
        return SPACE
    if not channels:
        raise InvalidInput(f"{path}: no channel in it that gave numbers")
    try:
        return Space(
            knobs=tuple(_knob(name, column, categories) for name, column in zip(knobs, values.T, strict=True)),
            channels=tuple(Channel(name=name, unit="", floor=None, integral=False) for name in channels),
        )
    except ValidationError as error:  # a column without a name, settings that a float cannot tell apart
        fault = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"{path}: no knobs and channels can be made of its columns: {fault}") from error


def _knob(name: str, values: Settings, categories: Mapping[str, tuple[str, ...]]) -> Knob:
    """A category, or a knob from the least to the greatest of the values; one that never moved may go as far again."""
    if name in categories:
        return Knob(name=name, values=categories[name])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    least = sys.float_info.min
    return Knob(
        name=name, low=low, high=high if high - low >= least else low + (abs(low) if abs(low) >= least else 1.0)
    )


def state_ranges(space: Space, ranges: Ranges) -> Space:
    """The same space with the ranges of some knobs as a person states them.

    Raises:
        InvalidInput: for every knob that there is not, and every range that is none.
    """
    faults = [
        f"unknown knob {name!r}{suggest_nearest(name, space.knob_names)}"
        for name in ranges
        if name not in space.knob_names
    ]
    knobs = list[Knob]()
    for knob in space.knobs:
        if knob.name not in ranges:
            knobs.append(knob)
            continue
        low, high = ranges[knob.name]
        off = knob.off if knob.off is not None and low <= knob.off <= high else None
        try:
            knobs.append(Knob.model_validate(knob.model_dump() | {"low": low, "high": high, "off": off}))
        except ValidationError as error:
            faults.append(error.errors(include_url=False)[0]["msg"].removeprefix("Value error, "))
    if faults:
        raise InvalidInput(faults)
    return space.with_knobs(knobs)
