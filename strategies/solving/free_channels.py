"""What a target leaves free, foretold: the interval that one reading of such a channel lies in at settings offered.

The channels are learned from all rows in which they were read below their ceiling, those that lack a channel of the
target among them, and by the same posterior whatever model offers the settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sdl.space import Readings, Settings
from strategies.posterior import Posterior, Rows, Statement, learn, predict_interval
from strategies.solving.conditions import Conditions

FEWEST = 2
"""Rows from which on a channel is foretold."""
MOST = 1000
"""Rows that are asked for a reading, a random part of more."""


@dataclass(frozen=True, eq=False)
class FreeChannels:
    """The ``c`` channels that a target leaves free, and the ``n`` rows in which some of them were read."""

    names: Sequence[str]
    settings: Settings
    """In the unit box, in the order of measuring, ``(n, d)``."""
    readings: Readings
    """Background subtracted, ``(n, c)``; NaN where a channel was not read."""
    conditions: Conditions
    """Of the rows, and those in which the settings are to be used."""
    background: Readings
    """In which the settings are to be used, ``(c,)``."""
    light: Readings
    """Standard deviation of the error of that background, ``(c,)``; 0 where it is taken for known."""
    statement: Statement
    """Of the instrument about these channels."""

    @cached_property
    def posterior(self) -> Posterior:
        """What the rows say of the readings at any settings, background subtracted."""
        (n, c), d = self.readings.shape, self.settings.shape[1]
        free = Statement.unstated(d, c)  # limits are of readings with their background
        rows = Rows(
            settings=self.settings,
            readings=self.readings,
            order=np.arange(n, dtype=float),
            censored=np.zeros((n, c), int),
            reference=np.zeros(n, bool),
            pursuit=np.full(n, -1),
            apart=np.zeros(n),
            source=np.zeros(n, int),
            louder=np.ones(n),
            looked=np.ones(n, bool),
            conditions=self.conditions.scaled,
            wanted=np.tile(self.conditions.scaled_given, (n, 1)),
        )
        some = np.sort(np.random.default_rng(0).permutation(n)[:MOST])
        return learn(rows.at(some), Statement(self.statement.noise, free.floor, free.ceiling, free.step))

    def expected(self, settings: Settings) -> Readings:
        """Noise-free readings at settings ``(m, d)`` of the unit box, background subtracted, ``(m, c)``."""
        return self.posterior.at(settings)[0]

    def noise(self, settings: Settings) -> Readings:
        """Standard deviation of one reading of each channel at settings ``(d,)``, ``(c,)``."""
        level = self.expected(settings[None])[0]
        return np.array([channel.noise(level[c])[0] for c, channel in enumerate(self.posterior.channels)])

    def foretold(self, settings: Settings) -> dict[str, dict[str, float]]:
        """By channel the interval of one reading at settings ``(d,)`` of the unit box, ``low`` and ``high``."""
        if not self.names:
            return {}
        limits, box = (self.statement.floor, self.statement.ceiling), settings[None]
        ends = [
            np.clip(end[0] + self.background, *limits)
            for end in predict_interval(self.posterior, box, unsure=self.light)
        ]
        return {
            name: {"low": low, "high": high}
            for name, low, high in zip(self.names, *(end.tolist() for end in ends), strict=True)
        }
