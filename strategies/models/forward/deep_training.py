"""Training of a deep forward network, whose weights are too many for Levenberg-Marquardt steps."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from strategies.models.base.time_budget import TimeBox
from strategies.models.forward.deep_network import Layers
from strategies.models.forward.early_stopping import teach
from strategies.models.forward.network import Array
from strategies.models.forward.torch_seed import alone

CELLS = 256, 256, 256
"""Of the hidden layers."""
RATE = 2e-3
EACH = 40
"""Steps by Adam in place of one by Levenberg-Marquardt."""


def trained_wide(
    learned: tuple[Array, Array],
    tried: tuple[Array, Array],
    steps: int,
    seconds: float,
    seed: int,
    tell: Callable[[int, int], object],
) -> Layers:
    """The network that is best on rows held out, by Adam.

    Args:
        learned: Inputs ``(n, d)`` and outputs ``(n, p)`` to learn from, about 1 in size.
        tried: The same of other rows.
        steps: By Levenberg-Marquardt that these are in place of.
        seconds: That they may take.
        seed: Decides everything.
        tell: Called with the number of steps done, and of how many.
    """
    with alone(seed):
        sizes = learned[0].shape[1], *CELLS, learned[1].shape[1]
        layers = [nn.Linear(*pair) for pair in pairwise(sizes)]
        network = nn.Sequential(*(part for layer in layers[:-1] for part in (layer, nn.SiLU())), layers[-1])

        def loss(inputs: Tensor, outputs: Tensor, share: float) -> Tensor:
            off: Tensor = network(inputs) - outputs
            return (off**2).mean()

        teach(network, loss, _tensors(learned), _tensors(tried), TimeBox(EACH * steps, seconds), RATE, tell)
        weights = tuple(layer.weight.detach().cpu().numpy().T.copy() for layer in layers)
        return Layers(weights, tuple(layer.bias.detach().cpu().numpy() for layer in layers))


def _tensors(rows: tuple[Array, Array]) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(rows[0], dtype=torch.float32), torch.as_tensor(rows[1], dtype=torch.float32)
