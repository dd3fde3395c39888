"""The forward model of the deep inverse models, to be had by its name: an ensemble of small networks with slopes."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.models.base.input_checks import complete_columns, must_be_fitted
from strategies.models.base.scaling import Array
from strategies.models.forward.surrogate import STEPS, Surrogate


@dataclass(eq=False)
class SmallNetworks:
    """Readings from settings by ``Surrogate``: smooth, and exact to some digits where a response is.

    Args:
        seconds: That the training may take; it is planned by steps and ends early where this is over before.
        steps: Of the training of each network, at most.
        seed: Decides everything.

    References:
        Hagan, Menhaj (1994), doi:10.1109/72.329697, for the training

    >>> settings = np.linspace(0, 1, 200)[:, None]
    >>> model = SmallNetworks().fit(settings, settings**2)
    >>> bool(np.abs(model.predict(settings) - settings**2).max() < 1e-3)
    True
    """

    seconds: float = 60.0
    steps: int = STEPS
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.steps < 1:
            raise InvalidInput(f"training needs seconds above 0 and steps >= 1, got {self.seconds} and {self.steps}")

    def fit(self, settings: Settings, readings: Readings) -> Self:
        """Learn from settings in the unit box ``(n, d)`` and readings ``(n, p)``, all finite."""
        x, y = complete_columns(settings, readings)
        self.surrogate_ = Surrogate.of(y, x, np.random.default_rng(self.seed), self.seconds, self.steps)
        return self

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` at settings in the unit box ``(n, d)``.

        Raises:
            NotFittedError: before ``fit``.
        """
        must_be_fitted(self, "surrogate_")
        return self.surrogate_.predict(np.asarray(settings, float))

    def tangent(self, settings: Settings) -> tuple[Readings, Array]:
        """The same with their slopes ``(n, p, d)``."""
        must_be_fitted(self, "surrogate_")
        return self.surrogate_.tangent(np.asarray(settings, float))
