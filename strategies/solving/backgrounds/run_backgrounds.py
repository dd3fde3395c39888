"""The light of each of many runs, and of a new one of which a reading at known settings, the anchor, tells it.

A reading is the response to the settings, plus a background that is steady in a run, plus noise. Differences within
runs give the response (the within estimator), what is left of each run gives the scatter of the backgrounds, and the
best linear unbiased prediction shares what the anchor is off between background and noise. Light that no run has had
before would be drawn to theirs: in each direction no more of the anchor is taken for noise than one standard
deviation, and none where it is quite unlike theirs.

References:
    Mundlak (1978), doi:10.2307/1913646; Robinson (1991), doi:10.1214/ss/1177011926; Efron, Morris (1971), J. Am. Stat.
    Assoc. 66, 807, for estimates that are drawn no farther than so much; Stein (1981), doi:10.1214/aos/1176345632
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdl.errors import InvalidInput, TooFewRows
from sdl.space import Readings, Settings
from strategies.contract import Target
from strategies.models.base.noise import residual_noise, span
from strategies.models.linear.least_squares import LeastSquares

OWN = 0.1
"""Part of its scatter by which the background of one channel may go its own way; counts as one run."""
FARTHEST = 1.0
"""Standard deviations of its noise by which an anchor is moved towards other runs at most, in each direction."""
UNLIKE = 3.0
"""Standard deviations of the distance to other runs from which on they know nothing of this light."""


LIGHTS = 50
"""Backgrounds in which draws are made, where that of today is not known exactly."""


@dataclass(frozen=True, eq=False)
class RunBackgrounds:
    """What was learned of ``k`` runs over ``p`` channels."""

    response: LeastSquares
    """Readings for settings in the unit box, without any background."""
    noise: NDArray[np.float64]
    """Covariance of one reading, ``(p, p)``."""
    levels: Readings
    """Background of each run, ``(k, p)``."""
    run: NDArray[np.intp]
    """Which of these each row belongs to, ``(n,)``."""

    @classmethod
    def learn(cls, readings: Readings, settings: Settings, runs: ArrayLike) -> Self:
        """Learn from complete rows: readings ``(n, p)``, settings in the unit box ``(n, d)``, the label of each run.

        Raises:
            TooFewRows: with the number that is needed: each run spends a row on its background.
            InvalidInput: for labels that do not match the rows.
        """
        labels, (n, d) = np.asarray(runs), settings.shape
        if labels.shape != (n,):
            raise InvalidInput(f"a fit needs the run of each of its {n} rows, got labels of shape {labels.shape}")
        run = np.unique(labels, return_inverse=True)[1].ravel()
        rows = np.bincount(run)
        k = len(rows)
        if n <= k + d:
            raise TooFewRows(f"{k} runs and {d} knobs need {k + d + 1} rows, got {n}: measure more rows in each run")

        def mean(columns: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.stack([np.bincount(run, column) / rows for column in columns.T], axis=1)

        y, x = readings - mean(readings)[run], settings - mean(settings)[run]
        response = LeastSquares.fit(x, y)
        noise = residual_noise(y - response.predict(x), span(readings), k + d).variance
        return cls(response, noise, mean(readings - response.predict(settings)), run)

    def at(self, readings: ArrayLike, settings: ArrayLike) -> tuple[Readings, NDArray[np.float64]]:
        """The background of a run ``(p,)`` in which anchors were read, and the covariance of its error ``(p, p)``.

        Args:
            readings: One, ``(p,)``, or several, ``(m, p)``.
            settings: At which they were read, in the unit box, ``(d,)`` or ``(m, d)``.

        Raises:
            InvalidInput: for other shapes and values that are not finite.
        """
        d, p = self.response.coefficients.shape
        y, x = np.atleast_2d(np.asarray(readings, float)), np.atleast_2d(np.asarray(settings, float))
        if not len(x) or y.shape != (len(x), p) or x.shape != (len(x), d):
            raise InvalidInput(f"anchors need readings (m, {p}) and settings (m, {d}), got {y.shape} and {x.shape}")
        if not (np.isfinite(y).all() and np.isfinite(x).all()):
            raise InvalidInput("anchors need finite readings and settings: take another reading")
        mean, root = self.levels.mean(axis=0), np.linalg.cholesky(self.noise / len(y))
        off = np.linalg.solve(root, (y - self.response.predict(x)).mean(axis=0) - mean)
        # In units of the anchor's noise, along directions in which backgrounds scatter independently.
        precision, axes = np.linalg.eigh(root.T @ _precision(self.levels - mean, self.noise) @ root)
        precision, along = np.maximum(precision, 0.0), axes.T @ off
        # As far as this light is from theirs, runs scatter more than they showed (its own scale, by likelihood).
        unlike = float(along**2 @ (precision / (1 + precision)))
        if unlike > len(along) + UNLIKE * np.sqrt(2 * len(along)):
            return mean + root @ axes @ along, root @ root.T
        kept = 1 / (1 + precision / max(unlike / len(along), 1.0))
        pull = (1 - kept) * along
        moved = np.clip(pull, -FARTHEST, FARTHEST)
        variance = np.where(moved == pull, kept, 1 + FARTHEST**2)
        back = root @ axes
        return mean + back @ (along - moved), back @ (variance[:, None] * back.T)


class DrawsSettings(Protocol):
    """Whatever has been fitted and draws settings for a target."""

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` in the unit box and beyond that give a target ``(p,)``."""


def sample_in_lights(
    model: DrawsSettings,
    target: Target,
    background: Readings,
    covariance: NDArray[np.float64],
    n: int,
    rng: np.random.Generator,
) -> Settings:
    """Draw settings ``(n, d)`` that give a target ``(c,)``, in backgrounds as likely as is known of the present one.

    Args:
        model: Fitted on readings without their background.
        target: Background included; NaN where a channel is free.
        background: Expected, ``(c,)``.
        covariance: Of its error, ``(c, c)``; 0 where it is known.
        n: How many.
        rng: The only source of randomness.
    """
    if not covariance.any():
        return model.sample(target - background, n, rng)
    lights = rng.multivariate_normal(background, covariance, min(n, LIGHTS), method="eigh")
    shares = np.bincount(np.arange(n) % len(lights)).tolist()
    return np.concatenate([model.sample(target - light, k, rng) for light, k in zip(lights, shares, strict=True)])


def _precision(deviations: Readings, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse covariance ``(p, p)`` of the background of one more run, from what ``k`` runs differ from their mean.

    That background has a Student distribution; its variance is infinite, and the answer 0, for up to three runs.
    """
    k = len(deviations)
    own = OWN**2 * np.diag(deviations.var(axis=0) + np.diag(noise))
    return np.asarray(max(k - 3, 0) * np.linalg.inv((1 + 1 / k) * (deviations.T @ deviations + own)))
