"""Training of a forward network for very many knobs, whose weights are too many for Levenberg-Marquardt steps."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from strategies.models.network import Array, Network
from strategies.models.seeded import alone
from strategies.models.timebox import TimeBox
from strategies.models.training import teach

CELLS = 192
"""Of a hidden layer."""
RATE = 2e-3
EACH = 40
"""Steps by Adam in place of one by Levenberg-Marquardt."""


def trained_wide(
    learned: tuple[Array, Array],
    tried: tuple[Array, Array],
    steps: int,
    seconds: float,
    rng: np.random.Generator,
    tell: Callable[[int, int], object],
) -> Network:
    """The network that is best on rows held out, by Adam.

    Args:
        learned: Inputs ``(n, d)`` and outputs ``(n, p)`` to learn from, about 1 in size.
        tried: The same of other rows.
        steps: By Levenberg-Marquardt that these are in place of.
        seconds: That they may take.
        rng: The only source of randomness.
        tell: Called with the number of steps done, and of how many.
    """
    d, p = learned[0].shape[1], learned[1].shape[1]
    with alone(int(rng.integers(2**63))):
        layers = nn.Linear(d, CELLS), nn.Linear(CELLS, CELLS), nn.Linear(CELLS, p)
        network = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

        def loss(inputs: Tensor, outputs: Tensor, share: float) -> Tensor:
            off: Tensor = network(inputs) - outputs
            return (off**2).mean()

        box = TimeBox(EACH * steps, seconds)
        teach(network, loss, _tensors(learned), _tensors(tried), box, RATE, tell)
        weights = [layer.weight.detach().cpu().numpy().T.astype(float) for layer in layers]
        biases = [layer.bias.detach().cpu().numpy().astype(float) for layer in layers]
    return Network(weights[0], biases[0], weights[1], biases[1], weights[2], biases[2])


def _tensors(rows: tuple[Array, Array]) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(rows[0], dtype=torch.float32), torch.as_tensor(rows[1], dtype=torch.float32)
