"""How a deep model learns: in batches, judged by rows held out, within its time."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from math import cos, pi
from typing import TypeAlias

import torch
from torch import Tensor, nn

from strategies.models.base.time_budget import TimeBox
from strategies.models.forward.torch_seed import device

BATCH = 512
"""Rows a step, or all there are."""
EVERY = 50
"""Steps between two trials on the rows held out."""
PATIENCE, TRIALS = 0.25, 4
"""Part of all steps, and trials at least, that may pass without a better one."""
WARM_UP = 0.05
"""Part of the steps in which the rate rises to its highest."""
STEEPEST = 10.0
"""Longest gradient that is followed at its full length."""
JUDGED = 2048
"""Rows held out that a trial looks at, at most."""

Loss: TypeAlias = Callable[[Tensor, Tensor, float], Tensor]
"""Settings ``(b, d)``, readings ``(b, q)`` and the share of the training that is over, to what should be small."""


@dataclass(frozen=True)
class Taught:
    """What came of a training."""

    steps: int
    """That were taken."""
    cut: bool
    """Whether its time was over before it was."""


def teach(
    network: nn.Module,
    loss: Loss,
    learned: tuple[Tensor, Tensor],
    tried: tuple[Tensor, Tensor],
    box: TimeBox,
    rate: float,
    tell: Callable[[int, int], object],
) -> Taught:
    """Train a network by Adam and leave it as it was best on rows held out.

    Randomness is torch's own, so this belongs inside ``seeded.alone``. Of a time box that is too short the rate takes
    the rest of its way down in the time that is left, rather than to be stopped at its height.

    Args:
        network: Is moved to the GPU, where there is one.
        loss: Of some rows.
        learned: Settings ``(n, d)`` and readings ``(n, q)``.
        tried: The same of rows held out.
        box: How many steps, and how long.
        rate: Highest rate of learning.
        tell: Called with the number of steps done, and of how many.
    """
    place = device()
    network.to(place).train()
    learned, tried = _moved(learned, place), _moved((tried[0][:JUDGED], tried[1][:JUDGED]), place)
    adam = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    best, least, since, step, share = deepcopy(network.state_dict()), float("inf"), 0, 0, 0.0
    while (left := box.left(step)) and since < max(PATIENCE * box.steps, TRIALS * EVERY):
        share += (1 - share) / left
        for group in adam.param_groups:
            group["lr"] = rate * min(share / WARM_UP, 0.5 + 0.5 * cos(pi * share) + 1e-3)
        rows = torch.randint(len(learned[0]), (min(BATCH, len(learned[0])),), device=place)
        now = loss(learned[0][rows], learned[1][rows], share)
        adam.zero_grad()
        now.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), STEEPEST, error_if_nonfinite=False)
        adam.step()
        step, since = step + 1, since + 1
        if step % EVERY == 0 or left == 1:
            value = _judged(network, loss, tried)
            if value < least:
                best, least, since = deepcopy(network.state_dict()), value, 0
            tell(step, box.steps)
    network.load_state_dict(best)
    network.eval()
    return Taught(step, box.cut)


def _judged(network: nn.Module, loss: Loss, tried: tuple[Tensor, Tensor]) -> float:
    """The loss of rows held out, with the same random numbers at every trial; infinite if it is no number."""
    network.eval()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        value = float(loss(*tried, 1.0))
    network.train()
    return value if value == value else float("inf")


def _moved(rows: tuple[Tensor, Tensor], place: torch.device) -> tuple[Tensor, Tensor]:
    return rows[0].to(place), rows[1].to(place)
