"""What a posterior is made from: readings in the order of requests, and what the instrument states."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings, Space, Window

GRID = 3000
"""Most points of a grid that is searched as one."""
NEAR = 0.1
"""Distance in the unit box within which readings are moved to the settings."""
FRESH = 2
"""Readings that there must be at the very settings before a look, by default."""
SAME = 1e-9
"""Distance of settings that are the same."""
PACE = 3.0
"""Readings for a target, beyond two, by which half of its error rate is spent ..."""
TOGETHER = 0.5
"""... and on a plate, of which there are few, so that few looks follow."""
UNRELATED = 10.0
"""Requests between two rows from elsewhere: they have no light in common."""


@dataclass(frozen=True, eq=False)
class Statement:
    """What the instrument says of itself, over ``d`` knobs scaled to the unit box and ``p`` channels."""

    noise: Readings
    """Standard deviation of one reading in the middle of the range, ``(p,)``; NaN where unknown."""
    floor: Readings
    """Least value that a channel can show, ``(p,)``; minus infinity where there is none."""
    ceiling: Readings
    """Largest value that a channel can show, ``(p,)``; infinite where there is none."""
    step: Settings
    """Step in which each knob is applied, as a part of its range, ``(d,)``; 0 where it takes any value."""
    space: Space | None = None
    """Where more than steps and ends say which settings there are; then ``d`` is its number of axes."""
    held: tuple[NDArray[np.bool_], Settings] | None = None
    """Axes ``(d,)`` that are not free at present, and the point ``(d,)`` at which they are held."""

    @classmethod
    def of(cls, space: Space, columns: list[int]) -> Self:
        """The statement of a space about some of its channels."""
        floor = np.array([-np.inf if channel.floor is None else channel.floor for channel in space.channels])
        step = np.array([knob.resolution or 0.0 for knob in space.knobs]) / (space.high - space.low)
        kinds = None if space.plain else space
        return cls(space.noise[columns], floor[columns], space.ceiling[columns], step, kinds)

    @classmethod
    def unstated(cls, d: int, p: int) -> Self:
        """An instrument of which nothing is known but its numbers of knobs and channels."""
        return cls(np.full(p, np.nan), np.full(p, -np.inf), np.full(p, np.inf), np.zeros(d))

    @cached_property
    def grid(self) -> Settings | None:
        """All settings that can be applied, ``(m, d)``, in the unit box; None if they are too many to be searched."""
        found = self._steps if self.space is None else self.space.grid(GRID)
        return found if found is None or self.held is None else np.unique(self._kept(found), axis=0)

    @property
    def _steps(self) -> Settings | None:
        if not (self.step > 0).all():
            return None
        counts = np.floor(1 / self.step + 1e-9) + 1
        if counts.prod() > GRID:
            return None
        axes = [step * np.arange(int(count)) for step, count in zip(self.step, counts, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(self.step))

    def applied(self, settings: Settings) -> Settings:
        """The settings ``(..., d)`` that are applied for those asked, within the box."""
        settings = self._kept(settings)
        if self.space is not None:
            return self.space.applied(np.clip(settings, 0.0, 1.0))
        whole = np.where(self.step > 0, self.step, 1.0)
        last = np.floor(1 / whole + 1e-9) * whole
        nearest = np.clip(np.rint(settings / whole) * whole, 0.0, last)
        return np.asarray(np.where(self.step > 0, nearest, np.clip(settings, 0.0, 1.0)))

    def spread(self, settings: Settings) -> Settings:
        """Settings ``(m, d)`` all over those that are allowed, for some all over the box."""
        return self._kept(settings if self.space is None else self.space.spread(settings))

    def _kept(self, settings: Settings) -> Settings:
        return settings if self.held is None else np.where(*self.held, settings)


@dataclass(frozen=True, eq=False)
class Rows:
    """Readings in the order in which they were taken."""

    settings: Settings
    """In the unit box, ``(n, d)``."""
    readings: Readings
    """As the instrument gave them, ``(n, p)``; NaN where a channel was masked."""
    order: NDArray[np.float64]
    """Place of each row in the order of requests, ``(n,)``, increasing."""
    censored: NDArray[np.int_]
    """``(n, p)``: 1 where the channel stood at its ceiling, -1 at its floor, 0 where it was read."""
    reference: NDArray[np.bool_]
    """Rows with every knob off, ``(n,)``: their noise is a quantity of its own."""
    pursuit: NDArray[np.int_]
    """Number of the target that each row was taken for, ``(n,)``; -1 for those of the design."""
    apart: NDArray[np.float64]
    """Of a row from before the campaign, or at the rim of a plate, by which part its gains may be off from today's; 0
    for today's, ``(n,)``."""
    source: NDArray[np.int_]
    """Number of the source other than the instrument that a row is of, ``(n,)``; 0 for the instrument's own."""
    louder: NDArray[np.float64]
    """How many times as large the noise of each row of a source is as what the instrument states, ``(n,)``."""
    looked: NDArray[np.bool_]
    """Whether the target that a row was taken for may be judged right after it, ``(n,)``: not amid those that are
    taken together."""
    conditions: NDArray[np.float64]
    """What nobody chose and held in each row, ``(n, k)``, in parts of what it usually is."""
    wanted: NDArray[np.float64]
    """The conditions in which targets are wanted, as they were known after each row, ``(n, k)``."""

    @classmethod
    def empty(cls, d: int, p: int, k: int = 0) -> Self:
        """No rows yet."""
        nothing = np.zeros(0, bool)
        return cls(
            settings=np.empty((0, d)),
            readings=np.empty((0, p)),
            order=np.empty(0),
            censored=np.empty((0, p), int),
            reference=nothing,
            pursuit=nothing.astype(int),
            apart=np.empty(0),
            source=nothing.astype(int),
            louder=np.empty(0),
            looked=nothing,
            conditions=np.empty((0, k)),
            wanted=np.empty((0, k)),
        )

    @classmethod
    def from_elsewhere(
        cls,
        settings: Settings,
        readings: Readings,
        ago: float,
        *,
        apart: float,
        source: NDArray[np.int_] | None = None,
        louder: float = 1.0,
        k: int = 0,
    ) -> Self:
        """Rows of earlier campaigns or other sources, which have no light in common with each other or with later ones.

        Args:
            settings: In the unit box, ``(n, d)``.
            readings: As they were given, ``(n, p)``.
            ago: Requests between them and the first row of the campaign.
            apart: By which part their gains, or biases, may be off.
            source: Number of the source of each, ``(n,)``; by default the instrument's own.
            louder: How many times as large their noise is as what the instrument states.
            k: Number of conditions, all as they usually are.
        """
        n = len(settings)
        return cls(
            settings=settings,
            readings=readings,
            order=np.asarray(UNRELATED * np.arange(-n, 0) - ago, float),
            censored=np.zeros(readings.shape, int),
            reference=np.zeros(n, bool),
            pursuit=np.full(n, -1),
            apart=np.full(n, apart, float),
            source=np.zeros(n, int) if source is None else source,
            louder=np.full(n, louder, float),
            looked=np.ones(n, bool),
            conditions=np.zeros((n, k)),
            wanted=np.zeros((n, k)),
        )

    def __len__(self) -> int:
        return len(self.settings)

    def at(self, places: NDArray[np.int_] | slice) -> Self:
        """The rows at some places."""
        return replace(self, **{name: values[places] for name, values in vars(self).items()})

    def followed_by(self, others: Self) -> Self:
        """These rows and then others."""
        return replace(self, **{name: np.concatenate((part, vars(others)[name])) for name, part in vars(self).items()})

    @property
    def inputs(self) -> NDArray[np.float64]:
        """All that readings depend on but their order: settings and conditions, ``(n, d + k)``."""
        return np.hstack((self.settings, self.conditions)) if self.conditions.shape[1] else self.settings

    @property
    def held(self) -> NDArray[np.float64]:
        """The conditions in which targets are wanted now, ``(k,)``."""
        return self.wanted[-1] if len(self) else np.zeros(self.wanted.shape[1])

    def first(self, n: int) -> Self:
        """The first ``n`` rows."""
        return self.at(slice(n))

    def with_row(
        self,
        settings: Settings,
        readings: Readings,
        instrument: Statement,
        pursuit: int = -1,
        *,
        reference: bool = False,
    ) -> Self:
        """The same and one more row, taken next, in the conditions in which targets are wanted.

        Args:
            settings: In the unit box, ``(d,)``.
            readings: As the instrument gave them, ``(p,)``; NaN where a channel was masked.
            instrument: Whose limits they may stand at.
            pursuit: Number of the target that it was taken for.
            reference: Whether every knob was off.
        """
        censored = (readings >= instrument.ceiling).astype(int) - (readings <= instrument.floor).astype(int)
        after = self.order[-1] + 1 if len(self) else 0.0
        return replace(
            self,
            settings=np.vstack((self.settings, settings)),
            readings=np.vstack((self.readings, readings)),
            order=np.append(self.order, after),
            censored=np.vstack((self.censored, censored)),
            reference=np.append(self.reference, reference),
            pursuit=np.append(self.pursuit, pursuit),
            apart=np.append(self.apart, 0.0),
            source=np.append(self.source, 0),
            louder=np.append(self.louder, 1.0),
            looked=np.append(self.looked, True),
            conditions=np.vstack((self.conditions, self.held)),
            wanted=np.vstack((self.wanted, self.held)),
        )


@dataclass(frozen=True, eq=False)
class Pursuit:
    """A target that is pursued."""

    number: int
    """Of the target, as it stands in the rows' ``pursuit``."""
    target: Window
    """Where the true readings are to lie, over ``p`` channels."""
    error: float = 0.05
    """Probability of a false verdict, for the target."""
    fresh: int = FRESH
    """Readings that there must be at the very settings before a look."""
    reach: float = NEAR
    """Distance within which readings are expected to be moved to the settings, where what follows is forecast."""
    pace: float = PACE
    """Readings, beyond two, by which half of the error is spent."""

    @property
    def fixed(self) -> list[int]:
        """Channels that are not free."""
        return self.target.fixed

    @cached_property
    def window(self) -> Window:
        """Where those are to lie, over these channels."""
        return self.target.at(self.fixed)

    def taken(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows were taken for this target and tell of all its channels, ``(n,)``."""
        return np.asarray((rows.pursuit == self.number) & np.isfinite(rows.readings[:, self.fixed]).all(axis=1))

    def near(self, rows: Rows, settings: Settings, distance: float) -> NDArray[np.bool_]:
        """Which of these rows lie within a distance of settings ``(d,)``, ``(n,)``."""
        return np.asarray(self.taken(rows) & (np.abs(rows.settings - settings).max(axis=1) <= distance))
