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
from sdl.space import Channel, Knob, Readings, Space
from strategies.evaluation.families.case import Case, Goal

MOST_POINTS = 300
"""Settings that the process goes through; of a larger table a random part."""
LENGTHS = (0.1, 10.0)
"""Of the kernel, in the unit box."""
REPEATS = 5
"""Degrees of freedom of repeats from which on they tell the noise, and not the process."""


@dataclass(frozen=True, eq=False)
class Emulator:
    """A table and what was made of it."""

    table: LaboratoryTable
    response: Emulated
    noise: Readings
    """Standard deviation of one reading, ``(p,)``."""


def laboratory(rng: np.random.Generator, table: str = "") -> Case:
    """A real laboratory emulated from its table, noise not stated.

    Args:
        rng: Of target and noise.
        table: Name of a table of the folder of laboratories, or a CSV file; by default one at random.

    Raises:
        InvalidInput: if there is no such table, or none at all.
    """
    table = table or str(rng.choice(sorted(laboratory_files()) or [""]))
    emulator = emulate(table)
    space, unit = _space(emulator.table), rng.random(len(emulator.table.knobs))
    readings = emulator.response(unit[None])[0]
    allowed = np.maximum(0.05 * np.ptp(emulator.table.readings, axis=0), 1.5 * emulator.noise)
    target = Target(readings={**space.named_readings(readings)}, tolerance=dict(space.named_readings(allowed)))
    noise, nothing = NoiseSize(emulator.noise, emulator.noise), Steady(np.zeros(space.p))
    instrument = Composed(f"emulated-{table}", space, emulator.response, noise, nothing, rng.spawn(1)[0])
    return Case(instrument, (Goal(target, space.from_unit(unit)),))


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
