"""Gaussian mixture of rows with gaps: fitted by expectation maximisation, conditioned on whatever cells are known."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from strategies.models.base.noise import PRIOR_NOISE, PRIOR_ROWS
from strategies.models.mixtures.partition import shares

RIDGE = 1e-6  # lets an input that never moved have a slope, which is 0
ROUNDS = 200
"""Most rounds of expectation maximisation."""
SETTLED = 1e-5
"""Gain in log likelihood, a row and round, below which it stops."""
PASSES = 2
"""How often rows with gaps are shared out anew, each time with the gaps filled in better."""
EXPECTED = 20
"""How many readings without surprise a fit expects before it sees any."""
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Filled:
    """Rows ``(n, D)`` with their gaps filled in by each of ``k`` components."""

    shares: Array
    """Of each component in each row, ``(n, k)`` with rows of sum 1."""
    cells: Array
    """Expected rows, ``(n, k, D)``; as they are where known."""
    covariances: Array
    """Of the gaps, ``(patterns, k, D, D)``; 0 for known cells."""
    pattern: NDArray[np.intp]
    """Which pattern of gaps each row has, ``(n,)``."""
    known: Mask
    """``(n, D)``."""
    likelihood: float = -np.inf
    """Mean logarithm of the density of the known cells of a row, up to a constant; 0 without rows."""

    @property
    def moments(self) -> tuple[Array, Array]:
        """Mean and variance of each cell over all components, ``(n, D)`` each."""
        mean = np.einsum("nk,nkd->nd", self.shares, self.cells)
        own = np.diagonal(self.covariances[self.pattern], axis1=2, axis2=3)
        variance = np.einsum("nk,nkd->nd", self.shares, own + (self.cells - mean[:, None]) ** 2)
        return np.asarray(mean), np.asarray(variance)


@dataclass(frozen=True, eq=False)
class Gaussians:
    """A Gaussian mixture over the ``D`` cells of a row."""

    shares: Array
    """Prior of each component, ``(k,)``."""
    means: Array
    """``(k, D)``."""
    covariances: Array
    """``(k, D, D)``, positive definite."""

    def fill(self, rows: Array) -> Filled:
        """What the known cells of rows ``(n, D)`` say of the others, which are NaN."""
        known = np.isfinite(rows)
        patterns, which = _patterns(known)
        seen = _seen(self.covariances, patterns[:, None])
        gains, left = conditioned(self.covariances, patterns[:, None])
        precisions, volumes = np.linalg.inv(seen), np.linalg.slogdet(seen)[1] / 2
        off = np.where(known[:, None], np.nan_to_num(rows)[:, None] - self.means, 0.0)
        cells, distances = np.empty_like(off), np.empty(off.shape[:2])
        for pattern in range(len(patterns)):  # whose rows share their matrices
            mine = which == pattern
            each = off[mine].swapaxes(0, 1)
            cells[mine] = (each @ gains[pattern].mT).swapaxes(0, 1) + self.means
            distances[mine] = ((each @ precisions[pattern]) * each).sum(axis=2).T
        logs = np.log(self.shares) - volumes[which] - distances / 2
        most = logs.max(axis=1, keepdims=True)
        total = most + np.log(np.exp(logs - most).sum(axis=1, keepdims=True))
        return Filled(np.exp(logs - total), cells, left, which, known, float(total.sum() / max(len(total), 1)))


def conditioned(covariances: Array, known: Mask) -> tuple[Array, Array]:
    """What some cells ``(..., D)`` say of all, and the covariance that they leave, ``(..., D, D)`` each.

    The first is 0 in the columns of unknown cells, the second 0 in rows and columns of known ones.
    """
    row, column = known[..., :, None], known[..., None, :]
    inverse = np.where(row & column, np.linalg.inv(_seen(covariances, known)), 0.0)
    gain = np.where(column, covariances, 0.0) @ inverse
    return gain, np.where(row | column, 0.0, covariances - gain @ covariances)


def root(covariances: Array, asked: Mask) -> Array:
    """Cholesky factors ``(..., D, D)`` of the asked cells ``(..., D)``; the unit matrix for the others."""
    return np.asarray(np.linalg.cholesky(_seen(covariances, asked)), float)


def _seen(covariances: Array, known: Mask) -> Array:
    """Covariances ``(..., D, D)`` of some cells, and the unit matrix for the others."""
    return np.where(known[..., :, None] & known[..., None, :], covariances, np.eye(known.shape[-1]))


def _patterns(known: Mask) -> tuple[Mask, NDArray[np.intp]]:
    """Distinct rows ``(m, D)`` of a mask, and which of them each row is, ``(n,)``."""
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    return patterns, which.ravel()


@dataclass(frozen=True, eq=False)
class Regressions:
    """The form of every component: settings and conditions are Gaussian, readings linear in them, with noise.

    Columns are centred and in units of their span. Readings that few settings move are collinear, and their plain
    covariance would be singular.

    References:
        Ghahramani, Jordan (1994), "Supervised learning from incomplete data via an EM approach", NIPS 6;
        Deleforge, Forbes, Horaud (2015), doi:10.1007/s11222-014-9461-5, for the form of the covariance
    """

    settings: NDArray[np.intp]
    """Columns that are always known."""
    readings: NDArray[np.intp]
    """Columns that the others explain."""
    conditions: NDArray[np.intp]
    """Columns that nobody chooses."""

    @property
    def inputs(self) -> NDArray[np.intp]:
        """Columns that explain the readings."""
        return np.concatenate((self.settings, self.conditions))

    def fit(self, rows: Array, most: int) -> Filled:
        """Share rows ``(n, D)``, with NaN for gaps, out among up to ``most`` components and fill them in.

        Without gaps this is what ``shares`` answers.
        """
        filled, gaps = self._guess(rows), bool(np.isnan(rows).any())
        one = self._settled(rows, filled) if gaps else filled
        answer = one
        for _ in range(PASSES if gaps else 1):
            whole, _ = answer.moments
            parts = shares(whole[:, self.readings], whole[:, self.inputs], most)
            answer = replace(
                one,
                shares=parts,
                cells=np.repeat(whole[:, None], parts.shape[1], axis=1),
                covariances=np.repeat(one.covariances, parts.shape[1], axis=1),
            )
            answer = self._settled(rows, answer) if gaps else answer
        return answer

    def mixture(self, rows: Filled, weights: Array | None = None, surprise: Array | float = 1.0) -> Gaussians:
        """The mixture that rows show, with components as uncertain as a prediction by them.

        Args:
            rows: Shared out and filled in.
            weights: How much each row counts, ``(n,)``; by default all 1.
            surprise: By how much to multiply the variance of the noise of each reading, ``(p,)``; see ``surprise``.
        """
        part = rows.shares if weights is None else rows.shares * weights[:, None]
        read = np.maximum(part.T @ rows.known[:, self.readings], 1.0)
        spent = self.inputs.size + 1
        freedom = PRIOR_ROWS + np.maximum(read - spent, 0.0)
        # As of a Student distribution, and as uncertain as a reading and, by spent / n on average, as the slopes.
        return self._mixture(rows, part, (read + PRIOR_ROWS) / (freedom - 2) * (1 + spent / read) * surprise)

    def surprise(self, rows: Array, filled: Filled, fold: NDArray[np.intp]) -> Array:
        """Mean square of readings, standardised by what mixtures expect that have not seen them, ``(p,)``.

        Below 1 the prior of the noise was too cautious, above 1 intervals would be too narrow. As few rows cannot
        tell, ``EXPECTED`` readings without surprise are added.

        Args:
            rows: With NaN for gaps, ``(n, D)``.
            filled: The same, filled in.
            fold: Which rows are left out together, ``(n,)``.
        """
        asked, square = rows.copy(), np.empty((len(rows), self.readings.size))
        asked[:, self.readings] = np.nan
        for part in np.unique(fold):
            mine = fold == part
            mean, variance = self.mixture(filled, (~mine).astype(float)).fill(asked[mine]).moments
            square[mine] = ((rows[mine] - mean) ** 2)[:, self.readings] / variance[:, self.readings]
        known = filled.known[:, self.readings]
        return np.asarray((np.where(known, square, 0.0).sum(axis=0) + EXPECTED) / (known.sum(axis=0) + EXPECTED))

    def _mixture(self, rows: Filled, part: Array, wider: Array) -> Gaussians:
        """Components from the moments of rows that count as their part ``(n, k)``, with wider noise ``(k, p)``."""
        count = np.maximum(part.sum(axis=0), 1e-9)
        means = np.einsum("nk,nkd->kd", part, rows.cells) / count[:, None]
        off = (rows.cells - means).transpose(1, 2, 0)
        moments = (off * part.T[:, None]) @ off.mT
        for pattern, covariance in enumerate(rows.covariances):
            moments += part[rows.pattern == pattern].sum(axis=0)[:, None, None] * covariance
        x, y, each = self.inputs, self.readings, count[:, None, None]
        gram, cross = moments[:, x[:, None], x], moments[:, x[:, None], y]
        slopes = np.linalg.solve(gram + RIDGE * np.eye(x.size), cross)
        left = moments[:, y[:, None], y] - slopes.mT @ cross - cross.mT @ slopes + slopes.mT @ gram @ slopes
        noise = (left + PRIOR_ROWS * PRIOR_NOISE**2 * np.eye(y.size)) / (each + PRIOR_ROWS)
        noise *= np.sqrt(wider[:, :, None] * wider[:, None, :])
        spread = gram / each + PRIOR_NOISE**2 * np.eye(x.size)
        covariances = np.empty_like(moments)
        covariances[:, x[:, None], x] = spread
        covariances[:, x[:, None], y] = spread @ slopes
        covariances[:, y[:, None], x] = (spread @ slopes).mT
        covariances[:, y[:, None], y] = slopes.mT @ spread @ slopes + noise
        return Gaussians(count / count.sum(), means, covariances)

    def _settled(self, rows: Array, filled: Filled) -> Filled:
        """Expectation maximisation from a first guess of the gaps."""
        as_it_is = np.ones((filled.shares.shape[1], self.readings.size))
        for _ in range(ROUNDS):
            before, filled = filled.likelihood, self._mixture(filled, filled.shares, as_it_is).fill(rows)
            if filled.likelihood < before + SETTLED:
                break
        return filled

    def _guess(self, rows: Array) -> Filled:
        """One component, with each reading by linear regression on the inputs in the rows where it is known."""
        known = np.isfinite(rows)
        cells = np.where(known, rows, 0.0)
        inputs = np.column_stack((np.ones(len(rows)), cells[:, self.inputs]))
        left = (cells**2).sum(axis=0) / known.sum(axis=0)
        for column in self.readings:
            seen = known[:, column]
            expected = inputs @ np.linalg.lstsq(inputs[seen], rows[seen, column])[0]
            left[column] = ((rows[seen, column] - expected[seen]) ** 2).mean()
            cells[~seen, column] = expected[~seen]
        patterns, which = _patterns(known)
        covariances = np.where(patterns, 0.0, left)[:, None, :, None] * np.eye(rows.shape[1])
        return Filled(np.ones((len(rows), 1)), cells[:, None], covariances, which, known)
