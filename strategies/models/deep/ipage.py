"""iPage: an invertible network, noise by a maximin Latin hypercube, and descent through its own forward half."""

from dataclasses import dataclass

import numpy as np
import torch

from strategies.models.deep.base import flat, tensor, unfolded
from strategies.models.deep.inn import Inn
from strategies.models.deep.latent import Latent
from strategies.models.deep.with_forward import Array


@dataclass(eq=False)
class IPage(Inn):
    """The method as it was printed: draws of an ``Inn``, moved by gradient descent until it says that they answer.

    The descent keeps within the range of the rows.

    Args:
        descents: Steps of the descent.
        pace: Its rate, in standard deviations of the settings.

    References:
        Zhang, Bi, Fung (2023), arXiv:2212.01016
    """

    latent: Latent = "maximin"
    descents: int = 100
    pace: float = 5e-3

    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        goals, q = flat(told), told.shape[2]
        low, high = (tensor(bound) for bound in self.range_)
        at = tensor(super()._draw(told, rng).reshape(-1, self.d_)).clamp(low, high).requires_grad_()
        adam = torch.optim.Adam([at], lr=self.pace)
        filling = torch.zeros(len(at), self.width_ - self.d_, device=at.device)
        for _ in range(self.descents):
            adam.zero_grad()
            with torch.enable_grad():
                ends = self._map(torch.cat((at, filling), dim=1))
                ((ends[:, :q] - goals) ** 2).sum().backward()
            adam.step()
            at.data.clamp_(low, high)
        return unfolded(at.detach(), told)
