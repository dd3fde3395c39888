"""A campaign file that speaks: the knobs and channels of an instrument, filled in."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdl import plugins
from sdl.campaign.definition import slugify
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument
from sdl.skeletons.rendering import read_described, render
from sdl.space import Channel, Knob

BARE = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML takes without quotes."""
MOST_KNOBS = 12
"""Knobs that the file names."""


@dataclass(frozen=True)
class _ChannelLine:
    """A channel as a line of the file: a target, or a comment that may become one."""

    key: str
    reading: str
    words: str
    fixed: bool


def campaign_text(name: str, plugin: str, options: Mapping[str, Any], readings: Mapping[str, float]) -> str:
    """The text of a campaign file for an instrument, which is built and not asked for anything.

    Args:
        name: Of the campaign.
        plugin: Name of the instrument.
        options: Options of the instrument, written into the file; one that a file describes has an example there.
        readings: What is wanted, by channel; without any, a reading of the first channel that it may well give.

    Raises:
        InvalidInput: listing what is wrong with the name, the instrument, an option or a reading.
    """
    described = "" if "knobs" in options else _with_options(read_described(plugin), options)
    built_from = tomllib.loads(f"[instrument]\n{described}")["instrument"] if described else options
    instrument: Instrument = plugins.build("sdl.instruments", plugin, built_from)
    try:
        space = instrument.space
    finally:
        instrument.close()
    wanted = readings or {space.channels[0].name: _example(space.channels[0])}
    space.columns(wanted)
    text = render(
        "campaign.toml",
        name=literal(slugify(name)),
        plugin=literal(plugin),
        options={} if described else {_key(option): literal(value) for option, value in options.items()},
        described=described,
        knobs=_knob_words(space.knobs),
        channels=[_channel_line(channel, wanted) for channel in space.channels],
        chosen=not readings,
        unknown_noise=[channel.name for channel in space.channels if channel.noise is None],
    )
    prepare(tomllib.loads(text))[1].close()
    return text


def _with_options(described: str, options: Mapping[str, Any]) -> str:
    """The example of an instrument with options in the place of its own, or at its head."""
    if not described:
        return ""
    for option, value in options.items():
        line, own = f"{_key(option)} = {literal(value)}", re.compile(rf"^{re.escape(_key(option))} *=.*$", re.MULTILINE)
        head, tables, rest = described.partition("[[instrument.")
        changed = own.sub(line.replace("\\", r"\\"), head, count=1) if own.search(head) else f"{line}\n{head}"
        described = changed + tables + rest
    return described


def _knob_words(knobs: Sequence[Knob]) -> list[str]:
    words = [f"{knob.name} {knob.range} {knob.unit}".strip() for knob in knobs[:MOST_KNOBS]]
    return [*words, f"and {len(knobs) - MOST_KNOBS} more"] if len(knobs) > MOST_KNOBS else words


def _channel_line(channel: Channel, wanted: Mapping[str, float]) -> _ChannelLine:
    low, high = channel.floor, channel.ceiling
    bounds = [f"from {low:g}"] if low is not None else []
    bounds += [f"below {high:g}"] if high is not None else []
    noise = f"noise {channel.noise:g}" if channel.noise is not None else "noise not declared"
    words = ", ".join((channel.unit or "no unit", *bounds, noise))
    reading = wanted.get(channel.name, _example(channel))
    return _ChannelLine(_key(channel.name), f"{reading:.10g}", words, channel.name in wanted)


def _example(channel: Channel) -> float:
    """A reading to begin with: a quarter of the way to the ceiling, where many a sensor works; never 0."""
    low = channel.floor or 0.0
    reading = low + (channel.ceiling - low) / 4 if channel.ceiling is not None else low + 1
    return float(f"{reading:.2g}") or 1.0


def _key(name: str) -> str:
    """A key of TOML, which may be any text when it is quoted."""
    return name if BARE.fullmatch(name) else literal(name)


def literal(value: Any) -> str:
    """A value as TOML writes it.

    Raises:
        InvalidInput: for a value that no line of TOML can hold here.
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {literal(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise InvalidInput(f"an option needs text, a number, true or false, a list or a table, got {value!r}")
