"""Conditional neural spline flow: monotonic splines, whose form depends on the readings, turn noise into settings."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import zuko
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor, nn

from strategies.models.deep import Array, Deep, tensor

Latent: TypeAlias = Literal["independent", "sobol"]


@dataclass(eq=False)
class ConditionalSpline(Deep):
    """Conditional neural spline flow, trained by maximum likelihood.

    The splines are autoregressive (two knobs at most) or couplings (more), so that a draw takes two passes a layer.

    Args:
        layers: Of splines.
        bins: Of each spline.
        cells: Of the two hidden layers of the network behind each layer.
        latent: How the noise is drawn: independently, or by a scrambled Sobol sequence, which leaves no solution out
            with few draws.

    References:
        Durkan, Bekasov, Murray, Papamakarios (2019), arXiv:1906.04032; zuko for the splines
    """

    layers: int = 4
    bins: int = 10
    cells: int = 96
    latent: Latent = "independent"

    def _network(self, d: int, q: int) -> nn.Module:
        hidden = (self.cells, self.cells)
        spline: nn.Module = zuko.flows.NSF(
            d, q, bins=self.bins, transforms=self.layers, hidden_features=hidden, passes=2, activation=nn.SiLU
        )
        return spline

    def _loss(self, places: Tensor, told: Tensor, share: float) -> Tensor:
        loss: Tensor = -self.network_(told).log_prob(places).mean()
        return loss

    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        noise = normal(self.latent, told.shape[:2], self.d_, rng)
        flow: Any = self.network_(tensor(told.reshape(-1, told.shape[2])))
        drawn = flow.transform.inv(tensor(noise.reshape(-1, self.d_)))
        return np.asarray(drawn.cpu().numpy().reshape(noise.shape), float)


def normal(latent: Latent, shape: tuple[int, ...], d: int, rng: np.random.Generator) -> Array:
    """Standard normal noise ``(m, n, d)``; each ``n`` fill its space evenly if they follow a Sobol sequence."""
    m, n = shape
    if latent == "independent":
        return rng.standard_normal((m, n, d))
    points = qmc.Sobol(d, rng=rng).random_base2((n - 1).bit_length())[:n]
    # One sequence for all targets, turned round by another amount for each of them.
    turned = (points + rng.random((m, 1, d))) % 1.0
    return np.asarray(ndtri(np.clip(turned, 1e-6, 1 - 1e-6)))
