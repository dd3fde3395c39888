"""Conditional neural spline flow."""

from dataclasses import dataclass
from typing import ClassVar

import zuko
from torch import nn

from strategies.models.deep.conditional_flow import ConditionalFlow

PASSES = 4
"""To draw from a layer, at most: as many groups of knobs enter one after the other, autoregressive up to four knobs."""


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
