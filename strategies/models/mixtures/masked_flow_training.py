"""Masked conditional flow matching: the one place where the any-conditional model needs torch."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from strategies.models.forward.torch_seed import alone
from strategies.models.mixtures.incomplete_data_em import Array
from strategies.models.mixtures.masked_flow import QUARTER, Flow, Questions

WIDTH = 64
"""Cells of each of three hidden layers."""
BATCH = 512
"""Questions a step."""
STEPS = 1200
"""Most steps of training, about two seconds on one core."""
EVERY = 50
"""Steps between two trials on rows held out."""
PATIENCE = 600
"""Steps without a better trial after which there is nothing to learn."""
RATE = 8e-3
"""Highest rate of learning, after a tenth of the steps."""
DECAY = 1e-2
"""Of the weights."""
CERTAIN = 2.0
"""Standard errors over rows by which a network has to beat the mixture alone."""
AT_START = 0.1
"""Share of the training at the start of the path, where the velocity gives the mean."""
_SINGLE = torch.float32


def trained(learned: Questions, tried: Questions, seed: int) -> Flow | None:
    """The network that answers questions about rows held out best; None if the mixture alone is as good.

    Args:
        learned: Questions to learn from.
        tried: Questions about other rows.
        seed: Decides everything; torch's own generator and number of threads are as before.
    """
    with alone(seed) as chance:
        width, size = learned.context.shape[1], learned.answer.shape[1]
        network = _network(width + size + 4, size)
        lesson, trial = _Lesson(learned), _Lesson(tried)
        fixed = trial.path(torch.arange(len(tried.row)), chance)
        adam = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        rate = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=STEPS, pct_start=0.1)
        best, kept, since = (0.0, 0.0), None, 0
        for step in range(1, STEPS + 1):
            rows = torch.randint(len(learned.row), (BATCH,), generator=chance)
            loss = _excess(network, *lesson.path(rows, chance)).mean()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            rate.step()
            if step % EVERY == 0:
                with torch.no_grad():
                    now = _by_row(_excess(network, *fixed).numpy().astype(float), tried.row)
                since += EVERY
                if now[0] < best[0]:
                    best, kept, since = now, _arrays(network), 0
                if since >= PATIENCE:
                    break
    return kept if kept is not None and best[0] < -CERTAIN * best[1] else None


class _Lesson:
    """Questions as tensors, and random places on the paths to their answers."""

    def __init__(self, questions: Questions) -> None:
        arrays = questions.context, questions.answer, questions.asked
        self.context, self.answer, self.asked = (torch.as_tensor(array, dtype=_SINGLE) for array in arrays)

    def path(self, rows: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Input of the network, the velocity that it should say, and which cells count, ``(m, .)`` each."""
        angle = QUARTER * torch.rand((len(rows), 1), generator=chance, dtype=_SINGLE)
        angle = angle * (torch.rand((len(rows), 1), generator=chance, dtype=_SINGLE) >= AT_START)
        asked, answer = self.asked[rows], self.answer[rows]
        noise = torch.randn(answer.shape, generator=chance, dtype=_SINGLE) * asked
        cos, sin = torch.cos(angle), torch.sin(angle)
        waves = cos, sin, torch.cos(2 * angle), torch.sin(2 * angle)
        inputs = torch.cat((self.context[rows], cos * noise + sin * answer, *waves), dim=1)
        return inputs, cos * answer - sin * noise, asked


def _excess(network: nn.Module, given: Tensor, velocity: Tensor, asked: Tensor) -> Tensor:
    """Squared error ``(m,)`` of a network above that of saying 0, which is what the mixture says."""
    said: Tensor = network(given)
    return ((said * asked - velocity) ** 2 - velocity**2).sum(dim=1)


def _by_row(excess: Array, row: NDArray[np.intp]) -> tuple[float, float]:
    """Mean over rows, and its standard error: questions about one row are not independent."""
    _, which = np.unique(row, return_inverse=True)
    mean = np.bincount(which, excess) / np.bincount(which)
    return float(mean.mean()), float(mean.std() / np.sqrt(len(mean)))


def _network(inputs: int, outputs: int) -> nn.Sequential:
    sizes = (inputs, WIDTH, WIDTH, WIDTH, outputs)
    layers = [nn.Linear(*pair, dtype=_SINGLE) for pair in pairwise(sizes)]
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*(part for layer in layers[:-1] for part in (layer, nn.SiLU())), layers[-1])


def _arrays(network: nn.Sequential) -> Flow:
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    weights = tuple(layer.weight.detach().numpy().T.copy() for layer in layers)
    return Flow(weights, tuple(layer.bias.detach().numpy().copy() for layer in layers))
