"""Conditional invertible network of affine couplings."""

from dataclasses import dataclass

import zuko
from torch import nn

from strategies.models.deep.conditional_flow import ConditionalFlow


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
