"""Rows of many runs, each in its own light, and a new run of which one reading at known settings tells the light."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import InverseModel, Target
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.solving.backgrounds.run_backgrounds import RunBackgrounds, sample_in_lights


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
        """Draw settings ``(n, d)`` that give the target ``(c,)``, in backgrounds as likely as the anchor says."""
        return sample_in_lights(self.model, target, self.background, self.covariance, n, rng)

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, c)`` at settings in the unit box ``(n, d)``, background included."""
        return self.model.predict(settings) + self.background


@dataclass(eq=False)
class Anchored:
    """An inverse model of pooled runs that one reading, the anchor, adapts to a new run.

    ``RunBackgrounds`` says how. Channels that only the background moves decide it: give them all, also those that no
    target fixes. An anchor taken at its word would lend its own noise to each answer; with fewer than four runs it is
    taken so, as they cannot tell how backgrounds scatter. A channel that clips has no place here, neither has a light
    that moves faster than anchors are taken. For the background alone the response counts as linear.

    Args:
        model: Name of a registered inverse model, or what makes one.
        channels: Columns ``c`` of the readings that targets speak of; by default all.

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
        self.columns_ = _columns(self.channels, readings.shape[1])
        self.runs_ = RunBackgrounds.learn(readings, settings, runs)
        net = readings - self.runs_.levels[self.runs_.run]
        self.model_: InverseModel = model.fit(net[:, self.columns_], settings)
        return self

    def at(self, readings: ArrayLike, settings: ArrayLike) -> AnchoredRun:
        """The run in which the anchors were read: one, ``(p,)`` at ``(d,)``, or several, ``(m, p)`` at ``(m, d)``.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: for other shapes and values that are not finite.
        """
        must_be_fitted(self, "model_")
        background, covariance = self.runs_.at(readings, settings)
        columns = self.columns_
        return AnchoredRun(self.model_, background[columns], covariance[np.ix_(columns, columns)])


def _columns(channels: Sequence[int] | None, p: int) -> NDArray[np.intp]:
    columns = np.arange(p) if channels is None else np.array(channels, np.intp)
    if not columns.size or len(set(columns.tolist())) < columns.size or not ((columns >= 0) & (columns < p)).all():
        raise InvalidInput(f"channels need to be different columns from 0 to {p - 1}, got {columns.tolist()}")
    return columns
