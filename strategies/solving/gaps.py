"""Gaps of the rows: there the intervals of every model are as wide as the rows around leave its answer open.

A model that learned from rows on both sides of a gap knows nothing of what lies between, and few models say so. There a
reading is at least as uncertain as the posterior of the rows has it, and as the model departs from that posterior. As
likely as the answer to a target lies in a gap, so many of the settings drawn for it are drawn there, with that
uncertainty. Elsewhere a model is left as it is.

References:
    Alspach, Sorenson (1972), doi:10.1109/TAC.1972.1100034, for a posterior as a sum of pieces that are linear each
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from sdl.space import Readings, Settings
from strategies.contract import InverseModel, Target
from strategies.fitting.guard import require_finite
from strategies.models.base.applicability_domain import SettingsDomain
from strategies.numerics.jacobian import tangent
from strategies.numerics.unit_box import in_unit_box, spread_points
from strategies.solving.row_posterior import RowPosterior

FAR = 0.8
"""Part of the remoteness that is warned of from which on intervals are widened: the rims of a gap are unknown too."""
PIECES = 1024
"""Points of the unit box about each of which the readings are taken for linear."""
WIDTH = 0.5
"""Standard deviation of the settings of a piece, in mean distances of these points."""
BEYOND = 1e-3
"""Chance below which a target is no reading that the rows' posterior knows anywhere in the box."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaps:
    """Where no row was measured, and what the rows around say of readings there."""

    domain: SettingsDomain
    """The settings of the rows, in the unit box."""
    posterior: RowPosterior
    box: "_Pieces"
    """The readings that the rows' posterior expects all over the box."""
    empty: NDArray[np.intp]
    """Which pieces of the box lie in gaps."""
    everywhere: bool = False
    """Whether all settings lie in one, since no row had the conditions that are given."""

    @classmethod
    def of(cls, settings: Settings, posterior: RowPosterior) -> Self:
        """The gaps of rows at settings ``(n, d)`` of the unit box, which their posterior was learned from."""
        domain = SettingsDomain(np.unique(settings, axis=0))
        places = spread_points(PIECES, settings.shape[1], np.random.default_rng(0))
        mean, slopes = tangent(posterior.mean, places)
        variance = posterior.at(places)[1] ** 2 + posterior.noise**2
        box = _Pieces(places, WIDTH * len(places) ** (-1 / places.shape[1]), mean, slopes, variance)
        unseen = posterior.conditions.unseen
        empty = np.flatnonzero((domain.remoteness(places) > FAR) | unseen)
        return cls(domain, posterior, box, empty, unseen)

    def remote(self, settings: Settings) -> NDArray[np.bool_]:
        """Which of the settings ``(m, d)`` lie in a gap or on its rim, ``(m,)``."""
        return np.asarray((self.domain.remoteness(settings) > FAR) | self.everywhere)

    def doubt(self, settings: Settings, predicted: Readings) -> Readings:
        """Mean squared error ``(m, c)`` of what a model predicts of one reading at settings ``(m, d)`` in a gap."""
        mean, unsure = self.posterior.at(settings)
        return np.asarray(unsure**2 + self.posterior.noise**2 + (mean - predicted) ** 2)

    def chance(self, target: Target) -> float:
        """Probability that the answer to a target ``(c,)`` lies in a gap; 0 where it lies nowhere in the box."""
        evidence, misfit = self.box.evidence(target)
        if not len(self.empty) or misfit.min() > chdtri(len(target), BEYOND):
            return 0.0
        shares = np.exp(evidence - evidence.max())
        return float(shares[self.empty].sum() / shares.sum())


@dataclass(frozen=True, eq=False)
class WidenedModel:
    """A fitted model whose draws are as wide in gaps of its rows as these leave its answers open."""

    model: InverseModel
    gaps: Gaps

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Fresh readings at settings ``(m, d)`` of the unit box, ``(n, m, c)``."""
        return self.widen(self.simulate_itself(settings, n, rng), settings, rng)

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` that give a target ``(c,)``, all of whose channels are fixed; some outside the box."""
        return self.spread(self.sample_itself(target, n, rng), target, rng)

    def simulate_itself(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """The same readings as the model alone has them."""
        shape = (n, len(settings), self.gaps.posterior.middle.size)
        return require_finite(self.model.simulate(settings.copy(), n, rng), "simulated readings", shape)

    def sample_itself(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """The same settings as the model alone has them."""
        return require_finite(self.model.sample(target.copy(), n, rng), "draws", (n, self.gaps.domain.rows.shape[1]))

    def widen(self, drawn: Array, settings: Settings, rng: np.random.Generator) -> Array:
        """Readings that the model drew at settings ``(m, d)``, ``(n, m, c)``, as uncertain as they are in gaps.

        And everywhere, where the rows were moved to other conditions, which leaves less of their noise.
        """
        far = np.flatnonzero(self.gaps.remote(settings) | self.gaps.posterior.conditions.varied.any())
        if not len(far):
            return drawn
        doubt = self.gaps.doubt(settings[far], self._predict(settings[far]))
        lacking = np.maximum(doubt - drawn[:, far].var(axis=0), 0.0)
        drawn = drawn.copy()
        drawn[:, far] += np.sqrt(lacking) * rng.standard_normal((len(drawn), *lacking.shape))
        return drawn

    def spread(self, drawn: Settings, target: Target, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` drawn for a target ``(c,)``, with so many in gaps as the answer may lie there."""
        n, chance = len(drawn), self.gaps.chance(target)
        if not chance:
            return drawn
        inside = in_unit_box(drawn)
        far = inside & self.gaps.remote(drawn)
        order = np.lexsort((rng.random(n), inside & ~far, ~far))  # those in gaps make room first, then those outside
        some = order[: max(round(chance * n), int(far.sum()))]
        shares = np.exp((evidence := self._empty.evidence(target)[0]) - evidence.max())
        pieces = rng.choice(len(shares), len(some), p=shares / shares.sum())
        drawn = drawn.copy()
        drawn[some] = self._empty.draw(pieces, target, rng)
        return drawn

    @cached_property
    def _empty(self) -> "_Pieces":
        """The gaps, where readings are as uncertain as for this model."""
        box, empty = self.gaps.box, self.gaps.empty
        off = (box.mean[empty] - self._predict(box.places[empty])) ** 2
        return _Pieces(box.places[empty], box.width, box.mean[empty], box.slopes[empty], box.variance[empty] + off)

    def _predict(self, settings: Settings) -> Readings:
        shape = (len(settings), self.gaps.posterior.middle.size)
        return require_finite(self.model.predict(settings.copy()), "predictions", shape)


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Points of the box, each with a normal distribution of settings about it over which readings are linear."""

    places: Settings
    """Shape ``(k, d)``."""
    width: float
    """Standard deviation of the settings of a piece, in each knob."""
    mean: Readings
    """Expected at the places, ``(k, c)``."""
    slopes: Array
    """Of these, ``(k, c, d)``."""
    variance: Readings
    """Of one reading about what is expected, ``(k, c)``."""

    @cached_property
    def precision(self) -> Array:
        """Inverse covariance ``(k, c, c)`` of one reading somewhere in each piece."""
        own = np.eye(self.mean.shape[1]) * self.variance[:, None]
        return np.asarray(np.linalg.inv(self.width**2 * self.slopes @ self.slopes.mT + own))

    @cached_property
    def _volume(self) -> Array:
        return np.asarray(np.linalg.slogdet(self.precision)[1])

    def evidence(self, target: Target) -> tuple[Array, Array]:
        """Log density of a target ``(c,)`` in each piece, up to a constant, and its squared distance, both ``(k,)``."""
        off = target - self.mean
        misfit = np.einsum("kc,kce,ke->k", off, self.precision, off)
        return 0.5 * (self._volume - misfit), misfit

    def draw(self, pieces: NDArray[np.intp], target: Target, rng: np.random.Generator) -> Settings:
        """One of the settings of each piece ``(n,)`` that give a target, ``(n, d)``, by Matheron's rule."""
        slopes, noise = self.slopes[pieces], np.sqrt(self.variance[pieces])
        apart = self.width * rng.standard_normal((len(pieces), self.places.shape[1]))
        read = self.mean[pieces] + (slopes @ apart[..., None])[..., 0] + noise * rng.standard_normal(noise.shape)
        gain = self.width**2 * slopes.mT @ self.precision[pieces]
        return np.asarray(self.places[pieces] + apart + (gain @ (target - read)[..., None])[..., 0])
