"""Conditional neural spline flow."""

from dataclasses import dataclass
from typing import ClassVar

import zuko
from torch import nn

from strategies.models.conditional_flow import ConditionalFlow


@dataclass(eq=False)
class ConditionalSpline(ConditionalFlow):
    """Coupling layers of monotonic rational-quadratic splines, the most flexible of the flows here.

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
            passes=2,  # couplings: two passes to draw, where autoregressive layers take one a knob
            randperm=d > 3,
        )
        return spline
