"""Maximum mean discrepancy: how far two samples are from being draws of one distribution."""

import torch
from torch import Tensor

WIDTHS = (0.2, 0.5, 0.9, 1.3)
"""Of the kernels, for coordinates of size 1."""


def discrepancy(one: Tensor, other: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of samples ``(n, k)`` and ``(m, k)`` by inverse multiquadric kernels.

    References:
        Gretton, Borgwardt, Rasch, Schoelkopf, Smola (2012), JMLR 13, 723-773;
        Tolstikhin, Bousquet, Gelly, Schoelkopf (2018), arXiv:1711.01558, for the kernels
    """
    alike, others, between = _near(one, one), _near(other, other), _near(one, other)
    return alike.mean() + others.mean() - 2 * between.mean()


def _near(one: Tensor, other: Tensor) -> Tensor:
    square = ((one**2).sum(dim=1)[:, None] + (other**2).sum(dim=1) - 2 * one @ other.T).clamp(min=0)
    return torch.stack([width**2 / (width**2 + square) for width in WIDTHS]).sum(dim=0)
