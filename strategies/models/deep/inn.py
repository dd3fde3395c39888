"""Invertible neural network between settings and readings with latent numbers for what the readings do not tell."""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
import zuko
from torch import Tensor, nn

from sdl.errors import InvalidInput
from strategies.models.deep.base import Deep, flat, unfolded
from strategies.models.deep.latent import Latent, normal
from strategies.models.deep.with_forward import Array

Objective: TypeAlias = Literal["discrepancy", "likelihood"]
OBJECTIVES: tuple[Objective, ...] = ("discrepancy", "likelihood")
Schedule: TypeAlias = Literal["dynamic", "fixed"]
SCHEDULES: tuple[Schedule, ...] = ("dynamic", "fixed")
SUPERVISED = 10.0, 1.0
"""Weight of the error of the readings at the beginning and at the end: first the forward direction is learned,"""
BACKWARD = 0.0, 5.0
"""then, more and more, that what is drawn backward looks like the rows."""
FORWARD = 1.0
"""Weight of the discrepancy between readings and latent numbers together and independent ones."""
SIGMA = 0.5, 0.05
"""Deviation of the readings that the likelihood allows the forward half at the beginning and at the end."""
COMPARED = 192
"""Rows of a batch that a discrepancy compares: its cost is the square."""
LEAST = 0.1
"""Least scale of a coupling, and one over the largest: beyond the rows the inverse would grow without bound."""
PAD = 0.1
"""Deviation of the numbers that fill settings up, where readings and latent numbers are more than these."""
WIDTHS = (0.2, 0.5, 0.9, 1.3)
"""Of the kernels of a discrepancy, for coordinates of size 1."""


@dataclass(eq=False)
class Inn(Deep):
    """Affine couplings from settings to readings and latent numbers; backward, noise in their place gives settings.

    By ``discrepancy`` it learns in both directions, as published: the squared error of the readings, the maximum mean
    discrepancy of readings and latent numbers from independent ones, and of backward draws from the settings of the
    rows, in a schedule that goes from the first to the last. By ``likelihood`` all three are one density.

    Args:
        layers: Couplings.
        cells: Of the two hidden layers of the network in each.
        objective: What it learns by.
        latent: How the noise is drawn, see ``latent.normal``.
        schedule: Whether the weights of its losses go from one end to the other (``dynamic``), as published, or stand
            in the middle all the time (``fixed``).

    References:
        Ardizzone et al. (2019), arXiv:1808.04730; Zhang, Bi, Fung (2023), arXiv:2212.01016, for the schedule
    """

    layers: int = 6
    cells: int = 128
    objective: Objective = "discrepancy"
    latent: Latent = "independent"
    schedule: Schedule = "dynamic"

    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective not in OBJECTIVES:
            raise InvalidInput(f"objective needs to be {' or '.join(OBJECTIVES)}, got {self.objective!r}")
        if self.schedule not in SCHEDULES:
            raise InvalidInput(f"schedule needs to be {' or '.join(SCHEDULES)}, got {self.schedule!r}")

    def _network(self, d: int, q: int) -> nn.Module:
        self.width_ = max(d, q + 1)
        hidden = (self.cells, self.cells)
        couplings: nn.Module = zuko.flows.NICE(
            self.width_, transforms=self.layers, hidden_features=hidden, activation=nn.SiLU, univariate=_affine
        )
        return couplings

    def _loss(self, places: Tensor, told: Tensor, share: float) -> Tensor:
        filled, q = self._filled(places), told.shape[1]
        share = share if self.schedule == "dynamic" else 0.5
        if self.objective == "likelihood":
            ends, volume = self._map.call_and_ladj(filled)
            sigma = _weight(SIGMA, share)
            off = 0.5 * (((ends[:, :q] - told) / sigma) ** 2).sum(dim=1) + q * log(sigma)
            loss: Tensor = (off + 0.5 * (ends[:, q:] ** 2).sum(dim=1) - volume).mean()
            return loss
        ends, latent = self._map(filled), torch.randn(len(told), self.width_ - q, device=told.device)
        error = ((ends[:, :q] - told) ** 2).mean()
        # The readings have an error of their own to learn by, so that the latent numbers alone follow the discrepancy.
        begins = torch.cat((told, latent), dim=1)[:COMPARED]
        joint = discrepancy(torch.cat((ends[:, :q].detach(), ends[:, q:]), dim=1)[:COMPARED], begins)
        prior = discrepancy(self._map.inv(begins), filled[:COMPARED])
        total: Tensor = _weight(SUPERVISED, share) * error + FORWARD * joint + _weight(BACKWARD, share) * prior
        return total

    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        noise = normal(self.latent, (*told.shape[:2], self.width_ - told.shape[2]), rng)
        ends = torch.cat((flat(told), flat(noise)), dim=1)
        return unfolded(self._map.inv(ends)[:, : self.d_], told)

    @property
    def _map(self) -> Any:
        """From settings, filled up, to readings and latent numbers."""
        flow: Any = self.network_
        return flow().transform

    def _filled(self, places: Tensor) -> Tensor:
        filling = PAD * torch.randn(len(places), self.width_ - self.d_, device=places.device)
        return torch.cat((places, filling), dim=1)


@dataclass(eq=False)
class InnByLikelihood(Inn):
    """An ``Inn`` that learns by ``likelihood`` by default, under a name of its own."""

    objective: Objective = "likelihood"


def _affine(shift: Tensor, scale: Tensor) -> Any:
    return zuko.transforms.MonotonicAffineTransform(shift, scale, slope=LEAST)


def _weight(ends: tuple[float, float], share: float) -> float:
    """A weight on its way from one end to the other, half a cosine."""
    return float(ends[1] + (ends[0] - ends[1]) * 0.5 * (1 + np.cos(np.pi * share)))


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
