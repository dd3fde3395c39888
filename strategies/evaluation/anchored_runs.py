"""Rows of many runs, each in its own light, and a new run of which one reading at known settings tells the light."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdl import plugins
from sdl.errors import InvalidInput, TooFewRows
from sdl.space import Readings, Settings
from strategies.contract import InverseModel, Target
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.base.noise import residual_noise, span
from strategies.models.linear.linear_program import LinearProgram

OWN = 0.1
"""Part of its scatter by which the background of one channel may go its own way; counts as one run."""


@dataclass(frozen=True, eq=False)
class AnchoredRun:
    """One run, as its anchor shows it: what does not change between runs, and the background of this one."""

    model: InverseModel
    """Fitted on all runs without their backgrounds."""
    background: Readings
    """Expected in this run, ``(c,)``."""
    covariance: NDArray[np.float64]
    """Of the error of the background, ``(c, c)``."""

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` that give the target ``(c,)``, each in a background as likely as the anchor says."""
        backgrounds = rng.multivariate_normal(self.background, self.covariance, n, method="eigh")
        return np.concatenate([self.model.sample(target - each, 1, rng) for each in backgrounds])

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, c)`` at settings in the unit box ``(n, d)``, background included."""
        return self.model.predict(settings) + self.background


@dataclass(eq=False)
class Anchored:
    """An inverse model of pooled runs that one reading, the anchor, adapts to a new run.

    A reading is the response to the settings, plus a background that is steady in a run, plus noise. Differences
    within runs give the response (the within estimator), what is left of each run gives the scatter of the
    backgrounds, and the best linear unbiased prediction shares what the anchor is off between background and noise.
    Channels that only the background moves decide it: give them all, also those that no target fixes.

    An anchor taken at its word would lend its own noise to each answer; with fewer than four runs it is taken so,
    as they cannot tell how backgrounds scatter. A channel that clips has no place here, neither has a light that
    moves faster than anchors are taken. For the background alone the response counts as linear.

    Args:
        model: Name of a registered inverse model, or what makes one.
        channels: Columns ``c`` of the readings that targets speak of; by default all.

    References:
        Mundlak (1978), doi:10.2307/1913646; Robinson (1991), doi:10.1214/ss/1177011926

    >>> rng = np.random.default_rng(0)
    >>> runs, settings = np.repeat(np.arange(8), 5), rng.random((40, 1))
    >>> readings = settings * [100.0, 1.0] + np.outer(runs**2, [1.0, 2.0])
    >>> dusk = Anchored("linear").fit(readings, settings, runs).at([50.0 + 33.0, 0.5 + 66.0], [0.5])
    >>> dusk.background.round(1).tolist(), dusk.sample([58.0, np.nan], 99, rng).mean().round(2).tolist()
    ([33.0, 66.0], 0.25)
    """

    model: str | Callable[[], InverseModel]
    channels: Sequence[int] | None = None

    def fit(self, readings: Readings, settings: Settings, runs: ArrayLike) -> Self:
        """Learn from readings ``(n, p)``, settings in the unit box ``(n, d)`` and the label of each row's run ``(n,)``.

        Raises:
            TooFewRows: with the number that is needed: each run spends a row on its background.
            InvalidInput: for a value that is not finite, rows that do not match, or a channel that is not there.
        """
        model = plugins.build("sdl.inverse_models", self.model) if isinstance(self.model, str) else self.model()
        readings, settings = complete_rows(model, readings, settings)
        member = _membership(runs, len(settings))
        (n, k), d = member.shape, settings.shape[1]
        if n <= k + d:
            raise TooFewRows(f"{k} runs and {d} knobs need {k + d + 1} rows, got {n}: measure more rows in each run")
        self.columns_ = _columns(self.channels, readings.shape[1])
        mean = (member / member.sum(axis=0)).T  # (k, n)
        y, x = readings - member @ (mean @ readings), settings - member @ (mean @ settings)
        self.response_ = LinearProgram().fit(y, x)
        self.noise_ = residual_noise(y - self.response_.predict(x), span(readings), k + d).variance
        backgrounds = mean @ (readings - self.response_.predict(settings))
        self.mean_ = backgrounds.mean(axis=0)
        self.precision_ = _precision(backgrounds - self.mean_, self.noise_)
        self.model_: InverseModel = model.fit((readings - member @ backgrounds)[:, self.columns_], settings)
        return self

    def at(self, readings: ArrayLike, settings: ArrayLike) -> AnchoredRun:
        """The run in which the anchors were read: one, ``(p,)`` at ``(d,)``, or several, ``(m, p)`` at ``(m, d)``.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: for other shapes and values that are not finite.
        """
        must_be_fitted(self, "model_")
        d, p = self.response_.regression_.coefficients.shape
        y, x = np.atleast_2d(np.asarray(readings, float)), np.atleast_2d(np.asarray(settings, float))
        if not len(x) or y.shape != (len(x), p) or x.shape != (len(x), d):
            raise InvalidInput(f"anchors need readings (m, {p}) and settings (m, {d}), got {y.shape} and {x.shape}")
        if not (np.isfinite(y).all() and np.isfinite(x).all()):
            raise InvalidInput("anchors need finite readings and settings: take another reading")
        evidence = len(y) * np.linalg.inv(self.noise_)
        covariance = np.linalg.inv(self.precision_ + evidence)
        off = (y - self.response_.predict(x)).mean(axis=0) - self.mean_
        background = self.mean_ + covariance @ evidence @ off
        columns = self.columns_
        return AnchoredRun(self.model_, background[columns], covariance[np.ix_(columns, columns)])


def _membership(runs: ArrayLike, n: int) -> NDArray[np.float64]:
    """1 where a row belongs to a run, else 0, ``(n, k)``."""
    labels = np.asarray(runs)
    if labels.shape != (n,):
        raise InvalidInput(f"a fit needs the run of each of its {n} rows, got labels of shape {labels.shape}")
    names, run = np.unique(labels, return_inverse=True)
    return np.asarray(np.eye(len(names))[run])


def _columns(channels: Sequence[int] | None, p: int) -> NDArray[np.intp]:
    columns = np.arange(p) if channels is None else np.array(channels, np.intp)
    if not columns.size or len(set(columns.tolist())) < columns.size or not ((columns >= 0) & (columns < p)).all():
        raise InvalidInput(f"channels need to be different columns from 0 to {p - 1}, got {columns.tolist()}")
    return columns


def _precision(deviations: Readings, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse covariance ``(p, p)`` of the background of one more run, from what ``k`` runs differ from their mean.

    That background has a Student distribution; its variance is infinite, and the answer 0, for up to three runs.
    """
    k = len(deviations)
    own = OWN**2 * np.diag(deviations.var(axis=0) + np.diag(noise))
    return np.asarray(max(k - 3, 0) * np.linalg.inv((1 + 1 / k) * (deviations.T @ deviations + own)))
