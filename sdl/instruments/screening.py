"""The one classifier for every reply of an instrument: what may be believed of it.

Nothing is thrown away here: the verdict and its reason are stored beside the raw reply.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InstrumentError, InstrumentRefused, InstrumentSilent
from sdl.formatting import format_value
from sdl.history import ReplyClass
from sdl.instruments.protocol import Reply
from sdl.space import Channel, Readings, Settings, Space, is_number

ECHO_TOLERANCE = 1e-6
"""Largest difference between sent and applied settings, as a share of the knob's range; half a step of a knob that has
steps, if that is more."""


@dataclass(frozen=True, eq=False)
class Screened:
    """A reply and what may be believed of it."""

    verdict: ReplyClass
    reason: str
    readings: Readings
    """What may be used as exact values, ``(p,)``; NaN where masked or censored."""
    censored: NDArray[np.bool_]
    """Channels at their ceiling, ``(p,)``."""
    stuck: bool = False
    """Whether it repeats the reply before, so that neither can be believed."""


@dataclass(frozen=True, eq=False)
class PreviousReply:
    """A reply that came before."""

    settings: Settings
    """What was asked, ``(d,)``."""
    readings: Mapping[str, Any]
    """What the instrument said it read, by channel name."""


def screen_reply(
    space: Space,
    asked: Settings,
    reply: Reply,
    *,
    needed: Collection[str] = (),
    before: PreviousReply | None = None,
    reference: bool = False,
) -> Screened:
    """Judge a reply to settings ``(d,)``.

    Args:
        space: The instrument's knobs and channels.
        asked: What was sent, ``(d,)``.
        reply: What came back.
        needed: Channels without which the reading is of no use; others may be missing.
        before: The last reply of this instrument, to recognise a sensor that is stuck.
        reference: Whether it is a reading of the background: nothing is computed of that, as a ratio of two lights that
            are both off says nothing of either.
    """
    faults = _echo(space, asked, reply.applied)
    readings, censored = np.full(space.p, np.nan), np.zeros(space.p, bool)
    missing = []
    for column, channel in enumerate(space.channels):
        if channel.formula is not None:
            continue
        value: Any = reply.readings.get(channel.name)
        if channel.name not in reply.readings:
            missing.append(channel.name)
        elif fault := _fault(channel, value):
            faults.append(fault)
        elif channel.ceiling is not None and value >= channel.ceiling:
            censored[column] = True
        else:
            readings[column] = value
    if not reference:
        readings = space.computed(readings)
    sources = space.sources(needed)
    faults += [f"{name} is missing" for name in missing if name in sources]
    stuck = _stuck(space, asked, reply.readings, before)
    if stuck:
        faults.append("the sensor seems stuck: every channel repeats the reply before to the last count")
    if faults:
        nothing = np.full(space.p, np.nan)
        return Screened(ReplyClass.SUSPECT, "; ".join(faults), nothing, np.zeros(space.p, bool), stuck)
    notes = [f"{name} is missing" for name in missing]
    notes += [f"{name} is at its ceiling" for name, at in zip(space.channel_names, censored, strict=True) if at]
    return Screened(ReplyClass.OK_CENSORED if censored.any() else ReplyClass.OK, "; ".join(notes), readings, censored)


def classify_error(error: InstrumentError) -> ReplyClass:
    """Return the class of a request that brought no reply."""
    if isinstance(error, InstrumentSilent):
        return ReplyClass.UNKNOWN
    return ReplyClass.REJECT if isinstance(error, InstrumentRefused) else ReplyClass.RETRY


def _echo(space: Space, asked: Settings, applied: Mapping[str, Any]) -> list[str]:
    wrong = []
    for knob, sent in zip(space.knobs, asked.tolist(), strict=True):
        got = applied.get(knob.name)
        allowed = max(ECHO_TOLERANCE * (knob.high - knob.low), (knob.resolution or 0.0) / 2)
        if not is_number(got) or abs(got - sent) > allowed:
            wrong.append(f"{knob.name} sent {sent}, applied {format_value(got)}")
    return wrong


def _fault(channel: Channel, value: Any) -> str | None:
    if not is_number(value):
        return f"{channel.name} is not a finite number: {format_value(value)}"
    if channel.floor is not None and value < channel.floor:
        return f"{channel.name} is below {channel.floor:g}: {value!r}"
    if channel.ceiling is not None and value > channel.ceiling:
        return f"{channel.name} is above its ceiling {channel.ceiling:g}: {value!r}"
    if channel.integral and value != int(value):
        return f"{channel.name} is not a whole count: {value!r}"
    return None


def _stuck(space: Space, asked: Settings, readings: Mapping[str, Any], before: PreviousReply | None) -> bool:
    """Whether a noisy instrument repeats all its channels exactly where the settings changed or noise is due.

    Two readings at the ceiling are equal for a better reason, and a few channels may repeat by chance.
    """
    if before is None or space.p < 3 or not any(channel.noise for channel in space.channels):
        return False
    values = [readings.get(name) for name in space.channel_names]
    if values != [before.readings.get(name) for name in space.channel_names]:
        return False
    below_ceiling = any(value != channel.ceiling for value, channel in zip(values, space.channels, strict=True))
    noise_due = bool(np.any((asked > space.low) & (asked < space.high)))
    return below_ceiling and (noise_due or not np.array_equal(before.settings, asked))
