"""Flow from the normal distribution to what a mixture leaves of any asked cells, given any known ones.

Cells that a mixture leaves are whitened by its own conditional covariance, so that they are standard normal if the
mixture is right. The path from noise to them is a quarter circle, along which standard normal answers have no
velocity: a network that says 0 leaves the mixture exactly as it is, and training can only correct it.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from strategies.models.mixtures.incomplete_data_em import Array, Gaussians, Mask, Regressions, conditioned, root

COUNTS = 16384, 4096
"""Questions, at least, to learn from and to be tried on."""
PIECES = 8
"""Steps of the midpoint rule from noise to answer."""
QUARTER = np.pi / 2
BACKWARD, FORWARD = 0.4, 0.4
"""Shares of the questions that ask for all settings, and for all readings; the others ask for any cells."""
TOLD = (0.3, 0.6, 1.0)
"""Chances of a cell to be told in a question."""
Single: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Questions:
    """Rows of which some cells are told and others asked."""

    context: Array
    """What the network is told, ``(n, f)``; see ``context``."""
    answer: Array
    """Asked cells, whitened, ``(n, D)``; 0 elsewhere."""
    asked: Mask
    """``(n, D)``."""
    row: NDArray[np.intp]
    """Which row each question is about, ``(n,)``."""


@dataclass(frozen=True, eq=False)
class Flow:
    """A trained network, of which nothing but arrays is left: drawing needs no other library.

    References:
        Lipman, Chen, Ben-Hamu, Nickel, Le (2023), arXiv:2210.02747, for flow matching;
        Albergo, Vanden-Eijnden (2023), arXiv:2209.15571, for the path
    """

    weights: tuple[Single, ...]
    """Of each layer, ``(inputs, outputs)``; those of the first are for context, place and angle, in this order."""
    biases: tuple[Single, ...]

    def draw(self, noise: Array, context: Array, asked: Mask) -> Array:
        """Whitened answers ``(n, D)`` from standard normal noise, for contexts ``(n, f)`` and asked cells ``(D,)``."""
        said, step = self._said(context), QUARTER / PIECES
        place = _single(noise * asked)
        for piece in range(PIECES):
            half = place + _single(step / 2 * asked) * self._velocity(place, piece * step, said)
            place = place + _single(step * asked) * self._velocity(half, (piece + 0.5) * step, said)
        return place.astype(float)

    def mean(self, context: Array, asked: Mask) -> Array:
        """Expected whitened answers ``(n, D)``: where a path begins, its velocity is the mean of its ends."""
        start = np.zeros((len(context), asked.size), np.float32)
        return np.asarray(self._velocity(start, 0.0, self._said(context)) * asked, float)

    def _said(self, context: Array) -> Single:
        """What the context adds to the first layer: the same on the whole path."""
        return _single(_single(context) @ self.weights[0][: context.shape[1]] + self.biases[0])

    def _velocity(self, place: Single, angle: float, said: Single) -> Single:
        own = self.weights[0][-place.shape[1] - 4 :]
        waves = np.array([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], np.float32)
        layer = said + place @ own[:-4] + waves @ own[-4:]
        for weights, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            layer = layer / (1 + np.exp(np.minimum(-layer, 80))) @ weights + bias
        return _single(layer)


def _single(numbers: NDArray[np.floating]) -> Single:
    return np.asarray(numbers, np.float32)


def context(cells: Array, known: Mask, asked: Mask, component: NDArray[np.intp], k: int) -> Array:
    """What the network is told, ``(n, f)``.

    Args:
        cells: Known cells, and what the component expects of the asked ones, ``(n, D)``, centred, in units of span.
        known: Which are known, ``(n, D)``.
        asked: Which are asked, ``(n, D)``; the others are nobody's business.
        component: Of each row, ``(n,)``.
        k: Number of components.
    """
    near = np.clip(cells, -1, 1)  # of rows far away the network knows nothing: there it corrects as at the edge
    return np.column_stack((np.where(known | asked, 3 * near, 0.0), known, asked, np.eye(k)[component]))


def ask(
    rows: Array, mixtures: list[Gaussians], fold: NDArray[np.intp], form: Regressions, rng: np.random.Generator
) -> tuple[Questions, Questions]:
    """Random questions about rows ``(n, D)`` with NaN in their gaps: to learn from, and about others to be tried on.

    Args:
        rows: Centred, in units of span.
        mixtures: One for each fold, which has not seen it.
        fold: Of each row, ``(n,)``; the questions about the first fifth of the folds are those to be tried on.
        form: Of the components.
        rng: The only source of randomness.
    """
    tried = fold < len(mixtures) // 5
    groups = np.flatnonzero(~tried), np.flatnonzero(tried)
    answers = (
        np.resize(group, -(-count // len(group)) * len(group)) for group, count in zip(groups, COUNTS, strict=True)
    )
    learned, held_out = (_questions(rows, mixtures, fold, form, row, rng) for row in answers)
    return learned, held_out


def _questions(
    rows: Array,
    mixtures: list[Gaussians],
    fold: NDArray[np.intp],
    form: Regressions,
    row: NDArray[np.intp],
    rng: np.random.Generator,
) -> Questions:
    known, asked = _masks(np.isfinite(rows[row]), form, rng)
    shares = np.empty((len(rows), len(mixtures[0].shares)))
    for each, mixture in enumerate(mixtures):
        shares[fold == each] = mixture.fill(rows[fold == each]).shares
    component = pick(shares[row], rng.random(len(row)))
    own = fold[row], component
    means = np.array([mixture.means for mixture in mixtures])[own]
    covariances = np.array([mixture.covariances for mixture in mixtures])[own]
    gain, left = conditioned(covariances, known)
    cells = np.nan_to_num(rows[row])
    expected = means + np.einsum("nij,nj->ni", gain, np.where(known, cells - means, 0.0))
    off = np.where(asked, cells - expected, 0.0)
    answer = np.asarray(np.linalg.solve(root(left, asked), off[:, :, None])[:, :, 0], float)
    told = context(np.where(known, cells, expected), known, asked, component, shares.shape[1])
    return Questions(told, answer, asked, row)


def pick(shares: Array, chance: Array) -> NDArray[np.intp]:
    """A component by its share ``(..., k)`` for each uniform chance ``(...)``."""
    below = (shares.cumsum(axis=-1) < chance[..., None]).sum(axis=-1)
    return np.asarray(np.minimum(below, shares.shape[-1] - 1), np.intp)


def _masks(read: Mask, form: Regressions, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Known and asked cells of a random question for each row ``(n, D)``; what was not read is neither."""
    n, width = read.shape
    columns, chance = np.arange(width), rng.random((n, 1))
    settings, readings = (np.isin(columns, each) for each in (form.settings, form.readings))
    told, told_too = rng.random((n, width)) < rng.choice(TOLD, (n, 1)), rng.random((n, 1)) < 0.5
    conditions = np.isin(columns, form.conditions) & told_too
    kinds = [chance < BACKWARD, chance < BACKWARD + FORWARD]
    known = np.select(kinds, [conditions | (readings & told), conditions | settings], told & ~(readings & told_too))
    asked = np.select(kinds, [settings & read, readings & read], read)
    return known & read, asked & ~known & read
