"""What a fitted forward model misses, learned from the rows around: kriging of its residuals.

A global model has a floor (a line through a bent response is off by 0.5 %); the rows near a candidate, above all the
replicates of a failed exam, know better. The error of their background is part of the noise here, and shared by
rows that were taken between the same two references.

References:
    Matheron (1963), doi:10.2113/gsecongeo.58.8.1246; Rasmussen & Williams (2006), ISBN 978-0-262-18253-9, ch. 2 and 5
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.spatial.distance import cdist

from sdl.space import Readings, Settings
from strategies.correction import cholesky
from strategies.correction.evidence import evidences, kernel, regular
from strategies.correction.rows import Forward, PresentBackground, TrainingRows

LENGTHS = (0.15, 0.3, 0.6)
"""Tried distances over which it changes, in the unit box."""
USUAL = 0.005
"""Size that is expected where an earlier campaign has shown the shape of the response already."""
NEGLIGIBLE = 1e-3
"""Probability, as a share of the largest, below which a size and a distance are left out."""


@dataclass(frozen=True, eq=False)
class Kriging:
    """Residuals of ``n`` rows, ready to be asked what they tell of others.

    Where there are rows of an earlier campaign among them, today's response may differ from the model by any plane
    through the origin too: that is how what both have in common is told from gains that differ.
    """

    settings: Settings
    """In the unit box, ``(n, d)``."""
    channels: Sequence["_Channel"]
    present: PresentBackground | None
    stretch: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, rows: TrainingRows, residuals: Readings) -> Self:
        """Learn from residuals ``(n, p)`` at some rows, those of an earlier campaign first."""
        settings = rows.settings if rows.earlier is None else np.vstack((rows.earlier.settings, rows.settings))
        shared, planes = rows.shared(np.arange(len(rows.settings))), settings @ settings.T
        channels = list[_Channel]()
        for c, unit in enumerate(_units(rows.stretch, residuals.shape[1])):
            if c == 0 or rows.stretch is not None:
                between = cdist(settings / unit, settings / unit)
                kernels = {length: kernel(between, length) for length in LENGTHS}
            channels.append(_channel(rows, residuals[:, c], c, kernels, planes, shared))
        return cls(settings, channels, rows.present, rows.stretch)

    def at(self, settings: Settings, *, fresh: bool = False) -> tuple[Readings, Readings]:
        """Expected residuals at settings ``(m, d)`` and their standard deviation, both ``(m, p)``."""
        planes, square = self.settings @ settings.T, np.einsum("md,md->m", settings, settings)
        light, told = None if fresh else self._light, list[tuple[Readings, Readings]]()
        for c, (channel, unit) in enumerate(self._each()):
            to = cdist(self.settings / unit, settings / unit)
            told.append(
                channel.at(to, planes, square)
                if light is None
                else channel.at(to, planes, square, light.shared[:, c, None], light.variance[c])
            )
        return np.stack([mean for mean, _ in told], axis=1), np.stack([sd for _, sd in told], axis=1)

    def tangent(self, settings: Settings) -> tuple[Readings, NDArray[np.float64]]:
        """Expected residuals ``(m, p)`` at settings ``(m, d)`` and how they change with these, ``(m, p, d)``."""
        present, told = self._light, list[tuple[Readings, NDArray[np.float64]]]()
        for c, (channel, unit) in enumerate(self._each()):
            light = np.zeros(len(self.settings)) if present is None else present.shared[:, c]
            (mean, slopes), plane = channel.tangent(self.settings / unit, settings / unit, light), channel.plane(self)
            told.append((mean + settings @ plane, slopes / unit + plane))
        return np.stack([mean for mean, _ in told], axis=1), np.stack([slopes for _, slopes in told], axis=1)

    @property
    def _light(self) -> PresentBackground | None:
        """The present, which rows of an earlier campaign share nothing with."""
        if self.present is None:
            return None
        none = np.zeros((len(self.settings) - len(self.present.shared), len(self.channels)))
        return replace(self.present, shared=np.vstack((none, self.present.shared)))

    def _each(self) -> list[tuple["_Channel", NDArray[np.float64] | float]]:
        return list(zip(self.channels, _units(self.stretch, len(self.channels)), strict=True))


def _units(stretch: NDArray[np.float64] | None, p: int) -> Sequence[NDArray[np.float64] | float]:
    """By what the knobs are divided for each of ``p`` channels."""
    return [1.0] * p if stretch is None else list(stretch)


def kriged(rows: TrainingRows, residuals: Readings, at: Settings) -> tuple[Readings, Readings]:
    """Expected residuals at settings ``(m, d)`` and their standard deviation, both ``(m, p)``.

    Args:
        rows: Where the model was tried, ``n`` of them.
        residuals: Readings less what the model predicts there, ``(n, p)``.
        at: Where to estimate, in the unit box.
    """
    return Kriging.of(rows, residuals).at(at)


def missed_nearby(
    rows: TrainingRows, predict: Forward, settings: Settings, *, fresh: bool = False
) -> tuple[Readings, Readings]:
    """What a forward model misses at one point ``(d,)``, by the rows near it, and how uncertain that is, both ``(p,)``.

    The change of the background since the last reference is part of it, unless it is asked what would be known
    with a ``fresh`` one. Asked again and again about points that are close together, it learns from the same rows
    once.
    """
    key = predict, rows.places(settings).tobytes()
    if key not in rows.memory:
        near = rows.nearest(settings)
        rows.memory.clear()
        rows.memory[key] = Kriging.of(near, near.missing(predict))
    kriging: Kriging = rows.memory[key]
    mean, deviation = kriging.at(settings[None], fresh=fresh)
    return mean[0], deviation[0]


@dataclass(frozen=True, eq=False)
class _Channel:
    """The residuals of one channel, smoothed in each of the ways that they bear out."""

    read: NDArray[np.intp]
    """Rows in which it was read."""
    slope: float
    """Standard deviation of the slopes of a plane that is smoothed beside; 0 for none."""
    ways: Sequence["_Way"]

    def at(
        self,
        to: NDArray[np.float64],
        planes: NDArray[np.float64],
        square: NDArray[np.float64],
        shared: NDArray[np.float64] | float = 0.0,
        light: NDArray[np.float64] | float = 0.0,
    ) -> tuple[Readings, Readings]:
        """Mean and standard deviation at settings ``(m, d)``, with the light's error in them.

        Args:
            to: Their distances from the rows, ``(n, m)``.
            planes: Their scalar products with the rows' settings, ``(n, m)``.
            square: Their scalar products with themselves, ``(m,)``.
            shared: Covariance of the light's error, ``(n, 1)``.
            light: Its variance.
        """
        if self.slope:
            shared, light = shared + self.slope**2 * planes, light + self.slope**2 * square
        shared = shared[self.read] if isinstance(shared, np.ndarray) else shared
        if not self.ways:  # it was never read
            return np.zeros(to.shape[1]), np.sqrt(light) * np.ones(to.shape[1])
        told = [way.at(to[self.read], shared, light) for way in self.ways]
        shares = np.array([way.share for way in self.ways])
        mean = shares @ np.array([mean for mean, _ in told])
        variance = shares @ np.array([variance + (each - mean) ** 2 for each, variance in told])
        return np.asarray(mean), np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def tangent(self, sites: Settings, settings: Settings, shared: Readings) -> tuple[Readings, NDArray[np.float64]]:
        """Mean ``(m,)`` and slopes ``(m, d)`` at settings ``(m, d)``, learned at ``(n, d)``, without the plane."""
        sites, shared = sites[self.read], shared[self.read]
        to, mean, slopes = cdist(sites, settings), np.zeros(len(settings)), np.zeros(settings.shape)
        for way in self.ways:
            pull = way.share * way.amplitude**2 * way.weights[:, None] * kernel(to, way.length)
            mean += pull.sum(axis=0) + way.share * float((way.weights * shared).sum())
            slopes += (pull.T @ sites - pull.sum(axis=0)[:, None] * settings) / way.length**2
        return mean, slopes

    def plane(self, learned: Kriging) -> NDArray[np.float64]:
        """Slopes of the plane that is smoothed beside, ``(d,)``."""
        weights = sum((way.share * way.weights for way in self.ways), np.zeros(len(self.read)))
        return np.asarray(self.slope**2 * weights @ learned.settings[self.read])


@dataclass(frozen=True, eq=False)
class _Way:
    """One size and one distance of what a model misses, and how probable they are."""

    share: float
    amplitude: float
    length: float
    factor: NDArray[np.float64]
    """Of the covariance between the rows, by Cholesky, ``(n, n)``."""
    weights: Readings

    def at(
        self, to: NDArray[np.float64], shared: NDArray[np.float64] | float, light: NDArray[np.float64] | float
    ) -> tuple[Readings, Readings]:
        """Mean and variance."""
        cross = self.amplitude**2 * kernel(to, self.length) + shared
        variance = self.amplitude**2 + light - np.einsum("nm,nm->m", cross, cholesky.solve(self.factor, cross))
        return np.asarray(cross.T @ self.weights), variance


def _channel(
    rows: TrainingRows,
    residuals: Readings,
    c: int,
    kernels: Mapping[float, NDArray[np.float64]],
    planes: NDArray[np.float64],
    shared: NDArray[np.float64],
) -> _Channel:
    drift = np.broadcast_to(rows.drift, (len(rows.settings), len(rows.noise)))[:, c]
    errors = rows.noise[c] ** 2 * np.eye(len(rows.settings)) + drift[:, None] * shared
    readings, slope, usual = rows.readings[:, c], 0.0, np.inf
    if rows.earlier is not None:
        if np.isfinite(rows.earlier.readings[:, c]).any():
            slope, usual = float(rows.earlier.slopes[c]), USUAL
        readings = np.concatenate((rows.earlier.readings[:, c], readings))
        errors = block_diag(rows.earlier.errors[c], errors) + slope**2 * planes
    read = np.flatnonzero(np.isfinite(residuals))
    square = np.ix_(read, read)
    if not read.size:
        return _Channel(read, slope, [])
    errors, residuals, kernels = errors[square], residuals[read], {at: each[square] for at, each in kernels.items()}
    tried = evidences(kernels, errors, residuals, float(np.ptp(readings[read])) or 1.0, usual)
    chances = np.exp(np.array(list(tried.values())) - max(tried.values()))
    chances = np.where(chances < NEGLIGIBLE, 0.0, chances) / chances[chances >= NEGLIGIBLE].sum()
    ways = list[_Way]()
    for share, (amplitude, length) in zip(chances.tolist(), tried, strict=True):
        if share:
            factor = cholesky.factor(regular(amplitude**2 * kernels[length] + errors))
            ways.append(_Way(share, amplitude, length, factor, cholesky.solve(factor, residuals)))
    return _Channel(read, slope, ways)
