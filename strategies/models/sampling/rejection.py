"""Settings that occur and would read as wanted: many are tried on a forward model, and those that come nearest kept."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.models.base.noise import span
from strategies.models.deep.with_forward import Array, WithForward
from strategies.models.sampling.kernel_density import KernelDensity
from strategies.models.sampling.stratified import stratified

NEAR = 4
"""Settings, at least, of which one is drawn: the nearest of all that were tried."""
SURE, ENOUGH = 0.003, 2000
"""Share of the range of the readings by which the networks of the forward model may part at a usual row of the table;
beyond that the table has the rows of the fit alone, if they are so many."""
PARTED = 0.025
"""The same for any row of the table."""
KEPT = 0.05, 0.998
"""Share of the table that is kept though the networks part everywhere, and at most: they part most at the outermost
settings, where one of them has gone astray."""
MOST = 0.05
"""Part of the table that may count as near."""
CHUNK = 4_000_000
"""Numbers of settings that are chosen from at once."""


@dataclass(eq=False)
class Rejection(WithForward):
    """Draws of the settings' own distribution whose readings, as a forward model has them, come nearest to the target.

    It looks the target up as ``nearest`` does, in a table as long as one likes, since its rows are drawn from the
    density of the settings and read by the forward model. What it finds is a sample of the posterior, as wide as the
    nearest are apart; whoever localises them makes it exact. Settings at which the networks of the forward model part
    are left out: an answer there would be a guess. Nothing is trained but the forward model, and a target may leave any
    channel free.

    With very many knobs (see ``Smoothed``), or a response that the forward model knows at its rows alone, the table has
    the rows of the fit with the readings that they had, noise and all, and ``draws_and_misses`` tells what the forward
    model missed there.

    Args:
        tried: Rows of the table, unless it has those of the fit.

    References:
        Pritchard, Seielstad, Perez-Lezaun, Feldman (1999), doi:10.1093/oxfordjournals.molbev.a026091, for rejection by
        nearness; Beaumont, Zhang, Balding (2002), doi:10.1093/genetics/162.4.2025, for draws that are moved on
    """

    tried: int = 2**18

    share: ClassVar[float] = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tried < 1:
            raise InvalidInput(f"rejection needs tried >= 1, got {self.tried}")

    def _learn(self, readings: Readings, settings: Settings, rng: np.random.Generator) -> None:
        self.range_ = span(readings)
        prior = KernelDensity.of(settings, rng)
        table = prior.draw(self.tried, rng) if prior.smooth else settings
        unsure = self._unsure(table)
        rows = not prior.smooth or (len(settings) >= ENOUGH and np.median(unsure) > SURE)
        if rows:
            table, unsure = settings, self._unsure(settings)
        sure = unsure <= np.clip(PARTED, *np.quantile(unsure, KEPT))
        self.table_, expected = table[sure], self.surrogate_.predict(table[sure])
        self.missed_: Readings | None = readings[sure] - expected if rows else None
        self.read_ = self.surrogate_.readings.to(readings[sure] if rows else expected)
        self.trees_ = dict[bytes, KDTree]()

    def draws_and_misses(self, targets: Readings, n: int, rng: np.random.Generator) -> tuple[Array, Readings | None]:
        """Draws as ``sample_many`` has them, and how far off each the forward model was in the fit, ``(m, n, p)``.

        That is the reading there less what the model expects; None for draws that are not rows of the fit.
        """
        if self.mixture_ is not None or self.missed_ is None:
            return self.sample_many(targets, n, rng), None
        self._asked(targets)
        rows = self._chosen(np.asarray(targets, float), n, rng)
        return self.table_[rows], self.missed_[rows]

    def _unsure(self, settings: Settings) -> Readings:
        """How far the networks part at settings ``(n, d)``, as a share of the range of a channel, ``(n,)``."""
        return np.asarray((self.surrogate_.disagreement(settings) / self.range_).max(axis=1))

    def _draws(self, targets: Readings, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(self.table_[self._chosen(targets, n, rng)])

    def _chosen(self, targets: Readings, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Rows of the table ``(m, n)`` for targets ``(m, p)``, NaN where free."""
        chosen = np.empty((len(targets), n), np.intp)
        goals = self.surrogate_.readings.to(targets)
        fixed = np.isfinite(targets)
        for pattern in np.unique(fixed, axis=0):
            mine = np.flatnonzero((fixed == pattern).all(axis=1))
            near = self._nearest(goals[mine], pattern, n)
            most = max(CHUNK // (near.shape[1] * self.d_), 1)
            for first in range(0, len(mine), most):
                chosen[mine[first : first + most]] = self._some(near[first : first + most], n, rng)
        return chosen

    def _nearest(self, wanted: Readings, fixed: NDArray[np.bool_], n: int) -> NDArray[np.intp]:
        """Rows of the table ``(m, k)`` that come nearest to targets ``(m, p)``, a power of two of them."""
        most = max(int(MOST * len(self.table_)), 1)
        k = 2 ** min((NEAR * n - 1).bit_length(), most.bit_length() - 1)
        if (key := fixed.tobytes()) not in self.trees_:
            self.trees_[key] = KDTree(self.read_[:, fixed])
        return np.asarray(self.trees_[key].query(wanted[:, fixed], range(1, k + 1))[1])

    def _some(self, near: NDArray[np.intp], n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Of rows ``(m, k)`` some that lie evenly over them, ``(m, n)``."""
        places = self.surrogate_.settings.to(self.table_[near])
        chosen = stratified(places, min(n, near.shape[1]), rng)
        return np.take_along_axis(near, np.resize(chosen.T, (n, len(near))).T, axis=1)
