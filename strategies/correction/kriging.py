"""What a fitted forward model misses, learned from the rows around: kriging of its residuals.

A global model has a floor (a line through a bent response is off by 0.5 %); the rows near a candidate, above all the
replicates of a failed exam, know better. The error of their background is part of the noise here, and shared by
rows that were taken between the same two references.

References:
    Matheron (1963), doi:10.2113/gsecongeo.58.8.1246; Rasmussen & Williams (2006), ISBN 978-0-262-18253-9, ch. 2 and 5
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.spatial.distance import cdist

from sdl.space import Readings, Settings
from strategies.correction import cholesky

AMPLITUDES = (0.0025, 0.01, 0.04, 0.16, 0.64)
"""Tried sizes of what a model misses, as shares of the range of the readings."""
LENGTHS = (0.15, 0.3, 0.6)
"""Tried distances over which it changes, in the unit box."""
USUAL = 0.005
"""Size that is expected where an earlier campaign has shown the shape of the response already."""
NEGLIGIBLE = 1e-3
"""Probability, as a share of the largest, below which a size and a distance are left out."""
NEAREST = 300
"""Rows that are used at most: the nearest ones."""


Forward: TypeAlias = Callable[[Settings], Readings]


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Settings, readings without their background, and what is known of their errors."""

    settings: Settings
    """In the unit box, ``(n, d)``."""
    readings: Readings
    """Background subtracted, ``(n, p)``."""
    noise: Readings
    """Standard deviation of one reading, ``(p,)``."""
    drift: Readings
    """Variance that the background gains with each request, ``(p,)``, or about each of the rows, ``(n, p)``."""
    shared: Callable[[NDArray[np.intp]], NDArray[np.float64]]
    """Covariance of the background's error between the rows at ``k`` places, for a drift of 1, ``(k, k)``."""
    present: "PresentBackground | None" = None
    """The background of this moment; None if it is known exactly."""
    stretch: NDArray[np.float64] | None = None
    """By what each knob is divided before distances are taken, by channel, ``(p, d)``; None where all are alike."""
    earlier: "EarlierRows | None" = None
    """Rows of another campaign beside these; None if there are none."""
    _last: dict[Any, "Kriging"] = field(default_factory=dict, init=False)

    def nearest(self, settings: Settings, n: int = NEAREST) -> "TrainingRows":
        """The rows nearest to one point ``(d,)`` of the box, in their order."""
        return self if len(self.settings) <= n else self._part(self._nearest(settings, n))

    def like(self, target: Readings, n: int = NEAREST) -> "TrainingRows":
        """The rows that read most like a target ``(p,)`` less its background, in their order; NaN where it is free."""
        if len(self.settings) <= n:
            return self
        fixed = np.isfinite(target)
        span = np.ptp(self.readings[:, fixed], axis=0)
        off = (((self.readings[:, fixed] - target[fixed]) / np.where(span > 0, span, 1.0)) ** 2).sum(axis=1)
        return self._part(np.sort(np.argsort(off, kind="stable")[:n]))

    def _part(self, near: NDArray[np.intp]) -> "TrainingRows":
        """The rows of these numbers."""
        drift = self.drift if self.drift.ndim == 1 else self.drift[near]
        present = self.present and replace(self.present, shared=self.present.shared[near])
        shared = self.shared
        return TrainingRows(
            self.settings[near],
            self.readings[near],
            self.noise,
            drift,
            lambda at: shared(near[at]),
            present,
            self.stretch,
            self.earlier,
        )

    def thinned(self, n: int = NEAREST) -> "TrainingRows":
        """So many of the rows at most, evenly from the first to the last."""
        if len(self.settings) <= n:
            return self
        return self._part(np.linspace(0, len(self.settings) - 1, n).round().astype(int))

    def missed(self, predict: Forward, settings: Settings, *, fresh: bool = False) -> tuple[Readings, Readings]:
        """What a forward model misses at one point ``(d,)``, by the rows near it, and how uncertain that is.

        The change of the background since the last reference is part of it, unless it is asked what would be known
        with a ``fresh`` one. Asked again and again about points that are close together, it learns from the same rows
        once.
        """
        key = predict, self._nearest(settings, NEAREST).tobytes()
        if key not in self._last:
            near = self.nearest(settings)
            self._last.clear()
            self._last[key] = Kriging.of(near, near.missing(predict))
        mean, deviation = self._last[key].at(settings[None], fresh=fresh)
        return mean[0], deviation[0]

    def missing(self, predict: Forward) -> Readings:
        """Readings less what a forward model predicts, ``(n, p)``, those of an earlier campaign first."""
        own = self.readings - predict(self.settings) if len(self.settings) else self.readings
        return own if self.earlier is None else np.vstack((self.earlier.missing(predict), own))

    def _nearest(self, settings: Settings, n: int) -> NDArray[np.intp]:
        distance = cdist(settings[None], self.settings)[0]
        return np.sort(np.argsort(distance, kind="stable")[:n])


@dataclass(frozen=True, eq=False)
class PresentBackground:
    """The error of the background of this moment, which it shares with the rows since the last reference."""

    variance: Readings
    """Shape ``(p,)``."""
    shared: Readings
    """Its covariance with the error of each row, ``(n, p)``."""


@dataclass(frozen=True, eq=False)
class EarlierRows:
    """Rows of another campaign, whose response is this one's but for gains that are off by nobody knows how much."""

    settings: Settings
    """In the unit box, ``(m, d)``."""
    readings: Readings
    """Background subtracted, ``(m, p)``; NaN where a channel was not read."""
    errors: NDArray[np.float64]
    """Covariance of what is off about them, gains included, ``(p, m, m)``."""
    slopes: Readings
    """Standard deviation of the slopes of any response over the box, before anything is known of it, ``(p,)``."""

    def missing(self, predict: Forward) -> Readings:
        """Readings less what a forward model predicts, ``(m, p)``."""
        return self.readings - predict(self.settings)


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


def unshared(at: NDArray[np.intp]) -> NDArray[np.float64]:
    """The covariance between rows whose backgrounds are known well, or one by one: none."""
    return np.zeros((len(at), len(at)))


def kriged(rows: TrainingRows, residuals: Readings, at: Settings) -> tuple[Readings, Readings]:
    """Expected residuals at settings ``(m, d)`` and their standard deviation, both ``(m, p)``.

    Args:
        rows: Where the model was tried, ``n`` of them.
        residuals: Readings less what the model predicts there, ``(n, p)``.
        at: Where to estimate, in the unit box.
    """
    return Kriging.of(rows, residuals).at(at)


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
            factor = cholesky.factor(_regular(amplitude**2 * kernels[length] + errors))
            ways.append(_Way(share, amplitude, length, factor, cholesky.solve(factor, residuals)))
    return _Channel(read, slope, ways)


def evidences(
    kernels: Mapping[float, NDArray[np.float64]],
    errors: NDArray[np.float64],
    residuals: Readings,
    span: float,
    usual: float = np.inf,
) -> dict[tuple[float, float], float]:
    """How well each size and distance of what a model misses explains the residuals ``(n,)`` of one channel.

    Args:
        kernels: By distance, ``(n, n)``.
        errors: Covariance of all else, ``(n, n)``.
        residuals: Of the rows.
        span: Range of the readings, of which the sizes are shares.
        usual: Size that is expected, as such a share (the median of a half-Cauchy prior); infinite where none is.

    Returns:
        Logarithms of prior times marginal likelihood, up to a constant that is the same for all sizes and distances.

    References:
        Gelman (2006), doi:10.1214/06-BA117A, for the prior
    """
    prior = _prior(usual, len(kernels)) if np.isfinite(usual) else dict.fromkeys(AMPLITUDES, 0.0)
    return {
        (part * span, length): _evidence((part * span) ** 2 * like + errors, residuals) + prior[part]
        for part in AMPLITUDES
        for length, like in kernels.items()
    }


def _prior(usual: float, lengths: int) -> dict[float, float]:
    """Logarithm of the probability of each size, at each of so many distances."""
    expected = {part: part / (1 + (part / usual) ** 2) for part in AMPLITUDES}
    return {part: float(np.log(share / sum(expected.values()) / lengths)) for part, share in expected.items()}


def _evidence(covariance: NDArray[np.float64], residuals: Readings) -> float:
    """Logarithm of the marginal likelihood, up to a constant."""
    lower = cholesky.factor(_regular(covariance))
    fit = residuals @ cholesky.solve(lower, residuals)
    return float(-0.5 * fit - np.log(np.diag(lower)).sum())


def _regular(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    ridge = 1e-9 * np.trace(covariance) / len(covariance) + 1e-12
    return np.asarray(covariance + ridge * np.eye(len(covariance)))


def kernel(distance: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """How alike what a model misses is at settings that are so far apart."""
    return np.asarray(np.exp(-0.5 * (distance / length) ** 2))
