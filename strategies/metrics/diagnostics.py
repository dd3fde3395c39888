"""Whether anybody's posterior deserves belief: four tests that ask nothing of a model but its draws.

If settings were drawn from the posterior of some readings, the settings that gave these readings are one more draw of
it: among the draws made for it, the truth ranks as any of these would. Each test looks at another rank, and knows how
odd what it sees is from the same figure for draws in the place of the truth, so its rate holds for few rows, for ties
and for correlated knobs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput

Array = NDArray[np.float64]

LEVEL = 0.01
"""Chance below which a posterior is called wrong: of a hundred that are right each test calls one so."""
REPLICATES = 999
"""Draws in the place of the truth, for what is odd."""
ENOUGH = 24
"""Rows from which on some are near enough to a target to say more of it than all do."""
NEAR = 4
"""One of so many rows is near a target, as far as weights go."""
TOGETHER = "all taken together"
QUESTIONS = {
    "calibration": "Calibration (SBC): the true setting of a knob ranks anywhere among its draws, as often low as high "
    "and as often outside as inside.",
    "coverage": "Coverage (TARP): regions of all knobs together, about points anywhere and about the middle of the "
    "draws, hold the truth as often as draws.",
    "local": "Local: the same as calibration, where rows count the more the nearer they read to the target.",
    "readings": "Readings (misspecification): those of rows not seen rank among what the model simulates there.",
}
"""What each test asks, in a sentence."""
RATE = (
    f"p is the chance that draws which are right look as odd; below {LEVEL:g} a test calls them wrong. All models are "
    "held against the same rows, so that chance calls them wrong together."
)


@dataclass(frozen=True)
class PosteriorDiagnosis:
    """What one test says of the draws of a model."""

    chance: float | None
    """That draws which are right look at least as odd; None where there are too few rows."""
    says: str
    """``holds``, or what is wrong: ``too narrow in R``."""

    @property
    def holds(self) -> bool | None:
        """Whether the test finds nothing wrong; None where it cannot say."""
        return None if self.chance is None else self.chance >= LEVEL


def diagnose_draws(
    draws: Array,
    truths: Array,
    simulated: Array,
    readings: Array,
    target: Array,
    names: tuple[Sequence[str], Sequence[str]],
    rng: np.random.Generator,
) -> dict[str, PosteriorDiagnosis]:
    """Ask all four questions of the draws for ``m`` rows that a model has not seen.

    Args:
        draws: Settings drawn for the readings of each row, ``(n, m, d)``.
        truths: The settings of the rows, ``(m, d)``.
        simulated: Readings that the model simulates at these settings, ``(n, m, c)``.
        readings: Those of the rows, ``(m, c)``.
        target: Readings near which the local test looks, ``(c,)``.
        names: Of the knobs, and of the channels.
        rng: For points, ties and what is odd.

    Returns:
        By the names of ``QUESTIONS``.

    Raises:
        InvalidInput: for shapes that do not match.

    References:
        Talts, Betancourt, Simpson, Vehtari, Gelman (2018), arXiv:1804.06788, for calibration;
        Lemos, Coogan, Hezaveh, Perreault-Levasseur (2023), arXiv:2302.03026, for coverage about points anywhere;
        Hermans, Delaunoy, Rozet, Wehenkel, Begy, Louppe (2022), arXiv:2110.06581, for that about the draws;
        Linhart, Gramfort, Rodrigues (2023), arXiv:2306.03580, for tests at one reading, whose classifier takes
        thousands of rows; Zhao, Dalmasso, Izbicki, Lee (2021), arXiv:2102.10473, for ranks near it, which tens allow;
        Schmitt, Bürkner, Köthe, Radev (2021), arXiv:2112.08866, for readings that no simulation gives
    """
    if draws.shape[1:] != truths.shape or simulated.shape[1:] != readings.shape or len(truths) != len(readings):
        shapes = f"{draws.shape}, {truths.shape}, {simulated.shape} and {readings.shape}"
        raise InvalidInput(f"draws (n, m, d) of settings (m, d) and (n, m, c) of readings (m, c) needed, got {shapes}")
    knobs, channels = names
    places, read = np.concatenate((truths[None], draws)), np.concatenate((readings[None], simulated))
    ranks, even = _ranks(places, rng), np.full(len(truths), 1 / len(truths))
    regions = np.stack((_from_anywhere(places, rng), _from_middle(places)), axis=-1)
    joint = np.concatenate((read, _from_middle(read)[..., None]), axis=-1)
    near = len(truths) >= ENOUGH
    return {
        "calibration": _judge(ranks, even, knobs, rng),
        "coverage": _judge(_ranks(regions, rng), even, ["", TOGETHER], rng),
        "local": _judge(ranks, _nearness(readings, target), knobs, rng)
        if near
        else PosteriorDiagnosis(None, "too few rows"),
        "readings": _judge(_ranks(joint, rng), even, [*channels, TOGETHER], rng),
    }


def _ranks(items: Array, rng: np.random.Generator) -> Array:
    """Where each of ``n`` items ``(n, m, k)`` ranks among them, between 0 and 1; equal ones by chance."""
    order = np.lexsort((rng.random(items.shape), items), axis=0)
    ranks = np.empty(items.shape)
    np.put_along_axis(ranks, order, (np.arange(len(items)) + 0.5)[:, None, None] / len(items), axis=0)
    return ranks


def _from_anywhere(items: Array, rng: np.random.Generator) -> Array:
    """Distance of each item ``(n, m, k)`` from a point chosen for its row, in spans, ``(n, m)``."""
    low, high = items.min(axis=(0, 1)), items.max(axis=(0, 1))
    points = rng.uniform(low, high, items.shape[1:])
    return np.asarray(np.linalg.norm((items - points) / np.where(high > low, high - low, 1.0), axis=-1))


def _from_middle(items: Array) -> Array:
    """Squared distance of each item ``(n, m, k)`` from the middle of its row, by their covariance, ``(n, m)``."""
    off = np.moveaxis(items - items.mean(axis=0), 0, -1)
    covariance = off @ off.mT / len(items)
    ridge = 1e-9 * np.trace(covariance, axis1=1, axis2=2)[:, None, None] + 1e-300
    inverse = np.linalg.pinv(covariance + ridge * np.eye(items.shape[-1]), hermitian=True)
    return np.asarray(np.einsum("mkn,mkl,mln->nm", off, inverse, off))


def _nearness(readings: Array, target: Array) -> Array:
    """Weights of rows ``(m, c)`` that fall off from a target, in spans of the channels; they sum to 1."""
    span = np.ptp(readings, axis=0)
    off = (((readings - target) / np.where(span > 0, span, 1.0)) ** 2).sum(axis=1)
    scale = np.partition(off, len(off) // NEAR)[len(off) // NEAR]
    weights = np.exp(-0.5 * (off - off.min()) / max(float(scale - off.min()), 1e-12))
    return np.asarray(weights / weights.sum())


def _judge(ranks: Array, weights: Array, names: Sequence[str], rng: np.random.Generator) -> PosteriorDiagnosis:
    """Whether the first of the items ranks as the others do, by the mean of its ranks and by their spread.

    Args:
        ranks: Of the truth and of the draws, ``(1 + n, m, k)``.
        weights: Of the rows, ``(m,)``.
        names: Of the ``k`` columns; ``TOGETHER`` for a distance from the middle.
        rng: Chooses which draws stand in the place of the truth.
    """
    chosen = rng.integers(1, len(ranks), (1 + REPLICATES, len(weights)))
    chosen[0] = 0
    off = ranks[chosen, np.arange(len(weights))] - 0.5
    size = np.sqrt((weights**2).sum())
    shift = np.einsum("rmk,m->rk", off, weights) * np.sqrt(12) / size
    width = np.einsum("rmk,m->rk", off**2 - 1 / 12, weights) * np.sqrt(180) / size
    oddness = np.maximum(np.abs(shift), np.abs(width)).max(axis=1)
    chance = float((oddness >= oddness[0]).mean())
    if chance >= LEVEL:
        return PosteriorDiagnosis(chance, "holds")
    worst = int(np.maximum(np.abs(shift[0]), np.abs(width[0])).argmax())
    beyond, apart = shift[0, worst], width[0, worst]
    if names[worst] == TOGETHER and abs(beyond) >= abs(apart):
        return PosteriorDiagnosis(chance, f"{'too narrow' if beyond > 0 else 'too wide'}, {TOGETHER}")
    if names[worst] == TOGETHER:
        return PosteriorDiagnosis(chance, f"elsewhere or of another shape, {TOGETHER}")
    how = ("too low" if beyond > 0 else "too high") if abs(beyond) > abs(apart) else None
    how = how or ("too narrow" if apart > 0 else "too wide")
    return PosteriorDiagnosis(chance, f"{how} in {names[worst]}" if names[worst] else how)
