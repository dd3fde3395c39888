"""One channel: a Gaussian process over settings and the order of requests, learned from every row of the campaign.

Censored rows enter by expectation propagation, as a Tobit likelihood; outliers by the chance that a row, judged by all
others, comes from a distribution ten times as wide.

References:
    Rasmussen, Williams (2006), Gaussian Processes for Machine Learning, sections 2.7 (vague linear part), 3.6
    (expectation propagation) and 5.4 (leaving one out); Tobin (1958), doi:10.2307/1907382, for censored rows;
    Box, Tiao (1968), doi:10.1093/biomet/55.1.119, for outliers
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri, dtrtrs
from scipy.special import log_ndtr

from strategies.posterior.covariance import (
    AMPLITUDE,
    BACKGROUND,
    CORRELATION,
    GAIN,
    JITTER,
    NOISE,
    Covariance,
    Matrix,
    draw_values,
    noise_at,
)
from strategies.posterior.hyperparameters import AT, BENT, CORRELATED, DRIFTING, ChannelData, HyperPrior, doubts
from strategies.posterior.shared import COMMON, likelihoods_at, penalties

OUTLIERS = 0.02
"""Part of the rows that are outliers ..."""
WIDER = np.array([1.0, 10.0, 100.0])
"""... and how many times as far off rows are: those that belong, slips of the instrument, and a lamp for a moment."""
SHARES = np.array([1 - OUTLIERS, 0.8 * OUTLIERS, 0.2 * OUTLIERS])
"""Parts of the rows that are of each kind."""
CENSORED = 0.25
"""How far beyond its ceiling a censored row is first thought to lie, in parts of the range."""
UNSTATED = 0.01
"""Noise of another source, in parts of the range, where the instrument states none that it could be compared with."""
PASSES = 2
"""How often censored rows and outliers are judged again with the hyperparameters that followed."""
FEW = 12
"""Rows up to which the likeliest hyperparameters are sought from several starts each time ..."""
SELDOM = 5
"""... with more rows once in so many ..."""
MANY = 60
"""... and from so many on only where there are outliers."""
BOLD = 1.645
"""Standard deviations by which the logarithm of the amplitude may be larger than it seems."""
LATEST = 60
"""Rows that tell how well the hyperparameters are known."""
DOUBTED = (NOISE, CORRELATION, BACKGROUND, GAIN)
"""Hyperparameters on whose doubt a verdict depends ..."""
DEVIATIONS = np.array([-3.5, -2.0, -1.0, 0.0, 1.0, 2.0, 3.5, 5.5])
"""... and how many standard deviations from the likeliest ones they are looked at: more may well be true."""
SWEEPS = 8
WIDEST = 1e3
"""Largest variance of what stands for a censored row, in squares of the range: it says nothing."""


@dataclass(frozen=True, eq=False)
class ChannelPosterior:
    """What the rows of one channel say, in the unit of its readings."""

    middle: float
    scale: float
    """Middle and width of the range that was seen."""
    evidence: ChannelData
    beliefs: HyperPrior
    theta: Matrix
    """Hyperparameters, ``(9 + d,)``."""

    @cached_property
    def whole(self) -> Matrix:
        """Covariance of its rows with their noise, in squares of the range, ``(n, n)``: its lower triangle."""
        return self.evidence.matrix(self.theta)

    @cached_property
    def _factor(self) -> Matrix:
        """Of Cholesky, its lower triangle."""
        return np.asarray(dpotrf(self.whole, lower=1)[0])

    @cached_property
    def _weighted(self) -> Matrix:
        return np.asarray(dpotrs(self._factor, self.evidence.values, lower=1)[0])

    @property
    def deviations(self) -> Matrix:
        """Standard deviation of the noise of each row, in parts of the range, ``(n,)``."""
        return noise_at(self.theta, self.evidence.height, self.covariance.reference)

    @property
    def covariance(self) -> Covariance:
        """That of its rows."""
        return self.evidence.covariance

    def at(self, settings: Matrix, now: float) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation ``(m,)`` of the noise-free reading at settings ``(m, d)`` at a moment."""
        if not len(self.evidence.values):
            return np.zeros(len(settings)), np.sqrt(self.covariance.prior(self.theta, settings, now))
        cross = self.covariance.cross(self.theta, settings, now)
        whitened = dtrtrs(self._factor, cross, lower=1)[0]
        variance = self.covariance.prior(self.theta, settings, now) - np.einsum("nm,nm->m", whitened, whitened)
        return self.middle + self.scale * (cross.T @ self._weighted), self.scale * np.sqrt(np.maximum(variance, JITTER))

    def drawn(self, settings: Matrix, now: float, n: int, rng: np.random.Generator) -> Matrix:
        """Noise-free readings ``(n, m)`` at settings ``(m, d)`` at a moment: by ``n`` functions of the posterior."""
        m, settings = len(settings), self.covariance.asked(settings)
        places = Covariance(settings, np.full(m, now), np.zeros(m, bool), self.covariance.switches)
        whole = places.cross(self.theta, settings, now)
        if len(self.evidence.values):
            whitened = dtrtrs(self._factor, self.covariance.cross(self.theta, settings, now), lower=1)[0]
            whole = whole - whitened.T @ whitened
        return self.at(settings, now)[0] + self.scale * draw_values(whole, n, rng)

    def noise(self, reading: Matrix | float) -> Matrix:
        """Standard deviation of one reading, where readings ``(m,)`` are expected."""
        height = (np.atleast_1d(reading) - self.middle) / self.scale
        return self.scale * noise_at(self.theta, height)

    @cached_property
    def degrees_of_freedom(self) -> float:
        """Of the estimate of the noise, statement and latest rows together; with very many it is known well.

        The variance of the logarithm of a standard deviation with ``v`` degrees of freedom is ``1 / 2 v``.
        """
        channels, weights = self.doubted(NOISE)
        noises = np.array([channel.theta[NOISE] for channel in channels])
        return float(np.clip(0.5 / max(weights @ (noises - weights @ noises) ** 2, JITTER), 1.0, 200.0))

    @cached_property
    def common_likelihoods(self) -> Matrix:
        """How likely its latest rows make what channels have in common to be at each place, ``(c, k)``."""
        if not len(self.evidence.values):
            return np.ones_like(AT)
        along = [self._along[axis] for axis in COMMON]
        common = np.array([[self.beliefs.common(channel.theta) for channel, _ in places] for places in along])
        values = common[np.arange(len(COMMON)), :, np.arange(len(COMMON))]
        densities = np.array([[density for _, density in places] for places in along])
        for place in range(values.shape[1]):  # the rows alone, without what is believed
            densities[:, place] += penalties(values[:, place], AT, self.beliefs.chances)[0]
        likelihoods = np.exp(densities - densities.max(axis=1, keepdims=True))
        found = likelihoods_at(values, likelihoods, AT)
        if not self.beliefs.stated:
            found[0] = 1.0
        return found

    @cached_property
    def _doubts(self) -> Matrix:
        return doubts(self.evidence.last(LATEST), self.beliefs, self.theta)

    @cached_property
    def recent(self) -> "ChannelPosterior":
        """The same by its latest rows alone."""
        return replace(self, evidence=self.evidence.last(LATEST))

    def doubted(self, axis: int) -> tuple[Sequence["ChannelPosterior"], Matrix]:
        """Its latest rows by other values of one hyperparameter, and how likely these are, ``(k,)``.

        All others follow as the rows would have it, and the density is that of the rows and beliefs.
        """
        channels = [channel for channel, _ in self._along[axis]]
        density = np.array([density for _, density in self._along[axis]])
        weights = np.exp(density - density.max()) * np.gradient([channel.theta[axis] for channel in channels])
        return channels, weights / weights.sum()

    @cached_property
    def _along(self) -> "_Along":
        return _Along(self)

    @cached_property
    def bolder(self) -> "ChannelPosterior":
        """The same with as large a bend as the rows allow: what may stand where nobody has measured."""
        theta = self.theta.copy()
        theta[AMPLITUDE] = min(theta[AMPLITUDE] + BOLD * self._doubts[AMPLITUDE, AMPLITUDE] ** 0.5, 0.0)
        return replace(self, theta=theta)

    @property
    def outliers(self) -> int:
        """Rows that are taken for outliers."""
        return int((self.evidence.spread > 2).sum())

    @cached_property
    def cost(self) -> float:
        """Minus the logarithm of the posterior density of hyperparameters and outliers, but for a constant."""
        return -self.evidence.density(self.theta, self.beliefs) - self.outliers * math.log(OUTLIERS)

    def left_out(self) -> tuple[Matrix, Matrix]:
        """Mean and variance ``(n,)`` of each row's noise-free reading by all other rows, in parts of the range."""
        whole = 1 / (dtrtri(self._factor, lower=1)[0] ** 2).sum(axis=0)
        own = (self.evidence.spread * self.deviations) ** 2 * (self.evidence.site == 0)
        return self.evidence.values - self._weighted * whole, np.maximum(whole - own - self.evidence.site, JITTER)


class _Along(dict[int, list[tuple[ChannelPosterior, float]]]):
    """A channel's latest rows by hyperparameters along the doubt of one of them, with the logarithms of densities."""

    def __init__(self, channel: ChannelPosterior) -> None:
        self._channel = channel

    def __missing__(self, axis: int) -> list[tuple[ChannelPosterior, float]]:
        recent, beliefs, doubts = self._channel.recent, self._channel.beliefs, self._channel._doubts
        ridge = doubts[axis] / doubts[axis, axis] ** 0.5
        thetas = np.clip(recent.theta + DEVIATIONS[:, None] * ridge, beliefs.low, beliefs.high)
        self[axis] = [(replace(recent, theta=theta), recent.evidence.density(theta, beliefs)) for theta in thetas]
        return self[axis]


@dataclass(frozen=True, eq=False)
class ChannelRows:
    """The rows in which a channel was read, or stood at a limit."""

    covariance: Covariance
    """Of these rows."""
    readings: Matrix
    """``(n,)``, none of them NaN."""
    censored: NDArray[np.int_]
    """1, -1 or 0 as a row stood at the ceiling, at the floor, or was read, ``(n,)``."""
    limits: tuple[float, float]
    """Floor and ceiling of the channel."""
    noise: float
    """What the instrument states, NaN where nothing."""
    others: Matrix | None = None
    """Chances of what channels have in common, by what others tell, ``(c, k)``; None before any reading."""

    @cached_property
    def range(self) -> tuple[float, float]:
        """Middle and width of the range that was seen; the width is positive, and 1 where nothing was."""
        if not len(self.readings):
            return 0.0, 1.0
        low, high = float(self.readings.min()), float(self.readings.max())
        width = high - low
        return (low + high) / 2, width if width > 0 else max(abs(high) * 1e-6, np.finfo(float).tiny * 1e6)

    @cached_property
    def beliefs(self) -> HyperPrior:
        """About the hyperparameters, in parts of the range."""
        return HyperPrior.about(self.covariance.settings.shape[1], self.noise / self.range[1], self.others)

    @cached_property
    def edges(self) -> Matrix:
        """Where censored rows end, in parts of the range, ``(n,)``."""
        return np.asarray((np.where(self.censored > 0, self.limits[1], self.limits[0]) - self.range[0]) / self.range[1])

    def channel(self, theta: Matrix, like: ChannelData | None = None) -> ChannelPosterior:
        """A channel of these hyperparameters; outliers and censored rows as in other evidence of the same rows."""
        if like is None:
            site = np.where(self.censored == 0, 0.0, CENSORED)
            if (others := self.covariance.others) is not None:
                stated = self.noise / self.range[1] if self.noise > 0 else UNSTATED
                site = np.where(others.source > 0, (others.louder * stated) ** 2, site)
            values = (self.readings - self.range[0]) / self.range[1] + CENSORED * self.censored
            # The height of one reading would be its noise as well, and noise that grows could explain itself.
            height = np.clip(self.covariance.nearby @ values, -0.5, 0.5)
            like = ChannelData(self.covariance, values, height, np.ones(len(values)), site)
        return ChannelPosterior(*self.range, like, self.beliefs, theta)

    def learned(self, start: Matrix | None = None) -> ChannelPosterior:
        """The channel with the likeliest hyperparameters, sought from a start and, with few rows, from other ones.

        With few rows a plane with much noise and a bend with little are two summits. And what was an outlier by the
        rows before it may be a bend or a lamp by those of today.
        """
        rows, fresh = len(self.readings), self.channel(self.beliefs.mean)
        if not rows:
            return fresh
        starts = [] if start is None else [self.judged(self.channel(start))]
        if start is None:
            others = [{}, BENT]
        elif rows <= FEW:
            others = [BENT, DRIFTING] if rows % 2 == 0 else [{}, BENT]
        elif rows <= MANY:
            others = [BENT, DRIFTING, CORRELATED] if starts[0].outliers or rows % SELDOM == 0 else []
        else:
            others = [DRIFTING] if starts[0].outliers else []
        starts += [replace(fresh, theta=fresh.evidence.explained(self.beliefs, by)) for by in others]
        if starts[0].outliers:  # by the noise that is believed, lest an outlier has spoiled the other starts
            starts.append(self.judged(fresh))
        return min((self._climbed(channel) for channel in starts), key=lambda channel: channel.cost)

    def _climbed(self, channel: ChannelPosterior) -> ChannelPosterior:
        for _ in range(1 + PASSES):
            channel = replace(channel, theta=channel.evidence.likeliest(self.beliefs, channel.theta))
            judged = self.judged(channel)
            if settled(judged.evidence, channel.evidence):
                break
            channel = judged
        return channel

    def judged(self, channel: ChannelPosterior) -> ChannelPosterior:
        """The same with censored rows and outliers judged by all others."""
        evidence = channel.evidence
        if not len(evidence.values):
            return channel
        if self.censored.any():
            evidence = _censored(channel, self.censored, self.edges)
        return self.channel(channel.theta, replace(evidence, spread=_spread(replace(channel, evidence=evidence))))


def settled(judged: ChannelData, before: ChannelData) -> bool:
    """Whether judging the rows again changed nothing that matters."""
    same = np.allclose(judged.spread, before.spread, rtol=0.1)
    return (
        same
        and np.allclose(judged.values, before.values, atol=0.02)
        and np.allclose(judged.site, before.site, rtol=0.3)
    )


def _spread(channel: ChannelPosterior) -> Matrix:
    """How many times as uncertain each row is, by its chances of being an outlier of each kind, ``(n,)``."""
    evidence = channel.evidence
    mean, variance = channel.left_out()
    whole = variance[:, None] + (WIDER * channel.deviations[:, None]) ** 2
    off = (evidence.values - mean)[:, None] ** 2
    logs = np.log(SHARES) - 0.5 * np.log(whole) - 0.5 * off / whole
    chances = np.exp(logs - logs.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    return np.asarray(np.where(evidence.site == 0, 1 / np.sqrt(chances @ WIDER**-2), 1.0))


def _censored(channel: ChannelPosterior, censored: NDArray[np.int_], edges: Matrix) -> ChannelData:
    """The same rows with what stands for the censored ones found by expectation propagation."""
    evidence, rows = channel.evidence, np.flatnonzero(censored)
    noise = noise_at(channel.theta, evidence.height)[rows] ** 2
    for _ in range(SWEEPS):
        mean, variance = (each[rows] for each in replace(channel, evidence=evidence).left_out())
        spread, side = np.sqrt(variance + noise), censored[rows]
        u = side * (mean - edges[rows]) / spread
        ratio = np.exp(-0.5 * u**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(u))
        shrunk = np.clip(variance / spread**2 * ratio * (u + ratio), 1e-9, 1 - 1e-9)
        site = np.clip(variance * (1 - shrunk) / shrunk, JITTER, WIDEST)
        stands = mean + side * variance / spread * ratio * (1 + site / variance)
        # By what all others say, a fault put it to its limit: then it says nothing.
        faulty = log_ndtr(u) < math.log(OUTLIERS / 2)
        site, stands = np.where(faulty, WIDEST, site), np.where(faulty, mean, stands)
        values, sites = evidence.values.copy(), evidence.site.copy()
        values[rows], sites[rows] = stands, site
        evidence = replace(evidence, values=values, site=sites)
    return evidence
