"""What a peer promises: one setting at a time, from all rows so far."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings, Space, Window


class Aim(StrEnum):
    """What is wanted of a channel."""

    MATCH = "match"
    """A reading, give or take a tolerance."""
    SIDE = "side"
    """That it lies on one side of a bound."""
    MOST = "most"
    """As much, or as little, as possible."""


@dataclass(frozen=True, eq=False)
class Seen:
    """All rows so far, and what is wanted; settings in the unit box, readings less the background of their moment."""

    space: Space
    """What settings may be."""
    settings: Settings
    """In the order of asking, ``(n, u)``."""
    readings: Readings
    """Over the channels that the target fixes, ``(n, c)``; one at its ceiling stands there."""
    window: Window
    """Where readings are wanted to lie less the present background, ``(c,)``; infinite for a maximum or minimum."""
    noise: Readings
    """Standard deviation of each reading, that of its background included, ``(n, c)``; NaN where the instrument states
    none."""

    @cached_property
    def aims(self) -> list[Aim]:
        """What is wanted of each channel."""
        return aims(self.window)

    @cached_property
    def scale(self) -> Readings:
        """What counts as one of each channel, ``(c,)``: its tolerance, or else how much readings have varied so far."""
        varied = np.ptp(self.readings, axis=0) if len(self.readings) else np.ones(len(self.window))
        matched = np.array([aim is Aim.MATCH for aim in self.aims])
        return np.where(matched, self.window.half, np.where(varied > 0, varied, 1.0))

    @cached_property
    def scores(self) -> Readings:
        """Readings as a library wants them, ``(n, c)``, in units of ``scale``.

        Of a channel to be matched they are best at 0, of a side good from 0 on, of a maximum or minimum the more the
        better.
        """
        upwards = np.where(np.isinf(self.window.above) | (self.window.wanted == np.inf), 1.0, -1.0)
        matched = np.array([aim is Aim.MATCH for aim in self.aims])
        zero = np.where(np.isfinite(self.window.wanted), self.window.wanted, 0.0)
        return np.where(matched, 1.0, upwards) * (self.readings - zero) / self.scale

    @property
    def distance(self) -> NDArray[np.float64]:
        """Of each row from a target to be matched: the error of its worst channel in tolerances, ``(n,)``."""
        return np.asarray(np.abs(self.scores).max(axis=1, initial=0.0))


@runtime_checkable
class Peer(Protocol):
    """Somebody else's way to a target.

    It keeps nothing between two questions: all that it knows is in the rows, all chance in the generator. When it is
    examined, and how, is decided by the back-test, for all peers alike.
    """

    def lacks(self, space: Space, window: Window) -> str:
        """Why it takes no such settings or targets, in words; empty if it does."""

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        """Settings to begin with in the unit box, ``(m, d)``; none if it begins without."""

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        """What to measure next, in the unit box, ``(u,)``."""


def aims(window: Window) -> list[Aim]:
    """What is wanted of each channel."""
    return [
        Aim.MOST if window[column].extreme else Aim.SIDE if window[column].one_sided else Aim.MATCH
        for column in range(len(window))
    ]
