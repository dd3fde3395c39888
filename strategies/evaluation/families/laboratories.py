"""Real laboratories, emulated: a Gaussian process through the means of what was measured, with the noise of repeats.

The instrument states no noise and has no background; a target is what some settings at random read, with a tolerance
of 5 % of the span or 1.5 standard deviations of a reading, whichever is more.
"""

import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from sdl.campaign.definition import Target
from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.composed import Composed, NoiseSize
from sdl.instruments.simulated.laboratory_table import LaboratoryTable, laboratory_files
from sdl.instruments.simulated.responses import Emulated
from sdl.space import Channel, Interval, Knob, Readings, Settings, Space
from strategies.evaluation.families.blueprint import box_points
from strategies.evaluation.families.case import Case, Goal
from strategies.evaluation.families.extremes import POINTS, best_point

MOST_POINTS = 300
"""Settings that the process goes through; of a larger table a random part."""
LENGTHS = (0.1, 10.0)
"""Of the kernel, in the unit box."""
WANTED_SMALL = ("difference_to_green", "degradation")
"""Channels of which these laboratories wanted as little as possible; of all others as much."""
REPEATS = 5
"""Degrees of freedom of repeats from which on they tell the noise, and not the process."""


@dataclass(frozen=True, eq=False)
class Emulator:
    """A table and what was made of it."""

    table: LaboratoryTable
    response: Emulated
    noise: Readings
    """Standard deviation of one reading, ``(p,)``."""

    def allowed(self, readings: Readings) -> Readings:
        """Largest error allowed, ``(p,)``: 5 % of the span of readings ``(n, p)``, or 1.5 times the noise."""
        return np.asarray(np.maximum(0.05 * np.ptp(readings, axis=0), 1.5 * self.noise))


def laboratory(rng: np.random.Generator, table: str = "") -> Case:
    """A real laboratory emulated from its table, noise not stated.

    Args:
        rng: Of target and noise.
        table: Name of a table of the folder of laboratories, or a CSV file; by default one at random.

    Raises:
        InvalidInput: if there is no such table, or none at all.
    """
    table = table or _any_table(rng)
    emulator = emulate(table)
    space, unit = _space(emulator.table), rng.random(len(emulator.table.knobs))
    readings = emulator.response(unit[None])[0]
    allowed = emulator.allowed(emulator.table.readings)
    target = Target(readings={**space.named_readings(readings)}, tolerance=dict(space.named_readings(allowed)))
    return _case(table, space, Goal(target, space.from_unit(unit)), rng)


def laboratory_extreme(rng: np.random.Generator, table: str = "") -> Case:
    """A real laboratory emulated from its table, noise not stated; what it wanted, the most or the least of a channel.

    By how much others may be better is 5 % of what the knobs can change, or 1.5 standard deviations of a reading.

    Args:
        rng: Of the noise.
        table: As for ``laboratory``.

    Raises:
        InvalidInput: if there is no such table, or none at all.
    """
    table = table or _any_table(rng)
    emulator = emulate(table)
    space, name = _space(emulator.table), emulator.table.channels[0]
    upwards, points = -1.0 if name in WANTED_SMALL else 1.0, box_points(len(emulator.table.knobs), rng, POINTS)

    def worth(points: Settings) -> Readings:
        return np.asarray(upwards * emulator.response(points)[:, 0])

    best = best_point(worth, points, rng)
    allowance = float(f"{emulator.allowed(emulator.response(points))[0]:.3g}")
    end = float(worth(best[None])[0]) - allowance
    bound = Interval.at_least(end) if upwards > 0 else Interval.at_most(-end)
    wanted: dict[str, float | str] = {name: f"{'maximum' if upwards > 0 else 'minimum'} ± {allowance:g}"}
    goal = Goal(Target(name="most", readings=wanted), space.from_unit(best), bounds={name: bound})
    return _case(table, space, goal, rng)


def _any_table(rng: np.random.Generator) -> str:
    return str(rng.choice(sorted(laboratory_files()) or [""]))


def _case(table: str, space: Space, goal: Goal, rng: np.random.Generator) -> Case:
    emulator, nothing = emulate(table), Steady(np.zeros(space.p))
    noise = NoiseSize(emulator.noise, emulator.noise)
    return Case(Composed(f"emulated-{table}", space, emulator.response, noise, nothing, rng.spawn(1)[0]), (goal,))


@cache
def emulate(name: str) -> Emulator:
    """What a table of the folder, or a CSV file, teaches.

    Raises:
        InvalidInput: if there is no such table.
    """
    table = LaboratoryTable.named(name)
    unit = (table.settings - table.settings.min(axis=0)) / np.ptp(table.settings, axis=0)
    places, place, times = np.unique(unit, axis=0, return_inverse=True, return_counts=True)
    means = np.zeros((len(places), len(table.channels)))
    np.add.at(means, place.ravel(), table.readings / times[place.ravel(), None])
    kept = np.sort(np.random.default_rng(0).permutation(len(places))[:MOST_POINTS])
    response, scatter = _process(places[kept], means[kept])
    freedom = len(unit) - len(places)
    repeated = np.sqrt(((table.readings - means[place.ravel()]) ** 2).sum(axis=0) / max(freedom, 1))
    return Emulator(table, response, repeated if freedom >= REPEATS and repeated.all() else scatter)


def _space(table: LaboratoryTable) -> Space:
    """Knobs that move over what was tried, and channels that state no noise."""
    bounds = zip(table.knobs, table.settings.min(axis=0).tolist(), table.settings.max(axis=0).tolist(), strict=True)
    knobs = tuple(Knob(name=name, low=low, high=high) for name, low, high in bounds)
    channels = tuple(Channel(name=name, unit="", floor=None, integral=False) for name in table.channels)
    return Space(knobs=knobs, channels=channels)


def _process(places: Readings, means: Readings) -> tuple[Emulated, Readings]:
    """The process through means ``(m, p)`` at places ``(m, d)``, and what it leaves over as noise, ``(p,)``."""
    smooth = ConstantKernel(1.0, (1e-2, 1e2)) * RBF(np.full(places.shape[1], 0.5), LENGTHS)
    kernel = smooth + WhiteKernel(0.05, (1e-4, 1.0))
    mean, size = means.mean(axis=0), np.ptp(means, axis=0)
    process = GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is a knob that does nothing
        fitted = process.fit(places, (means - mean) / size)
    signal, white = fitted.kernel_.k1, fitted.kernel_.k2
    weights = np.reshape(fitted.alpha_, (len(places), -1)) * signal.k1.constant_value * size
    lengths = np.broadcast_to(signal.k2.length_scale, places.shape[1])
    return Emulated(places, np.asarray(lengths), weights, mean), np.sqrt(white.noise_level) * size
