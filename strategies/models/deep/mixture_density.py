"""Mixture density network: the readings decide the parts of a Gaussian mixture of settings."""

from dataclasses import dataclass

import numpy as np
import zuko
from torch import Tensor, nn

from strategies.models.deep.base import Deep, flat, unfolded
from strategies.models.deep.with_forward import Array

FULL = 64
"""Knobs up to which a part has a covariance between any two: beyond, its numbers, which grow with the square, would
fill the memory (1,024 knobs ask the last layer for 32 GB), and a part has a variance for each knob."""


@dataclass(eq=False)
class MixtureDensity(Deep):
    """A network whose outputs are weights, means and covariances of a mixture, trained by maximum likelihood.

    With more than ``FULL`` knobs the covariances are diagonal.

    Args:
        components: Of the mixture.
        cells: Of each of two hidden layers.

    References:
        Bishop (1994), Mixture density networks, Aston University NCRG/94/004; zuko, for the mixture
    """

    components: int = 30
    cells: int = 128

    def _network(self, d: int, q: int) -> nn.Module:
        mixture: nn.Module = zuko.mixtures.GMM(
            d,
            q,
            components=self.components,
            covariance_type="full" if d <= FULL else "diagonal",
            hidden_features=(self.cells, self.cells),
            activation=nn.SiLU,
            epsilon=1e-3,
        )
        return mixture

    def _loss(self, places: Tensor, told: Tensor, share: float) -> Tensor:
        loss: Tensor = -self.network_(told).log_prob(places).mean()
        return loss

    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        return unfolded(self.network_(flat(told)).sample(), told)
