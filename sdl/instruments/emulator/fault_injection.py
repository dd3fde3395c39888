"""Faults on request: what shall go wrong at which request, in a few words such as ``stall@4`` or ``500@3-5``."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value
from sdl.space import Channel, Space

WORDS = {
    "busy": "503 with Retry-After; nothing is measured",
    "500": "500 with an HTML page; nothing is measured",
    "stall": "measures, and does not answer for a long time",
    "drip": "answers one byte at a time",
    "reset": "resets the connection in the middle of the answer",
    "truncated": "half of the JSON, as if it were all",
    "json": "other JSON than a reading",
    "html": "a page instead of a reading",
    "echo": "other settings applied than asked",
    "nan": "NaN in the first channel",
    "stuck": "the readings of the last answer again",
    "saturated": "every channel at its ceiling",
    "lamp": "somebody has switched on an office lamp",
}
"""Every word and what it does."""

LAMP_SHARE = 0.06  # of the ceiling, for an instrument that has no lamp of its own
WHEN = re.compile(r"(?P<first>\d{1,9})(?P<on>-(?P<last>\d{1,9})?)?|(?P<percent>\d{1,3}(\.\d{1,9})?)%", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong at some requests, which are counted from 1."""

    word: str
    first: int = 1
    last: float = math.inf
    share: float = 1.0
    """Share of the requests between first and last."""

    @classmethod
    def parse(cls, spec: str) -> Self:
        """Read ``word``, ``word@N``, ``word@N-M``, ``word@N-`` (from N on) or ``word@P%`` (at random).

        Raises:
            InvalidInput: naming the nearest known word, or what may follow the @.

        >>> Fault.parse("500@3-5")
        Fault(word='500', first=3, last=5, share=1.0)
        """
        word, at, when = spec.strip().partition("@")
        if word not in WORDS:
            raise InvalidInput(
                f"fault {format_value(spec)}: unknown word {format_value(word)}{suggest_nearest(word, WORDS)}"
            )
        if not at:
            return cls(word)
        match = WHEN.fullmatch(when)
        if match and match["percent"] and float(match["percent"]) <= 100:
            return cls(word, share=float(match["percent"]) / 100)
        if match and match["first"]:
            first = int(match["first"])
            last = int(match["last"]) if match["last"] else math.inf if match["on"] else first
            if 1 <= first <= last:
                return cls(word, first, last)
        raise InvalidInput(
            f"fault {format_value(spec)}: after @ stands N, N-M, N- or P%, such as {word}@3-5, counted from 1"
        )


@dataclass(frozen=True)
class Faults:
    """All that goes wrong at one server."""

    each: tuple[Fault, ...] = ()

    @classmethod
    def parse(cls, specs: Iterable[str]) -> Self:
        """Read many faults.

        Raises:
            InvalidInput: listing all that cannot be read.
        """
        faults: list[Fault] = []
        wrong: list[str] = []
        for spec in specs:
            try:
                faults.append(Fault.parse(spec))
            except InvalidInput as error:
                wrong += error.faults
        if wrong:
            raise InvalidInput(wrong)
        return cls(tuple(faults))

    def at(self, number: int, seed: int = 0) -> frozenset[str]:
        """Return the faults of one request; they depend on its number and the seed alone."""
        draws = np.random.default_rng([seed, number]).random(len(self.each))
        pairs = zip(self.each, draws, strict=True)
        return frozenset(f.word for f, draw in pairs if f.first <= number <= f.last and draw < f.share)


def far_settings(space: Space, settings: Mapping[str, float]) -> dict[str, float]:
    """Return for every knob the end of its range that is farther from its setting."""
    return {k.name: k.high if 2 * settings[k.name] < k.low + k.high else k.low for k in space.knobs}


def bent_readings(space: Space, readings: Mapping[str, Any], faults: Collection[str]) -> dict[str, Any]:
    """Return the readings as these faults bend them; a channel without a ceiling cannot saturate or be lit."""
    out = dict(readings)
    for channel in space.channels:
        if channel.ceiling is None or channel.name not in out:
            continue
        if "lamp" in faults:
            out[channel.name] = _limited(channel, out[channel.name] + LAMP_SHARE * channel.ceiling)
        if "saturated" in faults:
            out[channel.name] = _limited(channel, math.inf)
    if "nan" in faults:
        out[next(iter(out))] = math.nan
    return out


def _limited(channel: Channel, value: float) -> float:
    limited = value if channel.ceiling is None else min(value, channel.ceiling)
    return round(limited) if channel.integral else limited
