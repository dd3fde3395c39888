"""Conditional normalising flows: invertible maps between settings and noise whose form depends on the readings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from strategies.models.deep.base import Deep, flat, tensor, unfolded
from strategies.models.deep.latent import Latent, normal
from strategies.models.deep.with_forward import Array


@dataclass(eq=False)
class ConditionalFlow(Deep):
    """A conditional flow, trained by maximum likelihood; a subclass says of what its layers are made.

    Args:
        layers: Of the flow.
        cells: Of the two hidden layers of the network behind each layer.
        latent: How the noise is drawn, see ``latent.normal``.

    References:
        Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), arXiv:1912.02762
    """

    layers: int = 4
    cells: int = 96
    latent: Latent = "independent"

    def _loss(self, places: Tensor, told: Tensor, share: float) -> Tensor:
        loss: Tensor = -self.network_(told).log_prob(places).mean()
        return loss

    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        noise = normal(self.latent, (*told.shape[:2], self.d_), rng)
        flow: Any = self.network_(flat(told))
        return unfolded(flow.transform.inv(tensor(noise.reshape(-1, self.d_))), told)
