"""From a few choices to an instrument and its targets: what the families of this package have in common.

Unless a family says otherwise an instrument is like a lamp with a sensor: every knob adds light, its noise is normally
distributed, independent and stated rightly, with every knob off there is a steady background and hardly any noise,
and the tolerance is 1 to 3 standard deviations of a reading at the settings that meet the target.
"""

from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sdl.campaign.definition import Target
from sdl.instruments.simulated.backgrounds import AddedLight, Steady
from sdl.instruments.simulated.composed import Composed, NoiseSize
from sdl.instruments.simulated.reading_errors import Normal, ReadingErrors
from sdl.instruments.simulated.responses import Plane, Response
from sdl.space import UNCONSTRAINED, Channel, Constraints, Knob, Readings, Settings, Space
from strategies.evaluation.families.case import Case, Goal

Array = NDArray[np.float64]
Range = tuple[float, float]

MOST_KNOBS, MOST_CHANNELS, MOST_FIXED = 8, 12, 4
"""A target fixes four channels at most, and leaves the others free."""
NOISE = (0.002, 0.02)
"""Standard deviation of a reading, as a share of what the knobs can change."""
FINE_NOISE = (0.001, 0.004)
"""The same where conditions change by many tolerances and the knobs have to make up for it."""
TOLERANCE = (1.0, 3.0)
"""In standard deviations of a reading; logarithms are uniform."""
BACKGROUND = (0.003, 0.2)
"""Of a steady light, as a share of what the knobs can change; logarithms are uniform."""
INSIDE = (0.15, 0.85)
"""Where in the range of each knob the settings lie that meet a target."""


@dataclass(frozen=True, eq=False)
class Blueprint:
    """An instrument before it is built."""

    response: Response
    span: Readings
    """What the knobs can change, ``(p,)``."""
    sd: Readings
    """Standard deviation of a reading in the middle of the box, ``(p,)``."""
    ratio: float
    """Tolerance in standard deviations of a reading."""
    knobs: tuple[Knob, ...]
    stated: Readings
    """Standard deviation that the instrument states, ``(p,)``; NaN where it states none."""
    background: AddedLight
    dark: float = 0.0
    """Noise with all knobs off, as a share of that with some on."""
    growth: Readings | float = 0.0
    """By which share of the response the noise grows."""
    errors: ReadingErrors = field(default_factory=Normal)
    gain_drift: float = 0.0
    sensor_step: Readings | None = None
    floor: Readings | None = None
    ceiling: Readings | None = None
    fixed: int = 1
    """Channels that a target fixes: the first ones."""
    constraints: Constraints = UNCONSTRAINED
    """What its settings have to keep."""

    @property
    def d(self) -> int:
        return len(self.knobs)

    @property
    def p(self) -> int:
        return len(self.sd)

    @property
    def noise(self) -> NoiseSize:
        """How large the noise is where."""
        return NoiseSize(self.sd, self.dark * self.sd, self.growth)

    def tolerance(self, unit: Settings) -> Readings:
        """Largest error allowed at a target that settings ``(d,)`` give, ``(p,)``."""
        return np.asarray(self.ratio * self.noise.at(self.response(unit[None])[0], np.array(False)))

    def readings(self, unit: Settings) -> Readings:
        """Noise-free readings ``(n, p)`` at settings in the unit box ``(n, d)``, as the instrument begins."""
        return np.asarray(self.response(unit) + self.background.level)

    def applied(self, unit: Settings) -> Settings:
        """The settings in the unit box that the knobs can stand at, next to ``(..., d)``."""
        return self.space.applied(unit)

    @property
    def space(self) -> Space:
        """Its knobs and channels."""
        channels = tuple(self._channel(column) for column in range(self.p))
        return Space(knobs=self.knobs, channels=channels, constraints=self.constraints)

    def goal(self, name: str, unit: Settings, offset: Readings | float = 0.0, miss: float = 0.0) -> Goal:
        """A target of what settings ``(d,)`` in the unit box read, moved by an offset in tolerances, ``(p,)``."""
        tolerance = self.tolerance(unit)
        readings = self.readings(unit[None])[0] + offset * tolerance
        names = [f"c{column + 1}" for column in range(self.fixed)]
        target = Target(
            name=name,
            readings=dict(zip(names, readings.tolist(), strict=False)),
            tolerance=dict(zip(names, tolerance.tolist(), strict=False)),
        )
        return Goal(target, self._settings_at(unit), miss)

    def _settings_at(self, unit: Settings) -> Settings:
        if not self.space.plain:
            return self.space.from_unit(unit)
        return np.asarray(self.space.low + unit * (self.space.high - self.space.low))

    def case(self, rng: np.random.Generator, *goals: Goal) -> Case:
        """The instrument with these goals; by default with one that settings inside the box meet."""
        chosen = goals or (self.reachable_goal("target", rng),)
        name = f"drawn-{int(rng.integers(1 << 32)):08x}"
        instrument = Composed(
            name,
            self.space,
            self.response,
            self.noise,
            self.background,
            rng.spawn(1)[0],
            errors=self.errors,
            gain_drift=self.gain_drift,
            sensor_step=self.sensor_step,
        )
        return Case(instrument, chosen)

    def reachable_goal(self, name: str, rng: np.random.Generator, inside: Range = INSIDE) -> Goal:
        """A target that settings at random within a part of each knob's range meet exactly."""
        return self.goal(name, self.applied(rng.uniform(*inside, self.d)))

    def _channel(self, column: int) -> Channel:
        stated = self.stated[column]
        return Channel(
            name=f"c{column + 1}",
            unit="",
            integral=False,
            noise=None if np.isnan(stated) else float(stated),
            floor=None if self.floor is None else float(self.floor[column]),
            ceiling=None if self.ceiling is None else float(self.ceiling[column]),
        )


def lamp_like(
    rng: np.random.Generator,
    *,
    knobs: tuple[int, int] = (1, MOST_KNOBS),
    channels: tuple[int, int] = (1, MOST_CHANNELS),
    cross_talk: Range = (0.0, 0.6),
    noise: Range = NOISE,
    scale: Range = (0.0, 4.0),
) -> Blueprint:
    """An instrument whose knobs each add to the channels, one to its own and less to the others.

    Args:
        rng: Of everything random.
        knobs: Fewest and most.
        channels: Fewest and most.
        cross_talk: What a knob adds to another's channel at most, as a share of what it adds to its own.
        noise: Least and largest, as a share of the span.
        scale: Exponents of ten of the readings.
    """
    d, p = (int(rng.integers(least, most + 1)) for least, most in (knobs, channels))
    size = 10 ** rng.uniform(*scale) * rng.uniform(0.3, 3, p)
    return from_response(Plane(slopes(rng, d, p, cross_talk) * size), d, rng, noise=noise)


def slopes(rng: np.random.Generator, d: int, p: int, cross_talk: Range) -> Array:
    """What each knob adds to each channel, ``(d, p)``, none negative; 1 is what it adds to its own."""
    shares = rng.uniform(*cross_talk) * rng.random((d, p))
    own = np.resize(rng.permutation(d), p)
    shares[own, np.arange(p)] = 1.0
    return shares


def from_response(
    response: Response, d: int, rng: np.random.Generator, *, noise: Range = NOISE, fixed: int | None = None
) -> Blueprint:
    """A lamp-like instrument with any response of settings in the unit box ``(n, d)``."""
    span = np.ptp(response(box_points(d, rng)), axis=0)
    p = len(span)
    sd, light = span * log_uniform(rng, noise, p), span * log_uniform(rng, BACKGROUND) * rng.uniform(0.5, 1, p)
    (ratio,) = log_uniform(rng, TOLERANCE)
    fixed = fixed or min(p, MOST_FIXED)
    return Blueprint(response, span, sd, ratio, knob_ranges(rng, d), sd, Steady(light), fixed=fixed)


def log_uniform(rng: np.random.Generator, ends: Range, n: int = 1) -> Array:
    """Numbers ``(n,)`` whose logarithms are uniform between those of two ends."""
    return np.asarray(np.exp(rng.uniform(np.log(ends[0]), np.log(ends[1]), n)))


def knob_ranges(rng: np.random.Generator, d: int) -> tuple[Knob, ...]:
    """Knobs with ranges of any size, half of them from 0 on; each is off at its low end."""
    lows = rng.uniform(-10, 100, d) * rng.integers(0, 2, d)
    highs = lows + 10 ** rng.uniform(-1, 3, d)
    ranges = enumerate(zip(lows.tolist(), highs.tolist(), strict=True))
    return tuple(Knob(name=f"k{number + 1}", low=low, high=high, off=low) for number, (low, high) in ranges)


def with_steps(blueprint: Blueprint, points: tuple[int, ...]) -> Blueprint:
    """The same with knobs that stand at so many points each, both ends among them."""
    stepped = (
        knob.model_copy(update={"resolution": (knob.high - knob.low) / (n - 1)})
        for knob, n in zip(blueprint.knobs, points, strict=True)
    )
    return replace(blueprint, knobs=tuple(stepped))


def box_points(d: int, rng: np.random.Generator, n: int = 512) -> Settings:
    """All corners of the unit box and points at random, ``(n + 2**d, d)``."""
    return np.concatenate((np.array(list(product((0.0, 1.0), repeat=d))), rng.random((n, d))))
