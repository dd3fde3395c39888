"""A forward model for thousands of rows whose response may have kinks: the mean of rectified networks."""

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.models.base.input_checks import complete_columns, must_be_fitted
from strategies.models.base.scaling import Standard
from strategies.numerics.blas_threads import one_thread

STAGES = ((2e-3, 0.6), (5e-4, 0.25), (1e-4, 0.15))
"""Rates of learning, and the share of the epochs that each has."""
BATCH = 256


@dataclass(eq=False)
class Networks:
    """Readings from settings by an ensemble of rectified networks of three hidden layers.

    Args:
        members: How many networks, which differ in how they begin.
        width: Cells of a layer.
        epochs: How often a network sees each row.
        seed: Decides everything.

    References:
        Lakshminarayanan, Pritzel, Blundell (2017), arXiv:1612.01474, for the mean of several

    >>> settings = np.linspace(0, 1, 200)[:, None]
    >>> model = Networks(members=1, width=32, epochs=100).fit(settings, settings**2)
    >>> bool(np.abs(model.predict(settings) - settings**2).max() < 0.05)
    True
    """

    members: int = 3
    width: int = 128
    epochs: int = 80
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.members, self.width, self.epochs) < 1:
            raise InvalidInput(f"networks need members, width and epochs of at least 1, got {self}")

    def fit(self, settings: Settings, readings: Readings) -> Self:
        """Learn from settings in the unit box ``(n, d)`` and readings ``(n, p)``, all finite."""
        x, y = complete_columns(settings, readings)
        self.inputs_, self.outputs_ = Standard.of(x), Standard.of(y)
        rows = self.inputs_.to(x), self.outputs_.to(y)
        with one_thread():
            self.networks_ = [
                _trained(*rows, self.width, self.epochs, self.seed + member) for member in range(self.members)
            ]
        return self

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` at settings in the unit box ``(n, d)``.

        Raises:
            NotFittedError: before ``fit``.
        """
        must_be_fitted(self, "networks_")
        rows = self.inputs_.to(np.asarray(settings, float))
        with one_thread():
            predictions = [network.predict(rows).reshape(len(rows), -1) for network in self.networks_]
        return self.outputs_.back(np.mean(predictions, axis=0))


def _trained(inputs: Settings, outputs: Readings, width: int, epochs: int, seed: int) -> MLPRegressor:
    network = MLPRegressor(
        hidden_layer_sizes=(width,) * 3,
        batch_size=min(BATCH, len(inputs)),
        random_state=seed,
        warm_start=True,  # a stage goes on where the one before ended
        n_iter_no_change=epochs,
    )
    target = outputs[:, 0] if outputs.shape[1] == 1 else outputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are what was asked for
        for rate, share in STAGES:
            network.set_params(learning_rate_init=rate, max_iter=max(round(share * epochs), 1)).fit(inputs, target)
    return network
