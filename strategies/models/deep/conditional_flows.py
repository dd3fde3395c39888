"""Conditional normalising flows: invertible maps between settings and noise whose form depends on the readings."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import zuko
from torch import Tensor, nn

from strategies.models.deep.base import Deep, flat, tensor, unfolded
from strategies.models.deep.latent import Latent, normal
from strategies.models.deep.with_forward import Array

PASSES = 4
"""To draw from a layer of splines, at most: as many groups of knobs enter one after the other, each knob up to four."""


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


@dataclass(eq=False)
class ConditionalInn(ConditionalFlow):
    """Affine coupling layers: what enters half of the settings is a shift and a scale that the other half decides.

    References:
        Ardizzone, Lueth, Kruse, Rother, Koethe (2019), arXiv:1907.02392; zuko, for the layers
    """

    layers: int = 8

    def _network(self, d: int, q: int) -> nn.Module:
        hidden = (self.cells, self.cells)
        couplings: nn.Module = zuko.flows.MAF(
            d, q, transforms=self.layers, hidden_features=hidden, activation=nn.SiLU, passes=2, randperm=d > 3
        )
        return couplings


@dataclass(eq=False)
class ConditionalSpline(ConditionalFlow):
    """Autoregressive layers of monotonic rational-quadratic splines, the most flexible of the flows here.

    Args:
        bins: Of each spline.

    References:
        Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032; zuko, for the layers
    """

    bins: int = 10

    walled: ClassVar[bool] = True

    def _network(self, d: int, q: int) -> nn.Module:
        hidden = (self.cells, self.cells)
        spline: nn.Module = zuko.flows.NSF(
            d,
            q,
            bins=self.bins,
            transforms=self.layers,
            hidden_features=hidden,
            activation=nn.SiLU,
            passes=min(d, PASSES),
            randperm=d > PASSES,
        )
        return spline
